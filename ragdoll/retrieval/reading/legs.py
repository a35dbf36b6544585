"""The two legs of a search, by vector and by words: in the table, or with its rows in memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.embedding.vectors import Vectors, similarity, unit
from ragdoll.retrieval.storage.schema import COLUMNS
from ragdoll.retrieval.storage.table import Table, matrix, row_ids

# Bytes of rows in memory at most.
_MAX_IN_MEMORY = 1 << 30

# Searches by words at a time: while one is fused, LanceDB works on the next.
_THREADS = 4


class Candidates(NamedTuple):
    """The rows that one leg returns for a query, the best first.

    ``keys`` tell rows apart within a search. ``scores`` are similarities by the table's metric or
    BM25; ``similarities`` are exact, and None where the query has no vector.
    """

    keys: Sequence[Hashable]
    rows: Sequence[Mapping[str, Any]]
    scores: Vectors
    similarities: Vectors | None


class TableLegs:
    """Both legs by LanceDB: they load nothing beforehand, and meet conditions."""

    def __init__(self, table: Table, conditions: Sequence[str]) -> None:
        self._table = table
        self._conditions = conditions

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Candidates]:
        """Yield for each vector the rows nearest to it, approximately if the table has an index."""
        for vector in vectors:
            rows, nearness = self._table.nearest(vector, limit, self._conditions)
            yield Candidates(rows["id"].to_pylist(), rows.to_pylist(), nearness, nearness)

    def matching(
        self, texts: Sequence[str], vectors: Vectors, limits: Sequence[int]
    ) -> Iterator[Candidates]:
        """Yield for each text the rows that match it best by BM25.

        Their similarities to the text's vector come with them, unless the vector is zero.
        """
        for text, vector, limit in zip(texts, vectors, limits, strict=True):
            columns = [*COLUMNS, "vector"] if vector.any() else COLUMNS
            rows, bm25 = self._table.matching(text, limit, columns, self._conditions)
            exact = None
            if vector.any():
                theirs = matrix(rows["vector"])
                exact = similarity(vector[None], theirs, self._table.identity.metric)[0]
                rows = rows.drop_columns(["vector"])
            yield Candidates(rows["id"].to_pylist(), rows.to_pylist(), bm25, exact)


class MemoryLegs:
    """Both legs over rows in memory; only the inverted index stays with LanceDB.

    They are for many queries: LanceDB spends most of its time for each on reading rows that are not
    among the answers in the end.
    """

    def __init__(self, table: Table, rows: pa.Table) -> None:
        self._table = table
        self._rows = rows.select(COLUMNS)
        vectors = matrix(rows["vector"])
        is_cosine = table.identity.metric == "cosine"
        # As in LanceDB, a vector without a direction is near to nothing.
        self._has_place = vectors.any(axis=1) if is_cosine else np.ones(len(vectors), bool)
        # Scaled once, and not for every query.
        self._vectors = unit(vectors) if is_cosine else vectors
        ids = row_ids(rows)
        self._order = np.argsort(ids)
        self._ids = ids[self._order]

    @classmethod
    def load(cls, table: Table) -> MemoryLegs | None:
        """Load a table; return None if it is too large, or has an index that is faster."""
        if table.state.partitions:
            return None
        rows = table.all_rows([*COLUMNS, "vector"], _MAX_IN_MEMORY)
        return None if rows is None else cls(table, rows)

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Candidates]:
        """Yield for each vector the rows nearest to it."""
        for similarities in self._similarities(vectors, self._vectors):
            similarities[~self._has_place] = -np.inf
            limit = min(limit, int(self._has_place.sum()))
            top = np.argpartition(-similarities, limit - 1)[:limit] if limit else np.arange(0)
            best = top[np.argsort(-similarities[top], kind="stable")]
            scores = similarities[best]
            yield Candidates(best.tolist(), _Rows(self._rows, best), scores, scores)

    def matching(
        self, texts: Sequence[str], vectors: Vectors, limits: Sequence[int]
    ) -> Iterator[Candidates]:
        """See ``TableLegs.matching``."""
        with ThreadPoolExecutor(_THREADS) as threads:
            matches = threads.map(self._table.matching_ids, texts, limits)
            for vector, (ids, bm25) in zip(vectors, matches, strict=True):
                places = self._order[np.searchsorted(self._ids, ids)]
                exact = None
                if vector.any():
                    exact = self._similarities(vector[None], self._vectors[places])[0]
                yield Candidates(places.tolist(), _Rows(self._rows, places), bm25, exact)

    def _similarities(self, queries: Vectors, vectors: Vectors) -> Vectors:
        metric = self._table.identity.metric
        if metric == "cosine":
            return similarity(unit(queries), vectors, "dot")
        return similarity(queries, vectors, metric)


class _Rows(Sequence[Mapping[str, Any]]):
    """Rows of a table as dictionaries, each made when it is used."""

    def __init__(self, rows: pa.Table, places: npt.NDArray[np.int64]) -> None:
        self._rows = rows
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        place = int(self._places[number])
        return {name: self._rows[name][place].as_py() for name in self._rows.column_names}
