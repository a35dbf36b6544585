"""The fingerprint of a model: SHA-256 over all that decides its vectors.

A moved folder keeps its fingerprint, a retrained one does not. Hashing is remembered in the user's
cache by the files' size and times, so that a cold query does not hash the model anew. The cache is
the user's own: a model folder from elsewhere cannot claim a fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from ragdoll.atomic import atomic_write
from ragdoll.embedding.folder import ModelFolder
from ragdoll.embedding.safetensors_header import read_header
from ragdoll.errors import ModelError

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
