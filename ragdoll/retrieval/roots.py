"""The roots of a table: where its documents came from, and what was found there the last time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Reading
from ragdoll.retrieval.lance import absolute
from ragdoll.retrieval.table import Table

# Left-out files that a table remembers for each root; its metadata is to stay small.
_MAX_REMEMBERED = 200

RootRecord = dict[str, Any]
"""What a table remembers of a root; see ``TableState``."""


def record_of(root: str, signature: str | None, documents: int, reading: Reading) -> RootRecord:
    """What a table is to remember of a root that was just read; ``signature`` from before that."""
    skipped = reading.skipped
    few = len(skipped) <= _MAX_REMEMBERED
    return {
        "path": root,
        # Without a signature the root is read again, and what is left out is named again.
        "signature": signature if few and not reading.unread else None,
        "documents": documents,
        "skipped": [[item.path, item.reason] for item in skipped] if few else [],
    }


def known_roots(table: Table, roots: Iterable[str]) -> dict[str, str]:
    """Map those of a corpus's roots that the table has to their keys in it.

    A root is known by its path, or by its place relative to a database that moved with it.
    """
    wanted = set(roots)
    found: dict[str, str] = {}
    for key, record in table.state.roots.items():
        for path in (record["path"], _moved(record["path"], table)):
            if path in wanted and path not in found:
                found[path] = key
                break
    return found


def unknown_roots(table: Table, roots: Iterable[str]) -> list[str]:
    """The paths of the table's roots that are not a corpus's."""
    known = set(known_roots(table, roots).values())
    return [record["path"] for key, record in table.state.roots.items() if key not in known]


def present_records(table: Table) -> dict[str, RootRecord]:
    """The table's roots by their keys, each with the path where it is now."""
    return {
        key: {**record, "path": _present(record["path"], table)}
        for key, record in table.state.roots.items()
    }


def is_unchanged(record: Mapping[str, Any] | None, signature: str | None) -> bool:
    """Whether a root is known to hold what it held when the table read it."""
    return record is not None and signature is not None and record["signature"] == signature


def _moved(path: str, table: Table) -> str:
    """Where a root is if it was moved together with the database."""
    if not table.is_local or not os.path.isabs(path):  # noqa: PTH117
        return path
    relative = os.path.relpath(path, table.state.database)
    return os.path.normpath(Path(absolute(table.uri)) / relative)


def _present(path: str, table: Table) -> str:
    moved = _moved(path, table)
    return moved if not Path(path).exists() and Path(moved).exists() else path
