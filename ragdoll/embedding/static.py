"""A static model at work: texts to vectors, words to token counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]

# Distinct words remembered by a counter; beyond this the cache starts anew, to bound its memory.
_MAX_WORDS = 500_000


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
        self.count_tokens = TokenCounter(self._model.tokenizer)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), dimension)``.

        Vectors have unit length where the model normalizes; a text without a known token has the
        zero vector.
        """
        if not texts:
            return np.zeros((0, self.identity.dimension), dtype=np.float32)
        return np.asarray(self._model.encode(list(texts)), dtype=np.float32)


class TokenCounter:
    """Counts the tokens of words by a tokenizer, each distinct word once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        from tokenizers import Tokenizer

        # Through its serialisation: copying is the only way to undo truncation without a trace.
        self._tokenizer = Tokenizer.from_str(_without_truncation(tokenizer.to_str()))
        self._known: dict[str, int] = {}

    def __call__(self, words: Sequence[str]) -> list[int]:
        """Count the tokens of each word, special tokens left out."""
        known = self._known
        try:
            return [known[word] for word in words]
        except KeyError:
            pass
        new = [word for word in dict.fromkeys(words) if word not in known]
        if len(known) + len(new) > _MAX_WORDS:
            known.clear()
            new = list(dict.fromkeys(words))
        for word, encoding in zip(
            new, self._tokenizer.encode_batch_fast(new, add_special_tokens=False), strict=True
        ):
            known[word] = len(encoding.ids)
        return [known[word] for word in words]


def _without_truncation(serialized: str) -> str:
    content = json.loads(serialized)
    content["truncation"] = content["padding"] = None
    return json.dumps(content)
