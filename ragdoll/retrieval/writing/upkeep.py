"""Keeping a table fast and small: its indexes, its fragments and old versions, leftovers."""

from __future__ import annotations

import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

from ragdoll.retrieval.storage.analysis import Analysis, analysis_of
from ragdoll.retrieval.storage.database import refuse_links
from ragdoll.retrieval.storage.lance import is_local
from ragdoll.retrieval.storage.schema import TableState
from ragdoll.retrieval.storage.table import Table
from ragdoll.streams import Report

# The number of rows from which on there is an approximate index: comparing a vector with fewer rows
# takes less time than loading the model does.
VECTOR_INDEX_ROWS = 100_000
_ROWS_PER_PARTITION = 4096

# Rows that come later are added to the approximate index in parts of their own. Each part costs a
# search time, and its partitions are those of the first rows. So the index is built anew after this
# number of parts, or when the table has this many times the rows.
_MOST_PARTS = 8
_MOST_GROWTH = 2

# The passages that tell a table's languages.
_SAMPLE = 1000

# Compaction writes all rows once more. So it waits until one row in a hundred is not in the
# full-text index (searches scan those one by one), or for this number of commits, each of which
# leaves a version and often a fragment.
_STALE_SHARE = 0.01
_MOST_COMMITS = 30

# The folders that LanceDB keeps of a table; a folder with anything else in it is not only a table.
_PARTS = frozenset({"data", "_versions", "_transactions", "_indices", "_deletions", "_refs"})


def build_indexes(table: Table, state: TableState, language: str, report: Report) -> TableState:
    """Build the indexes that the table needs and lacks; return the state with them in it.

    ``language`` is the setting for the full-text index.
    """
    rows, indexed = table.count(), state.indexed_rows
    analysis = _analysis(table, state, language, rows)
    is_same = replace(analysis, rows=0) == replace(state.analysis, rows=0)
    if table.index_parts("text_words") == 0 or not is_same:
        report("building the full-text index", 0, None)
        table.index_text(analysis)
    state = replace(state, analysis=analysis)
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


def _analysis(table: Table, state: TableState, language: str, rows: int) -> Analysis:
    """Return how words are to be indexed; it is chosen anew when the table has doubled."""
    before = state.analysis
    if language == "auto" and before.rows and rows < _MOST_GROWTH * before.rows:
        return before
    places = random.Random(0).sample(range(rows), min(rows, _SAMPLE))  # noqa: S311
    texts = table.texts_at(sorted(places)) if language == "auto" else ()
    return analysis_of(texts, language, rows)


def partitions_of(rows: int) -> int:
    """Return the number of partitions of an approximate index over this number of rows."""
    return math.ceil(rows / _ROWS_PER_PARTITION)


def is_due(table: Table) -> bool:
    """Tell whether enough has changed for compaction to be worth its cost."""
    commits = table.version - table.state.tidied
    return commits >= _MOST_COMMITS or table.unindexed_rows() > _STALE_SHARE * table.count()


def remove_leftovers(database: str, name: str) -> None:
    """Remove what killed runs left of a local table: unfinished files, and a table never finished.

    Only the one writer may call this.

    Raises:
        TableError: the table holds a link to another place, where nothing is removed or written.
    """
    refuse_links(database, name)
    folder = Path(database) / f"{name}.lance"
    if not is_local(database) or not folder.is_dir():
        return
    for part in _PARTS:
        for file in (folder / part).rglob(".tmp*"):
            file.unlink(missing_ok=True)
    has_version = any((folder / "_versions").glob("*.manifest"))
    if not has_version and {path.name for path in folder.iterdir()} <= _PARTS:
        shutil.rmtree(folder)
