"""The mean of a text's token vectors, text by text: for few texts, and at once.

The vectors are those of ``model2vec.StaticModel.encode``. Importing that library takes longer than
all of this together, which a single query would wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import ModelFolder, read_json
from ragdoll.embedding.identity import truncates_at
from ragdoll.embedding.tensors import mapped, mapped_places, mapped_row, widened
from ragdoll.embedding.tokenizer_file import failures_told, load_tokenizer
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import ModelError

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
