"""JSON from files that anyone may have made: bounded in memory before it is parsed.

The header of a safetensors file, read without loading a tensor.

Format: https://huggingface.co/docs/safetensors (8 bytes of header length, a JSON header, data).

What kind of model a folder holds, told from its files alone.

Tensors of a safetensors file, mapped into memory: only what is looked at is read.

A tokenizer from its file, which anyone may have made.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from ragdoll.errors import ModelError, first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A value costs about a hundred bytes as an object, however few it has in the file. The largest
# tokenizers (a quarter of a million tokens, half a million merges) have two million values.
_MAX_VALUES = 8_000_000


def parse_json(content: bytes) -> Any:
    """Parse JSON of at most eight million values, whatever their nesting.

    Raises:
        ValueError: it is not JSON, has too many values, is nested too deeply, or holds a number
            that is not finite.
    """
    if content.count(b",") + content.count(b"[") + content.count(b"{") > _MAX_VALUES:
        raise ValueError("too many values")
    try:
        return json.loads(content, parse_float=_finite, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refused(digits)


def _refused(number: str) -> float:
    raise ValueError(f"{number} is not a finite number")


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
            header = parse_json(file.read(length))
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


Kind = Literal["model2vec", "sentence-transformers-static", "sentence-transformer"]

PROVENANCE_FILE = "ragdoll.json"

# A tokenizer of a million entries is about 70 MB; what is larger is not a model's JSON.
_MAX_JSON_BYTES = 256_000_000

# The weights' file and the name of the table in it, for each layout of a static model.
_STATIC: tuple[tuple[str, str, Kind], ...] = (
    ("", "embeddings", "model2vec"),
    ("", "embedding.weight", "sentence-transformers-static"),
    ("0_StaticEmbedding", "embedding.weight", "sentence-transformers-static"),
)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model's files.

    ``embedding`` names the token table of a static model and is None for a full
    sentence-transformer. ``config`` is the content of ``config.json`` (empty where it is missing),
    ``provenance`` that of ``ragdoll.json`` (None where ragdoll did not make the model).
    """

    path: Path
    kind: Kind
    weights: tuple[Path, ...]
    tokenizer: Path | None
    tensors: dict[str, TensorInfo]
    embedding: TensorInfo | None
    config: dict[str, Any]
    provenance: dict[str, Any] | None

    @property
    def is_static(self) -> bool:
        """Whether the model is a table of token vectors."""
        return self.embedding is not None


def open_folder(path: Path) -> ModelFolder:
    """Read configuration and headers; no tensor is loaded and nothing is run.

    Raises:
        ModelError: no such folder, no model in it, a damaged file, or weights only as a pickle.
    """
    if not path.is_dir():
        raise ModelError(
            f"No model folder at {path}.",
            hint="Train one: ragdoll run DOCS, or name another.",
        )
    config = read_json(path / "config.json") if (path / "config.json").is_file() else {}
    provenance_file = path / PROVENANCE_FILE
    provenance = read_json(provenance_file) if provenance_file.is_file() else None
    for subfolder, tensor, kind in _STATIC:
        weights = path / subfolder / "model.safetensors"
        tokenizer = path / subfolder / "tokenizer.json"
        tensors = read_header(weights) if weights.is_file() else {}
        if tensor not in tensors:
            continue
        if not tokenizer.is_file():
            raise ModelError(f"{path} is no whole model: it has no tokenizer.json.")
        shape = tensors[tensor].shape
        if len(shape) != 2 or 0 in shape:
            raise ModelError(
                f"{weights}: the tensor '{tensor}' has the shape {shape}; "
                "a table of token vectors has two dimensions, and neither is 0."
            )
        return ModelFolder(
            path, kind, (weights,), tokenizer, tensors, tensors[tensor], config, provenance
        )
    return _transformer(path, config, provenance)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of bounded size.

    Raises:
        ModelError: the file is missing, too large, or not a JSON object.
    """
    content = _json(path)
    if not isinstance(content, dict):
        raise ModelError(f"{path} does not hold a JSON object.")
    return content


class Module(NamedTuple):
    """A part of a sentence-transformer: its class and its folder, as the model names them."""

    type: str
    path: str


def read_modules(path: Path) -> list[Module]:
    """The modules in a folder's ``modules.json``, in order; empty where it has none.

    Raises:
        ModelError: the file is too large or not a list of modules.
    """
    file = path / "modules.json"
    if not file.is_file():
        return []
    content = _json(file)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ModelError(f"{file} is not a list of modules.")
    return [Module(str(entry.get("type", "")), str(entry.get("path", ""))) for entry in content]


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelError(f"{path} is too large for a model's JSON file.")
        return parse_json(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}.") from error


def _transformer(
    path: Path, config: dict[str, Any], provenance: dict[str, Any] | None
) -> ModelFolder:
    weights = tuple(_files(path, "*.safetensors") or _files(path, "0_*/*.safetensors"))
    if not weights:
        pickled = [name for name in ("pytorch_model.bin", "model.bin") if (path / name).is_file()]
        if pickled:
            raise ModelError(
                f"{path} has its weights only in {pickled[0]}, a pickle, which can run code.",
                hint="Convert the model to safetensors, or take a version that has them.",
            )
        raise ModelError(
            f"{path} is no model: it has no safetensors file.",
            hint="A model folder holds model.safetensors, tokenizer.json and config.json.",
        )
    if not config and not (path / "modules.json").is_file():
        raise ModelError(
            f"{path} is no model: it has weights, but neither config.json nor modules.json."
        )
    tokenizers = [*_files(path, "tokenizer.json"), *_files(path, "0_*/tokenizer.json")]
    tokenizer = next(iter(tokenizers), None)
    tensors = {name: info for file in weights for name, info in read_header(file).items()}
    return ModelFolder(
        path, "sentence-transformer", weights, tokenizer, tensors, None, config, provenance
    )


def _files(path: Path, pattern: str) -> list[Path]:
    """Regular files only: to open a pipe would be to wait for its other end."""
    return sorted(file for file in path.glob(pattern) if file.is_file())


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


# The library keeps a place for each id up to the highest, and ends the process where memory does
# not suffice for them.
_MAX_ID = 10_000_000
_LONG_NUMBER = re.compile(rb"[\s:]\d{8,}\s*[,}]")


def load_tokenizer(file: Path) -> Tokenizer:
    """Load a tokenizer.

    Raises:
        ModelError: the ids of its tokens are too high. The library raises exceptions of its own.
    """
    from tokenizers import Tokenizer

    content = file.read_bytes()
    # Most files need no second look, which would take longer than loading them.
    if _LONG_NUMBER.search(content) and _highest_id(read_json(file)) > _MAX_ID:
        raise ModelError(f"{file} has a token with an id above {_MAX_ID:,}.")
    return Tokenizer.from_buffer(content)


@contextmanager
def failures_told() -> Iterator[None]:
    """Say in a line that a tokenizer fails at a text, by too long a search or without its unknown.

    Raises:
        ModelError: it does. What the library raises then is no more than an ``Exception``, or even
            less.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise ModelError(
            f"The tokenizer of the model fails at a text: {first_line(error)}.",
            hint="It is damaged, or was never tried; take another model.",
        ) from error


def _highest_id(definition: dict[str, Any]) -> int:
    model, added = definition.get("model"), definition.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids = [*vocabulary.values()] if isinstance(vocabulary, dict) else []
    ids += [
        token.get("id")
        for token in (added if isinstance(added, list) else [])
        if isinstance(token, dict)
    ]
    return max((number for number in ids if isinstance(number, int)), default=0)
