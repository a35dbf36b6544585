"""The two legs of a search, by vector and by words: in the table, or with its rows in memory.

A leg names rows by keys: LanceDB's own ids, or places in memory. What rows hold is read only of
those that are needed, since that takes longer than finding them: tokens and vectors of the rows
that both legs find, texts of the best of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import Vectors, highest, similarity, unit
from ragdoll.retrieval.reading.late_interaction import TokenIds, TokenLists
from ragdoll.retrieval.storage.schema import COLUMNS
from ragdoll.retrieval.storage.table import Table, Terms, matrix, row_ids

# What a combination of both legs compares.
_PARTS = ("text_tokens", "vector")

# Bytes of rows in memory at most.
_MAX_IN_MEMORY = 1 << 30

# Searches by words at a time: while one is fused, LanceDB works on the next.
_THREADS = 4

# Rows that are read from the table at first: those of an answer of usual length, and some copies.
_ROWS = 16

# Queries whose vectors are compared with all rows at a time: more would gain no time, and each
# takes memory for all rows.
_TOGETHER = 64

# If at most one row in this many meets the conditions, only those rows are compared.
_RARE = 8

# Sets of conditions whose rows are remembered.
_MOST_VIEWS = 16

Keys = npt.NDArray[np.generic]
"""Integers that name rows within one pair of legs."""


class Found(NamedTuple):
    """The rows that one leg finds for a query, the best first, of equal ones the first written.

    ``scores`` are similarities by the table's metric, or BM25.
    """

    keys: Keys
    scores: Vectors


class Legs(Protocol):
    """Both legs of a search, and what rows hold."""

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Found]:
        """Yield for each vector the rows nearest to it, approximately if the table has an index."""

    def matching(self, queries: Sequence[Terms], limits: Sequence[int]) -> Iterator[Found]:
        """Begin to search by words, and yield for each query the rows that match it best by BM25.

        LanceDB is at work on it meanwhile, so that the other leg takes no time of its own.
        """

    def parts(self, keys: Keys) -> tuple[Sequence[TokenIds], Vectors]:
        """Return the tokens and the vectors of rows."""

    def rows(self, keys: Keys) -> Iterator[Mapping[str, Any]]:
        """Yield the columns of rows that hits are made of, each when it is needed."""


class TableLegs:
    """Both legs by LanceDB: they load nothing beforehand, and meet conditions; see ``Legs``."""

    def __init__(self, table: Table, conditions: Sequence[str]) -> None:
        self._table = table
        self._conditions = conditions

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Found]:
        """See ``Legs.nearest``."""
        for vector in vectors:
            yield Found(*self._table.nearest(vector, limit, self._conditions))

    def matching(self, queries: Sequence[Terms], limits: Sequence[int]) -> Iterator[Found]:
        """See ``Legs.matching``."""
        return _matching(self._table, queries, limits, self._conditions)

    def parts(self, keys: Keys) -> tuple[Sequence[TokenIds], Vectors]:
        """See ``Legs.parts``."""
        rows, order = self._table.rows_at(keys, _PARTS)
        tokens = TokenLists(rows["text_tokens"].to_pylist())
        return [tokens[place] for place in order], matrix(rows["vector"])[order]

    def rows(self, keys: Keys) -> Iterator[Mapping[str, Any]]:
        """See ``Legs.rows``."""
        start, size = 0, _ROWS
        while start < len(keys):
            rows, order = self._table.rows_at(keys[start : start + size], COLUMNS)
            yield from _rows(_columns(rows), order)
            start, size = start + size, 2 * size


class MemoryLegs:
    """Both legs over rows in memory; only the indexes stay with LanceDB; see ``Legs``.

    They are for many queries. If the table has an approximate index, that still names the
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
        if table.count() * table.identity.dimension * 4 > _MAX_IN_MEMORY:
            return None  # by the vectors alone
        rows = table.all_rows((*COLUMNS, *_PARTS), _MAX_IN_MEMORY)
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

    def nearest(self, vectors: Vectors, limit: int) -> Iterator[Found]:
        """See ``Legs.nearest``."""
        if self._metric == "cosine":
            vectors = unit(vectors)
        if self._table.state.partitions:
            for vector in vectors:
                places = self._places(self._table.near_ids(vector, limit, self._conditions))
                places = places[self._is_searched[places]]
                yield _highest(places, self._compare(vector[None], places)[0], limit)
            return
        searched = np.flatnonzero(self._is_searched)
        is_rare = len(searched) * _RARE < len(self._is_searched)
        for start in range(0, len(vectors), _TOGETHER):
            several = vectors[start : start + _TOGETHER]
            for alike in self._compare(several, searched if is_rare else slice(None)):
                its = alike if len(alike) == len(searched) else alike[searched]
                yield _highest(searched, its, limit)

    def matching(self, queries: Sequence[Terms], limits: Sequence[int]) -> Iterator[Found]:
        """See ``Legs.matching``."""
        found = _matching(self._table, queries, limits, self._conditions)
        return (Found(self._places(one.keys), one.scores) for one in found)

    def parts(self, keys: Keys) -> tuple[Sequence[TokenIds], Vectors]:
        """See ``Legs.parts``."""
        return [self._tokens[place] for place in keys.tolist()], self._vectors[keys]

    def rows(self, keys: Keys) -> Iterator[Mapping[str, Any]]:
        """See ``Legs.rows``."""
        return _rows(self._columns, keys)

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

    def _places(self, ids: Keys) -> npt.NDArray[np.int64]:
        """Return the places in memory of rows by LanceDB's ids."""
        return self._order[np.searchsorted(self._ids, ids)]


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads that wait for LanceDB's answers by words."""
    return ThreadPoolExecutor(_THREADS, "ragdoll-words")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.cache_clear)


def _matching(
    table: Table, queries: Sequence[Terms], limits: Sequence[int], conditions: Sequence[str]
) -> Iterator[Found]:
    """Begin to search a table by words, and yield LanceDB's ids of the rows that match each query.

    The search has begun before the first answer is asked for.
    """
    found = _threads().map(
        lambda query, limit: table.matching(query, limit, conditions), queries, limits
    )
    return (Found(*one) for one in found)


def _highest(places: npt.NDArray[np.int64], similarities: Vectors, limit: int) -> Found:
    best = highest(similarities, limit)
    return Found(places[best], similarities[best])


def _columns(rows: pa.Table) -> dict[str, pa.Array]:
    """Return the columns that hits are made of; a value of an array in one piece is read faster."""
    return {name: rows[name].combine_chunks() for name in COLUMNS}


def _rows(columns: Mapping[str, pa.Array], places: Keys) -> Iterator[Mapping[str, Any]]:
    for place in places.tolist():
        yield {name: column[place].as_py() for name, column in columns.items()}
