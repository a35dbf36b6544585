"""The LanceDB table and the few operations on it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import TableError
from ragdoll.retrieval.storage.lance import are_files_gone, is_local, place, translated
from ragdoll.retrieval.storage.schema import COLUMNS, KEY, TableState, read_metadata

# Versions younger than this stay for readers that are in the middle of a query.
_KEEP_VERSIONS = timedelta(hours=1)

# The approximate index: bits of a dimension; partitions that a search looks into, at least, and
# what share of them; rows that it compares exactly, for each row that is wanted and in all. With
# these recall@10 is above 0.99, also for queries that are far from all passages, which need many
# partitions; see tests/benchmarks/ann.py.
_BITS = 4
_PROBES = 64
_PROBED_SHARE = 0.75
_LEAST_REFINED = 2
_REFINED = 200


class Table:
    """An open table. ``identity`` never changes; ``state`` is what was last written of it."""

    def __init__(self, uri: str, name: str, inner: Any) -> None:
        self.uri = uri
        self.name = name
        self._inner = inner
        self.identity, self.state = read_metadata(inner.schema, self.place)

    @property
    def place(self) -> str:
        """How messages name the table."""
        return place(self.uri, self.name)

    @property
    def is_local(self) -> bool:
        """Whether the database is a folder of this machine."""
        return is_local(self.uri)

    @property
    def version(self) -> int:
        """The number of the version that is read; every commit makes a new one."""
        return int(self._inner.version)

    def count(self) -> int:
        """The number of rows, which are passages."""
        return int(translated(self._inner.count_rows, self.place))

    def has_lost_files(self) -> bool:
        """Whether rows are gone although the table has them: one narrow column is read to tell.

        LanceDB itself goes on with a folder that was removed, and begins another of its name.
        """
        try:
            for _ in self._batches(self._all(["start"])):
                pass
        except TableError as error:
            if are_files_gone(error.__cause__):
                return True
            raise
        return False

    def refuse_loss(self) -> None:
        """Check that what was written is there.

        Raises:
            TableError: it is not.
        """
        if self.has_lost_files():
            raise removed(self.place)

    def write_state(self, state: TableState) -> None:
        """Replace what may change."""
        content = {"path": "vector", "metadata": {KEY: json.dumps(asdict(state))}}
        translated(lambda: self._inner.update_field_metadata(content), self.place)
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
        return dict(zip(found["id"].to_pylist(), matrix(found["vector"]), strict=True))

    def texts_at(self, places: Sequence[int]) -> list[str]:
        """The texts of the rows in these places; a row's place may differ in another version."""
        query = self._inner.take_offsets(list(places)).select(["text"])
        return list(translated(query.to_arrow, self.place)["text"].to_pylist())

    def sources(self, key: str) -> Iterator[str]:
        """The source of each row under a root, in no order."""
        query = self._inner.search().where(_under(key)).select(["source"])
        for batch in self._batches(query):
            yield from batch["source"].to_pylist()

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
        translated(lambda: merge.execute(rows), self.place)

    def remove_sources(self, sources: Sequence[str], key: str) -> None:
        """Delete all rows of ``sources`` under a root."""
        from lancedb.expr import col

        condition = col("source").isin(list(sources)) & _under(key)
        translated(lambda: self._inner.delete(condition), self.place)

    def index_parts(self, column: str) -> int:
        """The number of parts that the index of a column has; 0 where there is none."""
        statistics = self._index_statistics(column)
        return int(statistics.num_indices or 1) if statistics else 0

    def unindexed_rows(self) -> int:
        """The number of rows that are not in the full-text index, where searches scan them."""
        statistics = self._index_statistics("text")
        return int(statistics.num_unindexed_rows) if statistics else self.count()

    def index_text(self) -> None:
        """Build the full-text index anew over all rows."""
        from lancedb.index import FTS

        translated(lambda: self._inner.create_index("text", config=FTS(), replace=True), self.place)

    def index_vectors(self, partitions: int) -> None:
        """Build the approximate index anew over all vectors."""
        from lancedb.index import IvfRq, IvfSq

        metric = self.identity.metric
        config: IvfRq | IvfSq = IvfSq(distance_type=metric, num_partitions=partitions)
        if self.identity.dimension % 8 == 0:  # Smaller and faster, but only for these dimensions.
            config = IvfRq(distance_type=metric, num_partitions=partitions, num_bits=_BITS)
        translated(
            lambda: self._inner.create_index("vector", config=config, replace=True), self.place
        )

    def tidy(self) -> None:
        """Compact fragments, bring the indexes up to date and drop old versions.

        Only for the one writer: it also removes what uncommitted writes left. On a server, where
        no lock keeps others out, that is left for a week, in which it may be another's work.
        """
        translated(self._inner.checkout_latest, self.place)
        translated(
            lambda: self._inner.optimize(
                cleanup_older_than=_KEEP_VERSIONS, delete_unverified=self.is_local
            ),
            self.place,
        )

    @property
    def columns(self) -> list[str]:
        """The columns that a condition can be about."""
        return [*COLUMNS, *self.identity.columns]

    def check_condition(self, condition: str) -> None:
        """Plan a search with a condition in SQL, without searching.

        Raises:
            TableError: it is no condition, or is about what the table has not.
        """
        query = self._inner.search().where(condition).select(["id"]).limit(1)
        translated(query.explain_plan, self.place)

    def nearest(
        self, vector: Vectors, limit: int, conditions: Sequence[str] = ()
    ) -> tuple[pa.Table, Vectors]:
        """Rows by similarity to a vector, and those similarities (cosine, dot, or see below).

        For ``l2`` the similarity is ``1 / (1 + squared distance)``. Similarities are exact. Which
        rows are found is approximate where the table has an index of its vectors.
        """
        probes = max(_PROBES, math.ceil(self.state.partitions * _PROBED_SHARE))
        query = (
            self._inner.search(vector, vector_column_name="vector")
            .distance_type(self.identity.metric)
            # Where few rows meet the conditions, it goes on until it has enough of them.
            .maximum_nprobes(0 if conditions else probes)
            .minimum_nprobes(probes)
            # What an index finds has distances from compressed vectors; refined ones are exact.
            .refine_factor(max(_LEAST_REFINED, math.ceil(_REFINED / limit)))
            .limit(limit)
            .select([*COLUMNS, "_distance"])
        )
        for condition in conditions:
            query = query.where(condition)
        found = translated(query.to_arrow, self.place)
        distance = _numbers(found["_distance"])
        # LanceDB's cosine and dot distances are both one minus the similarity.
        alike = 1 / (1 + distance) if self.identity.metric == "l2" else 1 - distance
        return found, np.asarray(alike, dtype=np.float32)

    def matching(
        self, text: str, limit: int, columns: Sequence[str], conditions: Sequence[str] = ()
    ) -> tuple[pa.Table, Vectors]:
        """Rows by BM25, and their scores."""
        query = self._matching(text, limit).select([*columns, "_score"])
        for condition in conditions:
            query = query.where(condition)
        found = translated(query.to_arrow, self.place)
        return found, _numbers(found["_score"])

    def matching_ids(self, text: str, limit: int) -> tuple[npt.NDArray[np.uint64], Vectors]:
        """LanceDB's own ids of rows by BM25, and their scores; see ``all_rows``."""
        query = self._matching(text, limit).select(["_score"]).with_row_id(True)
        found = translated(query.to_arrow, self.place)
        return row_ids(found), _numbers(found["_score"])

    def all_rows(self, columns: Sequence[str], most_bytes: int) -> pa.Table | None:
        """Some columns of all rows, and ``_rowid``; None where they are more than so many bytes."""
        query = self._inner.search().select(list(columns)).with_row_id(True).limit(2**31 - 1)
        batches, size = [], 0
        for batch in self._batches(query):
            size += batch.nbytes
            if size > most_bytes:
                return None
            batches.append(batch)
        return pa.Table.from_batches(batches) if batches else None

    def _matching(self, text: str, limit: int) -> Any:
        # What stands in quotation marks would be taken for a phrase, which needs another index. To
        # the words that are looked for they are as good as spaces.
        words = text.replace('"', " ")
        return self._inner.search(words, query_type="fts", fts_columns="text").limit(limit)

    def _index_statistics(self, column: str) -> Any:
        for index in translated(lambda: list(self._inner.list_indices()), self.place):
            if column in index.columns:
                return translated(partial(self._inner.index_stats, index.name), self.place)
        return None

    def _batches(self, query: Any) -> Iterator[pa.RecordBatch]:
        """What a query finds; each batch is read when it is asked for, and may fail only then."""
        batches = iter(translated(query.to_batches, self.place))
        while (batch := translated(lambda: next(batches, None), self.place)) is not None:
            yield batch

    def _scan(self, condition: Any, columns: Sequence[str]) -> pa.Table:
        query = self._all(columns).where(condition)
        return translated(query.to_arrow, self.place)

    def _all(self, columns: Sequence[str]) -> Any:
        # Without a limit a search returns ten rows.
        return self._inner.search().select(list(columns)).limit(2**31 - 1)


def removed(where: str) -> TableError:
    """The error about a table whose folder somebody removed, as messages name it."""
    return TableError(
        f"{where} has been removed, or a part of it, while it was written to.",
        hint="The same command makes it again.",
    )


def vector_array(vectors: Vectors) -> pa.Array:
    """Vectors of shape (rows, dimension) as the table's column type."""
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def matrix(column: pa.ChunkedArray) -> Vectors:
    """A column of vectors, of shape (rows, dimension)."""
    return _numbers(column.combine_chunks().flatten()).reshape(-1, column.type.list_size)


def _numbers(column: pa.ChunkedArray | pa.Array) -> Vectors:
    """A column of numbers without nulls; pyarrow's own way would import pandas, where that is."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    numbers: Vectors = np.from_dlpack(array).astype(np.float32, copy=False)
    return numbers


def row_ids(rows: pa.Table) -> npt.NDArray[np.uint64]:
    """LanceDB's own ids of rows that were read with them."""
    return np.asarray(np.from_dlpack(rows["_rowid"].combine_chunks()), dtype=np.uint64)


def _under(key: str) -> Any:
    """The rows of a root: ids begin with its key, which is hexadecimal."""
    from lancedb.expr import col, lit

    return (col("id") >= lit(key)) & (col("id") < lit(key + "g"))
