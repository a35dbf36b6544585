"""The header of a safetensors file: what a whole one says, and that no damaged one gets through."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save, save_file

from ragdoll.embedding.folder import TensorInfo, read_header
from ragdoll.errors import ModelError

properties = settings(derandomize=True, deadline=None, max_examples=150)

WHOLE = save(
    {
        "embeddings": np.arange(12, dtype=np.float32).reshape(4, 3),
        "mapping": np.arange(4, dtype=np.int64),
    },
    metadata={"format": "pt"},
)


def encoded(header: Any, data: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + data


def entry(**changes: Any) -> dict[str, Any]:
    """One tensor of two bytes, with some of what its header says replaced or (None) left out."""
    whole = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2], **changes}
    return {"t": {key: value for key, value in whole.items() if value is not None}}


def read(folder: Path, content: bytes) -> dict[str, TensorInfo]:
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
    file = tmp_path / "model.safetensors"
    save_file(tensors, file)
    content = file.read_bytes()

    header = read_header(file)

    assert set(header) == set(tensors)
    assert (header["first"].dtype, header["first"].shape) == (name, shape)
    for key, tensor in tensors.items():
        assert header[key].name == key
        assert header[key].size == tensor.size
        assert content[header[key].begin : header[key].end] == tensor.tobytes()


def test_the_files_own_metadata_is_no_tensor(tmp_path: Path) -> None:
    assert set(read(tmp_path, WHOLE)) == {"embeddings", "mapping"}


def test_a_type_without_a_numpy_name_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, encoded(entry(dtype="BF16", shape=[1]), b"\0\0"))
    assert (found["t"].dtype, found["t"].shape) == ("bfloat16", (1,))


DAMAGED = {
    "empty file": b"",
    "seven bytes": bytes(7),
    "header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "header of 2 GB": (2 << 30).to_bytes(8, "little") + b"{}",
    "header of 16 EB": b"\xff" * 8 + b"{}",
    "cut within the header": WHOLE[:40],
    "cut within the data": WHOLE[:-1],
    "nothing but the header": WHOLE[: 8 + int.from_bytes(WHOLE[:8], "little")],
    "no JSON": encoded(b"not JSON at all"),
    "no text": encoded(b"\xff\xfe\xfd"),
    "JSON list": encoded([]),
    "JSON string": encoded("tensors"),
    "JSON null": encoded(None),
    "nested too deeply": encoded(b"[" * 200_000),
    "number of too many digits": encoded(b'{"t": ' + b"9" * 5000 + b"}"),
    "tensor that is a list": encoded({"t": [1, 2]}),
    "tensor without a type": encoded(entry(dtype=None), b"ab"),
    "tensor without a shape": encoded(entry(shape=None), b"ab"),
    "tensor without a place": encoded(entry(data_offsets=None), b"ab"),
    "shape that is a number": encoded(entry(shape=2), b"ab"),
    "negative shape": encoded(entry(shape=[-2]), b"ab"),
    "fractional shape": encoded(entry(shape=[2.0]), b"ab"),
    "shape of words": encoded(entry(shape=["2"]), b"ab"),
    "shape larger than the data": encoded(entry(shape=[3]), b"ab"),
    "shape smaller than the data": encoded(entry(shape=[1]), b"ab"),
    "shape of astronomic size": encoded(entry(shape=[2**62, 2**62]), b"ab"),
    "wider type than the data": encoded(entry(dtype="F32"), b"ab"),
    "one offset": encoded(entry(data_offsets=[0]), b"ab"),
    "three offsets": encoded(entry(data_offsets=[0, 1, 2]), b"ab"),
    "offset of a word": encoded(entry(data_offsets=[0, "end"]), b"ab"),
    "offset that is not a number": encoded(entry(data_offsets=[0, float("nan")]), b"ab"),
    "infinite offset": encoded(entry(data_offsets=[0, float("inf")]), b"ab"),
    "negative offset": encoded(entry(data_offsets=[-2, 0]), b"ab"),
    "end before begin": encoded(entry(data_offsets=[2, 0]), b"ab"),
    "outside the file": encoded(entry(data_offsets=[10, 12]), b"ab"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_a_model_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        read(tmp_path, content)


def test_a_header_of_gigabytes_is_refused_even_where_the_file_is_as_long(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes((2 << 30).to_bytes(8, "little"))
    os.truncate(file, 3 << 30)  # takes no room on the disk
    with pytest.raises(ModelError, match="2147483648"):
        read_header(file)


def test_a_missing_file_and_a_folder_are_model_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gone"):
        read_header(tmp_path / "gone.safetensors")
    with pytest.raises(ModelError):
        read_header(tmp_path)


def holds(folder: Path, content: bytes) -> None:
    """Read a file, which must give tensors that lie within it, or a model error."""
    try:
        header = read(folder, content)
    except ModelError:
        return
    for tensor in header.values():
        assert 0 <= tensor.begin <= tensor.end <= len(content)
        assert all(isinstance(length, int) and length >= 0 for length in tensor.shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NUMBERS = st.lists(st.integers(-2, 9) | st.floats(), max_size=3)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "BF16", "Q4", ""]) | JSON,
        "shape": NUMBERS | JSON,
        "data_offsets": NUMBERS | JSON,
    }
)


@properties
@given(content=st.binary(max_size=64))
def test_arbitrary_bytes_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    holds(folder, content)
    holds(folder, encoded(content))


@properties
@given(
    header=st.dictionaries(st.text(max_size=3), ENTRIES | JSON, max_size=3) | JSON,
    data=st.binary(max_size=9),
)
def test_arbitrary_headers_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, header: Any, data: bytes
) -> None:
    holds(tmp_path_factory.getbasetemp(), encoded(header, data))


@properties
@given(
    place=st.integers(0, len(WHOLE) - 1),
    put=st.binary(max_size=4),
    drop=st.integers(0, 8),
    end=st.integers(0, len(WHOLE)),
)
def test_a_whole_file_with_some_bytes_changed_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, put: bytes, drop: int, end: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    holds(folder, WHOLE[:place] + put + WHOLE[place + drop :])
    holds(folder, WHOLE[:end])


@pytest.mark.parametrize("shape", [[2**64], [1] * 65, [10**18] * 300])
def test_a_shape_that_no_tensor_has_is_damage(tmp_path: Path, shape: list[int]) -> None:
    entry = {"dtype": "F4", "shape": shape, "data_offsets": [0, 0]}
    with pytest.raises(ModelError, match="damaged safetensors header"):
        read(tmp_path, encoded({"a": entry}))
