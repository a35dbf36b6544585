"""Searching a table: by vector, by text, or by both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.similarity import similarity
from ragdoll.embedding.static import StaticEncoder
from ragdoll.retrieval.filters import conditions
from ragdoll.retrieval.fusion import fuse
from ragdoll.retrieval.model_of_table import model_of
from ragdoll.retrieval.table import Table

Mode = Literal["hybrid", "vector", "text"]
Vectors = npt.NDArray[np.float32]

# Each leg of a hybrid search yields this many candidates at least.
CANDIDATES = 100


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
            UsageError: ``where`` is no condition that this table can check.
        """
        self.table = table
        self.identity = model_of(table, model)
        self.mode = mode
        self._conditions = conditions(table, where, source)
        self._encoder = StaticEncoder(self.identity.path) if mode != "text" else None

    def search(self, text: str, top_k: int, alpha: float | None = None) -> list[Hit]:
        """Return the best ``top_k`` passages.

        ``alpha`` weighs the vector in ``hybrid`` mode; None is the weight chosen for the table.

        A query without a known word has no vector: then only the text search finds something.
        """
        if self._encoder is None:
            return self._by_text(text, top_k)
        vector = self._encoder.encode([text])[0]
        if not vector.any():
            return [] if self.mode == "vector" else self._by_text(text, top_k)
        if self.mode == "vector":
            return self._by_vector(vector, top_k)
        return self._by_both(
            text, vector, top_k, self.table.state.alpha if alpha is None else alpha
        )

    def _by_text(self, text: str, top_k: int) -> list[Hit]:
        rows, scores, _ = self.table.matching(text, top_k, self._conditions)
        return _hits(rows.to_pylist(), scores, None, scores)

    def _by_vector(self, vector: Vectors, top_k: int) -> list[Hit]:
        rows, nearness = self.table.nearest(vector, top_k, self._conditions)
        return _hits(rows.to_pylist(), nearness, nearness, None)

    def _by_both(self, text: str, vector: Vectors, top_k: int, alpha: float) -> list[Hit]:
        limit = max(CANDIDATES, top_k)
        near, nearness = self.table.nearest(vector, limit, self._conditions)
        matching, bm25, vectors = self.table.matching(text, limit, self._conditions)
        by_words = {row["id"]: row for row in matching.to_pylist()}
        rows: dict[str, dict[str, Any]] = by_words | {row["id"]: row for row in near.to_pylist()}
        matched = dict(zip(by_words, bm25.tolist(), strict=True))
        exact = similarity(vector[None], vectors, self.table.identity.metric)[0]
        similarities = dict(zip(by_words, exact.tolist(), strict=True))
        similarities |= dict(zip(near["id"].to_pylist(), nearness.tolist(), strict=True))
        ids = list(rows)
        by_vector = np.array([similarities[i] for i in ids], dtype=np.float32)
        by_text = np.array([matched.get(i, 0.0) for i in ids], dtype=np.float32)
        score = fuse(by_vector, by_text, alpha)
        best = np.argsort(-score, kind="stable")[:top_k]
        return _hits([rows[ids[i]] for i in best], score[best], by_vector[best], by_text[best])


def _hits(
    rows: list[dict[str, Any]],
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
            title=row["title"],
            start=row["start"],
            end=row["end"],
            text=row["text"],
            vector_score=None if by_vector is None else float(by_vector[number]),
            text_score=None if by_text is None else float(by_text[number]),
            metadata=row["metadata"],
        )
        for number, row in enumerate(rows)
    ]
