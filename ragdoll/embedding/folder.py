"""The files of a model folder, which anyone may have made: JSON and safetensors, read with checks.

Nothing is run and no tensor is loaded. Tensors are mapped into memory: only the rows in use are
read. Format of the weights: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ragdoll.errors import ModelError, first_line

Kind = Literal["model2vec", "sentence-transformers-static", "sentence-transformer"]

PROVENANCE_FILE = "ragdoll.json"

# What the library PEFT calls the two files of an adapter.
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

# The subfolder of the weights and the name of the table in them, for each layout of a static model.
_LAYOUTS: tuple[tuple[str, str, Kind], ...] = (
    ("", "embeddings", "model2vec"),
    ("", "embedding.weight", "sentence-transformers-static"),
    ("0_StaticEmbedding", "embedding.weight", "sentence-transformers-static"),
)

# The modules of a static sentence-transformer.
_OF_STATIC = (".StaticEmbedding", ".Normalize", ".Dropout")

# SigLIP, BERT and most others, T5 and BART, DistilBERT, GPT-2, CLIP.
_HIDDEN_SIZES = ("projection_size", "hidden_size", "d_model", "dim", "n_embd", "projection_dim")

# A tokenizer of a million entries is about 70 MB.
_MAX_JSON_BYTES = 256_000_000

# A value costs about a hundred bytes as an object, however few it has in the file. The largest
# tokenizers (a quarter of a million tokens, half a million merges) have two million values.
_MAX_VALUES = 8_000_000

# The names of types: part of the fingerprint, so they never change. Others are in lower case.
_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8"}

# numpy has no bfloat16: its bits are the upper half of a float32.
_DTYPES = {
    "float64": "<f8",
    "float32": "<f4",
    "float16": "<f2",
    "bfloat16": "<u2",
    "int8": "<i1",
    "i64": "<i8",
    "i32": "<i4",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in a safetensors file; ``begin`` and ``end`` are offsets into the file."""

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def mapped(self) -> npt.NDArray[Any]:
        """Map the elements into memory; those of bfloat16 as their bits, in uint16.

        Raises:
            ModelError: the tensor is empty or of a type that no static model has.
        """
        if self.dtype not in _DTYPES:
            raise ModelError(f"{self.file}: the tensor '{self.name}' has the type {self.dtype}.")
        if not self.size:
            raise ModelError(f"{self.file}: the tensor '{self.name}' is empty.")
        dtype = np.dtype(_DTYPES[self.dtype])
        return np.memmap(self.file, dtype, mode="r", offset=self.begin, shape=self.shape)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The files of a model.

    ``embedding`` is the table of token vectors of a static model, and None for a full
    sentence-transformer. ``config`` is the content of ``config.json`` (empty without one),
    ``provenance`` that of ``ragdoll.json`` (None for a model that ragdoll did not make).
    ``transformer`` is the folder of the first module of a sentence-transformer; it holds the
    weights, their configuration and the tokenizer, and is ``path`` itself in most. ``base`` is the
    model that the weights change, where they are an adapter (PEFT) that was opened with it;
    ``config`` is its then.
    """

    path: Path
    kind: Kind
    weights: tuple[Path, ...]
    tokenizer: Path | None
    tensors: dict[str, Tensor]
    embedding: Tensor | None
    config: dict[str, Any]
    provenance: dict[str, Any] | None
    transformer: Path
    base: ModelFolder | None = None

    @property
    def text_config(self) -> dict[str, Any]:
        """The configuration of the part that reads text: a part of its own in some families."""
        text = self.config.get("text_config")
        return text if isinstance(text, dict) else self.config

    @property
    def hidden_size(self) -> int | None:
        """The dimension of a transformer's output, by the name that its family has for it."""
        for config in (self.config, self.text_config):
            for name in _HIDDEN_SIZES:
                if isinstance(config.get(name), int):
                    return int(config[name])
        return None

    @property
    def vocab_size(self) -> int | None:
        """The number of tokens that a transformer has vectors for; None where it is not stated."""
        size = self.text_config.get("vocab_size")
        return size if isinstance(size, int) else None

    @property
    def base_name(self) -> str | None:
        """The model that an adapter changes, as the adapter names it; None for a whole model."""
        if not (self.transformer / ADAPTER_WEIGHTS).is_file():
            return None
        name = read_json(self.transformer / ADAPTER_CONFIG).get("base_model_name_or_path")
        return str(name) if name else None

    @property
    def is_static(self) -> bool:
        """Tell whether the model is a table of token vectors."""
        return self.embedding is not None

    def static_parts(self) -> tuple[Tensor, Path]:
        """Return the table of token vectors and the file of the tokenizer.

        Raises:
            ModelError: the model is a full sentence-transformer, or has further modules.
        """
        if self.embedding is None or self.tokenizer is None:
            raise ModelError(
                f"{self.path} is a full sentence-transformer, not a static model.",
                hint="Distil it first: pass it as the `teacher` of `run(...)`.",
            )
        if self.kind == "sentence-transformers-static":
            for module in read_modules(self.path):
                if not module.type.endswith(_OF_STATIC):
                    raise ModelError(
                        f"{self.path} has the module '{module.type}' behind its token vectors, "
                        "which is not supported.",
                        hint="A static model is a mean of token vectors: take one without it.",
                    )
        return self.embedding, self.tokenizer


class Module(NamedTuple):
    """A part of a sentence-transformer: its class and its folder, as the model names them."""

    type: str
    path: str


def open_folder(path: Path) -> ModelFolder:
    """Read the configuration and the headers of a model's files.

    Raises:
        ModelError: no such folder, no model in it, a damaged file, or weights only as a pickle.
    """
    # Not the method of Path, which raises for a name longer than the system takes.
    if not os.path.isdir(path):  # noqa: PTH112
        raise ModelError(
            f"No model folder at {path}.", hint="Train one with `run(...)`, or name another."
        )
    config = read_json(path / "config.json")
    provenance = read_json(path / PROVENANCE_FILE) or None
    for subfolder, name, kind in _LAYOUTS:
        weights = path / subfolder / "model.safetensors"
        tokenizer = path / subfolder / "tokenizer.json"
        tensors = read_header(weights) if weights.is_file() else {}
        if name not in tensors:
            continue
        table = tensors[name]
        if not tokenizer.is_file():
            raise ModelError(f"{path} is incomplete: it has no tokenizer.json.")
        if len(table.shape) != 2 or 0 in table.shape:
            raise ModelError(
                f"{weights}: the tensor '{name}' has the shape {table.shape}; "
                "a table of token vectors has two dimensions, and neither is 0."
            )
        return ModelFolder(
            path, kind, (weights,), tokenizer, tensors, table, config, provenance, weights.parent
        )
    return _open_transformer(path, config, provenance)


def _open_transformer(
    path: Path, config: dict[str, Any], provenance: dict[str, Any] | None
) -> ModelFolder:
    found = (_files(place, "*.safetensors") for place in (path, *_first_modules(path)))
    weights = next(filter(None, found), [])
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
    transformer = weights[0].parent
    return ModelFolder(
        path=path,
        kind="sentence-transformer",
        weights=tuple(weights),
        tokenizer=next(
            (file for place in (transformer, path) for file in _files(place, "tokenizer.json")),
            None,
        ),
        tensors={name: tensor for file in weights for name, tensor in read_header(file).items()},
        embedding=None,
        config=config or read_json(transformer / "config.json"),
        provenance=provenance,
        transformer=transformer,
    )


def _first_modules(path: Path) -> list[Path]:
    """List the folders inside a model's own that may be that of its first module."""
    inside = sorted(path.glob("*/"))
    named = [module.path for module in read_modules(path)[:1]]
    return [
        *(place for place in inside if place.name in named),
        *(place for place in inside if place.name.startswith("0_")),
    ]


def _files(path: Path, pattern: str) -> list[Path]:
    """List regular files only: opening a pipe would wait for its other end."""
    return sorted(file for file in path.glob(pattern) if file.is_file())


def read_header(path: Path) -> dict[str, Tensor]:
    """Read the names, types, shapes and offsets of a safetensors file's tensors.

    Raises:
        ModelError: the file is missing, cut short, damaged or not safetensors.
    """
    try:
        # After this check the offsets can be relied on: no tensor overlaps another, ends outside
        # the file, or has a size that does not follow from its type and shape.
        with safe_open(path, framework="np"):
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = parse_json(file.read(length))
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            dtype = _NAMES.get(entry["dtype"], entry["dtype"].lower())
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = Tensor(path, name, dtype, tuple(entry["shape"]), begin, end)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    # The library also takes an entry that is a list of its values, which nothing writes.
    except (SafetensorError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is not a whole safetensors file: {first_line(error)}.") from error
    return tensors


def read_json(path: Path, kind: type[dict[str, Any] | list[Any]] = dict) -> Any:
    """Read a JSON object or list of bounded size; it is empty without the file.

    Raises:
        ModelError: the file cannot be read, is too large, or holds something else.
    """
    if not path.is_file():
        return kind()
    content = read_any_json(path)
    if not isinstance(content, kind):
        raise ModelError(f"{path} does not hold a JSON {'object' if kind is dict else 'list'}.")
    return content


def read_modules(path: Path) -> list[Module]:
    """List the modules in a folder's ``modules.json``, in order; without the file there are none.

    Raises:
        ModelError: the file is too large or not a list of modules.
    """
    file = path / "modules.json"
    entries = read_json(file, list)
    if not all(isinstance(entry, dict) for entry in entries):
        raise ModelError(f"{file} is not a list of modules.")
    return [Module(str(entry.get("type", "")), str(entry.get("path", ""))) for entry in entries]


def read_any_json(path: Path) -> Any:
    """Read a JSON file of bounded size.

    Raises:
        ModelError: the file cannot be read, is too large, or is not JSON.
    """
    try:
        return parse_json(read_bytes(path))
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON: {error}.") from error


def read_bytes(path: Path) -> bytes:
    """Read a JSON file of bounded size.

    Raises:
        ModelError: the file is missing or too large.
    """
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelError(f"{path} is too large for a model's JSON file.")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error


def parse_json(content: bytes) -> Any:
    """Parse JSON of at most eight million values, so that it takes a bounded memory.

    Raises:
        ValueError: it is not JSON, has too many values, is nested too deeply, or holds a number
            that is not finite.
    """
    if content.count(b",") + content.count(b"[") + content.count(b"{") > _MAX_VALUES:
        raise ValueError("too many values")
    try:
        return _DECODER.decode(content.decode(json.detect_encoding(content), "surrogatepass"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_number(digits)


def _refuse_number(number: str) -> float:
    raise ValueError(f"{number} is not a finite number")


# Made once: a search reads a small JSON for each of its answers.
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_number)
