"""Vectors, and how alike two of them are by the metric of their model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.identity import Metric

Vectors = npt.NDArray[np.float32]
"""As a rule of shape (rows, dimension); of shape (rows,) where each row has one number."""


def similarity(queries: Vectors, documents: Vectors, metric: Metric) -> Vectors:
    """Compare every query with every document: float32, shape ``(queries, documents)``.

    Higher is more alike: the cosine (0 for a zero vector), the dot product, or for ``l2``
    ``1 / (1 + squared distance)``.
    """
    if metric == "cosine":
        queries, documents = unit(queries), unit(documents)
    values = queries @ documents.T
    if metric == "l2":
        squares = (queries**2).sum(axis=1)[:, None] + (documents**2).sum(axis=1) - 2 * values
        values = 1 / (1 + np.maximum(squares, 0))
    similarities: Vectors = values.astype(np.float32, copy=False)
    return similarities


def unit(vectors: Vectors) -> Vectors:
    """Scale vectors to the length 1; one without a direction (zero, or not finite) becomes 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        scaled = vectors / np.maximum(lengths, 1e-12)
    directions: Vectors = np.nan_to_num(scaled, nan=0.0, posinf=0.0, neginf=0.0)
    return directions
