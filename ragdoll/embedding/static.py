"""A static model: the vector of a text is the mean of the vectors of its tokens.

The vectors are those of ``model2vec.StaticModel.encode``. Importing that library takes longer than
answering a query, which would wait for it; so few texts are embedded one by one with numpy alone.
Many texts are embedded by way of the words that they share: a sparse matrix (words by tokens) times
the table of token vectors is the sums of the words, and another (texts by words) times these is the
sums of the texts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import ModelIdentity, identity_of
from ragdoll.embedding.token_table import TokenTable
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens, tokenizer_errors, words_of
from ragdoll.streams import grouped

# Below this number, one by one is faster than importing the library for sparse matrices.
_MANY_TEXTS = 256

# Texts that are tokenized at a time, so that the tokens of many take no memory.
_ONE_BY_ONE = 1024

# Texts in a batch: enough to have words in common, with characters few enough to bound its memory.
_TEXTS = 2048
_CHARACTERS = 1 << 22

# Batches at a time. Python runs in one of them only, so that more gain nothing.
_THREADS = 4

# Characters. A longer text has words enough for a call of its own, and all of its words at once
# would take several times its memory; a longer word is hardly one, and may be cut.
_MAX_PREPARED = 1 << 18
_MAX_WORD = 100


class Encoder(Protocol):
    """Anything that embeds texts, such as a ``StaticModel``.

    >>> import numpy as np
    >>> class Lengths:
    ...     identity = ModelIdentity(fingerprint="lengths-1", dimension=1)
    ...
    ...     def encode(self, texts):
    ...         return np.array([[len(text)] for text in texts], dtype=np.float32)
    >>> Index.create("lengths", model=Lengths()).update(["one", "three"]).chunks
    2
    """

    @property
    def identity(self) -> ModelIdentity:
        """The model that makes the vectors: a table accepts those of one fingerprint only."""

    def encode(self, texts: list[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), identity.dimension)``."""


class StaticModel:
    """A static embedding model, loaded from a folder.

    >>> model = StaticModel.load("model")
    >>> vectors = model.encode(["the event loop", "a lock guards what tasks share"])
    >>> vectors.shape == (2, model.identity.dimension)
    True

    ``identity`` tells which model it is, and by which metric its vectors are to be compared.
    """

    def __init__(self, table: TokenTable, identity: ModelIdentity) -> None:
        """Make a model of its parts; ``load`` reads them from a folder."""
        self.identity = identity
        self._table = table
        if identity.max_length is not None:
            table.tokenizer.enable_truncation(identity.max_length)

    @classmethod
    def load(cls, path: str | Path) -> StaticModel:
        """Load a model folder; the network is never used.

        Raises:
            ModelError: the folder holds no static model, or one whose parts do not fit together.
        """
        folder = open_folder(Path(path))
        # In this order: of files that are replaced meanwhile, the fingerprint is the new one.
        table = TokenTable(folder)
        return cls(table, identity_of(folder))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), dimension)``.

        Vectors have unit length if the model normalizes; a text without a known token has the zero
        vector. A text is cut off after ``identity.max_length`` tokens.

        Raises:
            TypeError: ``texts`` is a single text, not a list of texts.
            ModelError: the model's tokenizer fails at a text, or has an id without a vector.
        """
        if isinstance(texts, str):
            raise TypeError(f"encode takes a list of texts, not the text {texts[:40]!r} alone")
        if not texts:
            return np.zeros((0, self.identity.dimension), dtype=np.float32)
        if len(texts) < _MANY_TEXTS or not self._words.boundaries.spaces:
            return self._encode_one_by_one(texts)
        return self._encode_by_words(texts)

    def count_tokens(self, words: Sequence[str]) -> list[int]:
        """Count the tokens of each word, special tokens left out."""
        return self._words.count(words)

    def prepare(self, texts: Sequence[str], longest: int) -> list[int | None]:
        """Tokenize all at once the words of texts that will be cut and embedded next.

        One call of the tokenizer for each text would cost several times as much. Return the number
        of tokens of each text's words. It is None for a text that is very long, has unusual
        whitespace, or has a word of more than 100 or ``longest`` characters.
        """
        is_short = [len(text) <= _MAX_PREPARED for text in texts]
        short = [text for text, good in zip(texts, is_short, strict=True) if good]
        counts = iter(self._words.count_in(short, min(longest, _MAX_WORD)))
        return [next(counts) if good else None for good in is_short]

    def token_ids(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        """Return the ids of the tokens of each text in small letters, unknown tokens left out."""
        # Not for all: "İ" in small letters has a mark of its own, which a tokenizer may drop.
        if not self._lowers:
            texts = [text.lower() for text in texts]
        if len(texts) < _MANY_TEXTS or not self._words.boundaries.spaces:
            return [np.array(ids, np.int32) for ids in self._ids_one_by_one(texts)]
        ids, ends = self._words.tokens_in(words_of(list(texts)))
        found = np.split(ids, ends[1:-1])
        return [own[own != self._table.unknown] for own in found]

    def token_vectors(self, ids: npt.NDArray[np.int64]) -> Vectors:
        """Return the vectors of tokens: float32, shape ``(len(ids), dimension)``.

        Raises:
            ModelError: an id has no vector.
        """
        vectors: Vectors = self._table.vectors(ids).astype(np.float32, copy=False)
        return vectors

    @cached_property
    def _lowers(self) -> bool:
        """True if the tokenizer makes small letters of capital ones itself."""
        tokenizer = self._table.tokenizer
        capital, small = (tokenizer.encode(text).ids for text in ("The ABC of It", "the abc of it"))
        return bool(capital == small)

    @cached_property
    def _words(self) -> WordTokens:
        """The tokens of words, shared: texts that are cut into passages are embedded next."""
        return WordTokens(self._table.tokenizer)

    def _encode_one_by_one(self, texts: Sequence[str]) -> Vectors:
        table = self._table
        texts = self._cut(texts)
        means = np.zeros((len(texts), table.dimension), table.dtype)
        for place, ids in enumerate(self._ids_one_by_one(texts)):
            if ids:
                means[place] = table.vectors(ids).mean(axis=0)
        return self._finished(means)

    def _ids_one_by_one(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Yield the ids of the tokens of each text, unknown tokens left out."""
        table = self._table
        for start in range(0, len(texts), _ONE_BY_ONE):
            batch = list(texts[start : start + _ONE_BY_ONE])
            with tokenizer_errors():
                encodings = table.tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for encoding in encodings:
                yield [token for token in encoding.ids if token != table.unknown]

    def _encode_by_words(self, texts: Sequence[str]) -> Vectors:
        limit = self.identity.max_length
        texts = self._cut(texts)
        token_vectors = self._token_vectors
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as threads:
            batches = grouped(texts, str, _TEXTS, _CHARACTERS)
            parts = list(threads.map(partial(self._encode_batch, token_vectors), batches))
        vectors = np.concatenate([part for part, _ in parts])
        tokens = np.concatenate([part for _, part in parts])
        if limit is not None and (tokens > limit).any():
            too_long = np.flatnonzero(tokens > limit).tolist()
            vectors[too_long] = self._encode_one_by_one([texts[place] for place in too_long])
        return vectors

    def _encode_batch(
        self, token_vectors: Vectors, texts: list[str]
    ) -> tuple[Vectors, npt.NDArray[np.float64]]:
        """Embed texts by their words, not cut off; return the vectors and the token counts."""
        from scipy.sparse import csr_array

        words = words_of(texts)
        ids, offsets = self._words.tokens(words.distinct.to_pylist())
        known = (ids != self._table.unknown).astype(np.float32)
        tokens_of_words = csr_array(
            (known, ids, offsets), shape=(len(words.distinct), len(token_vectors))
        )
        words_of_texts = csr_array(
            (np.ones(len(words.places), np.float32), words.places, words.offsets),
            shape=(len(texts), len(words.distinct)),
        )
        sums = words_of_texts @ (tokens_of_words @ token_vectors)
        counts = words_of_texts @ tokens_of_words.sum(axis=1)
        vectors = self._finished(sums / np.maximum(counts, 1)[:, None])
        return vectors, words_of_texts @ np.diff(offsets)

    @cached_property
    def _token_vectors(self) -> Vectors:
        # In its file the table may lie unaligned, which compiled code cannot take.
        return np.require(self._table.all_vectors(), np.float32, ["C", "A"])

    def _cut(self, texts: Sequence[str]) -> list[str]:
        """Cut texts of far more than ``max_length`` tokens by characters, as model2vec does."""
        limit = self.identity.max_length
        if limit is None or all(len(text) <= limit for text in texts):
            return list(texts)
        return [text[: limit * self._median_token_length] for text in texts]

    @cached_property
    def _median_token_length(self) -> int:
        return int(np.median([len(token) for token in self._table.tokenizer.get_vocab()]))

    def _finished(self, means: npt.NDArray[Any]) -> Vectors:
        """Round means as model2vec rounds them, and scale them if the model normalizes."""
        dtype = self._table.dtype
        finished = means.astype(dtype, copy=False).astype(np.float32, copy=False)
        if self.identity.normalize:
            finished = finished / (np.linalg.norm(finished, axis=1, keepdims=True) + 1e-32)
        vectors: Vectors = finished.astype(dtype, copy=False).astype(np.float32, copy=False)
        return vectors
