"""Keys that came before, remembered in bounded memory; unique names, and names of files."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from hashlib import blake2b

from ragdoll.errors import CorpusError

# Keys held in memory, about 15 MB; more of them are in a file, which is slower.
_MOST_IN_MEMORY = 100_000
_CACHE_KIB = 64 * 1024


class Seen:
    """A set of keys, by their hashes of 16 bytes; a text and its UTF-8 are the same key."""

    def __init__(self) -> None:
        self._few: dict[bytes, int] = {}
        self._many: sqlite3.Connection | None = None

    def add(self, key: str | bytes) -> bool:
        """Add a key; return True if it is new.

        Raises:
            CorpusError: there is no room for many keys in the folder for temporary files.
        """
        return self._add(_digest(key))

    def count(self, key: str | bytes) -> int:
        """Count a key; return the number of times it was counted or added, this one included.

        Raises:
            CorpusError: as ``add``.
        """
        digest = _digest(key)
        if self._add(digest):
            return 1
        if self._many is None:
            self._few[digest] += 1
            return self._few[digest]
        _execute(self._many, "UPDATE seen SET times = times + 1 WHERE key = ?", digest)
        counted = _execute(self._many, "SELECT times FROM seen WHERE key = ?", digest)
        return int(counted.fetchone()[0])

    def _add(self, digest: bytes) -> bool:
        if self._many is None:
            if digest in self._few:
                return False
            if len(self._few) < _MOST_IN_MEMORY:
                self._few[digest] = 1
                return True
            self._many = self._spilled()
        inserted = _execute(self._many, "INSERT OR IGNORE INTO seen VALUES (?, 1)", digest)
        return inserted.rowcount == 1

    def _spilled(self) -> sqlite3.Connection:
        """Move all keys to a file that has no name and ends with this object."""
        # Threads may take turns in reading a corpus.
        file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, file.close)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            # The file need not survive a crash.
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE seen (key BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID",
            "BEGIN",
        ):
            _execute(file, statement)
        for digest, times in self._few.items():
            _execute(file, "INSERT INTO seen VALUES (?, ?)", digest, times)
        self._few.clear()
        return file


class UniqueNames:
    """Makes names unique by numbering all but the first of the same name: ``a``, ``a~2`` …."""

    def __init__(self) -> None:
        self._used = Seen()

    def __call__(self, name: str) -> str:
        """Return the name, or a free one where it is taken.

        Raises:
            CorpusError: as ``Seen.add``.
        """
        times = self._used.count(name)
        unique = name
        while times > 1 and self._used.count(unique := f"{name}~{times}") > 1:
            times = self._used.count(name)
        return unique


def files_of(source: str) -> Iterator[str]:
    """Yield the names that the file of a source may have: a ``#`` is part of it, or ends it."""
    pieces = source.split("#")
    yield from ("#".join(pieces[:count]) for count in range(1, len(pieces) + 1))


def _execute(file: sqlite3.Connection, statement: str, *values: bytes | int) -> sqlite3.Cursor:
    try:
        return file.execute(statement, values)
    except sqlite3.Error as error:
        raise CorpusError(
            f"The folder for temporary files cannot hold what was read: {error}",
            hint="Make room there, or name another folder by the variable TMPDIR.",
        ) from error


def _digest(key: str | bytes) -> bytes:
    content = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    return blake2b(content, digest_size=16).digest()
