"""The header of a safetensors file, read without loading a tensor.

Format: https://huggingface.co/docs/safetensors (8 bytes of header length, a JSON header, data).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ragdoll.embedding import bounded_json
from ragdoll.errors import ModelError

# The limit of the reference implementation.
_MAX_HEADER_BYTES = 100_000_000

# More than any tensor has: without these limits its size could take all day to compute.
_MAX_NUMBERS = 64
_MAX_NUMBER = 2**63

_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8}
_BITS |= {"I16": 16, "U16": 16, "F16": 16, "BF16": 16}
_BITS |= {"I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64}
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8"}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What the header says of one tensor; ``begin`` and ``end`` are offsets into the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Read the tensors' names, types, shapes and places.

    Raises:
        ModelError: the file is missing, cut short or not safetensors.
    """
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if total < 8 or length > min(total - 8, _MAX_HEADER_BYTES):
                raise ModelError(
                    f"{path} is not a whole safetensors file: "
                    f"a header of {length} bytes in a file of {total}."
                )
            header = bounded_json.parse(file.read(length))
        tensors = {
            name: _tensor(path, name, entry, 8 + length, total)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ModelError(f"{path} has a damaged safetensors header.") from error
    # Tensors that share bytes could make a small file endless to hash.
    places = sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end))
    for before, tensor in pairwise(places):
        if tensor.begin < before.end:
            raise ModelError(f"{path} is damaged: '{tensor.name}' lies over '{before.name}'.")
    return tensors


def _tensor(path: Path, name: str, entry: dict[str, Any], base: int, total: int) -> TensorInfo:
    shape = entry["shape"]
    begin, end = entry["data_offsets"]
    dtype = str(entry["dtype"])
    numbers = [*shape, begin, end] if isinstance(shape, list) else [shape]
    if len(numbers) > _MAX_NUMBERS or not all(
        type(number) is int and 0 <= number <= _MAX_NUMBER for number in numbers
    ):
        raise ValueError(numbers)
    expected = math.prod(shape) * _BITS.get(dtype, 0) // 8
    if not 0 <= begin <= end <= total - base or (dtype in _BITS and end - begin != expected):
        raise ModelError(f"{path} is cut short or damaged: tensor '{name}' lies outside the file.")
    return TensorInfo(
        name, _NAMES.get(dtype, dtype.lower()), tuple(shape), base + begin, base + end
    )
