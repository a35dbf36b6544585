"""One score out of three legs: the vector's similarity, BM25, and the tokens of the query.

Scores are combined as they are, not by ranks, after Bruch, Gai and Ingber, "An Analysis of Fusion
Functions for Hybrid Retrieval" (2023). BM25, coverage and proximity make up the words' score, and
that and the similarity the score of all.

The weights follow from each query. That of coverage beside BM25, and that of the vector beside the
words, are the higher, the more both sides agree: the higher either side scores the best passage of
the other. A vector whose best passage hardly has the query's words is often wrong, and a model that
does not know the texts is wrong for most queries. No weight chosen for a table as a whole did
better: known items cut from its passages do not tell whether people's questions share the words of
their answers.

Then the best passages say more of what was meant than the query alone. The mean of their vectors is
added to the query's, and all candidates are compared with the sum (pseudo-relevance feedback, after
Rocchio, 1971). tests/benchmarks/README.md has what each part is worth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import Vectors, highest, similarity, unit

# The least number of answers of each leg of a hybrid search, for the scores of all to be combined.
CANDIDATES = 100

# The weight of coverage, and of the vector, where both sides agree wholly. From 0.5 to 0.7 little
# changes.
_MOST = 0.6

# The weight of proximity, as Metzler and Croft give it to pairs of words.
_PROXIMITY = 0.1

# The number of passages whose vectors are added to the query's.
_FEEDBACK = 5


class Scores(NamedTuple):
    """The scores of the same candidates by each leg.

    ``similarity`` is by the table's metric. ``bm25`` is 0 for candidates that the text search did
    not find. ``coverage`` and ``proximity`` are from 0 to 1; None where the model has no tokens.
    """

    similarity: Vectors
    bm25: Vectors
    coverage: Vectors | None
    proximity: Vectors | None = None


def fuse(
    scores: Scores,
    query: Vectors,
    vectors: Vectors,
    metric: Metric,
    alpha: float | None = None,
) -> Vectors:
    """Combine the scores of candidates into one between 0 and 1 each.

    ``query`` is the vector of the query, of shape (dimension,), ``vectors`` are those of the
    candidates. ``alpha`` is the weight of the vector, from 0 to 1. None chooses it, and compares
    the candidates with the best of them too.
    """
    if not len(vectors):
        return np.zeros(0, dtype=np.float32)
    top = float(scores.bm25.max())
    words = scores.bm25 / top if top > 0 else np.zeros_like(scores.bm25)
    if scores.coverage is not None:
        covered = _spread(scores.coverage)
        share = _MOST * _agreement(words, covered)
        words = (1 - share) * words + share * covered
    if scores.proximity is not None and scores.proximity.any():
        words = (1 - _PROXIMITY) * words + _PROXIMITY * _spread(scores.proximity)
    near = _spread(scores.similarity)
    if alpha is None:
        alpha = _MOST * _agreement(words, near)
        near = _near_the_best(alpha * near + (1 - alpha) * words, query, vectors, metric)
    return np.asarray(alpha * near + (1 - alpha) * words, dtype=np.float32)


def _agreement(one: Vectors, other: Vectors) -> float:
    """Return how high either side scores the best candidate of the other, from 0 to 1."""
    return float(one[np.argmax(other)] + other[np.argmax(one)]) / 2


def _near_the_best(combined: Vectors, query: Vectors, vectors: Vectors, metric: Metric) -> Vectors:
    """Compare all candidates with the query and the best candidates together, from 0 to 1."""
    if metric == "cosine":
        # Scaled once: the length of the widened query changes no order.
        query, vectors, metric = unit(query[None])[0], unit(vectors), "dot"
    best = highest(combined, _FEEDBACK)
    widened = (query + vectors[best].mean(axis=0)) / 2
    return _spread(similarity(widened[None], vectors, metric)[0])


def _spread(values: Vectors) -> Vectors:
    """Scale values so that the lowest becomes 0 and the highest 1; equal ones all become 1."""
    low, high = values.min(), values.max()
    spread: Vectors = (values - low) / (high - low) if high > low else np.ones_like(values)
    return spread
