"""Model folders: their kind, and damaged or hostile files, which are refused at once."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from ragdoll.embedding.folder import Tensor, open_folder, parse_json, read_header
from ragdoll.embedding.inspection import inspect
from ragdoll.errors import ModelError
from tests.embedding.making import encoded, load_table, write_model, write_static

MEGABYTE = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_model(tmp_path / "small", ["wing", "flap"])


# Kinds of folders


def test_a_trained_model_is_told_as_model2vec(model: Path) -> None:
    folder = open_folder(model)
    assert (folder.kind, folder.is_static) == ("model2vec", True)
    assert folder.weights == (model / "model.safetensors",)
    assert folder.tokenizer == model / "tokenizer.json"
    assert folder.embedding is not None
    assert folder.embedding.shape == load_table(model).shape
    assert folder.config["hidden_dim"] == 32
    assert folder.provenance is not None
    assert folder.provenance["format"] == "ragdoll-model"


@pytest.mark.parametrize("subfolder", ["", "0_StaticEmbedding"], ids=["at the root", "nested"])
def test_a_static_model_of_sentence_transformers_is_told(
    model: Path, tmp_path: Path, subfolder: str
) -> None:
    path = tmp_path / "static"
    tokens = write_static(model, path)
    if subfolder:  # as older versions wrote it
        (path / subfolder).mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (path / name).rename(path / subfolder / name)

    folder = open_folder(path)

    assert folder.kind == "sentence-transformers-static"
    assert folder.embedding is not None
    assert folder.embedding.shape == (tokens, 8)
    assert folder.weights == (path / subfolder / "model.safetensors",)
    assert folder.tokenizer == path / subfolder / "tokenizer.json"
    assert (folder.config, folder.provenance) == ({}, None)


def test_a_full_sentence_transformer_is_told(small_teacher: Path) -> None:
    folder = open_folder(small_teacher)
    assert (folder.kind, folder.is_static) == ("sentence-transformer", False)
    assert folder.embedding is None
    assert "embeddings.word_embeddings.weight" in folder.tensors
    assert folder.config["num_hidden_layers"] == 1


def test_a_static_model_needs_no_config(small: Path) -> None:
    (small / "config.json").unlink()
    assert open_folder(small).kind == "model2vec"


def test_a_file_is_no_model_folder(small: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        open_folder(small / "model.safetensors")


def test_a_model_that_lies_behind_links_is_read(small: Path) -> None:
    behind = small.with_name("snapshot")  # as the hub's cache has it
    behind.mkdir()
    for file in small.iterdir():
        (behind / file.name).symlink_to(file)
    assert inspect(behind).fingerprint == inspect(small).fingerprint


def test_a_large_model_is_told_without_reading_its_table(small: Path) -> None:
    rows, dimension = 4, 8 * MEGABYTE
    entry = {"dtype": "F32", "shape": [rows, dimension], "data_offsets": [0, 4 * rows * dimension]}
    file = small / "model.safetensors"
    file.write_bytes(encoded({"embeddings": entry}))
    os.truncate(file, file.stat().st_size + 4 * rows * dimension)  # takes no room on the disk
    tracemalloc.start()
    assert inspect(small).parameters == rows * dimension
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * MEGABYTE


# Folders that were made to harm


def two_gigabytes_of_header(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes((2 << 30).to_bytes(8, "little"))
    os.truncate(file, 3 << 30)  # takes no room on the disk


def shaped(*shape: int) -> Callable[[Path], None]:
    def write(model: Path) -> None:
        save_file({"embeddings": np.zeros(shape, np.float32)}, model / "model.safetensors")

    return write


def holding(name: str, content: str) -> Callable[[Path], object]:
    return lambda model: (model / name).write_text(content)


def linked(name: str, target: str) -> Callable[[Path], None]:
    def link(model: Path) -> None:
        (model / name).unlink()
        (model / name).symlink_to(target)

    return link


def piped(model: Path) -> None:
    (model / "model.safetensors").unlink()
    os.mkfifo(model / "model.safetensors")


BOMB = "[" * 10**6 + "]" * 10**6

HARM: dict[str, tuple[Callable[[Path], object], str]] = {
    "header of 2 GB": (two_gigabytes_of_header, "model.safetensors"),
    "table without rows": (shaped(0, 3), "(0, 3)"),
    "table without columns": (shaped(4, 0), "(4, 0)"),
    "table of three dimensions": (shaped(2, 2, 3), "(2, 2, 3)"),
    "tokenizer nested too deeply": (holding("tokenizer.json", BOMB), "tokenizer.json"),
    "config nested too deeply": (holding("config.json", BOMB), "config.json"),
    "provenance nested too deeply": (holding("ragdoll.json", BOMB), "ragdoll.json"),
    "tokenizer of empty lists": (
        holding("tokenizer.json", "[" + "[]," * 8_000_000 + "[]]"),
        "tokenizer.json",
    ),
    "no number": (holding("ragdoll.json", '{"a": NaN}'), "NaN"),
    "number beyond all": (holding("ragdoll.json", '{"a": 1e999}'), "1e999"),
    "weights linked to a device": (linked("model.safetensors", "/dev/zero"), "safetensors"),
    "weights linked to themselves": (linked("model.safetensors", "model.safetensors"), "safetens"),
    "weights linked to nowhere": (linked("model.safetensors", "/nowhere"), "safetensors"),
    "weights that are a pipe": (piped, "safetensors"),
    "tokenizer linked to a device": (linked("tokenizer.json", "/dev/zero"), "tokenizer.json"),
    "tokenizer linked to a text": (linked("tokenizer.json", "/etc/passwd"), "tokenizer.json"),
    "config linked to the weights": (linked("config.json", "model.safetensors"), "config.json"),
}


@pytest.mark.parametrize(("harm", "value"), HARM.values(), ids=HARM)
def test_harm_is_one_clear_error_in_bounded_memory(
    small: Path, harm: Callable[[Path], object], value: str
) -> None:
    harm(small)
    tracemalloc.start()
    with pytest.raises(ModelError) as caught:
        inspect(small)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(small) in caught.value.message
    assert value in caught.value.message
    assert "\n" not in caught.value.message
    assert peak < 64 * MEGABYTE


# The header of a safetensors file


def entry(**changes: Any) -> dict[str, Any]:
    """A header of one tensor of two bytes, with some of its values replaced."""
    return {"t": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2], **changes}}


def read(folder: Path, content: bytes) -> dict[str, Tensor]:
    file = folder / "model.safetensors"
    file.write_bytes(content)
    return read_header(file)


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.float64, "float64"),
        (np.float32, "float32"),
        (np.float16, "float16"),
        (np.int8, "int8"),
        (np.uint8, "u8"),
        (np.int64, "i64"),
        (np.bool_, "bool"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("shape", [(3, 4), (5,), (), (0, 7)], ids=str)
def test_shapes_types_and_places_are_those_that_safetensors_wrote(
    tmp_path: Path, dtype: type[np.generic], name: str, shape: tuple[int, ...]
) -> None:
    tensors = {
        "first": np.arange(np.prod(shape), dtype=np.float64).reshape(shape).astype(dtype),
        "second": np.ones((2, 2), dtype=np.float32),
    }
    content = save(tensors, metadata={"format": "pt"})
    header = read(tmp_path, content)
    assert set(header) == set(tensors)
    assert (header["first"].dtype, header["first"].shape) == (name, shape)
    for key, tensor in tensors.items():
        assert (header[key].name, header[key].size) == (key, tensor.size)
        assert content[header[key].begin : header[key].end] == tensor.tobytes()


def test_a_type_without_a_numpy_name_is_read(tmp_path: Path) -> None:
    tensor = read(tmp_path, encoded(entry(dtype="BF16", shape=[1]), b"\0\0"))["t"]
    assert (tensor.dtype, tensor.shape) == ("bfloat16", (1,))


WHOLE = encoded(entry(), b"ab")
DAMAGED = {
    "empty file": b"",
    "cut within the header": WHOLE[:20],
    "cut within the data": WHOLE[:-1],
    "header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "no JSON": encoded(b"not JSON at all"),
    "JSON list": encoded([]),
    "name that is no text": encoded({"\ud800": entry()["t"]}, b"ab"),
    "tensor that is a list": encoded({"t": ["U8", [2], [0, 2]]}, b"ab"),
    "tensors over each other": encoded({**entry(), "u": entry()["t"]}, b"ab"),
    "hole between tensors": encoded(entry(data_offsets=[1, 3]), b"abc"),
    "shape of astronomic size": encoded(entry(shape=[2**62, 2**62]), b"ab"),
    "shape smaller than the data": encoded(entry(shape=[1]), b"ab"),
    "negative shape": encoded(entry(shape=[-2]), b"ab"),
    "unknown type": encoded(entry(dtype="Q4"), b"ab"),
    "end before begin": encoded(entry(data_offsets=[2, 0]), b"ab"),
    "outside the file": encoded(entry(data_offsets=[10, 12]), b"ab"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_a_model_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        read(tmp_path, content)


def test_a_missing_file_and_a_folder_are_model_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.safetensors", tmp_path):
        with pytest.raises(ModelError, match=path.name):
            read_header(path)


VALUES = st.lists(st.integers(-2, 9) | st.floats(), max_size=3) | st.none() | st.text(max_size=5)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "BF16", "F4", ""]) | VALUES,
        "shape": VALUES,
        "data_offsets": VALUES,
    }
)


@settings(max_examples=150)
@given(
    header=st.dictionaries(st.text(max_size=3), ENTRIES | st.lists(VALUES), max_size=3) | VALUES,
    data=st.binary(max_size=9),
)
def test_arbitrary_headers_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, header: Any, data: bytes
) -> None:
    content = encoded(header, data)
    try:
        tensors = read(tmp_path_factory.getbasetemp(), content)
    except ModelError:
        return
    assert all(0 <= each.begin <= each.end <= len(content) for each in tensors.values())


# JSON


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
def test_what_json_says_is_what_is_parsed(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
