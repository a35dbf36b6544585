"""The mean of a text's token vectors, text by text: for few texts, and at once.

The vectors are those of ``model2vec.StaticModel.encode``. Importing that library takes longer than
all of this together, which a single query would wait for.

The mean of a text's token vectors, by way of the words that texts have in common.

The vectors of a batch's distinct words are summed up first: a sparse matrix (words by tokens) times
the table of token vectors. Another (texts by words), times these sums, is the sums over the texts.

A static model at work: texts to vectors, words to token counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import (
    ModelFolder,
    failures_told,
    load_tokenizer,
    mapped,
    mapped_places,
    mapped_row,
    open_folder,
    read_json,
    widened,
)
from ragdoll.embedding.identity import ModelIdentity, identify, truncates_at
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens, words_of
from ragdoll.errors import ModelError, first_line
from ragdoll.streams import grouped

# Texts at a time, so that the tokens of many take no memory.
_BATCH = 1024


class TokenMeans:
    """A static model's parts, and what is computed with them.

    ``table`` has the vectors, ``mapping`` the row of each token in it (None: the token's id),
    ``weights`` a factor for each token (None: 1). ``unknown`` is the id of the token that stands
    for no word, which is left out. ``max_length`` is in tokens, None for no limit.
    """

    def __init__(self, folder: ModelFolder, normalize: bool) -> None:
        """Map the table and load the tokenizer of a static model.

        Raises:
            ModelError: they do not fit together. The tokenizer raises exceptions of its own.
        """
        if folder.embedding is None or folder.tokenizer is None:
            raise ModelError(f"{folder.path} is no static model.")
        self._path = folder.path
        file = folder.weights[0]
        self.normalize = normalize
        # As a plain array: the class of the map makes each access slower.
        table = np.asarray(mapped(file, folder.embedding))
        self.table = widened(table) if folder.embedding.dtype == "bfloat16" else table
        self.mapping = mapped_places(file, folder.tensors.get("mapping"), len(self.table))
        self.weights = mapped_row(file, folder.tensors.get("weights"))
        self.tokenizer = load_tokenizer(folder.tokenizer)
        self.unknown = _unknown(self.tokenizer, folder.tokenizer)
        # Means are rounded to the type of the table, integers aside, as the library rounds them.
        self._dtype = np.dtype(np.float32) if self.table.dtype == np.int8 else self.table.dtype
        self.max_length = truncates_at(folder)
        self._check(folder)
        self.tokenizer.no_padding()
        if self.max_length is None:
            self.tokenizer.no_truncation()
        else:
            self.tokenizer.enable_truncation(self.max_length)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), dimension)``."""
        texts = self.cut(texts)
        means = np.zeros((len(texts), self.table.shape[1]), self._dtype)
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            with failures_told():
                encodings = self.tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for place, encoding in enumerate(encodings, start):
                ids = [token for token in encoding.ids if token != self.unknown]
                if ids:
                    means[place] = self._mean(ids)
        return self.finished(means)

    def cut(self, texts: Sequence[str]) -> list[str]:
        """Cut texts by characters where they have far more than ``max_length`` tokens.

        So does the library, before it cuts them by tokens.
        """
        limit = self.max_length
        if limit is None or all(len(text) <= limit for text in texts):
            return list(texts)
        return [text[: limit * self._median_token_length] for text in texts]

    def finished(self, means: npt.NDArray[Any]) -> Vectors:
        """Means rounded as the library rounds them, and of unit length if the model says so."""
        finished = means.astype(self._dtype, copy=False).astype(np.float32, copy=False)
        if self.normalize:
            finished = finished / (np.linalg.norm(finished, axis=1, keepdims=True) + 1e-32)
        vectors: Vectors = finished.astype(self._dtype, copy=False).astype(np.float32, copy=False)
        return vectors

    def tokens_without_vector(self) -> ModelError:
        """The error about a tokenizer whose ids go beyond the table: they need not be in a row."""
        return ModelError(
            f"{self._path} has tokens beyond the {len(self.table)} rows of its table."
        )

    def _mean(self, ids: list[int]) -> npt.NDArray[Any]:
        try:
            vectors = self.table[ids if self.mapping is None else self.mapping[ids]]
            if self.weights is not None:
                vectors = vectors * self.weights[ids][:, None]
        except IndexError as error:  # to look through all ids beforehand would take a query's time
            raise self.tokens_without_vector() from error
        mean: npt.NDArray[Any] = vectors.mean(axis=0)
        return mean

    @cached_property
    def _median_token_length(self) -> int:
        return int(np.median([len(token) for token in self.tokenizer.get_vocab()]))

    def _check(self, folder: ModelFolder) -> None:
        if self.max_length != folder.config.get("max_length", self.max_length):
            raise ModelError(f"its max_length is '{folder.config['max_length']}'.")
        tokens = self.tokenizer.get_vocab_size()
        if self.mapping is None and len(self.table) != tokens:
            raise ModelError(f"it has {len(self.table)} vectors for {tokens} tokens.")
        for name, numbers in (("rows", self.mapping), ("weights", self.weights)):
            if numbers is not None and len(numbers) < tokens:
                raise ModelError(f"it has {len(numbers)} {name} for {tokens} tokens.")


def _unknown(tokenizer: Any, file: Path) -> int | None:
    if hasattr(tokenizer.model, "unk_token"):
        token = tokenizer.model.unk_token
        number: int | None = None if token is None else tokenizer.token_to_id(token)
        return number
    # Unigram does not tell.
    unknown = read_json(file)["model"].get("unk_id")
    return unknown if isinstance(unknown, int) else None


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


# Below this, text by text is faster than loading what embeds many.
_MANY_TEXTS = 256

# Characters. Longer texts have words enough for a call of their own, and all of their words at once
# would take several times their memory; longer words are hardly words, and may be cut.
_MAX_PREPARED = 1 << 18
_MAX_WORD = 100


class StaticEncoder:
    """A static model, loaded. ``identity`` says which one."""

    def __init__(self, path: Path) -> None:
        """Load a model folder; the network is never used.

        Raises:
            ModelError: the folder holds no static model, or one whose parts do not fit together.
        """
        self.identity: ModelIdentity = identify(path)
        try:
            self._model = TokenMeans(open_folder(path), self.identity.normalize)
        except Exception as error:  # tokenizers raise bare exceptions
            reason = first_line(error)
            raise ModelError(f"{path} cannot be loaded as a static model: {reason}") from error

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), dimension)``.

        Vectors have unit length where the model normalizes; a text without a known token has the
        zero vector.
        """
        if not texts:
            return np.zeros((0, self.identity.dimension), dtype=np.float32)
        if len(texts) < _MANY_TEXTS or not self._words.boundaries.spaces:
            return self._model.encode(texts)
        return self._pooling.encode(texts)

    def count_tokens(self, words: Sequence[str]) -> list[int]:
        """Count the tokens of each word, special tokens left out."""
        return self._words.count(words)

    def prepare(self, texts: Sequence[str], longest: int) -> list[int | None]:
        """Tokenize the words of texts that will be cut and embedded next, all at once.

        A call of the tokenizer a text costs several times as much. Returns how many tokens the
        words of each text have; None where a text has a word of more than ``longest`` characters or
        of a hundred, is very long, or has unusual whitespace.
        """
        is_short = [len(text) <= _MAX_PREPARED for text in texts]
        short = [text for text, good in zip(texts, is_short, strict=True) if good]
        counts = iter(self._words.count_in(short, min(longest, _MAX_WORD)))
        return [next(counts) if good else None for good in is_short]

    @cached_property
    def _words(self) -> WordTokens:
        """One for counting and for embedding: what is cut into passages is embedded next."""
        return WordTokens(self._model.tokenizer)

    @cached_property
    def _pooling(self) -> WordPooling:
        return WordPooling(self._model, self._words)
