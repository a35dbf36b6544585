"""What kind of model a folder holds, told from its files alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ragdoll.embedding import bounded_json
from ragdoll.embedding.safetensors_header import TensorInfo, read_header
from ragdoll.errors import ModelError

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
        return bounded_json.parse(path.read_bytes())
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
