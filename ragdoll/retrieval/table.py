"""The LanceDB table and the few operations on it. The only module that imports lancedb."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.errors import TableError, UsageError, first_line
from ragdoll.retrieval.table_metadata import (
    KEY,
    TableIdentity,
    TableState,
    not_ours,
    read_metadata,
    schema,
)

Vectors = npt.NDArray[np.float32]
Result = TypeVar("Result")

# What LanceDB accepts, and what is safe as part of a file name.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
COLUMNS = ("id", "source", "title", "text", "start", "end", "metadata")

# Lance warns on standard error of what callers cannot change; errors arrive as exceptions anyway.
os.environ.setdefault("LANCEDB_LOG", "error")

# Versions younger than this stay for readers that are in the middle of a query.
_KEEP_VERSIONS = timedelta(days=1)


def check_name(name: str) -> None:
    """Check the name of a table.

    Raises:
        UsageError: it has other characters than letters, digits, ``_``, ``-`` and ``.``.
    """
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise UsageError(
            f"'{name}' cannot be the name of a table.",
            hint="A name has letters, digits, '_', '-' and '.', at most 200 of them.",
        )


class Database:
    """A folder, or a URI that LanceDB understands, that holds tables."""

    def __init__(self, uri: str, create: bool = False) -> None:
        """Connect; a local folder that is not there is created only if ``create``.

        Raises:
            TableError: there is no such folder, or it cannot be used.
        """
        self.uri = uri
        self.is_local = "://" not in uri
        if self.is_local:
            folder = Path(uri)
            if folder.exists() and not folder.is_dir():
                raise TableError(f"The database {uri} is a file; a database is a folder.")
            if not folder.is_dir() and not create:
                raise TableError(
                    f"No database at {uri}.",
                    hint="Make one: ragdoll index DOCS, or name another by --database.",
                )
        import lancedb

        self._connection = _translated(lambda: lancedb.connect(uri), uri)

    def tables(self) -> list[str]:
        """The names of the tables, sorted."""
        return sorted(_translated(lambda: list(self._connection.list_tables().tables), self.uri))

    def open(self, name: str) -> Table:
        """Open a table of ragdoll's.

        Raises:
            TableError: it is missing (with those that are there), damaged, not ragdoll's or of a
                newer format version.
        """
        table = self.find(name)
        if table is None:
            others = [other for other in self.tables() if other != name]
            there = f" It has: {', '.join(others)}." if others else " It has none."
            raise TableError(
                f"No table '{name}' in the database {self.uri}.{there}",
                hint="Make it: ragdoll index DOCS, or name another by --table.",
            )
        return table

    def find(self, name: str) -> Table | None:
        """Open a table of ragdoll's; None where there is none of that name.

        Raises:
            TableError: it is damaged, not ragdoll's or of a newer format version.
        """
        inner = self._inner(name)
        return None if inner is None else Table(self, name, inner)

    def refuse_foreign(self, name: str) -> None:
        """Check that a table may be replaced: ragdoll made it, even if it is damaged since.

        Raises:
            TableError: another tool made it.
        """
        inner = self._inner(name)
        if inner is not None and KEY.encode() not in (inner.schema.metadata or {}):
            raise not_ours(self.place(name))

    def place(self, name: str) -> str:
        """How messages name a table."""
        return f"{self.uri}, table '{name}'"

    def _inner(self, name: str) -> Any:
        """LanceDB's table; None where there is none, or a killed creation left only its name."""
        if name not in self.tables():
            return None
        try:
            return self._connection.open_table(name)
        except (ValueError, RuntimeError) as error:
            if "was not found" in str(error):
                return None
            raise TableError(f"{self.place(name)} cannot be opened: {first_line(error)}") from error

    def build(
        self,
        name: str,
        identity: TableIdentity,
        state: TableState,
        batches: Iterable[pa.RecordBatch],
    ) -> Table:
        """Write a whole table; readers of one of that name keep the old one until then.

        Raises:
            TableError: the table cannot be written. What ``batches`` raises comes through.
        """
        layout = schema(identity, state)
        place = self.place(name)
        failures: list[BaseException] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except BaseException as error:
                failures.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(layout, watched())
        try:
            inner = _translated(
                lambda: self._connection.create_table(name, reader, mode="overwrite"), place
            )
        except TableError:
            # LanceDB reports what went wrong in making the batches as an error of its own.
            if failures:
                raise failures[0] from None
            raise
        _translated(lambda: inner.set_unenforced_primary_key("id"), place)
        return Table(self, name, inner)


class Table:
    """An open table. ``identity`` never changes; ``state`` is what was last written of it."""

    def __init__(self, database: Database, name: str, inner: Any) -> None:
        self.database = database
        self.name = name
        self._inner = inner
        self.identity, self.state = read_metadata(inner.schema, self.place)

    @property
    def place(self) -> str:
        """How messages name the table."""
        return self.database.place(self.name)

    def count(self) -> int:
        """The number of rows, which are chunks."""
        return int(_translated(self._inner.count_rows, self.place))

    def write_state(self, state: TableState) -> None:
        """Replace what may change."""
        content = {"path": "vector", "metadata": {KEY: json.dumps(asdict(state))}}
        _translated(lambda: self._inner.update_field_metadata(content), self.place)
        self.state = state

    def rows_of(self, sources: Sequence[str], key: str, columns: Sequence[str]) -> pa.Table:
        """The rows of some sources under one root."""
        from lancedb.expr import col

        condition = col("source").isin(list(sources)) & _under(key)
        return self._scan(condition, columns)

    def vectors_of(self, ids: Sequence[str]) -> dict[str, Vectors]:
        """The vectors of some rows, by their id."""
        from lancedb.expr import col

        found = self._scan(col("id").isin(list(ids)), ["id", "vector"])
        return dict(zip(found["id"].to_pylist(), _matrix(found["vector"]), strict=True))

    def sources(self, key: str) -> Iterator[str]:
        """The distinct sources under a root, in no order."""
        seen: set[str] = set()
        query = self._inner.search().where(_under(key)).select(["source"])
        reader = _translated(query.to_batches, self.place)
        for batch in reader:
            fresh = set(batch["source"].to_pylist()) - seen
            seen |= fresh
            yield from fresh

    def replace_sources(self, rows: pa.Table, sources: Sequence[str], key: str) -> None:
        """Put ``rows`` in the place of all rows of ``sources`` under a root, in one commit."""
        from lancedb.expr import col

        old = (col("source").isin(list(sources)) & _under(key)).to_sql()
        merge = (
            self._inner.merge_insert("id")
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .when_not_matched_by_source_delete(old)
        )
        _translated(lambda: merge.execute(rows), self.place)

    def remove_sources(self, sources: Sequence[str], key: str) -> None:
        """Delete all rows of ``sources`` under a root."""
        from lancedb.expr import col

        condition = col("source").isin(list(sources)) & _under(key)
        _translated(lambda: self._inner.delete(condition), self.place)

    def has_text_index(self) -> bool:
        """Whether the full-text index is there; a run that was killed may not have built it."""
        indices = _translated(lambda: list(self._inner.list_indices()), self.place)
        return any("text" in index.columns for index in indices)

    def index_text(self) -> None:
        """Build the full-text index anew over all rows."""
        from lancedb.index import FTS

        _translated(
            lambda: self._inner.create_index("text", config=FTS(), replace=True), self.place
        )

    def tidy(self) -> None:
        """Compact fragments, bring the full-text index up to date and drop old versions."""
        _translated(self._inner.checkout_latest, self.place)
        _translated(lambda: self._inner.optimize(cleanup_older_than=_KEEP_VERSIONS), self.place)

    def nearest(self, vector: Vectors, limit: int) -> tuple[pa.Table, Vectors]:
        """Rows by similarity to a vector, and those similarities (cosine, dot, or see below).

        For ``l2`` the similarity is ``1 / (1 + squared distance)``.
        """
        query = (
            self._inner.search(vector, vector_column_name="vector")
            .distance_type(self.identity.metric)
            .limit(limit)
            .select([*COLUMNS, "_distance"])
        )
        found = _translated(query.to_arrow, self.place)
        distance = found["_distance"].to_numpy().astype(np.float32)
        if self.identity.metric == "l2":
            return found, 1 / (1 + distance)
        # LanceDB's cosine and dot distances are both one minus the similarity.
        return found, 1 - distance

    def matching(self, text: str, limit: int) -> tuple[pa.Table, Vectors, Vectors]:
        """Rows by BM25, their scores, and their vectors."""
        query = (
            self._inner.search(text, query_type="fts", fts_columns="text")
            .limit(limit)
            .select([*COLUMNS, "vector", "_score"])
        )
        found = _translated(query.to_arrow, self.place)
        scores = found["_score"].to_numpy().astype(np.float32)
        return found, scores, _matrix(found["vector"])

    def _scan(self, condition: Any, columns: Sequence[str]) -> pa.Table:
        # Without a limit a search returns ten rows.
        query = self._inner.search().where(condition).select(list(columns)).limit(2**31 - 1)
        return _translated(query.to_arrow, self.place)


def vector_array(vectors: Vectors) -> pa.Array:
    """Vectors of shape (rows, dimension) as the table's column type."""
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _matrix(column: pa.ChunkedArray) -> Vectors:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    matrix: Vectors = flat.reshape(-1, column.type.list_size)
    return matrix


def _under(key: str) -> Any:
    """The rows of a root: ids begin with its key, which is hexadecimal."""
    from lancedb.expr import col, lit

    return (col("id") >= lit(key)) & (col("id") < lit(key + "g"))


def _translated(call: Callable[[], Result], place: str) -> Result:
    """Run a LanceDB call; turn what it raises into one line that names the table."""
    try:
        return call()
    except (ValueError, RuntimeError, OSError, pa.ArrowException) as error:
        message = first_line(error)
        hint = None
        if "INVERTED" in message:
            message, hint = "it has no full-text index", "Rebuild it: ragdoll index --overwrite"
        elif "No space left" in message:
            message, hint = "the disk is full", "Free some space and run the same command again."
        raise TableError(f"{place}: {message}", hint=hint) from error
