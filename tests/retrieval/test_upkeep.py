"""What keeps a table fast and small: the approximate index, compaction, and no leftovers."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ragdoll.corpus.reading import open_corpus
from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import similarity
from ragdoll.retrieval.reading.search import Mode, Searcher
from ragdoll.retrieval.storage import table as table_module
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import TableIdentity, TableState, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing import upkeep
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexSettings
from ragdoll.retrieval.writing.rows import Row, record_batch
from tests.conftest import CORPUS, Ragdoll, Trained
from tests.retrieval.conftest import Indexed

METRICS: tuple[Metric, ...] = ("cosine", "dot", "l2")
MODES: tuple[Mode, ...] = ("hybrid", "vector", "text")
QUERIES = ("return the running event loop of a task", "close", "lock")


@pytest.fixture
def small_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """An approximate index for tables of a hundred rows, in a few partitions."""
    monkeypatch.setattr(upkeep, "VECTOR_INDEX_ROWS", 100)
    monkeypatch.setattr(upkeep, "_ROWS_PER_PARTITION", 64)


def opened(table: Indexed) -> Table:
    return Database(str(table.database)).open("documents")


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
    settings = IndexSettings(str(tmp_path), "documents", trained.model, metric, chunk_size=64)
    index(open_corpus([CORPUS]), settings)
    table = Indexed(tmp_path, tmp_path, trained.model)
    assert indices(table) == {"text": "FTS", "vector": "IvfRq"}
    with_index = {
        mode: [Searcher(opened(table), mode=mode).search(text, 20) for text in QUERIES]
        for mode in MODES
    }
    table.connect().open_table("documents").drop_index("vector_idx")
    for mode in MODES:
        for text, found in zip(QUERIES, with_index[mode], strict=True):
            exact = Searcher(opened(table), mode=mode).search(text, 20)
            assert len(exact) == len(found)
            for name in ("score", "vector_score", "text_score"):
                values = [getattr(hit, name) for hit in exact]
                if None not in values:
                    np.testing.assert_allclose(
                        [getattr(hit, name) for hit in found], values, atol=1e-6
                    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimension", [12, 16])
def test_any_dimension_has_an_approximate_index(
    tmp_path: Path, dimension: int, metric: Metric
) -> None:
    identity = TableIdentity("", dimension, metric, False, None, 8, "")
    state = TableState("", str(tmp_path))
    vectors = np.random.default_rng(0).standard_normal((300, dimension)).astype(np.float32)
    vectors[:2] = 0
    rows = [Row(f"{n:03}", "", "", "", 0, 0, "") for n in range(len(vectors))]
    batch = record_batch(rows, vectors, schema(identity, state), {})
    table = Database(str(tmp_path), create=True).build("documents", identity, state, [batch])
    table.index_vectors(4)
    found, scores = table.nearest(vectors[7], 10)
    exact = similarity(vectors[7:8], vectors, metric)[0]
    # A zero vector has no direction, but a place.
    comparable = exact if metric == "l2" else exact[2:]
    expected = np.sort(comparable)[::-1][:10]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)
    assert found["id"].to_pylist()[0] == f"{int(np.argmax(exact)):03}"


def test_what_came_after_the_approximate_index_is_found(
    indexed: Indexed, small_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_STALE_SHARE", 1)
    lines = "\n".join(f'{{"_id": "{n}", "text": "Task number {n} of many."}}' for n in range(150))
    (indexed.docs / "many.jsonl").write_text(lines)
    indexed.index()
    assert indices(indexed) == {"text": "FTS", "vector": "IvfRq"}
    assert opened(indexed).state.indexed_rows == 154
    (indexed.docs / "new.md").write_text("A semaphore bounds transports.")
    indexed.index()
    assert opened(indexed).unindexed_rows() == 151
    for mode in MODES:
        hits = Searcher(opened(indexed), mode=mode).search("A semaphore bounds transports.", 3)
        assert hits[0].source == "new.md"
        assert hits[0].vector_score is None or hits[0].vector_score == pytest.approx(1, abs=1e-5)
    (indexed.docs / "new.md").unlink()
    indexed.index()
    for mode in MODES:
        hits = Searcher(opened(indexed), mode=mode).search("a semaphore bounds transports", 99)
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
    assert opened(indexed).state.indexed_rows == 0
    grow("b", 20)
    assert opened(indexed).state.indexed_rows == 114
    grow("c", 80)
    assert opened(indexed).state.indexed_rows == 114
    grow("d", 60)
    assert opened(indexed).state.indexed_rows == 254
    monkeypatch.setattr(upkeep, "_MOST_PARTS", 2)
    for number in range(5):
        grow(f"more-{number}", 5)
        assert opened(indexed).index_parts("vector") <= 3
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
        index(
            open_corpus([str(indexed.docs)]),
            IndexSettings(str(indexed.database), "documents", indexed.model),
            overwrite=True,
        )
    assert len(list((indexed.database / "documents.lance/data").iterdir())) == 1


# Leftovers


def test_what_killed_runs_left_is_removed(ragdoll: Ragdoll, indexed: Indexed) -> None:
    table = indexed.database / "documents.lance"
    left = [table / "data/.tmp123", table / "_indices/.tmpabc", table / "_versions/.tmp_1.manifest"]
    for file in left:
        file.write_text("half")
    assert ragdoll("index", indexed.docs, *indexed.options, "--dry-run").status == 0
    assert all(file.exists() for file in left)
    assert ragdoll("index", indexed.docs, *indexed.options).status == 0
    assert not any(file.exists() for file in left)
    indexed.check()


def test_a_table_that_is_removed_while_leftovers_are_looked_for_is_named(
    ragdoll: Ragdoll, indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = indexed.database / "documents.lance"

    def removing(self: Path, pattern: str) -> list[Path]:
        shutil.rmtree(table, ignore_errors=True)
        return []

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rglob", removing)
        result = ragdoll("index", indexed.docs, *indexed.options)
    assert result.status == 1
    problem, way_out = result.err.splitlines()
    assert problem.startswith(f"Error: {indexed.database}, table 'documents' has been removed")
    assert way_out == "The same command makes it again."
    assert ragdoll("index", indexed.docs, *indexed.options).status == 0
    indexed.check()


@pytest.mark.parametrize("foreign", [False, True])
def test_a_table_that_was_never_made_is_removed_if_it_is_only_that(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path, foreign: bool
) -> None:
    table = Indexed(tmp_path / "database", docs, trained.model)
    folder = table.database / "documents.lance"
    (folder / "data").mkdir(parents=True)
    (folder / "data/half.lance").write_text("half")
    if foreign:
        (folder / "notes.txt").write_text("mine")
    assert ragdoll("index", docs, *table.options).status == 0
    assert (folder / "data/half.lance").exists() == foreign
    assert (folder / "notes.txt").exists() == foreign
    table.check()
