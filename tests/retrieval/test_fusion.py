"""The fusion of a vector's similarity, BM25 and coverage into one score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdoll.embedding.vectors import similarity
from ragdoll.retrieval.reading.fusion import Scores, fuse
from tests.closeness import near

properties = settings(derandomize=True, deadline=None, max_examples=200)

Numbers = npt.NDArray[np.float32]

ALPHA = st.floats(0, 1)
ALPHAS = st.none() | ALPHA
# Whole numbers over a power of two: shifting and scaling them rounds nothing.
STEP = st.integers(-512, 512).map(lambda step: step / 512)
BM25 = st.just(0.0) | st.floats(0, 100, width=32, allow_subnormal=False)
COVERAGE = st.floats(0, 1, width=32)
QUERY = np.array([1.0, 0.0], np.float32)


def candidates_of(rows: list[tuple[float, float, float]]) -> tuple[Scores, Numbers]:
    """Make the scores of candidates, and vectors in the plane that have these similarities."""
    near_, bm25, coverage = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    vectors = np.stack([near_, np.sqrt(1 - near_**2)], axis=1).astype(np.float32)
    return Scores(near_, bm25, coverage, coverage[::-1].copy()), vectors


CANDIDATES = st.lists(st.tuples(STEP, BM25, COVERAGE), min_size=1, max_size=12).map(candidates_of)


def fused(scores: Scores, vectors: Numbers, alpha: float | None) -> Numbers:
    return fuse(scores, QUERY, vectors, "cosine", alpha)


def keeps_the_order(values: Numbers, of: Numbers) -> bool:
    """Tell whether no candidate that is better by ``of`` is worse by ``values``."""
    return bool(np.all(np.diff(values[np.argsort(of, kind="stable")]) >= 0))


@properties
@given(candidates=CANDIDATES, alpha=ALPHAS)
def test_scores_lie_between_0_and_1(
    candidates: tuple[Scores, Numbers], alpha: float | None
) -> None:
    values = fused(*candidates, alpha)
    assert values.dtype == np.float32
    assert values.shape == candidates[0].bm25.shape
    assert np.all(values >= 0)
    assert np.all(values <= 1 + 1e-6)


@properties
@given(candidates=CANDIDATES)
def test_with_all_weight_on_the_vector_the_order_is_that_of_the_similarity(
    candidates: tuple[Scores, Numbers],
) -> None:
    assert keeps_the_order(fused(*candidates, 1), candidates[0].similarity)


@properties
@given(candidates=CANDIDATES)
def test_without_tokens_and_vector_the_order_is_that_of_bm25(
    candidates: tuple[Scores, Numbers],
) -> None:
    scores, vectors = candidates
    assert keeps_the_order(
        fused(scores._replace(coverage=None, proximity=None), vectors, 0), scores.bm25
    )


@properties
@given(candidates=CANDIDATES, alpha=ALPHA, candidate=st.integers(0, 11))
def test_a_candidate_that_is_best_by_all_has_the_score_1(
    candidates: tuple[Scores, Numbers], alpha: float, candidate: int
) -> None:
    scores, vectors = candidates
    best = candidate % len(vectors)
    for values in scores:
        assert values is not None
        values[best] = values.max() + 1
    assert fused(scores, vectors, alpha)[best] == near(1)


@properties
@given(
    candidates=CANDIDATES,
    alpha=ALPHA,
    shift=st.integers(-8, 8),
    scale=st.sampled_from([2**power for power in range(-4, 5)]),
)
def test_the_scales_of_the_legs_change_nothing(
    candidates: tuple[Scores, Numbers], alpha: float, shift: int, scale: float
) -> None:
    scores, vectors = candidates
    moved = Scores(
        (scores.similarity * np.float32(scale) + np.float32(shift)).astype(np.float32),
        scores.bm25 * np.float32(scale),
        scores.coverage,
        scores.proximity,
    )
    assert fused(moved, vectors, alpha) == near(fused(scores, vectors, alpha))


def test_coverage_weighs_more_where_it_agrees_with_bm25() -> None:
    agreed, vectors = candidates_of([(0.5, 1, 0.5), (0.5, 0, 0.2), (0.5, 4, 0.8)])
    assert fused(agreed._replace(proximity=None), vectors, 0) == near(
        [0.4 * 0.25 + 0.6 * 0.5, 0.0, 1.0]
    )
    opposed, vectors = candidates_of([(0.5, 0, 0.8), (0.5, 4, 0.2)])
    assert fused(opposed._replace(proximity=None), vectors, 0) == near([0.0, 1.0])


def test_the_vector_weighs_more_where_both_sides_agree() -> None:
    """The best by both sides is the same in the first case, and the other's worst in the second."""
    agreed, vectors = candidates_of([(1.0, 4, 1.0), (0.5, 0, 0.0), (0.0, 0, 0.0)])
    opposed, _ = candidates_of([(1.0, 0, 0.0), (0.5, 2, 0.5), (0.0, 4, 1.0)])
    assert fused(agreed._replace(proximity=None), vectors, None)[0] == near(1.0)
    # Nothing is left of the vector, so its best passage is nothing.
    opposed = opposed._replace(proximity=None)
    assert fused(opposed, vectors, None) == near([0.0, 0.5, 1.0])


def test_what_is_near_the_best_candidates_rises() -> None:
    """Two candidates are equally near the query, one of them on the side of the best ones."""
    directions = np.deg2rad([20.0, 22.0, 24.0, 26.0, 28.0, 60.0, -60.0])
    vectors = np.stack([np.cos(directions), np.sin(directions)], axis=1).astype(np.float32)
    near_ = similarity(QUERY[None], vectors, "cosine")[0]
    words = np.array([5, 5, 5, 5, 5, 1, 1], np.float32)
    values = fused(Scores(near_, words, None), vectors, None)
    assert values[5] > values[6]
    assert fused(Scores(near_, words, None), vectors, 0.5)[5] == near(
        fused(Scores(near_, words, None), vectors, 0.5)[6]
    )


def test_a_single_candidate_has_the_whole_weight_of_what_found_it() -> None:
    one = np.ones((1, 2), np.float32)
    assert fused(Scores(one[0, :1], one[0, :1], None), one, 0.3) == near([1.0])
    assert fused(Scores(one[0, :1], one[0, :1] * 0, None), one, 0.3) == near([0.3])


def test_no_candidates_have_no_scores() -> None:
    nothing = np.zeros(0, np.float32)
    values = fused(Scores(nothing, nothing, nothing), np.zeros((0, 2), np.float32), None)
    assert values.shape == (0,)
    assert values.dtype == np.float32
