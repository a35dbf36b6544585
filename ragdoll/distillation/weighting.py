"""Weights for token vectors by how often a token occurs in the corpus."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.vectors import Vectors

# The one of the paper's experiments.
_A = 1e-3


def smooth_inverse_frequency(
    frequency: npt.NDArray[np.float64], a: float = _A
) -> npt.NDArray[np.float64]:
    """Return ``a / (a + frequency)``, the weight of a token by its share of all tokens.

    Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", 2017.
    """
    return np.asarray(a / (a + frequency))


def weighted(vectors: Vectors, occurrences: npt.NDArray[np.float64]) -> Vectors:
    """Scale each token's vector by its smooth inverse frequency.

    ``occurrences`` counts each token in the corpus; tokens beyond its end occur nowhere.
    """
    frequency = np.zeros(len(vectors))
    frequency[: len(occurrences)] = occurrences / max(1.0, float(occurrences.sum()))
    return vectors * smooth_inverse_frequency(frequency).astype(np.float32)[:, None]
