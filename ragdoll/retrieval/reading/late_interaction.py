"""How much of a query the tokens of a passage cover: late interaction over static token vectors.

For each token of the query the most similar token of the passage counts, by the cosine of their
vectors in the model. Khattab and Zaharia introduced such late interaction for the vectors of a
transformer, "ColBERT" (2020); with static vectors nothing but the tokens of a passage is needed. A
passage that has all tokens of the query covers it wholly (1), and one that has only synonyms nearly
so. Unlike BM25 this has an absolute scale.

A query's tokens weigh as much as their vectors are long, for models learn long vectors for telling
tokens, times ln(1 + n / (1 + d)), with the number of candidates n and of those d that have the
token itself: what all candidates have in common tells none of them apart.

Tokens that stand together in a query belong together. For each two of them with at most one between
them, the proximity of a passage counts how near they come to each other in it, in any order
(Metzler and Croft, "A Markov Random Field Model for Term Dependencies", 2005). A pair weighs as
much as the lighter of its tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.vectors import Vectors, unit
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.analysis import TOKEN_LENGTH, tokens_of_text

# A cosine above this is that of a token with itself.
_SAME = 1 - 1e-5

# Tokens of a query are a pair if they are at most so far apart, and near each other in a passage if
# they are less than a window apart there.
_APART = 2
_WINDOW = 16

TokenIds = npt.NDArray[np.int32]
"""The ids of the tokens of a text, in their order."""


class TokenLists(Sequence[TokenIds]):
    """The tokens of several texts, read all at once from what ``tokens_as_text`` wrote."""

    def __init__(self, texts: Iterable[str | None]) -> None:
        """Read the ids; a text that another tool wrote has none."""
        ours = [
            text if text and text.isascii() and not len(text) % TOKEN_LENGTH else ""
            for text in texts
        ]
        self._ids = tokens_of_text("".join(ours))
        sizes = [len(text) // TOKEN_LENGTH for text in ours]
        self._ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: Any) -> Any:
        return self._ids[self._ends[number] : self._ends[number + 1]]


class Interaction(NamedTuple):
    """How well passages fit the tokens of a query: two numbers from 0 to 1 for each passage.

    ``coverage`` is the share of the query that a passage covers. ``proximity`` is nearly 1 where
    tokens that stand together in the query do so in the passage too, and 0 where none do.
    """

    coverage: Vectors
    proximity: Vectors


def interaction(query: TokenIds, passages: Sequence[TokenIds], model: TableModel) -> Interaction:
    """Compare the tokens of a query with those of passages; one without tokens has 0 of both."""
    covered = np.zeros(len(passages), np.float32)
    near = np.zeros(len(passages), np.float32)
    sizes = np.array([len(passage) for passage in passages])
    has_tokens = sizes > 0
    if len(query) and has_tokens.any():
        tokens: npt.NDArray[Any] = np.unique(query)
        asked = model.token_vectors(tokens)
        ids = np.concatenate(passages)
        cosines, places = _cosines(unit(asked), ids, model)
        counts = sizes[has_tokens]
        starts = np.cumsum(counts) - counts
        best = np.maximum.reduceat(cosines.take(places, axis=0), starts, axis=0)
        having = (best > _SAME).sum(axis=0)
        weights = np.linalg.norm(asked, axis=1) * np.log1p(len(passages) / (1 + having))
        total = weights.sum()
        if total > 0:
            covered[has_tokens] = np.clip(best @ weights / total, 0, 1)
        # The place of each token of the passages among those of the query, -1 for other tokens.
        place_of = np.full(max(ids.max(), tokens[-1]) + 1, -1)
        place_of[tokens] = np.arange(len(tokens))
        passage_of = np.repeat(np.flatnonzero(has_tokens), counts)
        near = _proximity(place_of[query], weights, place_of[ids], passage_of, len(passages))
    return Interaction(covered, near)


def _proximity(
    query: npt.NDArray[np.intp],
    weights: Vectors,
    found: npt.NDArray[np.intp],
    passage_of: npt.NDArray[np.intp],
    passages: int,
) -> Vectors:
    """Return the proximity in each passage.

    ``query`` are places of its tokens in ``weights``. ``found`` are the places of the tokens of all
    ``passages``, one after another, -1 for those that the query has not, and ``passage_of`` is the
    passage of each.
    """
    pairs = np.full((len(weights), len(weights)), -1)
    shares: list[float] = []
    for apart in range(1, _APART + 1):
        for one, other in zip(query, query[apart:], strict=False):
            if one != other and pairs[one, other] < 0:
                pairs[one, other] = pairs[other, one] = len(shares)
                shares.append(min(weights[one], weights[other]))
    best = np.zeros((passages, len(shares)), np.float32)
    (at,) = np.nonzero(found >= 0)
    token, passage = found[at], passage_of[at]
    # Passages are moved so far apart that no token of one is near a token of another.
    where = at + _WINDOW * passage
    for apart in range(1, _WINDOW + 1):
        distance = where[apart:] - where[:-apart]
        pair = pairs[token[apart:], token[:-apart]]
        (near,) = np.nonzero((distance <= _WINDOW) & (pair >= 0))
        closeness = 1 - (distance[near] - 1) / np.float32(_WINDOW)
        np.maximum.at(best, (passage[near], pair[near]), closeness)
    total = sum(shares)
    of_pairs = np.asarray(shares, np.float32) / np.float32(total) if total > 0 else shares
    return np.asarray(best @ of_pairs, np.float32)


def _cosines(
    asked: Vectors, ids: TokenIds, model: TableModel
) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Compare each distinct token with those of a query; return cosines and the place of each id.

    The cosines are of shape (distinct ids, tokens of the query).
    """
    # Sorting the ids would take longer than all the rest.
    is_there = np.zeros(ids.max() + 1, np.bool_)
    is_there[ids] = True
    distinct = np.flatnonzero(is_there)
    numbers = np.empty(len(is_there), np.int64)
    numbers[distinct] = np.arange(len(distinct))
    vectors = model.token_vectors(distinct)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    cosines = (vectors @ asked.T) / np.maximum(lengths, 1e-12)[:, None]
    return cosines.astype(np.float32, copy=False), numbers[ids]
