"""Vectors, and how alike two of them are by the metric of their model."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.identity import Metric

Vectors = npt.NDArray[np.float32]
"""As a rule of shape (rows, dimension); of shape (rows,) where each row has one number."""

# Below this number of queries, comparing one after the other takes less time than all at once.
_FEW = 8

# Values whose highest one is looked at first when the highest of all are looked for.
_BLOCK = 64


def similarity(queries: Vectors, documents: Vectors, metric: Metric) -> Vectors:
    """Compare every query with every document: float32, shape ``(queries, documents)``.

    Higher is more alike: the cosine (0 for a zero vector), the dot product, or for ``l2``
    ``1 / (1 + squared distance)``.
    """
    if metric == "cosine":
        queries, documents = unit(queries), unit(documents)
    values = _products(queries, documents)
    if metric == "l2":
        squares = (queries**2).sum(axis=1)[:, None] + (documents**2).sum(axis=1) - 2 * values
        values = 1 / (1 + np.maximum(squares, 0))
    similarities: Vectors = values.astype(np.float32, copy=False)
    return similarities


def _products(queries: Vectors, documents: Vectors) -> Vectors:
    """Return the dot product of every query with every document."""
    if not 0 < len(queries) < _FEW:
        return queries @ documents.T
    # A product of matrices first rearranges all documents, which takes longer than reading them.
    return np.stack([np.vecdot(documents, query) for query in queries])


def unit(vectors: Vectors) -> Vectors:
    """Scale vectors to the length 1; one without a direction (zero, or not finite) becomes 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions: Vectors = vectors / np.maximum(lengths, 1e-12)
    if not np.isfinite(lengths).all():
        directions = np.nan_to_num(directions, nan=0.0, posinf=0.0, neginf=0.0)
    return directions


def highest(values: Vectors, count: int) -> npt.NDArray[np.int64]:
    """Return the places of the ``count`` highest of some values, the highest first.

    Of equal values the first come first. No value may be NaN.
    """
    blocks = len(values) // _BLOCK
    least = -np.inf
    if 0 < count < blocks:
        # Each of so many blocks has a value as high as this one, so no lower one is among them.
        tops = values[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        least = np.partition(tops, -count)[-count]
    places = np.flatnonzero(values >= least)
    return places[np.argsort(-values[places], kind="stable")][:count]


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
