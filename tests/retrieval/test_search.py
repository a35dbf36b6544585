"""Searching a table: one query or many, by vector, by words or by both."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import model2vec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

import ragdoll
from ragdoll.embedding.static import StaticModel
from ragdoll.retrieval.answers import Hit, SearchOptions
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.reading import fusion, legs, search
from ragdoll.retrieval.reading.fusion import CANDIDATES, Scores, fuse
from ragdoll.retrieval.reading.late_interaction import TokenLists, interaction
from ragdoll.retrieval.reading.legs import MemoryLegs, TableLegs
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.table import Table, Terms
from ragdoll.settings import Mode
from tests.closeness import near
from tests.conftest import CORPUS, Trained
from tests.making import index, index_settings, open_corpus
from tests.retrieval.conftest import Indexed

MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")
QUERY = "return the running event loop of a task"
QUERIES = [
    *("return the running event loop", "a lock", "subprocess", "the of and to", "☃☃☃", "?!"),
    *("read until a separator", "cancel a task", "event loop", "asdkjhaskjdh transport"),
]


@pytest.fixture(scope="module")
def library(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """A table with more passages than a leg of a search yields, and some without a vector."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "unknown.jsonl").write_text(
        "".join(json.dumps({"_id": str(n), "text": f"☃☃☃ {'☃' * n}"}) + "\n" for n in range(3))
    )
    corpus = open_corpus([CORPUS, folder / "unknown.jsonl"])
    index(corpus, index_settings(folder / "database", "documents", trained.model))
    return Indexed(folder / "database", Path(CORPUS), trained.model)


@pytest.fixture(scope="module")
def opened(library: Indexed) -> Index:
    return Index.open(library.database)


@pytest.fixture
def find(opened: Index) -> Callable[..., list[Hit]]:
    def run(text: str, k: int, mode: Mode = "hybrid", alpha: float = 0.5) -> list[Hit]:
        weight = alpha if mode == "hybrid" else None
        return opened.search(text, k, mode=mode, alpha=weight)

    return run


def cosines(table: Indexed, query: str) -> dict[str, float]:
    """Compute the cosine of every row to a query by model2vec and numpy alone."""
    rows = table.rows()
    model = model2vec.StaticModel.from_pretrained(table.model)
    # Of the docstrings, some are cut into passages, which are embedded with their title.
    texts = [
        f"{row['text']}\n{row['title']}".removesuffix(
            f"\n{row['title']}" * (row["title"] in row["text"])
        )
        for row in rows
    ]
    vectors: npt.NDArray[np.float64] = model.encode(texts).astype(float)
    vector = model.encode([query])[0].astype(float)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector), 1e-12)
    return dict(zip((row["id"] for row in rows), vectors @ vector / lengths, strict=True))


# Words that stand together

_FAR = "a task of the queue is done before the loop of this other thread ever sees a"


@pytest.mark.parametrize("query", ["socket timeout", "timeout socket"])
@pytest.mark.parametrize("warm", [False, True])
def test_of_passages_of_the_same_words_the_one_where_they_stand_together_is_first(
    query: str, warm: bool, trained: Trained, tmp_path: Path
) -> None:
    texts = {
        "far": f"The socket {_FAR} timeout is here.",
        "near": f"The {_FAR} socket timeout is here.",
        "empty": "☃☃☃",
    }
    others = [f"A lock {number} guards a resource." for number in range(5)]
    table = ragdoll.Index.create(tmp_path / "database", model=trained.model)
    table.update([*({"id": name, "text": text} for name, text in texts.items()), *others])
    found = Index.open(tmp_path / "database", warm=warm).search(query, 2)
    assert [hit.source for hit in found] == ["near", "far"]
    legs_of = [(hit.vector_score, hit.text_score, hit.token_score) for hit in found]
    assert legs_of[0] == near(legs_of[1])


def test_proximity_is_0_without_neighbours(trained: Trained) -> None:
    model = TableModel(trained.model)
    texts = ["socket timeout error", "error", "socket " + "lock " * 40 + "error", ""]
    query, *passages = TokenLists(model.tokens([texts[0], *texts]))
    itself, *others = interaction(query, passages, model).proximity.tolist()
    assert (itself > 0.9, others) == (True, [0, 0, 0])


# One query


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_answers_are_ranked_from_1_by_descending_score(
    find: Callable[..., list[Hit]], mode: Mode, alpha: float
) -> None:
    hits = find(QUERY, 25, mode, alpha)
    assert [hit.rank for hit in hits] == list(range(1, 26))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert len({hit.id for hit in hits}) == 25


def test_a_vector_search_finds_the_nearest_with_their_exact_cosine(
    find: Callable[..., list[Hit]], library: Indexed
) -> None:
    exact = cosines(library, QUERY)
    hits = find(QUERY, 40, "vector")
    assert [hit.score for hit in hits] == near(sorted(exact.values(), reverse=True)[:40])
    for hit in hits:
        assert hit.vector_score == hit.score == near(exact[hit.id])
        assert hit.text_score is None


@pytest.mark.parametrize(
    ("metric", "similarity"),
    [
        ("dot", lambda query, vector: query @ vector),
        ("l2", lambda query, vector: 1 / (1 + np.sum((query - vector) ** 2))),
    ],
    ids=["dot", "l2"],
)
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_other_metrics_are_as_exact(
    indexed: Indexed, metric: str, similarity: Callable[..., float], mode: Mode
) -> None:
    indexed = indexed.at(indexed.database / metric)
    indexed.index(metric=metric)
    query = model2vec.StaticModel.from_pretrained(indexed.model).encode(["event loop"])[0]
    vectors = {row["id"]: np.array(row["vector"]) for row in indexed.rows()}
    hits = indexed.search("event loop", 9, mode=mode)
    assert len(hits) == 4
    for hit in hits:
        assert hit.vector_score == near(similarity(query, vectors[hit.id]))


def test_a_text_search_finds_stems_and_needs_no_vector(find: Callable[..., list[Hit]]) -> None:
    hits = find("locking", 5, "text")
    assert hits
    for hit in hits:
        assert "lock" in hit.text.lower()
        assert (hit.score, hit.vector_score) == (hit.text_score, None)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_every_candidate_of_a_hybrid_search_has_its_exact_cosine(
    find: Callable[..., list[Hit]], library: Indexed, alpha: float
) -> None:
    exact = cosines(library, QUERY)
    hits = find(QUERY, CANDIDATES, alpha=alpha)
    assert len(hits) == CANDIDATES
    for hit in hits:
        assert hit.vector_score == near(exact[hit.id])


def test_a_candidate_that_only_the_text_search_found_is_among_the_answers(
    find: Callable[..., list[Hit]], library: Indexed
) -> None:
    exact = cosines(library, QUERY)
    nearest = sorted(exact, key=lambda row: exact[row], reverse=True)[:CANDIDATES]
    by_text = {hit.id for hit in find(QUERY, CANDIDATES, "text")} - set(nearest)
    assert by_text
    assert {hit.id for hit in find(QUERY, 2 * CANDIDATES, alpha=0.0)} >= by_text


def test_a_candidate_that_only_the_vector_search_found_has_the_text_score_0(
    find: Callable[..., list[Hit]],
) -> None:
    by_text = {hit.id: hit.text_score for hit in find(QUERY, 1000, "text")}
    hits = find(QUERY, 1000)
    assert {hit.text_score for hit in hits if hit.id not in by_text} == {0.0}
    for hit in hits:
        if hit.text_score:
            assert hit.text_score == near(by_text[hit.id])


@pytest.mark.parametrize("alpha", [None, 0.25])
def test_the_hybrid_score_is_the_fusion_of_all_legs(
    find: Callable[..., list[Hit]], library: Indexed, alpha: float | None
) -> None:
    hits = find(QUERY, 1000, alpha=alpha)
    by_legs = (
        [getattr(hit, f"{leg}_score") for hit in hits] for leg in ("vector", "text", "token")
    )
    rows = {row["id"]: row for row in library.rows()}
    candidates = np.array([rows[hit.id]["vector"] for hit in hits], np.float32)
    model = TableModel(library.model)
    (asked,) = TokenLists(model.tokens([QUERY]))
    passages = TokenLists([rows[hit.id]["text_tokens"] for hit in hits])
    scores = Scores(
        *(np.array(values, np.float32) for values in by_legs),
        interaction(asked, passages, model).proximity,
    )
    query = StaticModel.load(library.model).encode([QUERY])[0]
    fused = fuse(scores, query, candidates, "cosine", alpha)
    assert [hit.score for hit in hits] == near(fused.tolist())


def test_with_all_weight_on_the_vector_the_order_is_that_of_a_vector_search(
    find: Callable[..., list[Hit]],
) -> None:
    hits, others = find(QUERY, 20, alpha=1.0), find(QUERY, 20, "vector")
    assert [hit.vector_score for hit in hits] == near([hit.vector_score for hit in others])


def test_with_no_weight_on_the_vector_words_and_tokens_decide(
    find: Callable[..., list[Hit]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fusion, "_PROXIMITY", 0)
    hits = find(QUERY, 1000, alpha=0.0)
    for hit, after in itertools.pairwise(hits):
        if (hit.text_score or 0) < (after.text_score or 0):
            assert (hit.token_score or 0) > (after.token_score or 0)


@pytest.mark.parametrize("tokens", ["", "1 2 3", "éé é é", "00001 0000"])
def test_what_another_tool_wrote_in_the_place_of_tokens_covers_nothing(
    indexed: Indexed, tokens: str
) -> None:
    (before, *_) = indexed.search("event loop", 1)
    table = indexed.connect().open_table("documents")
    table.update(where=f"id = '{before.id}'", values={"text_tokens": tokens})
    hits = {hit.id: hit for hit in indexed.search("event loop", 20)}
    assert hits[before.id].token_score == 0


def test_a_passage_that_has_all_tokens_of_a_query_covers_it(indexed: Indexed) -> None:
    (hit, *_) = indexed.search("event loop", 1)
    assert hit.token_score == near(1)
    assert indexed.search("event loop", 1, mode="text")[0].token_score is None


@pytest.mark.parametrize("mode", MODES)
def test_a_passage_found_is_the_row_of_the_table(
    find: Callable[..., list[Hit]], library: Indexed, mode: Mode
) -> None:
    rows = {row["id"]: row for row in library.rows()}
    hits = find(QUERY, 10, mode)
    assert len(hits) == 10
    for hit in hits:
        row = rows[hit.id]
        for name in ("source", "title", "text", "start", "end"):
            assert getattr(hit, name) == row[name]
        assert hit.metadata == json.loads(row["metadata"])


@pytest.mark.parametrize("mode", MODES)
def test_more_answers_than_there_are_can_be_asked_for(indexed: Indexed, mode: Mode) -> None:
    hits = indexed.search("event loop", 10_000, mode=mode)
    assert len(hits) == (1 if mode == "text" else 4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query",
    [
        pytest.param("the of and to", id="stop words"),
        pytest.param("?!... -- ()", id="punctuation"),
        pytest.param("\"it's\" 'quoted' \\ `", id="quotes"),
        pytest.param('"event loop"', id="in quotation marks"),
        pytest.param("event AND loop OR -task +lock loop* title:x (a", id="operators"),
        pytest.param("event loop " * 500, id="5000 characters"),
        pytest.param("x" * 5000, id="a word of 5000 characters"),
        pytest.param("☃☃☃", id="no known token"),
        pytest.param("event\0loop", id="zero byte"),
        pytest.param("'; DROP TABLE documents; --", id="another language"),
        pytest.param("", id="nothing"),
    ],
)
def test_any_query_is_answered(find: Callable[..., list[Hit]], mode: Mode, query: str) -> None:
    scores = [hit.score for hit in find(query, 3, mode)]
    assert scores == sorted(scores, reverse=True)


def test_words_in_quotation_marks_are_searched_for_as_words(
    find: Callable[..., list[Hit]],
) -> None:
    assert find('"event loop"', 5, "text") == find("event loop", 5, "text") != []


def test_stop_words_match_no_text(find: Callable[..., list[Hit]]) -> None:
    assert find("the of and to", 5, "text") == []


def test_a_query_without_a_known_token_is_answered_by_the_text_search_alone(
    indexed: Indexed,
) -> None:
    (indexed.docs / "far.md").write_text("A lock is ሰላም.")
    indexed.index()
    assert not model2vec.StaticModel.from_pretrained(indexed.model).encode(["ሰላም"]).any()
    assert indexed.search("ሰላም", mode="vector") == []
    by_text = indexed.search("ሰላም", mode="text")
    assert [hit.source for hit in by_text] == ["far.md"]
    assert indexed.search("ሰላም", mode="hybrid") == by_text


@pytest.mark.parametrize("metadata", [None, "[1]", "{", "[" * 10**5, '{"a": NaN}'])
def test_rows_that_anyone_wrote_are_answers(indexed: Indexed, metadata: str | None) -> None:
    changed = rows = indexed.arrow()
    for name, value in (("metadata", metadata), ("title", None), ("text", None)):
        column = pa.array([value] * len(rows), pa.string())
        changed = changed.set_column(rows.column_names.index(name), name, column)
    indexed.connect().create_table("documents", changed.cast(rows.schema), mode="overwrite")
    hits = indexed.search("loop", mode="vector")
    assert {(hit.title, hit.text) for hit in hits} == {("", "")}
    assert [hit.metadata for hit in hits] == [{}] * 4


# Many queries


def new_searcher(opened: Index) -> Searcher:
    """Return a searcher that has answered nothing yet."""
    return Searcher(opened._table, opened._target.model)


def kind(searcher: Searcher) -> type:
    """Return the kind of legs of the next query without conditions."""
    return TableLegs if searcher._in_memory is None else MemoryLegs


def without_scores(hit: Hit) -> Hit:
    return replace(hit, rank=0, score=0.0, vector_score=None, text_score=None)


def scores(hit: Hit) -> list[float]:
    return [-1 if score is None else score for score in (hit.vector_score, hit.text_score)]


def check_same(hits: list[Hit], expected: list[Hit]) -> None:
    """Check that answers are the same, but for the order of those that score alike."""
    assert [hit.rank for hit in hits] == [hit.rank for hit in expected]
    assert [hit.score for hit in hits] == near([hit.score for hit in expected])
    by_id = {hit.id: hit for hit in expected}
    for hit in hits:
        if hit.id in by_id:
            assert without_scores(hit) == without_scores(by_id[hit.id])
            assert scores(hit) == near(scores(by_id[hit.id]))
        else:  # it may only tie with the last
            assert hit.score == near(expected[-1].score)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("k", [1, 10, 150, 10_000])
def test_the_answers_are_those_of_each_query_alone(opened: Index, mode: Mode, k: int) -> None:
    many, alone = new_searcher(opened), new_searcher(opened)
    options = SearchOptions(k, mode, 0.4 if mode == "hybrid" else None)
    answers = list(many.search_many(QUERIES, options))
    assert kind(many) is MemoryLegs
    assert any(answers)
    for query, hits in zip(QUERIES, answers, strict=True):
        alone._answered = 0
        check_same(hits, next(alone.search_many([query], options)))
    assert kind(alone) is TableLegs


@pytest.mark.parametrize("metric", ["dot", "l2"])
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_so_they_are_for_other_metrics(indexed: Indexed, metric: str, mode: Mode) -> None:
    indexed = indexed.at(indexed.database / metric)
    indexed.index(metric=metric)
    together = Index.open(indexed.database).search_many(QUERIES, 9, mode=mode)
    for query, hits in zip(QUERIES, together, strict=True):
        check_same(hits, indexed.search(query, 9, mode=mode))


def test_one_by_one_the_rows_are_loaded_in_the_end(opened: Index) -> None:
    searcher = new_searcher(opened)
    kinds = []
    for query in QUERIES:
        list(searcher.search_many([query], SearchOptions(1)))
        kinds.append(kind(searcher))
    few = search._SEVERAL - 1
    assert kinds == [TableLegs] * few + [MemoryLegs] * (len(QUERIES) - few)


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_rows_that_are_too_many_stay_in_the_table(
    opened: Index, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    vectors = len(opened) * opened._table.identity.dimension * 4
    monkeypatch.setattr(legs, "_MAX_IN_MEMORY", int(vectors * share))
    if share < 1:  # then nothing is read to find out
        monkeypatch.setattr(Table, "all_rows", None)
    searcher = new_searcher(opened)
    assert len(list(searcher.search_many(QUERIES, SearchOptions(3)))) == len(QUERIES)
    assert kind(searcher) is TableLegs


@pytest.mark.parametrize("mode", MODES)
def test_conditions_are_met_by_many_queries_too(opened: Index, mode: Mode) -> None:
    alone, warm = new_searcher(opened), Searcher(opened._table, opened._target.model, warm=True)
    many, rare = "source LIKE '%l%'", "source LIKE '%lock%'"
    for where in (many, rare, None, "source = 'nothing'", many, rare):
        alone._answered = 0
        for query, hits in zip(
            QUERIES, warm.search_many(QUERIES, SearchOptions(5, mode, where=where)), strict=True
        ):
            check_same(hits, next(alone.search_many([query], SearchOptions(5, mode, where=where))))
            alone._answered = 0
    assert kind(alone) is TableLegs


def test_the_rows_of_the_latest_conditions_are_remembered(
    opened: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    original = Table.ids_where

    def ids_where(table: Table, conditions: Any) -> Any:
        asked.append(conditions)
        return original(table, conditions)

    monkeypatch.setattr(Table, "ids_where", ids_where)
    searcher = Searcher(opened._table, opened._target.model, warm=True)
    for number in [0, 0, *range(legs._MOST_VIEWS + 1), legs._MOST_VIEWS, 0]:
        list(searcher.search_many(["lock"], SearchOptions(1, where=f"start = {number}")))
    assert len(asked) == legs._MOST_VIEWS + 2  # the first of all was forgotten


def test_equal_answers_by_words_come_in_the_order_of_the_rows(
    trained: Trained, tmp_path: Path
) -> None:
    index = Index.create(tmp_path / "database", model=trained.model)
    index.update([{"id": f"{n:02}", "text": f"A lock, it is {n}."} for n in range(40)])
    hits = index.search("lock", 40, mode="text")
    assert [hit.source for hit in hits] == [f"{n:02}" for n in range(40)]


def test_texts_are_read_of_the_answers_alone(
    opened: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[tuple[int, bool]] = []
    original = Table.rows_at

    def rows_at(table: Table, ids: Any, columns: Any) -> Any:
        read.append((len(ids), "text" in columns))
        return original(table, ids, columns)

    monkeypatch.setattr(Table, "rows_at", rows_at)
    (hits,) = new_searcher(opened).search_many(["return the running event loop"], SearchOptions(5))
    (candidates, with_text), *texts = read
    assert not with_text
    assert candidates > CANDIDATES
    assert all(with_text for _, with_text in texts)
    assert len(hits) == 5 < sum(count for count, _ in texts) < candidates / 2


def test_the_search_by_words_begins_before_its_answers_are_asked_for(
    opened: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def matching(*arguments: Any) -> Any:
        begun.set()
        return original(*arguments)

    original = Table.matching
    monkeypatch.setattr(Table, "matching", matching)
    for legs_ in (TableLegs(opened._table, ()), MemoryLegs.load(opened._table)):
        assert legs_ is not None
        begun.clear()
        answers = legs_.matching([Terms("event loop")], [3])
        assert begun.wait(20)
        assert len(next(answers).keys) == 3


def test_an_empty_table_has_no_answers(indexed: Indexed) -> None:
    indexed.connect().open_table("documents").delete("true")
    index = Index.open(indexed.database)
    assert len(index) == 0
    assert list(index.search_many(QUERIES, 5)) == [[]] * len(QUERIES)


def test_a_search_reads_the_version_that_it_began_with(indexed: Indexed) -> None:
    """Rows are looked up by LanceDB's ids, which must not move under the search."""
    index = Index.open(indexed.database)
    searcher = index._search
    before: list[Any] = list(searcher.search_many(QUERIES, SearchOptions(5)))
    begun = index.search_many(QUERIES, 5)
    first = next(begun)
    (indexed.docs / "loop.md").write_text("# The event loop\n\nAnother text about a lock.")
    indexed.index()
    assert [first, *begun] == before
    assert list(searcher.search_many(QUERIES, SearchOptions(5))) == before
    assert list(index.search_many(QUERIES, 5)) != before
