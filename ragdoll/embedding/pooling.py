"""The mean of a text's token vectors, by way of the words that texts have in common.

The vectors of a batch's distinct words are summed up first: a sparse matrix (words by tokens) times
the table of token vectors. Another (texts by words), times these sums, is the sums over the texts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.independence import words_of
from ragdoll.embedding.token_means import TokenMeans
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens
from ragdoll.grouping import grouped

# A batch: enough that its texts have words in common, and characters to bound its memory.
_TEXTS = 2048
_CHARACTERS = 1 << 22

# Batches at a time. Python runs in one of them only, so that more gain nothing.
_THREADS = 4


class WordPooling:
    """A static model for whose tokenizer words are independent (``WordTokens.boundaries``)."""

    def __init__(self, model: TokenMeans, words: WordTokens) -> None:
        self._model = model
        self._words = words
        table = model.table
        if model.mapping is not None:
            table = table[model.mapping]
        if model.weights is not None:
            table = table * model.weights[:, None]
        # Compiled code does not check that a row is there.
        if max(model.tokenizer.get_vocab().values(), default=-1) >= len(table):
            raise model.tokens_without_vector()
        # In its file the table may lie unaligned, which compiled code cannot take.
        self._table = np.require(table, np.float32, ["C", "A"])
        # Where a tokenizer has no unknown token, no id is left out.
        self._unknown = -1 if model.unknown is None else model.unknown

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed one text or more: float32, shape ``(len(texts), dimension)``."""
        limit = self._model.max_length
        texts = self._model.cut(texts)
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
            batches = grouped(texts, str, _TEXTS, _CHARACTERS)
            parts = list(threads.map(self._encode, batches))
        vectors = np.concatenate([part for part, _ in parts])
        tokens = np.concatenate([part for _, part in parts])
        if limit is not None and (tokens > limit).any():
            too_long = np.flatnonzero(tokens > limit).tolist()
            vectors[too_long] = self._model.encode([texts[place] for place in too_long])
        return vectors

    def _encode(self, texts: list[str]) -> tuple[Vectors, npt.NDArray[np.float64]]:
        """Embed a batch; return the vectors and the numbers of tokens."""
        from scipy.sparse import csr_array

        words = words_of(texts)
        ids, offsets = self._words.tokens(words.distinct.to_pylist())
        known = (ids != self._unknown).astype(np.float32)
        tokens_of_words = csr_array(
            (known, ids, offsets), shape=(len(words.distinct), len(self._table))
        )
        words_of_texts = csr_array(
            (np.ones(len(words.places), np.float32), words.places, words.offsets),
            shape=(len(texts), len(words.distinct)),
        )
        sums = words_of_texts @ (tokens_of_words @ self._table)
        counts = words_of_texts @ tokens_of_words.sum(axis=1)
        vectors = self._model.finished(sums / np.maximum(counts, 1)[:, None])
        return vectors, words_of_texts @ np.diff(offsets)
