"""The two legs of a search, by vector and by words: in the table, or with its rows in memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.embedding.vectors import Vectors, similarity, unit
from ragdoll.retrieval.storage.schema import COLUMNS
from ragdoll.retrieval.storage.table import Table, matrix, row_ids

# Bytes of rows in memory at most.
_MAX_IN_MEMORY = 1 << 30

# Searches by words at a time: while one is fused, LanceDB is at work on the next.
_THREADS = 4


class Found(NamedTuple):
    """What one leg found for a query, the best first.

    ``keys`` tell rows apart within a search. ``scores`` are similarities by the table's metric or
    BM25; ``similarities`` are exact, and None where the query has no vector.
    """

    keys: Sequence[Hashable]
    rows: Sequence[Mapping[str, Any]]
    scores: Vectors
    similarities: Vectors | None


class Legs(Protocol):
    """How a table is searched."""

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Found]:
        """The rows nearest to each vector."""

    def matching(
        self, texts: Sequence[str], vectors: Vectors, limits: Sequence[int]
    ) -> Iterator[Found]:
        """The rows that match each text best, and how near they are to its vector, if not zero."""


class TableLegs:
    """Both legs by LanceDB: nothing is loaded beforehand, and conditions are met."""

    def __init__(self, table: Table, conditions: Sequence[str]) -> None:
        self._table = table
        self._conditions = conditions

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Found]:
        """See ``Legs``; approximate where the table has an index of its vectors."""
        for vector in vectors:
            rows, nearness = self._table.nearest(vector, limit, self._conditions)
            yield Found(rows["id"].to_pylist(), rows.to_pylist(), nearness, nearness)

    def matching(
        self, texts: Sequence[str], vectors: Vectors, limits: Sequence[int]
    ) -> Iterator[Found]:
        """See ``Legs``."""
        for text, vector, limit in zip(texts, vectors, limits, strict=True):
            columns = [*COLUMNS, "vector"] if vector.any() else COLUMNS
            rows, bm25 = self._table.matching(text, limit, columns, self._conditions)
            exact = None
            if vector.any():
                theirs = matrix(rows["vector"])
                exact = similarity(vector[None], theirs, self._table.identity.metric)[0]
                rows = rows.drop_columns(["vector"])
            yield Found(rows["id"].to_pylist(), rows.to_pylist(), bm25, exact)


class MemoryLegs:
    """Both legs over rows in memory; only the inverted index stays with LanceDB.

    For many queries: what LanceDB does for each is mostly to read rows that are not among the
    answers in the end.
    """

    def __init__(self, table: Table, rows: pa.Table) -> None:
        self._table = table
        self._rows = rows.select(COLUMNS)
        vectors = matrix(rows["vector"])
        metric = table.identity.metric
        # Once, and not for every query; what has no direction is near to nothing, as in LanceDB.
        self._found = vectors.any(axis=1) if metric == "cosine" else np.ones(len(vectors), bool)
        self._vectors = unit(vectors) if metric == "cosine" else vectors
        self._metric: Any = "dot" if metric == "cosine" else metric
        ids = row_ids(rows)
        self._order = np.argsort(ids)
        self._ids = ids[self._order]

    @classmethod
    def load(cls, table: Table) -> MemoryLegs | None:
        """Load a table; None where it is too large, or has an index that is faster."""
        if table.state.partitions:
            return None
        rows = table.all_rows([*COLUMNS, "vector"], _MAX_IN_MEMORY)
        return None if rows is None else cls(table, rows)

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Found]:
        """See ``Legs``."""
        for similarities in self._similarities(vectors, self._vectors):
            similarities[~self._found] = -np.inf
            limit = min(limit, int(self._found.sum()))
            top = np.argpartition(-similarities, limit - 1)[:limit] if limit else np.arange(0)
            best = top[np.argsort(-similarities[top], kind="stable")]
            scores = similarities[best]
            yield Found(best.tolist(), _Rows(self._rows, best), scores, scores)

    def matching(
        self, texts: Sequence[str], vectors: Vectors, limits: Sequence[int]
    ) -> Iterator[Found]:
        """See ``Legs``."""
        with ThreadPoolExecutor(_THREADS) as threads:
            found = threads.map(self._table.matching_ids, texts, limits)
            for vector, (ids, bm25) in zip(vectors, found, strict=True):
                places = self._order[np.searchsorted(self._ids, ids)]
                exact = None
                if vector.any():
                    exact = self._similarities(vector[None], self._vectors[places])[0]
                yield Found(places.tolist(), _Rows(self._rows, places), bm25, exact)

    def _similarities(self, queries: Vectors, vectors: Vectors) -> Vectors:
        queries = unit(queries) if self._table.identity.metric == "cosine" else queries
        return similarity(queries, vectors, self._metric)


class _Rows(Sequence[Mapping[str, Any]]):
    """Rows of a table as dictionaries, each made when it is asked for."""

    def __init__(self, rows: pa.Table, places: npt.NDArray[np.int64]) -> None:
        self._rows = rows
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        place = int(self._places[number])
        return {name: self._rows[name][place].as_py() for name in self._rows.column_names}
