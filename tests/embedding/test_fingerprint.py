"""The fingerprint: the same for the same model anywhere, another for any change of its vectors."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import save_file

from ragdoll.embedding import identity as module
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import fingerprint, teacher_fingerprint, weights_fingerprint
from tests.embedding.making import change_json

properties = settings(derandomize=True, deadline=None, max_examples=60)

Tensors = dict[str, npt.NDArray[Any]]


def tensors() -> Tensors:
    return {"embeddings": np.arange(12, dtype=np.float32).reshape(4, 3)}


def write(folder: Path, content: Tensors, tokenizer: str = '{"model": {}}') -> Path:
    """Write a model that normalizes, and cuts texts off after 512 tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(content, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(tokenizer)
    (folder / "config.json").write_text('{"normalize": true}')
    (folder / "README.md").write_text("# A model\n")
    return folder


def of(folder: Path) -> str:
    return fingerprint(open_folder(folder))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model", tensors())


def test_it_is_a_sha256(model: Path) -> None:
    assert len(bytes.fromhex(of(model))) == 32


def test_a_moved_or_copied_model_keeps_its_fingerprint(model: Path, tmp_path: Path) -> None:
    before = of(model)
    copy = shutil.copytree(model, tmp_path / "copy")
    moved = model.rename(tmp_path / "moved")
    assert of(Path(copy)) == of(moved) == before


@pytest.mark.parametrize("name", ["README.md", "ragdoll.json"])
def test_a_file_that_decides_no_vector_leaves_it_as_it_is(model: Path, name: str) -> None:
    before = of(model)
    (model / name).write_text('{"written": "later"}')
    assert of(model) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda t: {**t, "embeddings": t["embeddings"] * 2}, id="values"),
        pytest.param(lambda t: {**t, "embeddings": t["embeddings"].reshape(3, 4)}, id="shape"),
        pytest.param(lambda t: {**t, "embeddings": t["embeddings"].view(np.int32)}, id="type"),
        pytest.param(lambda t: {**t, "weights": np.ones(4, dtype=np.float32)}, id="one more"),
        pytest.param(lambda t: {"embeddings": t["embeddings"]}, id="one less"),
        pytest.param(lambda t: {"embeddings": t["embeddings"], "m": t["mapping"]}, id="name"),
    ],
)
def test_a_change_of_any_tensor_changes_it(
    tmp_path: Path, change: Callable[[Tensors], Tensors]
) -> None:
    content = {**tensors(), "mapping": np.arange(4, dtype=np.int64)}
    first, second = write(tmp_path / "a", content), write(tmp_path / "b", change(content))
    assert of(first) != of(second)


@properties
@given(place=st.integers(0, 11), bit=st.integers(0, 31))
def test_a_single_flipped_bit_changes_it(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("bit")
    content = tensors()
    flipped = content["embeddings"].view(np.uint32).copy()
    flipped[divmod(place, 3)] ^= np.uint32(1) << np.uint32(bit)
    changed = {"embeddings": flipped.view(np.float32)}
    assert of(write(folder / "a", content)) != of(write(folder / "b", changed))


def test_another_tokenizer_changes_it(model: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", tensors(), tokenizer='{"model": {"vocab": {}}}')
    assert of(other) != of(model)


TENSORS = npst.arrays(
    st.sampled_from([np.dtype(name) for name in ("u1", "i1", "u2")]),
    st.sampled_from([(1,), (2,), (1, 1), (2, 1)]),
    elements=st.integers(0, 2),
)
SMALL = st.dictionaries(st.text("ab\0,(1", min_size=1, max_size=4), TENSORS, min_size=1, max_size=3)


def described(content: Tensors) -> dict[str, Any]:
    return {name: (t.dtype.str, t.shape, t.tobytes()) for name, t in content.items()}


@properties
@given(first=SMALL, second=SMALL)
def test_different_tensors_have_different_fingerprints(
    tmp_path_factory: pytest.TempPathFactory, first: Tensors, second: Tensors
) -> None:
    assume(described(first) != described(second))
    folder = tmp_path_factory.mktemp("pair")
    one = write(folder / "a", {**first, **tensors()})
    other = write(folder / "b", {**second, **tensors()})
    assert of(one) != of(other)


def test_a_tensors_name_cannot_pass_for_the_content_of_another(tmp_path: Path) -> None:
    content = b"Z\0u8\0(0,)\0"
    name = f"x\0u8\0({len(content)},)\0Z"
    one = write(tmp_path / "a", {**tensors(), "x": np.frombuffer(content, np.uint8)})
    other = write(tmp_path / "b", {**tensors(), name: np.zeros(0, np.uint8)})
    assert of(one) != of(other)


def must_not_hash(*_: object) -> None:
    raise AssertionError("the weights were read again")


@pytest.mark.parametrize("call", [of, lambda p: weights_fingerprint(open_folder(p))])
def test_it_is_remembered(
    model: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[[Path], str]
) -> None:
    before = call(model)
    monkeypatch.setattr(module, "_feed", must_not_hash)
    assert call(model) == before


def replaced_by_a_new_file(file: Path, content: bytes) -> None:
    facts = file.stat()
    aside = file.with_suffix(".new")
    aside.write_bytes(content)
    os.utime(aside, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    aside.replace(file)


def overwritten(file: Path, content: bytes) -> None:
    facts = file.stat()
    with file.open("r+b") as opened:
        opened.write(content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))


def overwritten_with_its_time_kept(file: Path, content: bytes) -> None:
    facts = file.stat()
    # File systems count time in steps; what happens within one cannot be told apart.
    clock = file.with_suffix(".clock")
    while not clock.exists() or clock.stat().st_ctime_ns <= facts.st_ctime_ns:
        clock.write_text("")
    with file.open("r+b") as opened:
        opened.write(content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize(
    "replace", [replaced_by_a_new_file, overwritten, overwritten_with_its_time_kept]
)
def test_other_weights_of_the_same_size_are_not_taken_for_the_remembered_ones(
    model: Path, tmp_path: Path, replace: Callable[[Path, bytes], None]
) -> None:
    other = write(tmp_path / "other", {"embeddings": tensors()["embeddings"] + 1})
    before, expected = of(model), of(other)
    content = (other / "model.safetensors").read_bytes()
    assert len(content) == (model / "model.safetensors").stat().st_size

    replace(model / "model.safetensors", content)

    assert of(model) == expected != before


def test_a_damaged_memory_is_not_believed(model: Path) -> None:
    before = of(model)
    remembered = list(Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json"))
    assert remembered
    for file in remembered:
        file.write_text('{"key": [], "fingerprint')
    assert of(model) == before


def test_it_needs_no_cache_folder(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(model)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # nothing can be written there
    assert of(model) == of(model) == before


def test_it_needs_no_home(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert of(model) == of(model)


def test_the_weights_fingerprint_is_that_of_the_files_bytes(model: Path) -> None:
    content = (model / "model.safetensors").read_bytes()
    assert weights_fingerprint(open_folder(model)) == hashlib.sha256(content).hexdigest()


def written(folder: Path) -> Path:
    """Write the files of a sentence-transformer with a dense layer."""
    write(folder, tensors())
    modules = [{"type": f"sentence_transformers.models.{n}", "path": p} for n, p in MODULES]
    (folder / "modules.json").write_text(json.dumps(modules))
    for _, path in MODULES[1:]:
        (folder / path).mkdir()
        (folder / path / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    save_file({"linear.weight": np.eye(2, dtype=np.float32)}, folder / "2_Dense/model.safetensors")
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: "}}')
    return folder


MODULES = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")]
DENSE = {"linear.weight": np.ones((2, 2), np.float32)}
CHANGES: dict[str, Callable[[Path], object]] = {
    "dense layer": lambda f: save_file(DENSE, f / "2_Dense/model.safetensors"),
    "pooling": lambda f: (f / "1_Pooling/config.json").write_text('{"pooling_mode_cls": true}'),
    "prompt": lambda f: (f / "config_sentence_transformers.json").write_text('{"prompts": {}}'),
    "tokenizer": lambda f: (f / "tokenizer.json").write_text('{"model": {"vocab": {}}}'),
    "side that is cut off": lambda f: change_json(
        f / "tokenizer.json", truncation={"direction": "Left", "max_length": 8}
    ),
    "modules": lambda f: (f / "modules.json").write_text("[]"),
    "weights": lambda f: save_file({"embeddings": np.ones((4, 3))}, f / "model.safetensors"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_all_that_decides_the_vectors_of_a_teacher_is_in_its_fingerprint(
    tmp_path: Path, change: str
) -> None:
    folder = written(tmp_path / "teacher")
    before = teacher_fingerprint(open_folder(folder))
    CHANGES[change](folder)
    assert teacher_fingerprint(open_folder(folder)) != before


def test_a_moved_or_saved_teacher_has_the_same_fingerprint(tmp_path: Path) -> None:
    folder = written(tmp_path / "teacher")
    before = teacher_fingerprint(open_folder(folder))
    moved = folder.rename(tmp_path / "moved")
    (moved / "README.md").write_text("# Another text\n")
    config = {"_name_or_path": "x", "transformers_version": "9", "normalize": True}
    (moved / "config.json").write_text(json.dumps(config))
    tokenizer = json.loads((moved / "tokenizer.json").read_text())
    used = {
        **tokenizer,
        "truncation": {"max_length": 8, "direction": "Right"},
        "padding": None,
    }
    (moved / "tokenizer.json").write_text(json.dumps(used, indent=4))
    for name in ("trainer_state.json", "LICENSE.txt", "train.py", "vocab.txt"):
        (moved / name).write_text("[1]")
    assert teacher_fingerprint(open_folder(moved)) == before


def test_code_that_a_teacher_runs_is_in_its_fingerprint(tmp_path: Path) -> None:
    folder = written(tmp_path / "teacher")
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "code.Model"}}')
    before = teacher_fingerprint(open_folder(folder))
    (folder / "code.py").write_text("class Model: ...")
    assert teacher_fingerprint(open_folder(folder)) != before
