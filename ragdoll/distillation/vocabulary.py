"""Words of the corpus that a static model gets a vector of its own for."""

from __future__ import annotations

from collections.abc import Iterable


def corpus_vocabulary(texts: Iterable[str], size: int) -> list[str]:
    """Return up to ``size`` of the most frequent words, as tokenlearn chooses them.

    Words are lower-cased runs of letters or of punctuation. Those that the teacher's tokenizer has
    already are left out later, when the model is distilled.
    """
    if not size:
        return []
    from tokenlearn.utils import create_vocab

    return list(create_vocab(texts=list(texts), vocab_size=size))
