"""Many queries in one process: the answers of each alone, faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from ragdoll.corpus.reading import open_corpus
from ragdoll.retrieval.reading import legs, search
from ragdoll.retrieval.reading.legs import MemoryLegs, TableLegs
from ragdoll.retrieval.reading.search import Hit, Mode, Searcher
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexSettings
from tests.conftest import CORPUS, Ragdoll, Trained
from tests.retrieval.conftest import Indexed

MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")
QUERIES = [
    *("return the running event loop", "a lock", "subprocess", "the of and to", "☃☃☃", "?!"),
    *("read until a separator", "cancel a task", "event loop", "asdkjhaskjdh transport"),
]


@pytest.fixture(scope="module")
def database(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A table with more passages than a leg of a search yields, and some without a vector."""
    folder = tmp_path_factory.mktemp("many")
    (folder / "unknown.jsonl").write_text(
        "".join(json.dumps({"_id": str(n), "text": f"☃☃☃ {'☃' * n}"}) + "\n" for n in range(3))
    )
    place = str(folder / "database")
    corpus = open_corpus([CORPUS, str(folder / "unknown.jsonl")])
    index(corpus, IndexSettings(place, "documents", trained.model))
    return place


@pytest.fixture
def table(database: str) -> Table:
    return Database(database, to_search=True).open("documents")


def check_same(found: list[Hit], expected: list[Hit]) -> None:
    """Check that answers are the same, but for the order of those that score alike."""
    assert [hit.rank for hit in found] == [hit.rank for hit in expected]
    scores = np.array([hit.score for hit in expected])
    by_id = {hit.id: hit for hit in expected}
    for hit, other in zip(found, expected, strict=True):
        assert hit.score == pytest.approx(other.score, abs=2e-6)
        if hit.id in by_id:
            assert asdict(hit) == pytest.approx(
                {**asdict(by_id[hit.id]), "rank": hit.rank}, abs=2e-6
            )
        else:  # it may only tie with the last
            assert hit.score == pytest.approx(scores[-1], abs=2e-6)
        if hit.id != other.id:
            assert (abs(scores - hit.score) < 2e-6).sum() > 1 or hit.id not in by_id


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("top_k", [1, 10, 150, 10_000])
def test_the_answers_are_those_of_each_query_alone(table: Table, mode: Mode, top_k: int) -> None:
    many, alone = Searcher(table, mode=mode), Searcher(table, mode=mode)
    answers = list(many.search_many(QUERIES, top_k, 0.4))
    assert isinstance(many._legs, MemoryLegs)
    assert any(answers)
    for query, hits in zip(QUERIES, answers, strict=True):
        alone._answered = 0
        check_same(hits, alone.search(query, top_k, 0.4))
    assert isinstance(alone._legs, TableLegs)


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_so_they_are_for_other_metrics(indexed: Indexed, metric: str, mode: Mode) -> None:
    indexed = indexed.at(indexed.database / metric)
    indexed.index(metric=metric)
    table = Database(str(indexed.database)).open("documents")
    alone = [Searcher(table, mode=mode).search(query, 9) for query in QUERIES]
    for hits, expected in zip(
        Searcher(table, mode=mode).search_many(QUERIES, 9), alone, strict=True
    ):
        check_same(hits, expected)


def test_one_by_one_the_rows_are_loaded_in_the_end(table: Table) -> None:
    searcher = Searcher(table)
    kinds = []
    for query in QUERIES:
        searcher.search(query, 1)
        kinds.append(type(searcher._legs))
    assert kinds == [TableLegs] * (search._SEVERAL - 1) + [MemoryLegs] * (
        len(QUERIES) - search._SEVERAL + 1
    )


def too_large(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "_MAX_IN_MEMORY", 10_000)


def with_an_index(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table.state, "partitions", 4)


@pytest.mark.parametrize("change", [too_large, with_an_index])
def test_rows_that_are_too_many_stay_in_the_table(
    table: Table, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None]
) -> None:
    change(table, monkeypatch)
    searcher = Searcher(table)
    assert len(list(searcher.search_many(QUERIES, 3))) == len(QUERIES)
    assert isinstance(searcher._legs, TableLegs)


def test_conditions_are_met_by_many_queries_too(table: Table) -> None:
    searcher = Searcher(table, where="source LIKE '%lock%'")
    found = [hit for hits in searcher.search_many(QUERIES, 5) for hit in hits]
    assert found
    assert all("lock" in hit.source for hit in found)


def test_an_empty_table_has_no_answers(indexed: Indexed) -> None:
    indexed.connect().open_table("documents").delete("true")
    table = Database(str(indexed.database)).open("documents")
    assert table.count() == 0
    assert list(Searcher(table).search_many(QUERIES, 5)) == [[]] * len(QUERIES)


def test_a_changed_table_is_read_as_it_was_opened(indexed: Indexed) -> None:
    """Rows are looked up by what LanceDB calls them, which must not move under the search."""
    table = Database(str(indexed.database), to_search=True).open("documents")
    searcher = Searcher(table)
    before = list(searcher.search_many(QUERIES, 5))
    (indexed.docs / "loop.md").write_text("# The event loop\n\nAnother text about a lock.")
    indexed.index()
    assert list(searcher.search_many(QUERIES, 5)) == before


def test_the_command_answers_each_line_in_turn(ragdoll: Ragdoll, database: str) -> None:
    arguments: list[Any] = ["query", "--database", database, "--json"]
    lines = QUERIES * 20
    result = ragdoll(*arguments, "-", stdin="\n".join(lines))
    assert (result.status, result.err) == (0, "")
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer["query"] for answer in answers] == lines
    alone = ragdoll(*arguments, QUERIES[0]).json
    np.testing.assert_allclose(
        [hit["score"] for hit in answers[0]["hits"]],
        [hit["score"] for hit in alone["hits"]],
        atol=2e-6,
    )
    assert answers[0] == answers[len(QUERIES)]
