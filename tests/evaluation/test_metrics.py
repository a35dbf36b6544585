"""The measures against those of trec_eval and by hand, and the test of their significance."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import pytrec_eval
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragdoll.evaluation.metrics import (
    measure,
    ndcg,
    paired_randomization,
    ranking,
    recall,
    reciprocal_rank,
)
from tests.closeness import near

often = settings(derandomize=True, deadline=None, max_examples=300)

DOCUMENTS = st.sampled_from([f"d{number}" for number in range(30)] + ["D1", "é", "文", "d 1", "-"])
# trec_eval keeps scores in single precision: eighths are exact in both, and ties are frequent.
SCORES = st.integers(-20, 20).map(lambda number: number / 8)
FOUND = st.dictionaries(DOCUMENTS, SCORES, max_size=35)
# Where no judgement is at least 0, trec_eval reads memory that is not its own.
JUDGED = st.dictionaries(DOCUMENTS, st.integers(-2, 4), min_size=1, max_size=20).filter(
    lambda judged: max(judged.values()) >= 0
)
QUERIES = st.dictionaries(
    st.sampled_from(["q1", "q2", "q3"]), st.tuples(FOUND, JUDGED), min_size=1, max_size=3
)

Queries = dict[str, tuple[dict[str, float], dict[str, int]]]
TIED = {f"d{number}": 1.0 for number in range(20)}


def by_trec_eval(queries: Queries, measures: set[str]) -> dict[str, dict[str, float]]:
    qrels = {query: judged for query, (_, judged) in queries.items()}
    run = {query: found for query, (found, _) in queries.items()}
    result: dict[str, dict[str, float]] = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(
        run
    )
    return result


def by_ragdoll(queries: Queries, k: int) -> dict[str, list[float]]:
    qrels = {query: judged for query, (_, judged) in queries.items()}
    run = {query: found for query, (found, _) in queries.items()}
    return measure(run, qrels, k)


@given(queries=QUERIES, k=st.sampled_from([1, 3, 5, 10, 15, 20, 30, 100]))
@example(queries={"q1": (TIED, {"d0": 1, "d19": 2, "d7": 4})}, k=10)
@example(queries={"q1": ({"d1": 1.0, "d2": 0.5}, {"d1": -2, "d2": 1, "d3": 0})}, k=10)
@example(queries={"q1": ({}, {"d1": 1}), "q2": ({"d1": 1.0}, {"d1": 0})}, k=10)
@often
def test_ndcg_and_recall_are_those_of_trec_eval(queries: Queries, k: int) -> None:
    expected = by_trec_eval(queries, {f"ndcg_cut.{k}", f"recall.{k}"})
    found = by_ragdoll(queries, k)
    for number, query in enumerate(queries):
        of_query = expected.get(query, {})
        assert found["ndcg"][number] == near(of_query.get(f"ndcg_cut_{k}", 0.0))
        assert found["recall"][number] == near(of_query.get(f"recall_{k}", 0.0))


@given(queries=QUERIES, k=st.sampled_from([1, 5, 10, 100]))
@example(queries={"q1": (TIED, {"d0": 1})}, k=10)
@often
def test_the_reciprocal_rank_is_that_of_trec_eval_up_to_the_cut(queries: Queries, k: int) -> None:
    expected = by_trec_eval(queries, {"recip_rank"})
    found = by_ragdoll(queries, k)
    for number, query in enumerate(queries):
        uncut = expected.get(query, {}).get("recip_rank", 0.0)
        cut_off = uncut if uncut >= 1 / k - 1e-9 else 0.0
        assert found["mrr"][number] == near(cut_off)


@given(queries=QUERIES, k=st.integers(1, 40))
@often
def test_every_measure_lies_between_zero_and_one(queries: Queries, k: int) -> None:
    for values in by_ragdoll(queries, k).values():
        assert len(values) == len(queries)
        assert all(0 <= value <= 1 + 1e-12 for value in values)


@given(judged=JUDGED.filter(lambda judged: max(judged.values()) > 0))
@often
def test_the_ideal_ranking_is_perfect(judged: dict[str, int]) -> None:
    found = {document: float(gain) for document, gain in judged.items()}
    (value,) = by_ragdoll({"q": (found, judged)}, 10)["ndcg"]
    assert value == pytest.approx(1)


def test_ndcg_by_hand() -> None:
    judged = {"a": 3, "b": 2, "c": 0, "d": 1}
    found = 0 / math.log2(2) + 2 / math.log2(3) + 3 / math.log2(4)
    best = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(["c", "b", "a", "unjudged"], judged, 10) == pytest.approx(found / best)


def test_the_cut_holds_for_what_is_found_and_for_the_ideal() -> None:
    judged = {"a": 1, "b": 1, "c": 1}
    assert ndcg(["a", "b", "x", "c"], judged, 2) == 1
    assert ndcg(["x", "a"], judged, 1) == 0


def test_recall_and_reciprocal_rank_by_hand() -> None:
    judged = {"a": 2, "b": 1, "c": 0, "d": -1}
    assert recall(["c", "a", "x"], judged, 10) == 0.5
    assert recall(["c", "a", "b"], judged, 2) == 0.5
    assert reciprocal_rank(["c", "d", "b", "a"], judged, 10) == pytest.approx(1 / 3)
    assert reciprocal_rank(["c", "d", "b"], judged, 2) == 0


@pytest.mark.parametrize("function", [ndcg, recall, reciprocal_rank])
@pytest.mark.parametrize("judged", [{}, {"a": 0}, {"a": -1}])
def test_where_nothing_is_relevant_every_measure_is_zero(
    function: object, judged: dict[str, int]
) -> None:
    assert function(["a", "b"], judged, 10) == 0  # type: ignore[operator]


def test_ties_are_broken_by_the_id_from_the_last() -> None:
    assert ranking({"a": 1.0, "c": 1.0, "b": 1.0, "z": 0.5, "y": 2.0}, 4) == ["y", "c", "b", "a"]


def test_a_query_that_nothing_was_found_for_scores_zero() -> None:
    qrels = {"one": {"a": 1}, "two": {"a": 1}}
    assert measure({"two": {"a": 1.0}}, qrels, 10) == {
        "ndcg": [0.0, 1.0],
        "recall": [0.0, 1.0],
        "mrr": [0.0, 1.0],
    }


def test_a_query_that_is_not_judged_does_not_count() -> None:
    run = {"judged": {"a": 1.0}, "unjudged": {"a": 1.0}}
    assert measure(run, {"judged": {"a": 1}}, 10)["ndcg"] == [1.0]


# The randomization test


VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30).map(
    lambda pairs: tuple(zip(*pairs, strict=True))
)
Values = tuple[tuple[float, ...], tuple[float, ...]]

few = settings(derandomize=True, deadline=None, max_examples=30)


@given(values=VALUES, seed=st.integers(0, 2**32))
@few
def test_it_is_symmetric_repeatable_and_a_probability_above_zero(values: Values, seed: int) -> None:
    first, second = values
    p = paired_randomization(first, second, seed)
    assert 0 < p <= 1
    assert p == paired_randomization(second, first, seed)
    assert p == paired_randomization(list(first), np.array(second), seed)


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
@few
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
