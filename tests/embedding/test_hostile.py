"""Folders that were made to harm: one clear line, at once, in bounded memory."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.inspection import inspect
from ragdoll.errors import ModelError
from tests.conftest import Ragdoll
from tests.embedding.making import write_model
from tests.embedding.test_safetensors_header import encoded

WORDS = ["wing", "flap"]
MEGABYTE = 1 << 20


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", WORDS, np.ones((4, 3), np.float32))


def bomb(depth: int) -> str:
    return "[" * depth + "]" * depth


def two_gigabytes_of_header(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes((2 << 30).to_bytes(8, "little"))
    os.truncate(file, 3 << 30)  # takes no room on the disk


def tensors_over_each_other(model: Path) -> None:
    entry = {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}
    header = {"embeddings": entry, **{f"t{number}": entry for number in range(1000)}}
    (model / "model.safetensors").write_bytes(encoded(header, bytes(48)))


def shaped(*shape: int) -> Callable[[Path], None]:
    def write(model: Path) -> None:
        size = 4 * int(np.prod(shape))
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
        (model / "model.safetensors").write_bytes(encoded({"embeddings": entry}, bytes(size)))

    return write


def holding(name: str, content: str) -> Callable[[Path], None]:
    return lambda model: (model / name).write_text(content) and None


def linked(name: str, target: str) -> Callable[[Path], None]:
    def link(model: Path) -> None:
        (model / name).unlink(missing_ok=True)
        (model / name).symlink_to(target)

    return link


def piped(model: Path) -> None:
    (model / "model.safetensors").unlink()
    os.mkfifo(model / "model.safetensors")


HARM: dict[str, tuple[Callable[[Path], None], str]] = {
    "header of 2 GB": (two_gigabytes_of_header, "not a whole safetensors file"),
    "tensors over each other": (tensors_over_each_other, "lies over"),
    "table without rows": (shaped(0, 3), "shape (0, 3)"),
    "table without columns": (shaped(4, 0), "shape (4, 0)"),
    "table of three dimensions": (shaped(2, 2, 3), "shape (2, 2, 3)"),
    "tokenizer nested too deeply": (holding("tokenizer.json", bomb(10**6)), "nested too deeply"),
    "config nested too deeply": (holding("config.json", bomb(10**6)), "nested too deeply"),
    "provenance nested too deeply": (holding("ragdoll.json", bomb(10**6)), "nested too deeply"),
    "tokenizer of empty lists": (
        holding("tokenizer.json", "[" + "[]," * 8_000_000 + "[]]"),
        "too many values",
    ),
    "no number": (holding("ragdoll.json", '{"a": NaN}'), "not a finite number"),
    "number beyond all": (holding("ragdoll.json", '{"a": 1e999}'), "not a finite number"),
    "weights linked to a device": (linked("model.safetensors", "/dev/zero"), "no safetensors"),
    "weights linked to themselves": (linked("model.safetensors", "model.safetensors"), "no safe"),
    "weights linked to nowhere": (linked("model.safetensors", "/nowhere"), "no safetensors"),
    "weights that are a pipe": (piped, "no safetensors"),
    "tokenizer linked to a device": (linked("tokenizer.json", "/dev/zero"), "no tokenizer.json"),
    "tokenizer linked to a text": (linked("tokenizer.json", "/etc/passwd"), "not valid JSON"),
    "config linked to the weights": (linked("config.json", "model.safetensors"), "not valid JSON"),
}


@pytest.mark.parametrize(("harm", "words"), HARM.values(), ids=HARM)
def test_harm_is_one_clear_line_in_bounded_memory(
    ragdoll: Ragdoll, model: Path, harm: Callable[[Path], None], words: str
) -> None:
    harm(model)
    ragdoll("inspect-model", model)  # imports what it needs
    tracemalloc.start()
    result = ragdoll("inspect-model", model, "--json")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (result.status, result.out) == (1, "")
    assert words in result.err
    assert str(model) in result.err
    assert len(result.err.splitlines()) <= 2
    assert peak < 64 * MEGABYTE


def test_a_large_model_is_told_without_reading_its_table(model: Path) -> None:
    rows, dimension = 4, 8 * MEGABYTE
    entry = {"dtype": "F32", "shape": [rows, dimension], "data_offsets": [0, 4 * rows * dimension]}
    file = model / "model.safetensors"
    file.write_bytes(encoded({"embeddings": entry}))
    os.truncate(file, file.stat().st_size + 4 * rows * dimension)  # takes no room on the disk
    tracemalloc.start()
    assert inspect(model).parameters == rows * dimension
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MEGABYTE


def test_a_model_that_lies_behind_links_is_read(model: Path) -> None:
    behind = model.with_name("snapshot")  # as the hub's cache has it
    behind.mkdir()
    for file in model.iterdir():
        (behind / file.name).symlink_to(file)
    assert inspect(behind).fingerprint == inspect(model).fingerprint


def test_a_tokenizer_without_a_vocabulary_is_remarked(model: Path) -> None:
    (model / "tokenizer.json").write_text("{}")
    assert inspect(model).remarks == ["tokenizer.json has no vocabulary."]


def test_two_files_that_contradict_each_other_are_remarked(model: Path) -> None:
    (model / "modules.json").write_text('[{"type": "x.StaticEmbedding"}]')
    (remark,) = inspect(model).remarks
    assert "normalize true" in remark
    (model / "modules.json").write_text('[{"type": "x.StaticEmbedding"}, {"type": "x.Normalize"}]')
    assert inspect(model).remarks == []


def test_a_dimension_of_a_transformer_that_no_tensor_has_is_remarked(
    small_teacher: Path, tmp_path: Path
) -> None:
    import shutil

    model = tmp_path / "teacher"
    shutil.copytree(small_teacher, model)
    assert inspect(model).remarks == []
    file = model / "1_Pooling/config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "word_embedding_dimension": 999}))
    (remark,) = inspect(model).remarks
    assert "999 dimensions" in remark


def test_tokens_from_the_corpus_are_counted(ragdoll: Ragdoll, tmp_path: Path) -> None:
    record = {"distillate": {"extra_words": 2}}
    model = write_model(tmp_path / "m", WORDS, np.ones((4, 3), np.float32), provenance=record)
    assert ragdoll("inspect-model", model, "--json").json["corpus_tokens"] == 2
    assert "4 tokens, WordPiece, 2 of them from the corpus" in ragdoll("inspect-model", model).out


@pytest.mark.parametrize("content", [b"", b"nothing", b'"\xff"', b"1e400", b"-Infinity"])
def test_what_is_no_bounded_json_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(value=JSON)
def test_whatever_json_says_is_what_is_parsed(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value


def test_a_damaged_model_names_the_file(model: Path) -> None:
    (model / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is not valid JSON: "):
        inspect(model)


def with_pattern(model: Path, pattern: str) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))


def test_a_tokenizer_that_gives_up_is_told_in_a_line(
    ragdoll: Ragdoll, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    file = tmp_path / "docs/a.txt"
    file.write_text("wing")
    database = tmp_path / "db"
    index = ("index", tmp_path / "docs", "--model", model, "--database", database)
    word = "a" * 40 + "!"
    with_pattern(model, "(a|a?)+$")
    assert ragdoll("inspect-model", model).status == 0  # takes no text to it
    assert ragdoll(*index).status == 0
    file.write_text(word)
    for command in (
        index,
        ("query", word, "--database", database),
        ("inspect-model", model, "--neighbors", word),
    ):
        result = ragdoll(*command)
        assert (result.status, result.out) == (1, "")
        assert "The tokenizer of the model fails at a text" in result.err


def test_a_tokenizer_without_its_unknown_token_is_told_in_a_line(
    ragdoll: Ragdoll, model: Path, tmp_path: Path
) -> None:
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["unk_token"] = "[NOWHERE]"
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "a.txt").write_text("\N{SNOWMAN}")
    result = ragdoll("index", tmp_path / "a.txt", "--model", model, "--database", tmp_path / "db")
    assert (result.status, result.out) == (1, "")
    assert "The tokenizer of the model fails at a text: WordPiece error" in result.err
