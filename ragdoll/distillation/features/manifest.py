"""The manifest of a features folder: the settings that determine its content, and its parts.

For each part it has the number of rows and the rolling hash of the corpus up to the part's end, by
which a resumed run tells whether it reads the same corpus.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragdoll.embedding.folder import parse_json
from ragdoll.errors import FeaturesError
from ragdoll.settings import as_text

FORMAT = "ragdoll-features"
VERSION = 1
MANIFEST = "manifest.json"
PART = r"part-\d{5,}\.parquet"

RESTART = "Make the features anew: `featurize(...)` with `restart=True`."

# The rolling hash before the first passage.
NO_HASH = hashlib.sha256(FORMAT.encode()).hexdigest()

# Characters of a setting in a message.
_MOST_CHARACTERS = 200


@dataclass(slots=True)
class Manifest:
    """The content of a features folder.

    ``settings`` determine the content. ``complete`` tells that the corpus was read to its end;
    ``facts`` are known since then (documents, skipped files, the corpus's signature). ``folder`` is
    where the features lay when it was written, and empty in one that was never written.
    """

    settings: dict[str, Any]
    dimension: int
    parts: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    complete: bool = False
    folder: str = ""

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return sum(part["rows"] for part in self.parts)

    @property
    def next_number(self) -> int:
        """The number of the part that follows those that are there."""
        return part_number(self.parts[-1]["file"]) + 1 if self.parts else 0

    @property
    def tokens(self) -> int:
        """The teacher's tokens of all parts."""
        return sum(part["tokens"] for part in self.parts)

    @property
    def content_hash(self) -> str:
        """The hash of all texts in order."""
        return str(self.parts[-1]["hash"]) if self.parts else NO_HASH

    @property
    def identity(self) -> str:
        """A hash of the settings and the texts, on which a trained model depends.

        Where teacher and corpus lie makes no difference: fingerprint and texts say what they are.
        """
        corpus = {**(self.settings.get("corpus") or {}), "path": None}
        settings = {**self.settings, "corpus": corpus}
        if settings.get("teacher_fingerprint"):
            del settings["teacher"]
        content = json.dumps([settings, self.content_hash], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def as_json(self) -> bytes:
        """Return the content of the file."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "complete": self.complete,
            "rows": self.rows,
            "dimension": self.dimension,
            "folder": self.folder,
            "settings": self.settings,
            "facts": self.facts,
            "parts": self.parts,
        }
        return json.dumps(content, indent=2).encode()


def part_number(name: str) -> int:
    """Return the number in the name of a part."""
    return int(re.sub(r"\D", "", name))


def read_manifest(written: bytes, file: str | Path) -> Manifest:
    """Read what a manifest's file holds; messages name the ``file``.

    Raises:
        FeaturesError: it is damaged, of another version, or not ragdoll's.
    """
    try:
        content = parse_json(written)
    except ValueError as error:
        raise FeaturesError(f"{file} is damaged: {error}", hint=RESTART) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FeaturesError(f"{file} is not the manifest of a features folder.")
    if content.get("version") != VERSION:
        raise FeaturesError(
            f"{file} has the format version {content.get('version')}; "
            f"this ragdoll reads version {VERSION}.",
            hint="Update ragdoll, or make the features anew.",
        )
    try:
        return Manifest(
            settings=_settings(content["settings"]),
            dimension=_count(content["dimension"]),
            parts=[_part(part) for part in content["parts"]],
            facts=_facts(content["facts"]),
            complete=bool(content["complete"]),
            folder=str(content.get("folder", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FeaturesError(f"{file} is damaged: {error!r:.200}", hint=RESTART) from error


def is_ours(written: bytes) -> bool:
    """Tell whether a manifest begins as ragdoll's do, even if it is damaged after that."""
    return FORMAT.encode() in written[:64]


def rolling_hash(previous: str, texts: Iterable[str]) -> str:
    """Hash texts in order onto the hash of the texts before; the batches do not matter."""
    digest = bytes.fromhex(previous)
    for text in texts:
        digest = hashlib.sha256(digest + text.encode("utf-8", "surrogatepass")).digest()
    return digest.hex()


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the settings of ``now`` that differ in ``before``, with both values.

    A teacher of the same fingerprint is the same teacher, wherever it lies now.
    """
    different: list[str] = []
    known = now.get("teacher_fingerprint")
    for key, value in now.items():
        old = before.get(key)
        if key == "teacher" and known and known == before.get("teacher_fingerprint"):
            continue
        if isinstance(value, dict) and isinstance(old, dict):
            different.extend(differences(old, value, f"{prefix}{key}."))
        elif old != value:
            different.append(f"{prefix}{key} was {_short(old)}, now {_short(value)}")
    return different


def located(settings: Mapping[str, Any], moved: Callable[[str], str]) -> dict[str, Any]:
    """Return the settings of features with each path that is there after a move."""

    def now(path: Any) -> Any:
        there = moved(path) if isinstance(path, str) else path
        return there if isinstance(there, str) and os.path.lexists(there) else path

    found = dict(settings)
    corpus = settings.get("corpus")
    if isinstance(corpus, dict) and isinstance(corpus.get("path"), list):
        found["corpus"] = {**corpus, "path": list(map(now, corpus["path"]))}
    if "teacher" in settings:
        found["teacher"] = now(settings["teacher"])
    return found


def _short(value: Any) -> str:
    """Write a setting as a person does, without the end of a long one."""
    text = as_text(value) or "none"
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"


def _part(record: Mapping[str, Any]) -> dict[str, Any]:
    name = str(record["file"])
    if not re.fullmatch(PART, name):
        raise ValueError(name)
    return {
        "file": name,
        "rows": _count(record["rows"]),
        "tokens": _count(record["tokens"]),
        "hash": bytes.fromhex(record["hash"]).hex(),
    }


def _settings(content: Any) -> dict[str, Any]:
    settings = dict(content)
    for key in ("teacher", "teacher_fingerprint", "computed_in", "prompt"):
        if not isinstance(settings.get(key), str | None):
            raise TypeError(f"{key} is no text")
    if not isinstance(settings.get("corpus_passages"), int | None):
        raise TypeError("corpus_passages is no number")
    paths = dict(settings.get("corpus") or {}).get("path") or []
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise TypeError("the corpus has no list of paths")
    return settings


def _facts(content: Any) -> dict[str, Any]:
    facts = dict(content)
    for key in ("documents", "duplicates"):
        _count(facts.get(key, 0))
    for path, reason, *rest in facts.get("skipped", []):
        if not isinstance(path, str) or not isinstance(reason, str) or len(rest) > 2:
            raise TypeError("the skipped files are no list of paths and reasons")
    return facts


def _count(value: Any) -> int:
    count = int(value)
    if count < 0:
        raise ValueError(f"{count} is less than nothing")
    return count
