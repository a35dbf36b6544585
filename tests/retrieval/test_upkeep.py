"""Keeping a table fast and small: the approximate index, compaction, and no leftovers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import Passage
from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import Vectors, similarity
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.storage import table as table_module
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import TableIdentity, TableState, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing import upkeep
from ragdoll.retrieval.writing.rows import record_batch
from ragdoll.settings import Mode
from tests.closeness import near
from tests.conftest import CORPUS, Trained
from tests.making import index, index_settings, open_corpus
from tests.retrieval.conftest import Indexed

METRICS: tuple[Metric, ...] = ("cosine", "dot", "l2")
MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")
QUERIES = ("return the running event loop of a task", "close", "lock")


@pytest.fixture
def small_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """An approximate index for tables of a hundred rows, in a few partitions.

    LanceDB turns the vectors at random before it rounds them. So that no build of the index misses
    one of a hundred candidates, a search compares more rows exactly than it usually does.
    """
    monkeypatch.setattr(upkeep, "VECTOR_INDEX_ROWS", 100)
    monkeypatch.setattr(upkeep, "_ROWS_PER_PARTITION", 64)
    monkeypatch.setattr(table_module, "_REFINED", 400)


def indices(table: Indexed) -> dict[str, str]:
    return {
        index.columns[0]: index.index_type
        for index in table.connect().open_table("documents").list_indices()
    }


# The approximate index


@pytest.mark.parametrize("metric", METRICS)
def test_answers_are_the_same_with_and_without_an_approximate_index(
    trained: Trained, tmp_path: Path, small_index: None, metric: Metric
) -> None:
    settings = index_settings(tmp_path, "documents", trained.model, metric=metric, chunk_size=64)
    index(open_corpus([CORPUS]), settings)
    table = Indexed(tmp_path, tmp_path, trained.model)
    assert indices(table) == {"text_words": "FTS", "vector": "IvfRq"}
    with_index = {mode: [table.search(text, 20, mode=mode) for text in QUERIES] for mode in MODES}
    table.connect().open_table("documents").drop_index("vector_idx")
    for mode in MODES:
        for text, hits in zip(QUERIES, with_index[mode], strict=True):
            exact = table.search(text, 20, mode=mode)
            assert len(exact) == len(hits)
            for name in ("score", "vector_score", "text_score"):
                values = [getattr(hit, name) for hit in exact]
                if None not in values:
                    assert [getattr(hit, name) for hit in hits] == near(values)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_rows_in_memory_use_the_approximate_index(
    indexed: Indexed, small_index: None, monkeypatch: pytest.MonkeyPatch, metric: str, mode: Mode
) -> None:
    lines = "\n".join(f'{{"_id": "{n}", "text": "Task number {n} of many."}}' for n in range(150))
    (indexed.docs / "many.jsonl").write_text(lines)
    indexed = indexed.at(indexed.database / metric)
    indexed.index(metric=metric)
    opened = Index.open(indexed.database)
    asked = []

    def near_ids(
        table: Table, vector: Vectors, limit: int, conditions: Sequence[str]
    ) -> npt.NDArray[np.uint64]:
        asked.append(limit)
        return original(table, vector, limit, conditions)

    original = Table.near_ids
    monkeypatch.setattr(Table, "near_ids", near_ids)
    many = list(opened.search_many(QUERIES * 3, 20, mode=mode))
    assert len(asked) == len(many)
    for query, hits in zip(QUERIES, many, strict=False):
        exact = indexed.search(query, 20, mode=mode)
        assert [hit.score for hit in hits] == near([hit.score for hit in exact])
    for where in ("source LIKE '%7%'", "source = 'nothing'"):
        together = opened.search_many(QUERIES, 9, mode=mode, where=where)
        for query, hits in zip(QUERIES, together, strict=True):
            exact = indexed.search(query, 9, mode=mode, where=where)
            assert [hit.score for hit in hits] == near([hit.score for hit in exact])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [12, 16])
def test_any_dimension_has_an_approximate_index(
    tmp_path: Path, dimension: int, metric: Metric
) -> None:
    identity = TableIdentity("", dimension, metric, False, None, 8, "")
    state = TableState("", str(tmp_path))
    vectors = np.random.default_rng(0).standard_normal((300, dimension)).astype(np.float32)
    vectors[:2] = 0
    passages = [Passage(Document(""), 0, 0, id=f"{n:03}") for n in range(len(vectors))]
    batch = record_batch(passages, [None] * len(passages), vectors, schema(identity, state), {})
    table = Database(str(tmp_path), create=True).build("documents", identity, state, [batch])
    table.index_vectors(4)
    ids, scores = table.nearest(vectors[7], 10)
    exact = similarity(vectors[7:8], vectors, metric)[0]
    # A zero vector has no direction, but a place.
    comparable = exact if metric == "l2" else exact[2:]
    assert scores == near(np.sort(comparable)[::-1][:10])
    assert table.rows_at(ids[:1], ["id"])[0]["id"].to_pylist() == [f"{int(np.argmax(exact)):03}"]


def test_what_came_after_the_approximate_index_is_found(
    indexed: Indexed, small_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_STALE_SHARE", 1)
    lines = "\n".join(f'{{"_id": "{n}", "text": "Task number {n} of many."}}' for n in range(150))
    (indexed.docs / "many.jsonl").write_text(lines)
    indexed.index()
    assert indices(indexed) == {"text_words": "FTS", "vector": "IvfRq"}
    assert indexed.open().state.indexed_rows == 154
    (indexed.docs / "new.md").write_text("A semaphore bounds transports.")
    indexed.index()
    assert indexed.open().unindexed_rows() == 151
    for mode in MODES:
        hits = indexed.search("A semaphore bounds transports.\nnew", 3, mode=mode)
        assert hits[0].source == "new.md"
        assert hits[0].vector_score is None or hits[0].vector_score == near(1)
    (indexed.docs / "new.md").unlink()
    indexed.index()
    for mode in MODES:
        hits = indexed.search("a semaphore bounds transports", 99, mode=mode)
        assert "new.md" not in {hit.source for hit in hits}


def test_an_approximate_index_is_built_anew_when_the_table_has_outgrown_it(
    indexed: Indexed, small_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(name: str, rows: int) -> None:
        lines = [f'{{"_id": "{n}", "text": "Task {n} of {name}."}}\n' for n in range(rows)]
        (indexed.docs / f"{name}.jsonl").write_text("".join(lines))
        indexed.index()

    grow("a", 90)
    assert "vector" not in indices(indexed)
    assert indexed.open().state.indexed_rows == 0
    grow("b", 20)
    assert indexed.open().state.indexed_rows == 114
    grow("c", 80)
    assert indexed.open().state.indexed_rows == 114
    grow("d", 60)
    assert indexed.open().state.indexed_rows == 254
    monkeypatch.setattr(upkeep, "_MOST_PARTS", 2)
    for number in range(5):
        grow(f"more-{number}", 5)
        assert indexed.open().index_parts("vector") <= 3
    indexed.check()


def test_a_table_without_its_approximate_index_gets_it_again(
    indexed: Indexed, small_index: None
) -> None:
    lines = "\n".join(f'{{"_id": "{n}", "text": "Task number {n} of many."}}' for n in range(150))
    (indexed.docs / "many.jsonl").write_text(lines)
    indexed.index()
    indexed.connect().open_table("documents").drop_index("vector_idx")
    indexed.index()
    assert "vector" in indices(indexed)


# Compaction


def test_fragments_and_versions_stay_in_bounds(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_STALE_SHARE", 1)
    monkeypatch.setattr(upkeep, "_MOST_COMMITS", 6)
    monkeypatch.setattr(table_module, "_KEEP_VERSIONS", timedelta(milliseconds=1))
    for number in range(9):
        (indexed.docs / f"{number}.md").write_text(f"Document {number} about transports.")
        indexed.index()
        inner = indexed.connect().open_table("documents")
        assert len(inner.list_versions()) <= 12
        assert inner.stats()["fragment_stats"]["num_fragments"] <= 8
    indexed.check()


def test_a_small_change_does_not_write_a_large_table_anew(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    tidied: list[bool] = []
    monkeypatch.setattr(Table, "tidy", lambda self: tidied.append(True))
    monkeypatch.setattr(upkeep, "_STALE_SHARE", 0.5)
    (indexed.docs / "new.md").write_text("A new document.")
    indexed.index()
    assert not tidied
    for number in range(6):
        (indexed.docs / f"{number}.md").write_text(f"Document {number} about transports.")
    indexed.index()
    assert tidied


def test_overwriting_again_and_again_keeps_no_copies(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "_KEEP_VERSIONS", timedelta(milliseconds=1))
    for _ in range(3):
        indexed.index(overwrite=True)
    assert len(list((indexed.database / "documents.lance/data").iterdir())) == 1


# Leftovers


def test_what_killed_runs_left_is_removed(indexed: Indexed) -> None:
    table = indexed.database / "documents.lance"
    left = [table / "data/.tmp123", table / "_indices/.tmpabc", table / "_versions/.tmp_1.manifest"]
    for file in left:
        file.write_text("half")
    indexed.index(dry_run=True)
    assert all(file.exists() for file in left)
    indexed.index()
    assert not any(file.exists() for file in left)
    indexed.check()


@pytest.mark.parametrize("foreign", [False, True])
def test_a_table_that_was_never_made_is_removed_if_it_is_only_that(
    docs: Path, trained: Trained, tmp_path: Path, foreign: bool
) -> None:
    table = Indexed(tmp_path / "database", docs, trained.model)
    folder = table.database / "documents.lance"
    (folder / "data").mkdir(parents=True)
    (folder / "data/half.lance").write_text("half")
    if foreign:
        (folder / "notes.txt").write_text("mine")
    table.index()
    assert (folder / "data/half.lance").exists() == foreign
    assert (folder / "notes.txt").exists() == foreign
    table.check()
