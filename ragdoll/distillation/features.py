"""The features folder: passages and their target vectors, in parts that appear whole or not at all.

``manifest.json`` names everything that determines the content and, for each part, its rows and the
rolling hash of the corpus up to its end. Parts are ``data/part-00000.parquet`` … with the columns
``text`` and ``embedding``, which ``datasets.load_dataset("parquet", data_dir=…/data)`` reads too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ragdoll.errors import FeaturesError

Vectors = npt.NDArray[np.float32]

logger = logging.getLogger(__name__)

FORMAT = "ragdoll-features"
VERSION = 1
MANIFEST = "manifest.json"

# What ragdoll writes into the folder, and into ``data`` in it.
_KNOWN = re.compile(r"data|manifest\.json(\.tmp)?|\.featurize\.lock(\.pid)?")
_PART = re.compile(r"part-\d{5,}\.parquet(\.tmp)?")

# The rolling hash before the first passage.
NO_HASH = hashlib.sha256(FORMAT.encode()).hexdigest()


@dataclass(slots=True)
class Manifest:
    """What a features folder holds.

    ``settings`` determine the content; ``facts`` are known when the corpus has been read to its
    end (documents, what was left out, the corpus's signature). ``complete`` says that it has.
    """

    settings: dict[str, Any]
    dimension: int
    parts: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    complete: bool = False

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return sum(part["rows"] for part in self.parts)

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
        """A hash of the settings and the texts, on which a trained model depends."""
        content = json.dumps([self.settings, self.content_hash], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def rolling_hash(previous: str, texts: Iterable[str]) -> str:
    """Hash texts, in order, onto the hash of what went before, wherever that was cut off."""
    digest = bytes.fromhex(previous)
    for text in texts:
        digest = hashlib.sha256(digest + text.encode("utf-8", "surrogatepass")).digest()
    return digest.hex()


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """List the settings of ``now`` that ``before`` has otherwise, with both values."""
    found: list[str] = []
    for key, value in now.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            found.extend(differences(old, value, f"{prefix}{key}."))
        elif old != value:
            found.append(f"{prefix}{key} was {str(old)[:60]}, now {str(value)[:60]}")
    return found


class FeaturesFolder:
    """A features folder on disk, for writing part by part and for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def manifest(self) -> Manifest | None:
        """Read the manifest; None where the folder has none.

        Raises:
            FeaturesError: it is damaged, of a newer version, or not ragdoll's.
        """
        file = self.path / MANIFEST
        try:
            content = json.loads(file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise FeaturesError(f"{file} is damaged: {error}", hint=_RESTART) from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise FeaturesError(f"{file} is not the manifest of a features folder.")
        if content.get("version") != VERSION:
            raise FeaturesError(
                f"{file} has the format version {content.get('version')}; "
                f"this ragdoll reads version {VERSION}.",
                hint="Update ragdoll, or make the features anew.",
            )
        try:
            manifest = Manifest(
                settings=dict(content["settings"]),
                dimension=int(content["dimension"]),
                parts=[
                    {
                        "file": self._checked_name(str(part["file"])),
                        "rows": int(part["rows"]),
                        "tokens": int(part["tokens"]),
                        "hash": bytes.fromhex(part["hash"]).hex(),
                    }
                    for part in content["parts"]
                ],
                facts=dict(content["facts"]),
                complete=bool(content["complete"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FeaturesError(f"{file} is damaged: {error!r}", hint=_RESTART) from error
        return manifest

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest aside, then rename it."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "complete": manifest.complete,
            "rows": manifest.rows,
            "dimension": manifest.dimension,
            "settings": manifest.settings,
            "facts": manifest.facts,
            "parts": manifest.parts,
        }
        self.path.mkdir(parents=True, exist_ok=True)
        with _appearing(self.path / MANIFEST) as file:
            file.write(json.dumps(content, indent=2).encode())

    def write_part(
        self, number: int, texts: Sequence[str], vectors: Vectors, replaces: bool = False
    ) -> str:
        """Write a part aside, then rename it; return its name.

        ``replaces``: what the folder held is given up, once the part is whole.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = f"part-{number:05d}.parquet"
        folder = self.path / "data"
        folder.mkdir(parents=True, exist_ok=True)
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        table = pa.table(
            {
                "text": pa.array(texts, type=pa.string()),
                "embedding": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            }
        )
        with _appearing(folder / name) as file:
            pq.write_table(table, file)
            if replaces:
                (self.path / MANIFEST).unlink(missing_ok=True)
                self.keep_only([Path(file.name).name])
        return name

    def drop_damaged(self, manifest: Manifest) -> None:
        """Take from a manifest the first part that is not on disk as it says, and all after it."""
        whole = (self._is_whole(part, manifest.dimension) for part in manifest.parts)
        count = sum(1 for _ in takewhile(bool, whole))
        if count < len(manifest.parts):
            logger.warning(
                "%s in %s is missing or damaged; it and what follows is made again.",
                manifest.parts[count]["file"],
                self.path,
            )
            del manifest.parts[count:]
            manifest.complete = False

    def refuse_other(self, manifest: Manifest, wanted: Mapping[str, Any]) -> None:
        """Check that features were made with the settings that are wanted.

        Raises:
            FeaturesError: they were not; the message lists the differences.
        """
        different = differences(manifest.settings, wanted)
        if different:
            raise FeaturesError(
                f"The features in {self.path} were made with other settings: "
                f"{'; '.join(different)}.",
                hint="Make them anew with --restart, or give another --output.",
            )

    def _is_whole(self, part: dict[str, Any], dimension: int) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            # What was cut off has no footer; the rows themselves are not read.
            with pq.ParquetFile(self.path / "data" / part["file"]) as file:
                embedding = file.schema_arrow.field("embedding").type
                facts = (file.metadata.num_rows, embedding.list_size)
        except (OSError, KeyError, AttributeError, pa.ArrowException):
            return False
        return facts == (part["rows"], dimension)

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove the parts of other names, whole or begun, and nothing else."""
        kept = set(names)
        for part in (self.path / "data").glob("part-*"):
            if _PART.fullmatch(part.name) and part.name not in kept:
                part.unlink()

    def refuse_foreign(self) -> None:
        """Check that nothing is there but features, or what an interrupted run left of them.

        Raises:
            FeaturesError: there are other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise FeaturesError(f"{self.path} is a file.", hint="Give a folder by --output.")
        others = [
            path
            for folder, known in ((self.path, _KNOWN), (self.path / "data", _PART))
            for path in (folder.iterdir() if folder.is_dir() else ())
            if not known.fullmatch(path.name)
        ]
        manifest = self.path / MANIFEST
        if others or (manifest.is_file() and not _is_ours(manifest)):
            raise FeaturesError(
                f"{self.path} holds other files and no features of ragdoll's.",
                hint="Give an empty or a new folder by --output.",
            )

    def batches(self) -> Iterator[tuple[list[str], Vectors]]:
        """Yield ``(texts, vectors)``, a part at a time.

        Raises:
            FeaturesError: a part is missing, damaged, or not as the manifest says.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        manifest = self.manifest()
        for part in manifest.parts if manifest else []:
            file = self.path / "data" / part["file"]
            try:
                table = pq.read_table(file, columns=["text", "embedding"])
                texts = table["text"].to_pylist()
                flat = table["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
                vectors = flat.reshape(len(texts), manifest.dimension if manifest else -1)
            except (OSError, pa.ArrowException, KeyError, ValueError) as error:
                raise FeaturesError(f"{file} cannot be read: {error}", hint=_RESTART) from error
            if len(texts) != part["rows"]:
                raise FeaturesError(
                    f"{file} has {len(texts)} rows where the manifest says {part['rows']}.",
                    hint=_RESTART,
                )
            yield texts, np.asarray(vectors, dtype=np.float32)

    @staticmethod
    def _checked_name(name: str) -> str:
        if not _PART.fullmatch(name):
            raise ValueError(name)
        return name


def _is_ours(manifest: Path) -> bool:
    """Whether a manifest begins as ragdoll's do, however it goes on."""
    with manifest.open("rb") as file:
        return FORMAT.encode() in file.read(64)


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears under its name when it is whole and on the disk, or not at all."""
    aside = path.with_name(f"{path.name}.tmp")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # A name is on the disk when its folder is: a manifest must not outlive a part it names.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


_RESTART = "Make the features anew: ragdoll featurize --restart"
