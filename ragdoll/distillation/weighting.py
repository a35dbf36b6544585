"""Weights for token vectors by how often a token occurs in the corpus."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from model2vec import StaticModel

# Smooth inverse frequency, Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence
# embeddings", 2017: a / (a + p), with the a of their experiments.
_A = 1e-3
_BATCH = 1024


def weighted(model: StaticModel, texts: Sequence[str]) -> StaticModel:
    """Scale each token's vector by its smooth inverse frequency in the texts."""
    from model2vec import StaticModel

    counts: Counter[int] = Counter()
    for start in range(0, len(texts), _BATCH):
        counts.update(chain.from_iterable(model.tokenize(texts[start : start + _BATCH])))
    frequency = np.zeros(len(model.embedding))
    frequency[list(counts)] = list(counts.values())
    frequency /= max(1, frequency.sum())
    scale = (_A / (_A + frequency)).astype(np.float32)
    return StaticModel(
        vectors=model.embedding * scale[:, None],
        tokenizer=model.tokenizer,
        config=json.loads(json.dumps(model.config)),
        normalize=model.normalize,
        max_length=model.max_length,
    )
