"""The LanceDB table and the few operations on it."""

from __future__ import annotations

import importlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import TableError
from ragdoll.files import moved_with
from ragdoll.retrieval.storage import engine
from ragdoll.retrieval.storage.analysis import Analysis, token_index, word_index
from ragdoll.retrieval.storage.lance import absolute, are_files_gone, is_local, place, translated
from ragdoll.retrieval.storage.schema import (
    COLUMNS,
    KEY,
    Root,
    TableState,
    ids_under,
    read_metadata,
)

# Versions younger than this stay for readers that are in the middle of a query.
_KEEP_VERSIONS = timedelta(hours=1)

# The approximate index: bits of a dimension; the partitions that a search looks into, which are the
# least number, or if that is more the factor times the number of all to the power of 2/3; and the
# rows that it compares exactly, for each answer and in all. With these recall@10 is above 0.99, for
# queries that are far from all passages too, which need many partitions; see
# tests/benchmarks/ann.py and scale.py.
_BITS = 4
_PROBES = 64
_PROBES_FACTOR = 5
_LEAST_REFINED = 2
_REFINED = 200


class Table:
    """An open table; ``identity`` never changes, ``state`` is the latest that was written."""

    def __init__(self, uri: str, name: str, inner: Any) -> None:
        self.uri = uri
        self.name = name
        self._inner = inner
        self.identity, self.state = read_metadata(inner.schema, self.place)

    @property
    def place(self) -> str:
        """The name of the table in messages."""
        return place(self.uri, self.name)

    @property
    def is_local(self) -> bool:
        """True if the database is a folder of this machine."""
        return is_local(self.uri)

    @property
    def version(self) -> int:
        """The number of the version that is read; every commit makes a new one."""
        return int(self._inner.version)

    def latest_version(self) -> int:
        """Return the number of the latest version, after reading that one from now on."""
        translated(self._inner.checkout_latest, self.place)
        return self.version

    @property
    def columns(self) -> list[str]:
        """The columns that a condition can be about."""
        return [*COLUMNS, *self.identity.columns]

    def roots(self) -> dict[str, Root]:
        """Return the roots by their keys, each with the path where it is now.

        A root may have been moved, or copied, together with the database.
        """
        roots = dict(self.state.roots)
        for key, root in roots.items():
            moved = self.moved(root.path)
            if os.path.exists(moved):  # noqa: PTH110  (the method of Path raises for some names)
                roots[key] = replace(root, path=moved)
        return roots

    def moved(self, path: str) -> str:
        """Return where a path is if it was moved together with the database."""
        if not self.is_local:
            return path
        return moved_with(path, self.state.database, absolute(self.uri))

    def count(self) -> int:
        """Count the rows, which are passages."""
        return int(translated(self._inner.count_rows, self.place))

    def has_lost_files(self) -> bool:
        """Tell whether the files of the rows are missing, by reading one narrow column."""
        try:
            for _ in self._batches(self._all(["start"])):
                pass
        except TableError as error:
            if are_files_gone(error.__cause__):
                return True
            raise
        return False

    def rows_of(self, sources: Sequence[str], key: str, columns: Sequence[str]) -> pa.Table:
        """Return the rows of some sources under a root."""
        return self._answers(self._all(columns), [_of_sources(sources, key)])

    def rows_where(self, conditions: Sequence[str], columns: Sequence[str], most: int) -> pa.Table:
        """Return ``most`` rows at most that meet all of some conditions in SQL."""
        return self._answers(self._all(columns).limit(most), conditions)

    def keys_where(self, conditions: Sequence[str]) -> pa.Table:
        """Return what orders the rows that meet conditions in SQL, and LanceDB's own ids."""
        return self._answers(self._all(["id", "source", "start"]).with_row_id(True), conditions)

    def batches_where(
        self, conditions: Sequence[str], columns: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows that meet all of some conditions in SQL, not all of them in memory."""
        query = self._all(columns)
        for condition in conditions:
            query = query.where(condition)
        return self._batches(query)

    def ids_where(self, conditions: Sequence[str]) -> npt.NDArray[np.uint64]:
        """Return LanceDB's own ids of the rows that meet all of some conditions in SQL."""
        return row_ids(self._answers(self._all(["start"]).with_row_id(True), conditions))

    def sources_where(self, condition: str, most: int) -> list[str]:
        """Return the sources of rows that meet a condition in SQL: the first ``most``, in order."""
        found: set[str] = set()
        for batch in self.batches_where([condition], ["source"]):
            found.update(batch["source"].to_pylist())
        return sorted(found)[:most]

    def embedded(self, ids: Sequence[str]) -> dict[str, tuple[str | None, Vectors]]:
        """Return the tokens and the vector of some rows, by their id."""
        from lancedb.expr import col

        rows = self._answers(
            self._all(["id", "text_tokens", "vector"]), [col("id").isin(list(ids))]
        )
        parts = zip(rows["text_tokens"].to_pylist(), matrix(rows["vector"]), strict=True)
        return dict(zip(rows["id"].to_pylist(), parts, strict=True))

    def rows_at(
        self, ids: npt.NDArray[Any], columns: Sequence[str]
    ) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        """Return rows by LanceDB's own ids, and the place of each id's row among them."""
        query = self._inner.take_row_ids(ids.tolist()).select(list(columns)).with_row_id()
        rows = self._answers(query)
        found = row_ids(rows)
        order = np.argsort(found)
        return rows, order[np.searchsorted(found, ids, sorter=order)]

    def texts_at(self, places: Sequence[int]) -> list[str]:
        """Return the texts of the rows in some places, which may differ between versions."""
        query = self._inner.take_offsets(list(places)).select(["text"])
        return list(self._answers(query)["text"].to_pylist())

    def sources(self, key: str) -> Iterator[str]:
        """Yield the source of each row under a root, in no order."""
        for batch in self._batches(self._all(["source"]).where(_under(key))):
            yield from batch["source"].to_pylist()

    def all_rows(self, columns: Sequence[str], most_bytes: int) -> pa.Table | None:
        """Return columns of all rows, and ``_rowid``; None if they have more than ``most_bytes``.

        An empty table has None, too.
        """
        batches, size = [], 0
        for batch in self._batches(self._all(columns).with_row_id(True)):
            size += batch.nbytes
            if size > most_bytes:
                return None
            batches.append(batch)
        return pa.Table.from_batches(batches) if batches else None

    def check_condition(self, condition: str) -> None:
        """Plan a search with a condition in SQL, without searching.

        Raises:
            TableError: the condition is no SQL, or is about a column that the table has not.
        """
        query = self._inner.search().where(condition).select(["id"]).limit(1)
        translated(query.explain_plan, self.place)

    def nearest(
        self, vector: Vectors, limit: int, conditions: Sequence[str] = ()
    ) -> tuple[npt.NDArray[np.uint64], Vectors]:
        """Return LanceDB's own ids of the rows nearest to a vector, and the similarities.

        The best come first, of equal ones the first written. A similarity is a cosine, a dot
        product, or for ``l2`` ``1 / (1 + squared distance)``. It is exact; where the vectors have
        an approximate index, other rows may be nearer.
        """
        query = (
            self._near(vector, limit, has_conditions=bool(conditions))
            # Without refining, distances would be those of compressed vectors.
            .refine_factor(_compared(limit) // limit)
            .select(["_distance"])
            .with_row_id(True)
        )
        rows = self._answers(query, conditions)
        distance = _numbers(rows["_distance"])
        # LanceDB's cosine and dot distances are both one minus the similarity.
        alike = 1 / (1 + distance) if self.identity.metric == "l2" else 1 - distance
        return _best_first(row_ids(rows), np.asarray(alike, dtype=np.float32))

    def near_ids(
        self, vector: Vectors, limit: int, conditions: Sequence[str] = ()
    ) -> npt.NDArray[np.uint64]:
        """Return LanceDB's own ids of the rows that the ``limit`` nearest ones are chosen from.

        They come from the approximate index, which the table must have. Choosing takes the exact
        vectors, which a caller may have in memory.
        """
        query = self._near(vector, _compared(limit), has_conditions=bool(conditions))
        return row_ids(self._answers(query.select(["_distance"]).with_row_id(True), conditions))

    def matching(
        self, query: Terms, limit: int, conditions: Sequence[str] = ()
    ) -> tuple[npt.NDArray[np.uint64], Vectors]:
        """Return LanceDB's own ids of the rows that match a query best, and their BM25.

        The best come first, of equal ones the first written.
        """
        search = self._matching(query, limit).select(["_score"]).with_row_id(True)
        rows = self._answers(search, conditions)
        return _best_first(row_ids(rows), _numbers(rows["_score"]))

    def write_state(self, state: TableState) -> None:
        """Replace the facts that may change."""
        content = {"path": "vector", "metadata": {KEY: json.dumps(asdict(state))}}
        translated(lambda: self._inner.update_field_metadata(content), self.place)
        self.state = state

    def replace_sources(self, rows: pa.Table, sources: Sequence[str], key: str) -> None:
        """Put ``rows`` in the place of all rows of ``sources`` under a root, in one commit."""
        merge = (
            self._inner.merge_insert("id")
            .when_matched_update_all()
            .when_not_matched_insert_all()
            .when_not_matched_by_source_delete(_of_sources(sources, key).to_sql())
        )
        translated(lambda: merge.execute(rows), self.place)

    def remove_sources(self, sources: Sequence[str], key: str) -> None:
        """Delete all rows of ``sources`` under a root."""
        translated(lambda: self._inner.delete(_of_sources(sources, key)), self.place)

    def index_parts(self, column: str) -> int:
        """Count the parts of a column's index; 0 means that there is none."""
        statistics = self._index_statistics(column)
        return int(statistics.num_indices or 1) if statistics else 0

    def unindexed_rows(self) -> int:
        """Count the rows that are not in the full-text index, which searches scan."""
        statistics = self._index_statistics("text_words")
        return int(statistics.num_unindexed_rows) if statistics else self.count()

    def index_text(self, analysis: Analysis) -> None:
        """Build the full-text index anew over all rows."""
        from lancedb.index import FTS

        self._index("text_words", FTS(**word_index(analysis)))
        if analysis.tokens:
            self._index("text_tokens", FTS(**token_index()))

    def index_vectors(self, partitions: int) -> None:
        """Build the approximate index anew over all vectors."""
        from lancedb.index import IvfRq, IvfSq

        metric = self.identity.metric
        config: IvfRq | IvfSq = IvfSq(distance_type=metric, num_partitions=partitions)
        if self.identity.dimension % 8 == 0:  # Smaller and faster, but only for these dimensions.
            config = IvfRq(distance_type=metric, num_partitions=partitions, num_bits=_BITS)
        self._index("vector", config)

    def tidy(self) -> None:
        """Compact fragments, bring the indexes up to date and drop old versions.

        Only the one writer of a local table may call this: it also removes files of writes that
        were not committed. On a server, where no lock keeps others out, these files stay for a
        week, because another process may be at work on them.
        """
        options = {"cleanup_older_than": _KEEP_VERSIONS, "delete_unverified": self.is_local}
        translated(self._inner.checkout_latest, self.place)
        translated(lambda: self._inner.optimize(**options), self.place)

    def _near(self, vector: Vectors, limit: int, has_conditions: bool) -> Any:
        probes = max(_PROBES, math.ceil(_PROBES_FACTOR * self.state.partitions ** (2 / 3)))
        return (
            self._inner.search(vector, vector_column_name="vector")
            .distance_type(self.identity.metric)
            # With 0 a search goes on until enough rows meet the conditions.
            .maximum_nprobes(0 if has_conditions else probes)
            .minimum_nprobes(probes)
            .limit(limit)
        )

    def _matching(self, query: Terms, limit: int) -> Any:
        texts = {"text_words": query.words}
        if self.state.analysis.tokens and query.tokens:
            texts["text_tokens"] = query.tokens
        kinds: Any = engine
        if not isinstance(self._inner, engine.OpenTable):
            kinds = importlib.import_module("lancedb.query")
        parts = [kinds.MatchQuery(text, column) for column, text in texts.items()]
        # Of one part, the same answers take LanceDB twice as long as a combination.
        asked = parts[0] if len(parts) == 1 else kinds.BooleanQuery([("SHOULD", p) for p in parts])
        return self._inner.search(asked, query_type="fts").limit(limit)

    def _index(self, column: str, config: Any) -> None:
        translated(
            lambda: self._inner.create_index(column, config=config, replace=True), self.place
        )

    def _index_statistics(self, column: str) -> Any:
        for index in translated(lambda: list(self._inner.list_indices()), self.place):
            if column in index.columns:
                return translated(partial(self._inner.index_stats, index.name), self.place)
        return None

    def _batches(self, query: Any) -> Iterator[pa.RecordBatch]:
        """Yield the answers to a query; each batch is read, and may fail, when it is its turn."""
        batches = iter(translated(query.to_batches, self.place))
        while (batch := translated(lambda: next(batches, None), self.place)) is not None:
            yield batch

    def _answers(self, query: Any, conditions: Sequence[Any] = ()) -> pa.Table:
        for condition in conditions:
            query = query.where(condition)
        return translated(query.to_arrow, self.place)

    def _all(self, columns: Sequence[str]) -> Any:
        return self._inner.search().select(list(columns))


def _compared(limit: int) -> int:
    """Return the number of rows that are compared exactly, a multiple of ``limit``."""
    return limit * max(_LEAST_REFINED, math.ceil(_REFINED / limit))


class Terms(NamedTuple):
    """A query as the full-text index reads it: its words, and its tokens if the model has any."""

    words: str
    tokens: str | None = None


def vector_array(vectors: Vectors) -> pa.Array:
    """Return vectors of shape (rows, dimension) as the table's column type."""
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def matrix(column: pa.ChunkedArray) -> Vectors:
    """Return a column of vectors, of shape (rows, dimension)."""
    return _numbers(column.combine_chunks().flatten()).reshape(-1, column.type.list_size)


def row_ids(rows: pa.Table) -> npt.NDArray[np.uint64]:
    """Return LanceDB's own ids of rows that were read with them."""
    return np.asarray(np.from_dlpack(rows["_rowid"].combine_chunks()), dtype=np.uint64)


def _numbers(column: pa.ChunkedArray | pa.Array) -> Vectors:
    """Return a column of numbers without nulls."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    # pyarrow's own conversion would import pandas, if it is installed.
    numbers: Vectors = np.from_dlpack(array).astype(np.float32, copy=False)
    return numbers


def _best_first(
    ids: npt.NDArray[np.uint64], scores: Vectors
) -> tuple[npt.NDArray[np.uint64], Vectors]:
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]


def _of_sources(sources: Sequence[str], key: str) -> Any:
    """Return the condition that rows are of some sources under a root."""
    from lancedb.expr import col

    return col("source").isin(list(sources)) & _under(key)


def _under(key: str) -> Any:
    """Return the condition that rows are under a root."""
    from lancedb.expr import col, lit

    first, behind = ids_under(key)
    return (col("id") >= lit(first)) & (col("id") < lit(behind))
