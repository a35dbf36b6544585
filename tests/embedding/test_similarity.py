"""Similarity, against the definition of each metric."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from threadpoolctl import ThreadpoolController

from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import ONE_THREAD, Vectors, highest, similarity, unit

VECTORS = npst.arrays(np.float32, (4, 3), elements=st.floats(-8, 8, width=16))


def by_definition(query: Vectors, document: Vectors, metric: Metric) -> float:
    if metric == "dot":
        return float(query @ document)
    if metric == "l2":
        return float(1 / (1 + ((query - document) ** 2).sum()))
    lengths = np.linalg.norm(query) * np.linalg.norm(document)
    return float(query @ document / lengths) if lengths else 0.0


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@given(queries=VECTORS, documents=VECTORS)
def test_every_pair_is_compared_by_the_metric(
    metric: Metric, queries: Vectors, documents: Vectors
) -> None:
    expected = [[by_definition(q, d, metric) for d in documents[:3]] for q in queries]
    for times in (1, 3):  # few queries are compared in another way than many
        found = similarity(np.tile(queries, (times, 1)), documents[:3], metric)
        assert (found.shape, found.dtype) == ((4 * times, 3), np.float32)
        np.testing.assert_allclose(found, expected * times, rtol=1e-3, atol=1e-3)
    assert similarity(queries[:0], documents, metric).shape == (0, 4)


@given(
    npst.arrays(
        np.float32, st.integers(0, 700), elements=st.integers(-20, 20), fill=st.integers(-2, 2)
    ),
    st.integers(0, 12),
)
def test_the_highest_values_are_found_in_their_order(values: Vectors, count: int) -> None:
    expected = sorted(range(len(values)), key=lambda place: -values[place])[:count]
    assert highest(values, count).tolist() == expected


def test_what_has_no_direction_has_none_and_is_like_nothing() -> None:
    vectors = np.array([[3, 4], [0, 0], [np.inf, 1], [np.nan, 1]], np.float32)
    np.testing.assert_allclose(unit(vectors), [[0.6, 0.8], *[[0, 0]] * 3], atol=1e-4)
    assert similarity(vectors[:2], vectors[:2], "cosine").tolist() == [
        [pytest.approx(1), 0],
        [0, 0],
    ]


def test_a_vector_is_as_near_to_itself_as_can_be_however_long() -> None:
    vectors = np.full((1, 300), 1000.1, np.float32)
    assert similarity(vectors, vectors, "l2").item() <= 1


def test_one_thread_multiplies_until_the_last_of_overlapping_contexts_ends() -> None:
    blas = ThreadpoolController().select(user_api="blas")

    def threads() -> list[int]:
        return [library["num_threads"] for library in blas.info()]

    with blas.limit(limits=2):
        before = threads()
        with ExitStack() as other:
            with ONE_THREAD:
                other.enter_context(ONE_THREAD)
            assert threads() == [1] * len(before)
        assert threads() == before
