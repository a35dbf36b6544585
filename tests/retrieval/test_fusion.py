"""The fusion of a vector's similarity and BM25 into one score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdoll.retrieval.reading.fusion import fuse
from tests.closeness import near

properties = settings(derandomize=True, deadline=None, max_examples=200)

Scores = npt.NDArray[np.float32]

ALPHA = st.floats(0, 1)
SIMILARITY = st.floats(-100, 100, width=32)
BM25 = st.just(0.0) | st.floats(0, 100, width=32)
CANDIDATES = st.lists(st.tuples(SIMILARITY, BM25), min_size=1, max_size=12).map(
    lambda pairs: tuple(np.array(column, dtype=np.float32) for column in zip(*pairs, strict=True))
)


def keeps_the_order(fused: Scores, of: Scores) -> bool:
    """Tell whether no candidate that is better by ``of`` is worse by ``fused``."""
    return bool(np.all(np.diff(fused[np.argsort(of, kind="stable")]) >= 0))


@properties
@given(candidates=CANDIDATES, alpha=ALPHA)
def test_scores_lie_between_0_and_1(candidates: tuple[Scores, Scores], alpha: float) -> None:
    fused = fuse(*candidates, alpha)
    assert fused.dtype == np.float32
    assert fused.shape == candidates[0].shape
    assert np.all(fused >= 0)
    assert np.all(fused <= 1)


@properties
@given(candidates=CANDIDATES)
def test_with_all_weight_on_the_vector_the_order_is_that_of_the_similarity(
    candidates: tuple[Scores, Scores],
) -> None:
    assert keeps_the_order(fuse(*candidates, 1), candidates[0])


@properties
@given(candidates=CANDIDATES)
def test_with_no_weight_on_the_vector_the_order_is_that_of_bm25(
    candidates: tuple[Scores, Scores],
) -> None:
    assert keeps_the_order(fuse(*candidates, 0), candidates[1])


@properties
@given(candidates=CANDIDATES, alpha=ALPHA, candidate=st.integers(0, 11))
def test_a_candidate_that_is_best_by_both_has_the_score_1(
    candidates: tuple[Scores, Scores], alpha: float, candidate: int
) -> None:
    similarity, bm25 = candidates
    best = candidate % len(similarity)
    similarity[best], bm25[best] = similarity.max(), bm25.max() + 1
    assert fuse(similarity, bm25, alpha)[best] == near(1)


# Whole numbers over a power of two: shifting and scaling them rounds nothing.
STEPS = st.lists(st.tuples(st.integers(-512, 512), BM25), min_size=1, max_size=12).map(
    lambda pairs: (
        np.array([step / 512 for step, _ in pairs], dtype=np.float32),
        np.array([score for _, score in pairs], dtype=np.float32),
    )
)


@properties
@given(
    candidates=STEPS,
    alpha=ALPHA,
    shift=st.integers(-8, 8),
    scale=st.sampled_from([2**power for power in range(-4, 5)]),
)
def test_shifting_and_scaling_the_similarity_changes_nothing(
    candidates: tuple[Scores, Scores], alpha: float, shift: int, scale: float
) -> None:
    similarity, bm25 = candidates
    moved = (similarity * np.float32(scale) + np.float32(shift)).astype(np.float32)
    assert fuse(moved, bm25, alpha) == near(fuse(similarity, bm25, alpha))


@properties
@given(candidates=STEPS, alpha=ALPHA, scale=st.sampled_from([2**power for power in range(-4, 5)]))
def test_scaling_bm25_changes_nothing(
    candidates: tuple[Scores, Scores], alpha: float, scale: float
) -> None:
    similarity, bm25 = candidates
    scaled = fuse(similarity, bm25 * np.float32(scale), alpha)
    assert scaled == near(fuse(similarity, bm25, alpha))


def test_where_all_similarities_are_equal_bm25_decides() -> None:
    similarity, bm25 = np.full(3, 0.3, np.float32), np.array([1, 0, 4], np.float32)
    assert fuse(similarity, bm25, 0.5) == near([0.625, 0.5, 1.0])


def test_where_no_text_matches_the_similarity_decides() -> None:
    similarity, bm25 = np.array([0.2, 0.6, 0.4], np.float32), np.zeros(3, np.float32)
    assert fuse(similarity, bm25, 0.5) == near([0.0, 0.5, 0.25])


def test_a_single_candidate_has_the_whole_weight_of_what_found_it() -> None:
    one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
    assert fuse(one, one, 0.3) == near([1.0])
    assert fuse(one, none, 0.3) == near([0.3])


def test_no_candidates_have_no_scores() -> None:
    fused = fuse(np.zeros(0, np.float32), np.zeros(0, np.float32), 0.5)
    assert fused.shape == (0,)
    assert fused.dtype == np.float32
