"""One question in detail: its answers' ranks, and where the systems disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdoll.embedding.static import StaticModel
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.evaluate import Systems
from ragdoll.evaluation.explain import explain
from ragdoll.evaluation.metrics import ranking
from ragdoll.evaluation.systems import (
    SearchedTable,
    search_run,
    static_similarities,
    vector_run,
)
from tests.conftest import Trained
from tests.evaluation.making import written

DOCUMENTS = {
    "lock": "a lock guards a resource",
    "loop": "the loop runs callbacks",
    "both": "locks and loops of a resource",
    "late": "callbacks run later",
    "none": "文",
}
QUERIES = {"q1": "what guards a resource", "q2": "callbacks later"}
TEXT = Systems([], mode="text")
QRELS = "q1\tlock\t1\nq1\tnone\t2\nq1\tlate\t0\nq2\tlate\t1\n"


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny", DOCUMENTS, QUERIES, QRELS)


@pytest.mark.parametrize("query", ["q1", "what guards a resource", "  What  guards a RESOURCE "])
def test_a_question_is_known_by_its_id_or_its_words(beir: Path, query: str) -> None:
    found = explain(load_beir(beir), query, TEXT)
    assert (found.query_id, found.query) == ("q1", QUERIES["q1"])


def test_the_answers_have_their_ranks_the_most_relevant_first(beir: Path, trained: Trained) -> None:
    collection = load_beir(beir)
    found = explain(collection, "q1", Systems([trained.model]))
    tokens = "tokens of model + BM25"
    assert found.systems == ["distillate", "model", "BM25", "model + BM25", tokens]
    behind, first = (place.ranks[tokens] for place in found.answers)
    assert behind is not None
    assert first == 1 < behind
    assert [(answer.document, answer.relevance) for answer in found.answers] == [
        ("none", 2),
        ("lock", 1),
    ]
    assert found.answers[0].ranks["BM25"] is None
    single = TestCollection("c", collection.documents, {"q": QUERIES["q1"]}, {"q": {}})
    similar = static_similarities(StaticModel.load(trained.model), single)
    by_vector = ranking(vector_run("m", "model", similar, single, 100).run["q"], 100)
    by_words = ranking(search_run("BM25", "bm25", SearchedTable.make(single), single).run["q"], 100)
    for place in (*found.answers, *found.disputed):
        assert place.text == DOCUMENTS[place.document]
        assert place.ranks["model"] == by_vector.index(place.document) + 1
        in_text = place.document in by_words
        assert place.ranks["BM25"] == (by_words.index(place.document) + 1 if in_text else None)


def test_disputed_are_no_answers_and_the_most_disputed_come_first(
    beir: Path, trained: Trained
) -> None:
    found = explain(load_beir(beir), "q1", Systems([trained.model]))
    assert {"lock", "none"}.isdisjoint(place.document for place in found.disputed)

    def spread(ranks: dict[str, int | None]) -> float:
        reciprocal = [1 / rank if rank else 0 for rank in ranks.values()]
        return max(reciprocal) - min(reciprocal)

    spreads = [spread(place.ranks) for place in found.disputed]
    assert spreads == sorted(spreads, reverse=True)
    assert all(value > 0 for value in spreads)
    judged = {place.document: place.relevance for place in found.disputed}
    assert judged.get("late", 0) == 0
    assert judged.get("loop") is None


def test_any_other_question_has_no_answers(beir: Path, trained: Trained) -> None:
    found = explain(load_beir(beir), "loops", Systems([trained.model]))
    assert (found.query_id, found.query, found.answers) == (None, "loops", [])
    assert found.disputed


def test_documents_that_were_cut_are_ranked_as_documents() -> None:
    collection = TestCollection(
        "c",
        {"a [1]": "lock", "a [2]": "lock lock", "b": "lock and loop"},
        {"q": "lock"},
        {"q": {"b": 1}},
        {"a [1]": "a", "a [2]": "a"},
    )
    found = explain(collection, "q", TEXT)
    assert [(place.document, place.ranks["BM25"]) for place in found.answers] == [("b", 2)]
