"""The measures of token vectors: the agreement of neighbours, and the loss of a linear map."""

from __future__ import annotations

import numpy as np

from ragdoll.distillation.training.agreement import linear_loss, neighbour_agreement


def test_agreement_is_one_with_itself_and_near_chance_with_noise() -> None:
    random = np.random.default_rng(0)
    teacher = random.normal(size=(300, 16)).astype(np.float32)
    assert neighbour_agreement(teacher * 3, teacher) == 1
    noise = random.normal(size=(300, 16)).astype(np.float32)
    assert neighbour_agreement(noise, teacher) < 0.1


def test_agreement_of_too_few_rows_is_defined() -> None:
    one = np.ones((1, 4), np.float32)
    assert neighbour_agreement(one, one) == 0
    two = np.eye(2, dtype=np.float32)
    assert neighbour_agreement(two, two) == 1


def test_the_linear_loss_is_small_for_a_linear_image_and_large_for_noise() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 8)).astype(np.float32)
    y = (x @ random.normal(size=(8, 4)) + 3).astype(np.float32)
    noise = random.normal(size=(400, 8)).astype(np.float32)
    good = linear_loss((x[:300], x[300:]), (y[:300], y[300:]))
    bad = linear_loss((noise[:300], noise[300:]), (y[:300], y[300:]))
    assert good < 0.01 < 1 < bad
