"""Weights of tokens: the more often one occurs, the less its vector counts."""

from __future__ import annotations

import numpy as np
import pytest

from ragdoll.distillation.training.distillate import smooth_inverse_frequency, weighted


def test_a_weight_is_that_of_the_paper() -> None:
    frequency = np.array([0.0, 1e-4, 1e-3, 1.0])
    expected = [1, 1e-3 / 1.1e-3, 0.5, 1e-3 / 1.001]
    assert smooth_inverse_frequency(frequency).tolist() == pytest.approx(expected)
    assert smooth_inverse_frequency(frequency, 1e-4)[1] == pytest.approx(0.5)


def test_vectors_are_weighed_by_the_share_of_their_token() -> None:
    vectors = np.ones((4, 2), np.float32)
    found = weighted(vectors, np.array([1.0, 0.0, 999.0]))
    # The last is of a token that was added after the tokens were counted.
    assert found[:, 0].tolist() == pytest.approx([0.5, 1, 1e-3 / 1.0, 1], rel=1e-2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(weighted(vectors, np.zeros(4)), vectors)
