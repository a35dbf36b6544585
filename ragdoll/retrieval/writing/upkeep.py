"""Keeping a table fast and small: its indexes, its fragments and old versions, leftovers."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

from ragdoll.retrieval.storage.database import refuse_outside
from ragdoll.retrieval.storage.lance import is_local, place
from ragdoll.retrieval.storage.schema import TableState
from ragdoll.retrieval.storage.table import Table, removed
from ragdoll.streams import Report

# From so many rows on there is an approximate index: comparing a vector with fewer takes less than
# loading the model does.
VECTOR_INDEX_ROWS = 100_000
_ROWS_PER_PARTITION = 4096

# Rows that come later are added to the approximate index in parts of their own, which cost each
# search time, and are partitioned by what the first rows were like. So it is built anew after so
# many parts, or when it has so many times the rows.
_MOST_PARTS = 8
_MOST_GROWTH = 2

# Compaction writes the whole table once more. So it waits until one row in a hundred is not in the
# full-text index (searches scan those one by one), or for so many commits, each of which leaves a
# version and often a fragment.
_STALE_SHARE = 0.01
_MOST_COMMITS = 30

# All that LanceDB keeps of a table; a folder with anything else in it is not only a table's.
_PARTS = frozenset({"data", "_versions", "_transactions", "_indices", "_deletions", "_refs"})


def build_indexes(table: Table, state: TableState, report: Report) -> TableState:
    """Build the indexes that the table needs and has not; return the state with them in it."""
    if table.index_parts("text") == 0:
        report("building the full-text index", 0, None)
        table.index_text()
    rows, indexed = table.count(), state.indexed_rows
    parts = table.index_parts("vector")
    if not parts:
        indexed = 0
    outgrown = parts > _MOST_PARTS or rows > _MOST_GROWTH * indexed
    if rows >= VECTOR_INDEX_ROWS and (not indexed or outgrown):
        report("building the vector index", 0, None)
        partitions = partitions_of(rows)
        table.index_vectors(partitions)
        return replace(state, indexed_rows=rows, partitions=partitions)
    return state if indexed else replace(state, indexed_rows=0, partitions=0)


def partitions_of(rows: int) -> int:
    """The partitions of an approximate index over so many rows."""
    return math.ceil(rows / _ROWS_PER_PARTITION)


def is_due(table: Table) -> bool:
    """Whether enough has changed for compaction to be worth its cost."""
    commits = table.version - table.state.tidied
    return commits >= _MOST_COMMITS or table.unindexed_rows() > _STALE_SHARE * table.count()


def remove_leftovers(database: str, name: str) -> None:
    """Remove what killed runs left of a table; only for the one writer of a local database.

    That is files that were being written, and a table that has no version yet.

    Raises:
        TableError: the table has a part elsewhere, where nothing is removed or written; or it is
            removed meanwhile.
    """
    refuse_outside(database, name)
    folder = Path(database) / f"{name}.lance"
    if not is_local(database) or not folder.is_dir():
        return
    try:
        for part in _PARTS:
            for file in (folder / part).rglob(".tmp*"):
                file.unlink(missing_ok=True)
        has_version = any((folder / "_versions").glob("*.manifest"))
        if not has_version and {path.name for path in folder.iterdir()} <= _PARTS:
            shutil.rmtree(folder)
    except FileNotFoundError as error:
        raise removed(place(database, name)) from error
