"""What vectors are to all of ragdoll.

How alike two vectors are, by the metric that their model was made for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.identity import Metric

Vectors = npt.NDArray[np.float32]
"""As a rule of shape (rows, dimension); where only numbers of them are meant, of shape (rows,)."""


def similarity(queries: Vectors, documents: Vectors, metric: Metric) -> Vectors:
    """Compare every query with every document: float32, shape (queries, documents).

    Higher is more alike: the cosine (0 for a zero vector), the dot product, or for ``l2``
    ``1 / (1 + squared distance)``.
    """
    if metric == "cosine":
        queries, documents = unit(queries), unit(documents)
    values = queries @ documents.T
    if metric == "l2":
        squares = (queries**2).sum(axis=1)[:, None] + (documents**2).sum(axis=1) - 2 * values
        values = 1 / (1 + np.maximum(squares, 0))
    alike: Vectors = values.astype(np.float32, copy=False)
    return alike


def unit(vectors: Vectors) -> Vectors:
    """The same directions with the length 1; a vector without a direction becomes 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled = vectors / np.maximum(lengths, 1e-12)
    directions: Vectors = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
    return directions
