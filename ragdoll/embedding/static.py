"""A static model at work: texts to vectors, words to token counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.embedding.pooling import WordPooling
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import ModelError

Vectors = npt.NDArray[np.float32]

# Below this the library alone is faster than loading what embeds many texts.
_MANY_TEXTS = 256


class StaticEncoder:
    """A static model, loaded. ``identity`` says which one."""

    def __init__(self, path: Path) -> None:
        """Load a model folder; the network is never used.

        Raises:
            ModelError: the folder holds no static model, or one whose parts do not fit together.
        """
        self.identity: ModelIdentity = identify(path)
        from model2vec import StaticModel

        try:
            self._model = StaticModel.from_pretrained(path, normalize=self.identity.normalize)
        except Exception as error:  # tokenizers and safetensors raise bare exceptions
            raise ModelError(f"{path} cannot be loaded as a static model: {error}") from error

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), dimension)``.

        Vectors have unit length where the model normalizes; a text without a known token has the
        zero vector.
        """
        if not texts:
            return np.zeros((0, self.identity.dimension), dtype=np.float32)
        if len(texts) < _MANY_TEXTS or not self._words.boundaries.spaces:
            return np.asarray(self._model.encode(list(texts)), dtype=np.float32)
        return self._pooling.encode(texts)

    def count_tokens(self, words: Sequence[str]) -> list[int]:
        """Count the tokens of each word, special tokens left out."""
        return self._words.count(words)

    @cached_property
    def _words(self) -> WordTokens:
        """One for counting and for embedding: what is cut into passages is embedded next."""
        return WordTokens(self._model.tokenizer)

    @cached_property
    def _pooling(self) -> WordPooling:
        return WordPooling(self._model, self._words)
