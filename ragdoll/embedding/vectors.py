"""Vectors, and how alike two of them are by the metric of their model."""

from __future__ import annotations

import threading
from typing import Any

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


class _OneThread:
    """A context in which BLAS multiplies on one thread; such contexts may overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._blas: Any = None
        self._limit: Any = None

    def __enter__(self) -> None:
        # Only a process that searches often needs it.
        from threadpoolctl import ThreadpoolController

        with self._lock:
            self._blas = self._blas or ThreadpoolController().select(user_api="blas")
            if not self._within:
                self._limit = self._blas.limit(limits=1)
            self._within += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._limit.restore_original_limits()


ONE_THREAD = _OneThread()
"""Multiplies matrices on one thread within the context, in all threads of the process.

BLAS's own threads wait for more work by spinning. After products as small as those of one search
they take the processor's time from the search that follows.
"""
