"""One question under the glass: its answers' ranks and what the systems disagree on."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ragdoll.cli.evaluation_view import explanation
from ragdoll.embedding.static import StaticEncoder
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.explain import Explanation, Place, explain
from ragdoll.evaluation.metrics import ranking
from ragdoll.evaluation.systems import search_text, static_similarities, vector_run
from tests.conftest import Ragdoll, Trained
from tests.evaluation.test_evaluate import written

DOCUMENTS = {
    "lock": "a lock guards a resource",
    "loop": "the loop runs callbacks",
    "both": "locks and loops of a resource",
    "late": "callbacks run later",
    "none": "文",
}
QUERIES = {"q1": "what guards a resource", "q2": "callbacks later"}
QRELS = "q1\tlock\t1\nq1\tnone\t2\nq1\tlate\t0\nq2\tlate\t1\n"


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny", DOCUMENTS, QUERIES, QRELS)


@pytest.mark.parametrize("query", ["q1", "what guards a resource", "  What  guards a RESOURCE "])
def test_a_question_is_known_by_its_id_or_its_words(beir: Path, query: str) -> None:
    found = explain(load_beir(beir), query, [], mode="text")
    assert (found.query_id, found.query) == ("q1", QUERIES["q1"])


def test_the_answers_have_their_ranks_the_most_relevant_first(beir: Path, trained: Trained) -> None:
    collection = load_beir(beir)
    found = explain(collection, "q1", [trained.model])
    assert found.systems == ["distillate", "model", "BM25", "model + BM25"]
    assert [(answer.document, answer.relevance) for answer in found.answers] == [
        ("none", 2),
        ("lock", 1),
    ]
    assert found.answers[0].ranks["BM25"] is None
    single = TestCollection("c", collection.documents, {"q": QUERIES["q1"]}, {"q": {}})
    similar = static_similarities(StaticEncoder(trained.model), single)
    by_vector = ranking(vector_run("m", "model", similar, single, 100).run["q"], 100)
    by_words = ranking(search_text(single).run(single).run["q"], 100)
    for place in (*found.answers, *found.disputed):
        assert place.text == DOCUMENTS[place.document]
        assert place.ranks["model"] == by_vector.index(place.document) + 1
        in_text = place.document in by_words
        assert place.ranks["BM25"] == (by_words.index(place.document) + 1 if in_text else None)


def test_disputed_are_no_answers_and_the_most_disputed_come_first(
    beir: Path, trained: Trained
) -> None:
    found = explain(load_beir(beir), "q1", [trained.model])
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
    found = explain(load_beir(beir), "loops", [trained.model])
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
    found = explain(collection, "q", [], mode="text")
    assert [(place.document, place.ranks["BM25"]) for place in found.answers] == [("b", 2)]


# The command


def test_the_command_explains_one_question(ragdoll: Ragdoll, beir: Path, trained: Trained) -> None:
    result = ragdoll("evaluate", beir, "--model", trained.model, "--explain", "q1")
    assert (result.status, result.err) == (0, "")
    assert "Where each system ranks the answers" in result.out
    assert "a lock guards a resource" in result.out
    assert "nDCG" not in result.out
    record = ragdoll("evaluate", beir, "--model", trained.model, "--explain", "q1", "--json").json
    assert record["query_id"] == "q1"
    assert set(record["answers"][0]) == {"document", "text", "relevance", "ranks"}
    assert set(record["answers"][0]["ranks"]) == set(record["systems"])


def test_a_text_that_is_cut_shows_where() -> None:
    place = Place("long", "word " * 40, 1, {"BM25": 1})
    view = explanation(Explanation("c", "q1", "word", ["BM25"], [place], []), 10)
    console = Console(width=200, file=StringIO())
    console.print(view)
    assert "word word…\n" in re.sub(" +\n", "\n", console.file.getvalue())


def test_a_long_name_is_shown_whole_on_a_narrow_terminal() -> None:
    place = Place("a/path/to/a/document.txt", "word " * 11, 1, {"BM25": 1})
    console = Console(width=70, file=StringIO())
    console.print(explanation(Explanation("c", "q1", "word", ["BM25"], [place], []), 10))
    assert "…" not in console.file.getvalue()
    assert "\n.txt " in console.file.getvalue()


def test_models_of_one_name_are_told_apart_by_their_folders() -> None:
    for systems, shown in (
        (["a/model", "a/other", "owner/teacher"], ["model", "other", "teacher"]),
        (["a/model", "b/model"], ["a/model", "b/model"]),
    ):
        place = Place("d", "text", 1, dict.fromkeys(systems, 1))
        console = Console(file=StringIO(), width=100)
        console.print(explanation(Explanation("c", "q1", "word", systems, [place], []), 10))
        heading = next(line for line in console.file.getvalue().splitlines() if "document" in line)
        assert heading.split() == ["document", *shown, "text"]


def test_a_question_of_ones_own_is_said_to_be_one(ragdoll: Ragdoll, beir: Path) -> None:
    result = ragdoll("evaluate", beir, "--mode", "text", "--explain", "loops")
    assert result.status == 0
    assert "nobody judged" in result.out


def test_an_explanation_has_no_report(ragdoll: Ragdoll, beir: Path) -> None:
    result = ragdoll(
        "evaluate", beir, "--mode", "text", "--explain", "q1", "--output", "report.html"
    )
    assert result.status == 2
    assert not Path("report.html").exists()
