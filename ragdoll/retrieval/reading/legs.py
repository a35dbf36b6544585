"""The two legs of a search, by vector and by words: in the table, or with its rows in memory."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import Vectors, highest, similarity, unit
from ragdoll.retrieval.reading.late_interaction import TokenIds, TokenLists
from ragdoll.retrieval.storage.schema import COLUMNS
from ragdoll.retrieval.storage.table import Table, Terms, matrix, row_ids

# What a search by both legs reads of each row.
_ALL = (*COLUMNS, "text_tokens", "vector")

# Bytes of rows in memory at most.
_MAX_IN_MEMORY = 1 << 30

# Searches by words at a time: while one is fused, LanceDB works on the next.
_THREADS = 4

# Queries whose vectors are compared with all rows at a time: more would gain no time, and each
# takes memory for all rows.
_TOGETHER = 64

# Where so many rows are for each one that meets the conditions, only those are compared.
_RARE = 8

# Sets of conditions whose rows are remembered.
_MOST_VIEWS = 16


class Candidates(NamedTuple):
    """The rows that one leg returns for a query, the best first.

    ``keys`` tell rows apart within a search. ``scores`` are similarities by the table's metric or
    BM25. ``tokens`` and ``vectors`` are those of the rows; a search by one leg leaves them empty.
    """

    keys: Sequence[Hashable]
    rows: Sequence[Mapping[str, Any]]
    scores: Vectors
    tokens: Sequence[TokenIds] = ()
    vectors: Vectors = np.empty((0, 0), np.float32)

    def joined(self, other: Candidates) -> Candidates:
        """Return these rows, and then those that only the other leg has, with the score 0."""
        first: dict[Hashable, int] = {}
        for place, key in enumerate([*self.keys, *other.keys]):
            first.setdefault(key, place)
        places = list(first.values())
        tokens = [*self.tokens, *other.tokens]
        scores = np.zeros(len(places), np.float32)
        scores[: len(self.keys)] = self.scores
        return Candidates(
            list(first),
            _Joined(self.rows, other.rows, places),
            scores,
            [tokens[place] for place in places],
            np.concatenate([self.vectors, other.vectors])[places],
        )


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads that wait for LanceDB's answers by words."""
    return ThreadPoolExecutor(_THREADS, "ragdoll-words")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)


class TableLegs:
    """Both legs by LanceDB: they load nothing beforehand, and meet conditions."""

    def __init__(self, table: Table, conditions: Sequence[str]) -> None:
        self._table = table
        self._conditions = conditions

    def nearest(self, vectors: Vectors, limit: int, alone: bool) -> Iterator[Candidates]:
        """Yield for each vector the rows nearest to it, approximately if the table has an index.

        ``alone`` leaves out what only a combination with the other leg needs.
        """
        columns = COLUMNS if alone else _ALL
        for vector in vectors:
            rows, alike = self._table.nearest(vector, limit, columns, self._conditions)
            yield _candidates(rows, alike, np.arange(len(rows)))

    def matching(
        self, queries: Sequence[Terms], limits: Sequence[int], alone: bool
    ) -> Iterator[Candidates]:
        """Begin to search by words, and yield for each query the rows that match it best by BM25.

        LanceDB is at work on it meanwhile, so that the other leg takes no time of its own.
        """
        columns = COLUMNS if alone else _ALL
        found = _threads().map(
            lambda query, limit: self._table.matching(query, limit, columns, self._conditions),
            queries,
            limits,
        )
        return (_candidates(rows, bm25, _best_first(bm25, row_ids(rows))) for rows, bm25 in found)


class MemoryLegs:
    """Both legs over rows in memory; only the indexes stay with LanceDB.

    They are for many queries: LanceDB spends most of its time for each on reading rows that are not
    among the answers in the end. If the table has an approximate index, that still names the
    candidates: it looks at less than all vectors.
    """

    def __init__(self, table: Table, rows: pa.Table) -> None:
        self._table = table
        self._columns = _columns(rows)
        self._tokens = TokenLists(rows["text_tokens"].to_pylist())
        self._vectors = matrix(rows["vector"])
        self._metric = table.identity.metric
        self._is_searched = np.full(len(rows), True)
        if self._metric == "cosine":
            # As in LanceDB, a vector without a direction is near to nothing.
            self._is_searched = np.asarray(self._vectors.any(axis=1))
            self._vectors = unit(self._vectors)  # Once, and not for every query.
        ids = row_ids(rows)
        self._order = np.argsort(ids)
        self._ids = ids[self._order]
        self._conditions: Sequence[str] = ()
        self._views: dict[tuple[str, ...], MemoryLegs] = {}

    @classmethod
    def load(cls, table: Table) -> MemoryLegs | None:
        """Load a table; return None if it is too large."""
        rows = table.all_rows(_ALL, _MAX_IN_MEMORY)
        return None if rows is None else cls(table, rows)

    def where(self, conditions: Sequence[str]) -> MemoryLegs:
        """Return the legs over the rows that meet all of some conditions in SQL."""
        if not conditions:
            return self
        key = tuple(conditions)
        if key not in self._views:
            view = copy(self)
            view._restrict(conditions)  # noqa: SLF001  (of the same class)
            while len(self._views) >= _MOST_VIEWS:
                self._views.pop(next(iter(self._views)), None)
            self._views[key] = view
        return self._views[key]

    def nearest(self, vectors: Vectors, limit: int, alone: bool) -> Iterator[Candidates]:
        """Yield for each vector the rows nearest to it; see ``TableLegs.nearest``."""
        if self._metric == "cosine":
            vectors = unit(vectors)
        if self._table.state.partitions:
            for vector in vectors:
                places = self._places(self._table.near_ids(vector, limit, self._conditions))
                places = places[self._is_searched[places]]
                yield self._best(places, self._compare(vector[None], places)[0], limit, alone)
            return
        searched = np.flatnonzero(self._is_searched)
        is_rare = len(searched) * _RARE < len(self._is_searched)
        for start in range(0, len(vectors), _TOGETHER):
            several = vectors[start : start + _TOGETHER]
            for alike in self._compare(several, searched if is_rare else slice(None)):
                its = alike if len(alike) == len(searched) else alike[searched]
                yield self._best(searched, its, limit, alone)

    def matching(
        self, queries: Sequence[Terms], limits: Sequence[int], alone: bool
    ) -> Iterator[Candidates]:
        """See ``TableLegs.matching``."""
        found = _threads().map(
            lambda query, limit: self._table.matching(query, limit, (), self._conditions),
            queries,
            limits,
        )
        return (self._by_words(row_ids(rows), bm25, alone) for rows, bm25 in found)

    def _restrict(self, conditions: Sequence[str]) -> None:
        """Search from now on only rows that meet some conditions."""
        self._conditions, self._views = conditions, {}
        if not self._table.state.partitions:
            meets = np.full(len(self._ids), False)
            meets[self._places(self._table.ids_where(conditions))] = True
            self._is_searched = self._is_searched & meets

    def _compare(self, vectors: Vectors, places: slice | npt.NDArray[np.int64]) -> Vectors:
        metric: Metric = "l2" if self._metric == "l2" else "dot"
        return similarity(vectors, self._vectors[places], metric)

    def _places(self, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the places in memory of rows by LanceDB's ids."""
        return self._order[np.searchsorted(self._ids, ids)]

    def _best(
        self, places: npt.NDArray[np.int64], similarities: Vectors, limit: int, alone: bool
    ) -> Candidates:
        best = highest(similarities, limit)
        return self._candidates(places[best], similarities[best], alone)

    def _by_words(self, ids: npt.NDArray[np.uint64], bm25: Vectors, alone: bool) -> Candidates:
        order = _best_first(bm25, ids)
        return self._candidates(self._places(ids[order]), bm25[order], alone)

    def _candidates(
        self, places: npt.NDArray[np.int64], scores: Vectors, alone: bool
    ) -> Candidates:
        found = Candidates(places.tolist(), _Rows(self._columns, places), scores)
        if alone:
            return found
        tokens = [self._tokens[place] for place in places]
        return found._replace(tokens=tokens, vectors=self._vectors[places])


def _best_first(scores: Vectors, ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the order of rows by their scores, and of equal ones by LanceDB's ids."""
    return np.lexsort((ids, -scores))


def _candidates(rows: pa.Table, scores: Vectors, order: npt.NDArray[np.int64]) -> Candidates:
    ids = rows["id"].to_pylist()
    found = Candidates([ids[n] for n in order], _Rows(_columns(rows), order), scores[order])
    if "vector" not in rows.column_names:
        return found
    tokens = TokenLists(rows["text_tokens"].to_pylist())
    return found._replace(tokens=[tokens[n] for n in order], vectors=matrix(rows["vector"])[order])


def _columns(rows: pa.Table) -> dict[str, pa.Array]:
    """Return the columns that hits are made of; a value of an array in one piece is read faster."""
    return {name: rows[name].combine_chunks() for name in COLUMNS}


class _Rows(Sequence[Mapping[str, Any]]):
    """Rows of a table as dictionaries, each made when it is used."""

    def __init__(self, columns: Mapping[str, pa.Array], places: npt.NDArray[np.int64]) -> None:
        self._columns = columns
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        place = int(self._places[number])
        return {name: column[place].as_py() for name, column in self._columns.items()}


class _Joined(Sequence[Mapping[str, Any]]):
    """Some rows of two sequences, each made when it is used."""

    def __init__(
        self,
        one: Sequence[Mapping[str, Any]],
        other: Sequence[Mapping[str, Any]],
        places: Sequence[int],
    ) -> None:
        self._one, self._other, self._places = one, other, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> Any:
        place, before = self._places[number], len(self._one)
        return self._one[place] if place < before else self._other[place - before]
