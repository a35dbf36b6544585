"""One score out of two: a convex combination of a vector's similarity and BM25.

After Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (2023).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

# The least number of answers of each leg of a hybrid search, for the scores of both to be combined.
CANDIDATES = 100


def fuse(similarity: Scores, bm25: Scores, alpha: float) -> Scores:
    """Combine the scores of the same candidates into one between 0 and 1 each.

    ``similarity`` is scaled so that its lowest value becomes 0 and its highest 1. ``bm25`` is
    divided by its highest value: its lowest is 0, the score of a candidate that the text search did
    not find. ``alpha`` is the weight of the vector, from 0 to 1.
    """
    if not len(similarity):
        return np.zeros(0, dtype=np.float32)
    low, high = float(similarity.min()), float(similarity.max())
    # A vector that does not tell the candidates apart gives all of them its full weight.
    scaled = (similarity - low) / (high - low) if high > low else np.ones_like(similarity)
    top = float(bm25.max())
    matched = bm25 / top if top > 0 else np.zeros_like(bm25)
    return np.asarray(alpha * scaled + (1 - alpha) * matched, dtype=np.float32)
