"""How much of a query the tokens of a passage cover: late interaction over static token vectors.

For each token of the query the most similar token of the passage counts, by the cosine of their
vectors in the model. Khattab and Zaharia introduced such late interaction for the vectors of a
transformer, "ColBERT" (2020); with static vectors nothing but the tokens of a passage is needed. A
passage that has all tokens of the query covers it wholly (1), and one that has only synonyms nearly
so. Unlike BM25 this has an absolute scale.

A query's tokens weigh as much as their vectors are long, for models learn long vectors for telling
tokens, times ln(1 + n / (1 + d)), with the number of candidates n and of those d that have the
token itself: what all candidates have in common tells none of them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.vectors import Vectors, unit
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.analysis import TOKEN_LENGTH, tokens_of_text

# A cosine above this is that of a token with itself.
_SAME = 1 - 1e-5


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


def coverage(query: TokenIds, passages: Sequence[TokenIds], model: TableModel) -> Vectors:
    """Return the share of a query that each passage covers, from 0 to 1.

    A passage without tokens covers nothing.
    """
    covered = np.zeros(len(passages), np.float32)
    sizes = np.array([len(passage) for passage in passages])
    has_tokens = sizes > 0
    if not len(query) or not has_tokens.any():
        return covered
    asked = model.token_vectors(np.unique(query))
    lengths = np.linalg.norm(asked, axis=1)
    cosines, places = _cosines(unit(asked), np.concatenate(passages), model)
    counts = sizes[has_tokens]
    starts = np.cumsum(counts) - counts
    best = np.maximum.reduceat(cosines.take(places, axis=0), starts, axis=0)
    having = (best > _SAME).sum(axis=0)
    weights = lengths * np.log1p(len(passages) / (1 + having))
    total = weights.sum()
    if total > 0:
        covered[has_tokens] = np.clip(best @ weights / total, 0, 1)
    return covered


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
