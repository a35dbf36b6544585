"""Tensors of a safetensors file, mapped into memory: only what is looked at is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.safetensors_header import TensorInfo
from ragdoll.errors import ModelError

# How the types of a file are read. numpy has no bfloat16: its bits are the upper half of a float32.
_DTYPES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "int8": "<i1",
    "i64": "<i8",
    "i32": "<i4",
}


def mapped(file: Path, tensor: TensorInfo) -> npt.NDArray[Any]:
    """The numbers of a tensor; of bfloat16 the bits, see ``widened``.

    Raises:
        ModelError: the tensor is empty or of a type that no static model has.
    """
    if tensor.dtype not in _DTYPES:
        raise ModelError(f"{file}: the tensor '{tensor.name}' has the type {tensor.dtype}.")
    if not tensor.size:
        raise ModelError(f"{file}: the tensor '{tensor.name}' is empty.")
    dtype = np.dtype(_DTYPES[tensor.dtype])
    return np.memmap(file, dtype, mode="r", offset=tensor.begin, shape=tensor.shape)


def mapped_row(file: Path, tensor: TensorInfo | None) -> npt.NDArray[Any] | None:
    """A tensor with a number a token; None where the model has none.

    Raises:
        ModelError: it has another shape.
    """
    if tensor is None:
        return None
    if len(tensor.shape) != 1:
        raise ModelError(f"{file}: the tensor '{tensor.name}' has the shape {tensor.shape}.")
    return mapped(file, tensor)


def mapped_places(
    file: Path, tensor: TensorInfo | None, rows: int
) -> npt.NDArray[np.integer[Any]] | None:
    """The row of each token in a table of so many; None where the model has no such tensor.

    Raises:
        ModelError: it has another shape or type, or names rows that the table lacks.
    """
    places = mapped_row(file, tensor)
    if places is None:
        return None
    if places.dtype.kind != "i" or places.min() < 0 or places.max() >= rows:
        raise ModelError(f"{file}: its mapping names rows that the table lacks.")
    return places


def widened(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Numbers in bfloat16 as float32."""
    return cast(npt.NDArray[np.float32], (bits.astype(np.uint32) << 16).view(np.float32))
