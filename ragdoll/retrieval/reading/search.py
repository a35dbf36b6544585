"""Searching a table: by vector, by text, or by both."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.static import StaticEncoder
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import ModelError, ModelMismatchError
from ragdoll.retrieval.reading.filters import conditions
from ragdoll.retrieval.reading.fusion import CANDIDATES, fuse
from ragdoll.retrieval.reading.inspection import model_of
from ragdoll.retrieval.reading.legs import Found, Legs, MemoryLegs, TableLegs
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.table import Table

Mode = Literal["hybrid", "vector", "text"]

# Seconds after which what did not fit together is opened again: to exchange a model for another is
# to rename two folders.
_WAITS = (0.0, 0.1)

# From so many queries on, loading the rows costs less than it saves.
_SEVERAL = 8


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer; ``score`` orders the answers, higher is better.

    ``vector_score`` is the similarity by the table's metric, ``text_score`` is BM25; None where
    that search was not made: by the mode, or in ``hybrid`` mode because the query has no known
    word. In ``hybrid`` mode ``score`` is from 0 to 1, and a passage that the text search did not
    find has the BM25 score 0. ``start`` and ``end`` are offsets into the document's text;
    ``metadata`` is a JSON string.
    """

    rank: int
    score: float
    id: str
    source: str
    title: str
    start: int
    end: int
    text: str
    vector_score: float | None
    text_score: float | None
    metadata: str

    def fields(self) -> dict[str, Any]:
        """The metadata as JSON values; none where anyone wrote something else into the table."""
        try:
            found = parse_json((self.metadata or "{}").encode())
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def open_searcher(
    database: str,
    table: str,
    model: Path | None = None,
    mode: Mode = "hybrid",
    where: str | None = None,
    source: str | None = None,
) -> Searcher:
    """Open a table for searching, with its model; see ``Searcher``.

    A run may be putting a new table and its model in the place of those that are being opened: what
    does not fit together is opened once more.

    Raises:
        RagdollError: as ``Database`` and ``Searcher`` do.
    """
    for wait in _WAITS:
        opened = Database(database, to_search=True).open(table)
        with suppress(ModelError, ModelMismatchError):
            return Searcher(opened, model, mode, where, source)
        time.sleep(wait)
    opened = Database(database, to_search=True).open(table)
    return Searcher(opened, model, mode, where, source)


class Searcher:
    """Answers queries over one table with the table's own model."""

    def __init__(
        self,
        table: Table,
        model: Path | None = None,
        mode: Mode = "hybrid",
        where: str | None = None,
        source: str | None = None,
    ) -> None:
        """Load the model that the table names; it must be there even where ``text`` needs none.

        ``where`` and ``source`` restrict what is found; see ``filters.conditions``.

        Raises:
            ModelMismatchError: the model is gone or another one.
            ModelError: it cannot be read.
            UsageError: ``where`` is no condition that this table can check.
        """
        self.table = table
        self.identity = model_of(table, model)
        self.mode = mode
        self._conditions = conditions(table, where, source)
        self._encoder = StaticEncoder(self.identity.path) if mode != "text" else None
        self._legs: Legs = TableLegs(table, self._conditions)
        self._answered = 0

    def search(self, text: str, top_k: int, alpha: float | None = None) -> list[Hit]:
        """Return the best ``top_k`` passages.

        ``alpha`` weighs the vector in ``hybrid`` mode; None is the weight chosen for the table.

        A query without a known word has no vector: then only the text search finds something.
        """
        (hits,) = self.search_many([text], top_k, alpha)
        return hits

    def search_many(
        self, texts: Sequence[str], top_k: int, alpha: float | None = None
    ) -> Iterator[list[Hit]]:
        """Answer queries together, in turn; arguments and answers are those of ``search``.

        After several queries the table's rows are held in memory where they are not too many and
        no condition restricts the search: then each takes a fraction of the time.
        """
        self._prepare(len(texts))
        vectors = self._encode(texts)
        known = [bool(vector.any()) for vector in vectors]
        wide = max(CANDIDATES, top_k) if self.mode == "hybrid" else top_k
        near = self._legs.nearest(vectors[known], wide)
        if self.mode == "vector":
            yield from (_by_vector(next(near)) if is_known else [] for is_known in known)
            return
        weight = self.table.state.alpha if alpha is None else alpha
        limits = [wide if is_known else top_k for is_known in known]
        matching = self._legs.matching(texts, vectors, limits)
        for matched, is_known in zip(matching, known, strict=True):
            yield _by_both(next(near), matched, top_k, weight) if is_known else _by_text(matched)

    def _prepare(self, queries: int) -> None:
        before, self._answered = self._answered, self._answered + queries
        if before < _SEVERAL <= self._answered and not self._conditions:
            self._legs = MemoryLegs.load(self.table) or self._legs

    def _encode(self, texts: Sequence[str]) -> Vectors:
        if self._encoder is None:
            return np.zeros((len(texts), self.table.identity.dimension), dtype=np.float32)
        return self._encoder.encode(texts)


def _by_vector(near: Found) -> list[Hit]:
    return _hits(near.rows, near.scores, near.scores, None)


def _by_text(matched: Found) -> list[Hit]:
    return _hits(matched.rows, matched.scores, None, matched.scores)


def _by_both(near: Found, matched: Found, top_k: int, alpha: float) -> list[Hit]:
    found = {key: (leg, number) for leg in (matched, near) for number, key in enumerate(leg.keys)}
    bm25 = dict(zip(matched.keys, matched.scores.tolist(), strict=True))
    by_text = np.array([bm25.get(key, 0.0) for key in found], dtype=np.float32)
    similarities = {**_similarities(matched), **_similarities(near)}
    by_vector = np.array([similarities[key] for key in found], dtype=np.float32)
    score = fuse(by_vector, by_text, alpha)
    best = np.argsort(-score, kind="stable")[:top_k]
    places = list(found.values())
    rows = [leg.rows[number] for leg, number in (places[place] for place in best)]
    return _hits(rows, score[best], by_vector[best], by_text[best])


def _similarities(found: Found) -> dict[Hashable, float]:
    exact = [] if found.similarities is None else found.similarities.tolist()
    return dict(zip(found.keys, exact, strict=True))


def _hits(
    rows: Sequence[Mapping[str, Any]],
    scores: Vectors,
    by_vector: Vectors | None,
    by_text: Vectors | None,
) -> list[Hit]:
    return [
        Hit(
            rank=number + 1,
            score=float(scores[number]),
            id=row["id"],
            source=row["source"],
            title=row["title"] or "",
            start=row["start"] or 0,
            end=row["end"] or 0,
            text=row["text"] or "",
            vector_score=None if by_vector is None else float(by_vector[number]),
            text_score=None if by_text is None else float(by_text[number]),
            metadata=row["metadata"] or "",
        )
        for number, row in enumerate(rows)
    ]
