"""The randomization test: what a p-value must do to deserve its name."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdoll.evaluation.metrics import paired_randomization

VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30).map(
    lambda pairs: tuple(zip(*pairs, strict=True))
)
Values = tuple[tuple[float, ...], tuple[float, ...]]

often = settings(derandomize=True, deadline=None, max_examples=30)


@given(values=VALUES, seed=st.integers(0, 2**32))
@often
def test_it_is_symmetric_repeatable_and_a_probability_above_zero(values: Values, seed: int) -> None:
    first, second = values
    p = paired_randomization(first, second, seed)
    assert 0 < p <= 1
    assert p == paired_randomization(second, first, seed)
    assert p == paired_randomization(list(first), np.array(second), seed)


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
@often
def test_a_system_does_not_differ_from_itself(values: list[float]) -> None:
    assert paired_randomization(values, values, seed=0) == 1.0


def test_another_seed_draws_others() -> None:
    random = np.random.default_rng(0)
    first, second = random.random(30), random.random(30)
    assert len({paired_randomization(first, second, seed) for seed in range(5)}) > 1


def test_a_constant_difference_over_many_queries_is_no_chance() -> None:
    second = np.random.default_rng(0).random(50)
    assert 0 < paired_randomization(second + 0.01, second, seed=0) < 0.001


@pytest.mark.parametrize("queries", [1, 2])
def test_a_difference_over_a_query_or_two_may_always_be_chance(queries: int) -> None:
    p = paired_randomization([1.0] * queries, [0.0] * queries, seed=0)
    assert p == pytest.approx(2 / 2**queries, abs=0.02)


def test_differences_that_cancel_out_are_chance() -> None:
    assert paired_randomization([1.0, 0.0, 0.5], [0.0, 1.0, 0.5], seed=0) == 1.0


def test_it_is_near_the_share_among_all_exchanges() -> None:
    difference = np.array([0.3, -0.1, 0.25, 0.4, -0.05, 0.2, 0.15, -0.3])
    signs = np.array(list(product((-1, 1), repeat=len(difference))))
    exact = (np.abs((signs * difference).mean(1)) >= abs(difference.mean()) - 1e-12).mean()
    p = paired_randomization(difference, np.zeros(len(difference)), seed=1)
    assert p == pytest.approx(exact, abs=0.015)


def test_under_the_null_hypothesis_it_is_nearly_uniform() -> None:
    random = np.random.default_rng(7)
    found = np.array(
        [paired_randomization(*random.random((2, 25)), seed=trial) for trial in range(300)]
    )
    for level in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        # Three standard deviations of a share of 300.
        assert (found <= level).mean() == pytest.approx(
            level, abs=3 * np.sqrt(level * (1 - level) / 300)
        )
