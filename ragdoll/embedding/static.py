"""A static model at work: texts to vectors, words to token counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.embedding.pooling import WordPooling
from ragdoll.embedding.token_means import TokenMeans
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import ModelError, first_line

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
