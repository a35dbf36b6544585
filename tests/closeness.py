"""Comparisons of vectors that hold on any processor, in whatever order it adds numbers up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def cosines(one: Any, other: Any) -> Any:
    """Return the cosines between rows of the same number; 1 for a zero row."""
    one, other = (np.atleast_2d(np.asarray(rows, dtype=np.float64)) for rows in (one, other))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.where(lengths > 0, (one * other).sum(axis=1) / np.maximum(lengths, 1e-30), 1.0)


def assert_alike(found: Any, expected: Any) -> None:
    """Check that rows have cosines of at least 0.9999, and norms that differ by a thousandth."""
    assert np.shape(found) == np.shape(expected)
    assert cosines(found, expected).min() >= 0.9999
    norms = [np.linalg.norm(np.atleast_2d(rows), axis=1) for rows in (found, expected)]
    np.testing.assert_allclose(*norms, rtol=1e-3, atol=1e-3 * norms[1].max())


def near(expected: Any) -> Any:
    """Return what equals scores that differ by a thousandth, as sums in another order may."""
    return pytest.approx(expected, rel=1e-3, abs=1e-3)
