"""Weights for token vectors by how often a token occurs in the corpus."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

# Smooth inverse frequency, Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence
# embeddings", 2017: a / (a + p), with the a of their experiments.
_A = 1e-3


def weighted(vectors: Vectors, occurrences: npt.NDArray[np.float64]) -> Vectors:
    """Scale each token's vector by its smooth inverse frequency.

    ``occurrences`` counts each token in the corpus; tokens beyond its end occur nowhere.
    """
    frequency = np.zeros(len(vectors))
    frequency[: len(occurrences)] = occurrences / max(1.0, float(occurrences.sum()))
    scale = (_A / (_A + frequency)).astype(np.float32)
    return vectors * scale[:, None]
