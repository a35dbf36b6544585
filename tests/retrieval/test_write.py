"""Documents into a table: what is written, what is left alone, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import model2vec
import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock

from ragdoll.embedding.identity import identify
from ragdoll.embedding.static import StaticModel
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import CorpusError, ModelError, ModelMismatchError, TableError, UsageError
from ragdoll.retrieval import model as model_module
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing import batches, roots
from ragdoll.retrieval.writing.target import IndexResult
from tests.closeness import assert_alike
from tests.conftest import Trained
from tests.making import index, index_settings, open_corpus
from tests.retrieval.conftest import Indexed, snapshot


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text)
    return folder


def records(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def fresh(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table of the documents that is not made yet."""
    return Indexed(tmp_path / "database", docs, trained.model)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were embedded so far."""
    embedded: list[str] = []
    encode = StaticModel.encode

    def watched(self: StaticModel, texts: Sequence[str]) -> Vectors:
        embedded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(StaticModel, "encode", watched)
    return embedded


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def counts(result: IndexResult) -> dict[str, int]:
    names = ("added", "changed", "unchanged", "removed", "chunks_embedded")
    return {name: getattr(result, name) for name in names if getattr(result, name)}


# What is written


def test_the_first_run_writes_every_document(fresh: Indexed) -> None:
    result = fresh.index()
    assert counts(result) == {"added": 4, "chunks_embedded": 4}
    assert (result.documents, result.chunks, result.skipped) == (4, 4, [])
    assert (result.dimension, result.metric) == (32, "cosine")
    assert (result.database, result.table) == (str(fresh.database), "documents")
    assert (result.model, result.roots) == (str(fresh.model), [str(fresh.docs)])
    fresh.check()
    assert fresh.sources() == {
        "loop.md",
        "locks.txt",
        "streams.jsonl#reader",
        "streams.jsonl#writer",
    }


def test_counts_are_of_documents_and_chunks_are_counted_apart(fresh: Indexed) -> None:
    text = "\n\n".join(f"Paragraph {n} about locks and event loops." for n in range(40))
    (fresh.docs / "long.md").write_text(text)
    result = fresh.index(chunk_size=16)
    assert (result.documents, result.added) == (5, 5)
    assert result.chunks == result.chunks_embedded == len(fresh.rows()) > 20


def test_vectors_are_of_fixed_size_and_the_table_names_its_model(indexed: Indexed) -> None:
    schema = indexed.arrow().schema
    assert schema.names[-1] == "vector"
    assert set(schema.names) == {
        *("id", "source", "title", "text", "start", "end", "metadata", "vector"),
        *("text_words", "text_tokens"),
    }
    assert schema.field("vector").type == pa.list_(pa.float32(), 32)
    fixed = json.loads(schema.metadata[b"ragdoll"])
    identity = identify(indexed.model)
    assert fixed == {
        "version": 2,
        "fingerprint": identity.fingerprint,
        "dimension": 32,
        "metric": "cosine",
        "normalize": True,
        "max_length": 512,
        "chunk_size": 256,
        "model": str(indexed.model),
        "columns": {},
    }
    changing = json.loads(schema.field("vector").metadata[b"ragdoll"])
    assert changing["model"] == str(indexed.model)
    assert [root["path"] for root in changing["roots"].values()] == [str(indexed.docs)]


def test_a_row_says_where_its_passage_is(indexed: Indexed) -> None:
    rows = {row["source"]: row for row in indexed.rows()}
    assert rows["loop.md"]["title"] == "The event loop"
    assert json.loads(rows["loop.md"]["metadata"]) == {"source_line": 1}
    assert rows["streams.jsonl#reader"]["title"] == "StreamReader"
    assert rows["streams.jsonl#reader"]["text"].startswith("StreamReader\n\nReads data")


def test_the_other_keys_of_a_record_are_its_metadata(indexed: Indexed) -> None:
    line = {"_id": "x", "text": "A task.", "year": 2020, "tags": ["é"]}
    (indexed.docs / "more.jsonl").write_text(records(line))
    indexed.index()
    row = next(row for row in indexed.rows() if row["source"] == "more.jsonl#x")
    assert json.loads(row["metadata"]) == {"year": 2020, "tags": ["é"]}


def test_a_paragraph_that_a_document_repeats_has_an_id_for_each_time(fresh: Indexed) -> None:
    (fresh.docs / "echo.md").write_text("\n\n".join(["Await the lock once more."] * 6))
    fresh.index(chunk_size=8)
    assert [row["source"] for row in fresh.rows()].count("echo.md") == 6
    fresh.check()


@pytest.mark.parametrize(
    ("limit", "size", "number"),
    [("_DOCUMENTS", 1, 11), ("_DOCUMENTS", 3, 4), ("_CHARACTERS", 70, 4)],
)
def test_documents_are_written_in_batches_of_any_size(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch, limit: str, size: int, number: int
) -> None:
    monkeypatch.setattr(batches, limit, size)
    for name in range(7):
        (indexed.docs / f"{name}.md").write_text(f"Document {name} about transports.")
    (indexed.docs / "locks.txt").write_text("Changed.")
    sizes: list[int] = []
    rows_of = Table.rows_of

    def watched(self: Table, sources: Sequence[str], *rest: Any) -> pa.Table:
        sizes.append(len(sources))
        return rows_of(self, sources, *rest)

    monkeypatch.setattr(Table, "rows_of", watched)
    result = indexed.index()
    assert (result.added, result.changed, result.unchanged) == (7, 1, 3)
    assert (sum(sizes), len(sizes)) == (11, number)
    indexed.check()


def test_indexing_tokenizes_each_distinct_word_once_in_one_call(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = WordTokens._encode, []

    def watched(self: WordTokens, texts: list[str]) -> Any:
        calls.append(texts)
        return encode(self, texts)

    monkeypatch.setattr(WordTokens, "_encode", watched)
    folder = write(
        tmp_path / "docs", **{str(n): f"The event loop runs task {n} (of 300)." for n in range(300)}
    )
    table = Indexed(tmp_path / "database", folder, trained.model)
    assert table.index().chunks == 300
    assert len(calls) == 1
    assert len(calls[0]) == len(set(calls[0]))
    rows = table.rows()
    plain = model2vec.StaticModel.from_pretrained(trained.model)
    assert_alike([row["vector"] for row in rows], plain.encode([row["text"] for row in rows]))


def test_file_names_may_hold_what_a_query_language_would_stumble_on(indexed: Indexed) -> None:
    names = ["it's.md", 'a "quoted" one.md', "100%_.md", "back\\slash.md", "ünï/日本.md", "a#b.md"]
    for name in names:
        (indexed.docs / name).parent.mkdir(exist_ok=True)
        (indexed.docs / name).write_text("An event loop.")
    assert indexed.index().added == len(names)
    indexed.check()
    for name in names:
        (indexed.docs / name).write_text("Another event loop.")
    assert indexed.index().changed == len(names)
    indexed.check()
    for name in names:
        (indexed.docs / name).unlink()
    assert indexed.index().removed == len(names)
    indexed.check()


def test_a_document_without_a_known_token_is_written_with_the_zero_vector(
    indexed: Indexed,
) -> None:
    (indexed.docs / "snow.jsonl").write_text('{"text": "☃☃☃"}')
    indexed.index()
    row = next(row for row in indexed.rows() if row["source"] == "snow.jsonl#1")
    assert not np.any(row["vector"])


def test_what_cannot_be_read_is_left_out_and_named(indexed: Indexed) -> None:
    (indexed.docs / "image.png").write_bytes(b"\x89PNG")
    (indexed.docs / "binary.txt").write_bytes(b"a\0b")
    (indexed.docs / "empty.md").write_text(" \n")
    (indexed.docs / "lines.jsonl").write_text('{"text": "fine"}\nnot JSON\n')
    result = indexed.index()
    assert result.added == 1
    paths = {"image.png", "binary.txt", "empty.md", "lines.jsonl"}
    assert {item.path for item in result.skipped} == paths


def test_of_much_that_is_left_out_a_table_remembers_nothing_and_reads_again(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metadata of a table stays small; each run names all that it leaves out nevertheless."""
    monkeypatch.setattr(roots, "_MAX_REMEMBERED", 2)
    for number in range(3):
        (indexed.docs / f"{number}.png").write_bytes(b"\x89PNG")
        for _ in range(2):
            skipped = indexed.index().skipped
            assert len(skipped) == number + 1
            assert {item.root for item in skipped} == {str(indexed.docs)}
        (root,) = indexed.open().state.roots.values()
        remembers = number < 2
        assert len(root.skipped) == (number + 1 if remembers else 0)
        assert (root.signature is not None) == remembers


def test_a_file_name_that_is_no_text_does_not_stop_the_rest(indexed: Indexed) -> None:
    (indexed.docs / os.fsdecode(b"bad\xff.md")).write_text("An event loop.")
    (indexed.docs / "good.md").write_text("Another event loop.")
    indexed.index()
    assert "good.md" in indexed.sources()


@pytest.mark.parametrize(
    "half",
    [{"text": "half: \ud83d"}, {"title": "\ud83d"}, {"_id": "\ud83d"}, {"note": "\ud83d"}],
    ids=lambda half: next(iter(half)),
)
def test_a_record_with_half_a_character_does_not_stop_the_rest(
    indexed: Indexed, half: dict[str, str]
) -> None:
    lines = records({"_id": "half", "text": "A lock.", **half}, {"_id": "good", "text": "A task."})
    (indexed.docs / "more.jsonl").write_text(lines)
    indexed.index()
    assert "more.jsonl#good" in indexed.sources()


@pytest.mark.parametrize("again", [False, True], ids=["first run", "second run"])
def test_a_folder_that_is_named_twice_is_indexed_once(
    indexed: Indexed, tmp_path: Path, again: bool
) -> None:
    table = indexed if again else indexed.at(tmp_path / "fresh")
    (table.docs / "new.md").write_text("A new document.")
    result = table.index(table.docs, table.docs)
    assert result.documents == 5
    table.check()


def test_records_of_one_file_never_share_an_id(indexed: Indexed) -> None:
    same = [{"_id": name, "text": "The same."} for name in ("x", "x", "x~2")]
    (indexed.docs / "same.jsonl").write_text(records(*same))
    assert indexed.index().added == 3
    assert len({row["id"] for row in indexed.rows()}) == len(indexed.rows()) == 7


# What a second run does


@pytest.mark.parametrize("touched", [False, True], ids=["untouched", "touched"])
def test_a_second_run_over_the_same_documents_embeds_nothing(
    indexed: Indexed, embedded: list[str], touched: bool
) -> None:
    if touched:
        os.utime(indexed.docs / "loop.md", (1, 1))
    before = indexed.rows()
    result = indexed.index()
    assert embedded == []
    assert counts(result) == {"unchanged": 4}
    assert (result.documents, result.chunks) == (4, 4)
    assert indexed.rows() == before


def test_an_edit_at_the_top_of_a_long_file_embeds_only_what_changed(
    fresh: Indexed, embedded: list[str]
) -> None:
    def section(number: int) -> str:
        return f"## Section {number}\n\nTask {number} waits for the lock, then calls back.\n\n"

    file = fresh.docs / "long.md"
    title = "---\ntitle: Tasks\n---\n"
    sections = "".join(section(number) for number in range(30))
    file.write_text(title + sections)
    chunks = fresh.index(chunk_size=24).chunks
    assert [row["source"] for row in fresh.rows()].count("long.md") == 31
    fresh.check()

    file.write_text(title + section(99) + sections)
    embedded.clear()
    result = fresh.index(chunk_size=24)

    assert embedded == [f"{section(99).strip()}\nTasks\nlong"]
    assert (result.changed, result.unchanged, result.chunks_embedded) == (1, 4, 1)
    assert (result.chunks, result.new_chunks) == (chunks + 1, 1)
    fresh.check()


def test_added_changed_and_removed_documents_are_written(indexed: Indexed) -> None:
    (indexed.docs / "new.md").write_text("A queue of tasks.")
    (indexed.docs / "loop.md").write_text("# The loop\n\nIt runs.\n")
    (indexed.docs / "streams.jsonl").write_text(
        records({"_id": "reader", "title": "StreamReader", "text": "Reads data from a transport."})
    )
    result = indexed.index()
    assert counts(result) == {
        "added": 1,
        "changed": 1,
        "unchanged": 2,
        "removed": 1,
        "chunks_embedded": 2,
    }
    assert (result.documents, result.chunks) == (4, 4)
    indexed.check()


@pytest.mark.parametrize(
    ("change", "column", "value"),
    [
        pytest.param({"title": "Alpha task"}, "title", "Alpha task", id="title"),
        pytest.param({"year": 1999}, "metadata", '{"year": 1999}', id="metadata"),
    ],
)
def test_what_changes_beside_the_text_is_written_without_embedding(
    indexed: Indexed, embedded: list[str], change: dict[str, Any], column: str, value: str
) -> None:
    line = {"_id": "x", "title": "Alpha", "text": "Alpha task, the first.", "year": 2020}
    file = indexed.docs / "more.jsonl"
    file.write_text(records(line))
    indexed.index()
    file.write_text(records({**line, **change}))
    embedded.clear()

    result = indexed.index()

    assert (result.changed, result.unchanged, result.chunks_embedded) == (1, 4, 0)
    assert embedded == []
    row = next(row for row in indexed.rows() if row["source"] == "more.jsonl#x")
    assert row[column] == value
    indexed.check()


def test_what_a_failing_disk_hides_is_kept_and_read_again(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_bytes = Path.read_bytes

    def fails(path: Path) -> bytes:
        if path.is_relative_to(indexed.docs):
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    before = indexed.index().documents
    (indexed.docs / "new.txt").write_text("A new document.")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fails)
        result = indexed.index()
    assert (result.removed, result.documents) == (0, before)
    assert any("Input/output error" in item.reason for item in result.skipped)
    again = indexed.index()
    assert (again.added, again.removed, again.documents) == (1, 0, before + 1)


def test_records_behind_a_broken_one_are_kept(trained: Trained, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    texts = [{"_id": f"d{number}", "text": f"The task of number {number}."} for number in range(9)]
    complete = json.dumps(texts)
    (docs / "a.json").write_text(complete)
    table = Indexed(tmp_path / "database", docs, trained.model)
    assert table.index().added == 9
    (docs / "a.json").write_text(complete[: len(complete) // 2])
    result = table.index()
    assert (result.removed, result.documents) == (0, 9)
    (docs / "a.json").write_text(json.dumps(texts[:3]))
    assert table.index().removed == 6


def test_only_sources_under_the_given_folder_are_removed(fresh: Indexed, tmp_path: Path) -> None:
    one = write(tmp_path / "one", a="The first lock.", b="The second lock.")
    two = write(tmp_path / "two", a="The first lock.", b="Another task.")
    fresh.index(one, two)
    (one / "a.md").unlink()
    (two / "a.md").unlink()

    result = fresh.index(one)

    assert (result.removed, result.unchanged, result.documents) == (1, 1, 3)
    assert sorted(row["text"] for row in fresh.rows()) == [
        "Another task.",
        "The first lock.",
        "The second lock.",
    ]
    assert fresh.index(two).removed == 1
    assert sorted(row["text"] for row in fresh.rows()) == ["Another task.", "The second lock."]


def test_documents_and_database_that_moved_together_stay_each_others(
    trained: Trained, tmp_path: Path, embedded: list[str]
) -> None:
    docs = write(tmp_path / "before/docs", a="The first lock.", b="The second lock.")
    Indexed(tmp_path / "before/database", docs, trained.model).index()
    (tmp_path / "before").rename(tmp_path / "after")
    moved = Indexed(tmp_path / "after/database", tmp_path / "after/docs", trained.model)
    embedded.clear()

    result = moved.index()

    assert embedded == []
    assert (result.added, result.unchanged, result.removed, result.documents) == (0, 2, 0, 2)
    assert [root.path for root in moved.open().state.roots.values()] == [str(moved.docs)]


def test_folders_that_moved_with_the_database_are_known_one_after_another(
    trained: Trained, tmp_path: Path
) -> None:
    one = write(tmp_path / "before/one", a="The first lock.")
    two = write(tmp_path / "before/two", a="The second lock.")
    Indexed(tmp_path / "before/database", one, trained.model).index(one, two)
    (tmp_path / "before").rename(tmp_path / "after")
    moved = Indexed(tmp_path / "after/database", tmp_path / "after", trained.model)

    results = moved.index(moved.docs / "one"), moved.index(moved.docs / "two")

    assert [(result.added, result.unchanged) for result in results] == [(0, 1), (0, 1)]
    assert sorted(row["text"] for row in moved.rows()) == ["The first lock.", "The second lock."]


def test_chunks_since_the_table_was_built_are_counted(indexed: Indexed) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    assert indexed.index().new_chunks == 1
    (indexed.docs / "newer.md").write_text("A newer one.")
    assert indexed.index().new_chunks == 2
    assert indexed.index().new_chunks == 2


def test_indexing_with_a_moved_model_writes_its_new_place_down(movable: Indexed) -> None:
    moved = replace(movable, model=movable.model.rename(movable.model.with_name("elsewhere")))
    moved.index(dry_run=True)
    with pytest.raises(ModelMismatchError):
        moved.search("loop")
    assert counts(moved.index()) == {"unchanged": 4}
    assert moved.search("loop")
    table = moved.open()
    assert (table.state.model, table.identity.model) == (str(moved.model), str(movable.model))


# A run that writes nothing


def test_a_dry_run_on_no_database_creates_nothing(fresh: Indexed) -> None:
    assert fresh.index(dry_run=True).added == 4
    assert not fresh.database.exists()


@pytest.mark.parametrize("overwrite", [False, True], ids=["update", "overwrite"])
def test_a_dry_run_writes_nothing_and_foretells_the_run(indexed: Indexed, overwrite: bool) -> None:
    (indexed.docs / "new.md").write_text("\n\n".join(["One of many paragraphs."] * 200))
    (indexed.docs / "loop.md").write_text("Changed.")
    (indexed.docs / "locks.txt").unlink()
    before = snapshot(indexed.database)
    foretold = indexed.index(overwrite=overwrite, dry_run=True)
    assert snapshot(indexed.database) == before
    done = indexed.index(overwrite=overwrite)
    changes = {"seconds": 0.0, "rebuilt": False}
    assert replace(foretold, **changes) == replace(done, **changes)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_file_is_no_database(fresh: Indexed, dry_run: bool) -> None:
    fresh.database.write_text("not a folder")
    with pytest.raises(TableError) as caught:
        fresh.index(dry_run=dry_run)
    assert str(fresh.database) in caught.value.message


# What is refused


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, ModelMismatchError),
        ({"metric": "dot"}, TableError),
        ({"chunk_size": 64}, TableError),
        ({"metadata": {"year": "integer"}}, TableError),
    ],
    ids=["model", "metric", "chunk size", "columns"],
)
def test_another_model_or_setting_is_refused_until_the_table_is_overwritten(
    indexed: Indexed, settings: dict[str, Any], error: type[TableError]
) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    before = snapshot(indexed.database)
    other = indexed if settings else replace(indexed, model=indexed.model / "distillate")
    with pytest.raises(error) as caught:
        other.index(**settings)
    assert "overwrite=True" in str(caught.value.hint)
    assert snapshot(indexed.database) == before

    assert other.index(**settings, overwrite=True).rebuilt
    assert "new.md" in indexed.sources()


def test_overwriting_embeds_everything_anew(indexed: Indexed) -> None:
    assert counts(indexed.index(overwrite=True)) == {"added": 4, "chunks_embedded": 4}
    indexed.check()


@pytest.mark.parametrize("overwrite", [False, True], ids=["update", "overwrite"])
def test_a_corpus_without_documents_changes_nothing(indexed: Indexed, overwrite: bool) -> None:
    before = indexed.rows()
    shutil.rmtree(indexed.docs)
    indexed.docs.mkdir()
    with pytest.raises(CorpusError) as caught:
        indexed.index(overwrite=overwrite)
    assert str(indexed.docs) in caught.value.message
    assert indexed.rows() == before


def test_a_corpus_without_documents_makes_no_table(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    table = Indexed(tmp_path / "database", tmp_path / "docs", trained.model)
    with pytest.raises(CorpusError):
        table.index()
    assert not list(table.database.glob("*.lance"))


@pytest.mark.parametrize("name", ["a/b", "../up", "..", "übung", "/../out"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_table_of_an_impossible_name_is_refused_and_leaves_nothing_behind(
    indexed: Indexed, name: str, dry_run: bool
) -> None:
    before = snapshot(indexed.database.parent)
    settings = index_settings(indexed.database, name, indexed.model)
    with pytest.raises(UsageError) as caught:
        index(open_corpus([indexed.docs]), settings, dry_run=dry_run)
    assert repr(name) in caught.value.message
    assert snapshot(indexed.database.parent) == before


def test_passages_longer_than_the_model_reads_are_refused(fresh: Indexed) -> None:
    with pytest.raises(UsageError) as caught:
        fresh.index(chunk_size=513)
    assert "513" in caught.value.message
    assert not fresh.database.exists()


# Others at work, and work that is cut short


@pytest.mark.parametrize("step", ["index_text", "write_state"])
@pytest.mark.parametrize("killed", [False, True], ids=["at work", "interrupted"])
def test_queries_see_the_old_table_until_the_new_one_is_complete(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch, step: str, killed: bool
) -> None:
    modes = ("hybrid", "vector", "text")
    before = [indexed.search("lock", 99, mode=mode) for mode in modes]
    meanwhile: list[Any] = []
    go_on = getattr(Table, step)

    def watched(self: Table, *rest: Any) -> None:
        meanwhile.extend(indexed.search("lock", 99, mode=mode) for mode in modes)
        return interrupted() if killed else go_on(self, *rest)

    (indexed.docs / "locks.txt").write_text("No key fits this.")
    (indexed.docs / "new.md").write_text("A new lock.")
    other = replace(indexed, model=indexed.model / "distillate")
    with monkeypatch.context() as patch:
        patch.setattr(Table, step, watched)
        if killed:
            with pytest.raises(KeyboardInterrupt):
                other.index(overwrite=True)
        else:
            other.index(overwrite=True)
    assert meanwhile == before
    if killed:
        assert [indexed.search("lock", 99, mode=mode) for mode in modes] == before
        other.index()
    after = [indexed.search("lock", 99, mode=mode) for mode in modes]
    assert [hit.source for hit in after[2]] == ["locks.txt", "new.md"]  # the first for its name
    assert len(after[0]) == 5


def test_a_table_whose_files_are_gone_is_built_anew(
    indexed: Indexed, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(indexed.database / "documents.lance" / "data")
    table = indexed.open()
    with pytest.raises(TableError):
        list(table.sources(next(iter(table.state.roots))))
    with pytest.raises(TableError) as caught:
        indexed.search("loop")
    assert "`index.update(...)`" in str(caught.value.hint)
    assert counts(indexed.index(dry_run=True)) == {"added": 4, "chunks_embedded": 4}
    caplog.clear()
    assert indexed.index().rebuilt
    assert str(indexed.database) in caplog.text
    indexed.check()


def test_a_table_whose_files_are_gone_is_not_built_of_some_of_its_documents(
    indexed: Indexed, tmp_path: Path
) -> None:
    more = write(tmp_path / "more", other="Of another folder.")
    indexed.index(more)
    shutil.rmtree(indexed.database / "documents.lance" / "data")
    with pytest.raises(TableError) as caught:
        indexed.index(more)
    assert str(indexed.docs) in caught.value.message
    indexed.index(indexed.docs, more)
    indexed.check(indexed.docs, more)


def test_a_model_that_is_replaced_before_it_is_loaded_embeds_nothing(
    movable: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Replaced(StaticModel):
        @classmethod
        def load(cls, path: str | Path) -> StaticModel:
            other = movable.model / "distillate"
            shutil.copy(other / "model.safetensors", movable.model / "model.safetensors")
            return StaticModel.load(path)

    (movable.docs / "new.md").write_text("A new one.")
    monkeypatch.setattr(model_module, "StaticModel", Replaced)
    with pytest.raises(ModelError) as caught:
        movable.index()
    assert str(movable.model) in caught.value.message
    assert "new.md" not in movable.sources()


def test_a_first_table_cannot_be_searched_until_it_is_complete(
    fresh: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Table, "index_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fresh.index()
    with pytest.raises(TableError) as caught:
        fresh.search("lock")
    assert "`index.update(...)`" in str(caught.value.hint)
    fresh.index()
    assert fresh.search("lock")


def test_a_table_has_one_writer_at_a_time(indexed: Indexed) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    with FileLock(indexed.database / ".documents.lock"):
        with pytest.raises(TableError) as caught:
            indexed.index()
        assert str(indexed.database) in caught.value.message
        assert indexed.index(dry_run=True).added == 1
        settings = index_settings(indexed.database, "other", indexed.model)
        assert index(open_corpus([indexed.docs]), settings).added == 5
        assert indexed.search("loop")
    assert indexed.index().added == 1


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param(StaticModel, "encode", id="embedding"),
        pytest.param(Table, "index_text", id="building the full-text index"),
        pytest.param(Table, "write_state", id="noting what was read"),
    ],
)
def test_a_first_run_that_was_interrupted_is_completed_by_the_next(
    fresh: Indexed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: type, name: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(place, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            fresh.index()
    fresh.index()
    fresh.check()
    other = fresh.at(tmp_path / "other")
    other.index()
    hits = fresh.search("locking tasks", mode="text")
    assert hits
    assert other.search("locking tasks", mode="text") == hits


def test_an_update_that_was_interrupted_is_completed_by_the_next(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (indexed.docs / f"{number}.md").write_text(f"Document {number} about transports.")
    (indexed.docs / "locks.txt").unlink()
    encode: Callable[..., Any] = StaticModel.encode
    calls = iter([encode, encode, interrupted])

    def fails_at_the_third(*arguments: object) -> Any:
        return next(calls)(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "_DOCUMENTS", 1)
        patch.setattr(StaticModel, "encode", fails_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            indexed.index()
    assert len(indexed.rows()) == 6

    result = indexed.index()

    assert counts(result) == {"added": 2, "unchanged": 5, "removed": 1, "chunks_embedded": 2}
    indexed.check()


def test_progress_goes_from_stage_to_stage_and_never_back(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_DOCUMENTS", 1)
    reports: list[str] = []
    index(
        open_corpus([str(indexed.docs)]),
        index_settings(str(indexed.database), "documents", indexed.model),
        overwrite=True,
        report=lambda stage, *rest: reports.append(stage),
    )
    stages = [stage for stage, _ in groupby(reports)]
    assert stages[0] == "documents"
    assert len(set(stages)) == len(stages) > 1
