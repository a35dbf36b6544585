"""Documents into a table: what is written, what is left alone, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock

from ragdoll.corpus.reading import open_corpus
from ragdoll.embedding.identity import identify
from ragdoll.embedding.static import StaticEncoder
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import CorpusError, TableError
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing import batches as module
from ragdoll.retrieval.writing import index as index_module
from ragdoll.retrieval.writing import update as roots
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexSettings
from tests.conftest import Ragdoll, Trained
from tests.retrieval.conftest import Indexed, snapshot

KEYS = {
    *("database", "table", "model", "dimension", "metric", "documents", "chunks", "added"),
    *("changed", "unchanged", "removed", "chunks_embedded", "skipped", "seconds"),
}


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text)
    return folder


def records(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were embedded so far."""
    texts: list[str] = []
    encode = StaticEncoder.encode

    def watched(self: StaticEncoder, given: Sequence[str]) -> Vectors:
        texts.extend(given)
        return encode(self, given)

    monkeypatch.setattr(StaticEncoder, "encode", watched)
    return texts


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def counts(record: dict[str, Any]) -> dict[str, int]:
    names = ("added", "changed", "unchanged", "removed", "chunks_embedded")
    return {name: record[name] for name in names if record[name]}


# What is written


def test_the_first_run_writes_every_document(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path
) -> None:
    table = Indexed(tmp_path / "database", docs, trained.model)
    result = ragdoll("index", docs, *table.options, "--json")
    assert result.status == 0
    record = result.json
    assert record.keys() >= KEYS
    assert counts(record) == {"added": 4, "chunks_embedded": 4}
    assert (record["documents"], record["chunks"], record["skipped"]) == (4, 4, [])
    assert (record["dimension"], record["metric"]) == (32, "cosine")
    assert (record["database"], record["table"]) == (str(table.database), "documents")
    assert record["model"] == str(trained.model)
    table.check()
    assert table.sources() == {
        "loop.md",
        "locks.txt",
        "streams.jsonl#reader",
        "streams.jsonl#writer",
    }


def test_counts_are_of_documents_and_chunks_are_counted_apart(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    text = "\n\n".join(f"Paragraph {n} about locks and event loops." for n in range(40))
    (indexed.docs / "long.md").write_text(text)
    record = ragdoll(
        "index", indexed.docs, *indexed.options, "--overwrite", "--chunk-size", 16, "--json"
    ).json
    assert (record["documents"], record["added"]) == (5, 5)
    assert record["chunks"] == record["chunks_embedded"] == len(indexed.rows()) > 20


def test_options_have_the_names_of_the_original_guide(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path
) -> None:
    result = ragdoll(
        *("index", "--docs-folder", docs, "--vector-data-dir", tmp_path / "database"),
        *("--embedding-model-name", trained.model, "--json"),
    )
    assert (result.status, result.json["documents"]) == (0, 4)


def test_vectors_are_of_fixed_size_and_the_table_names_its_model(indexed: Indexed) -> None:
    schema = indexed.arrow().schema
    assert schema.names[-1] == "vector"
    assert set(schema.names) == {
        *("id", "source", "title", "text", "start", "end", "metadata", "vector")
    }
    assert schema.field("vector").type == pa.list_(pa.float32(), 32)
    fixed = json.loads(schema.metadata[b"ragdoll"])
    identity = identify(indexed.model)
    assert fixed == {
        "version": 1,
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


def test_a_paragraph_that_a_document_repeats_has_an_id_for_each_time(indexed: Indexed) -> None:
    (indexed.docs / "echo.md").write_text("\n\n".join(["Await the lock once more."] * 6))
    table = indexed.at(indexed.database / "fine")
    table.index(chunk_size=8)
    assert [row["source"] for row in table.rows()].count("echo.md") == 6
    table.check()


@pytest.mark.parametrize(
    ("limit", "size", "batches"),
    [("_DOCUMENTS", 1, 11), ("_DOCUMENTS", 3, 4), ("_CHARACTERS", 70, 4)],
)
def test_documents_are_written_in_batches_of_any_size(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch, limit: str, size: int, batches: int
) -> None:
    monkeypatch.setattr(module, limit, size)
    for number in range(7):
        (indexed.docs / f"{number}.md").write_text(f"Document {number} about transports.")
    (indexed.docs / "locks.txt").write_text("Changed.")
    sizes: list[int] = []
    rows_of = Table.rows_of

    def watched(self: Table, sources: Sequence[str], *rest: Any) -> pa.Table:
        sizes.append(len(sources))
        return rows_of(self, sources, *rest)

    monkeypatch.setattr(Table, "rows_of", watched)
    result = indexed.index()
    assert (result.added, result.changed, result.unchanged) == (7, 1, 3)
    assert (sum(sizes), len(sizes)) == (11, batches)
    indexed.check()


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
    (indexed.docs / "snow.md").write_text("☃☃☃")
    indexed.index()
    row = next(row for row in indexed.rows() if row["source"] == "snow.md")
    assert not np.any(row["vector"])


def test_what_cannot_be_read_is_left_out_and_named(ragdoll: Ragdoll, indexed: Indexed) -> None:
    (indexed.docs / "image.png").write_bytes(b"\x89PNG")
    (indexed.docs / "binary.txt").write_bytes(b"a\0b")
    (indexed.docs / "empty.md").write_text(" \n")
    (indexed.docs / "lines.jsonl").write_text('{"text": "fine"}\nnot JSON\n')
    result = ragdoll("index", indexed.docs, *indexed.options, "--json")
    assert (result.status, result.json["added"]) == (0, 1)
    skipped = {item["path"]: item["reason"] for item in result.json["skipped"]}
    assert skipped == {
        "image.png": "format .png",
        "binary.txt": "binary",
        "empty.md": "empty",
        "lines.jsonl": "line 2: not JSON",
    }


def test_what_was_left_out_is_said_to_a_person_too(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path
) -> None:
    for number in range(7):
        (docs / f"{number}.png").write_bytes(b"\x89PNG")
    result = ragdoll("index", docs, *Indexed(tmp_path / "db", docs, trained.model).options)
    assert "Left out: 7" in result.err
    assert "  7  format .png: 0.png, 1.png and 5 more\n" in result.err


def test_what_is_left_out_is_named_where_nothing_else_has_changed(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    (indexed.docs / "image.png").write_bytes(b"\x89PNG")
    record = ragdoll("index", indexed.docs, *indexed.options, "--json").json
    (skipped,) = record["skipped"]
    assert skipped == {"path": "image.png", "reason": "format .png", "root": str(indexed.docs)}


def test_of_much_that_is_left_out_a_table_remembers_nothing_and_reads_again(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a table says of itself stays small; each run names all of it nevertheless."""
    monkeypatch.setattr(roots, "_MAX_REMEMBERED", 2)
    for number in range(3):
        (indexed.docs / f"{number}.png").write_bytes(b"\x89PNG")
        for _ in range(2):
            assert len(indexed.index().skipped) == number + 1
        (record,) = Database(str(indexed.database)).open("documents").state.roots.values()
        remembers = number < 2
        assert len(record["skipped"]) == (number + 1 if remembers else 0)
        assert (record["signature"] is not None) == remembers


def test_a_file_name_that_is_no_text_does_not_stop_the_rest(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    (indexed.docs / os.fsdecode(b"bad\xff.md")).write_text("An event loop.")
    (indexed.docs / "good.md").write_text("Another event loop.")
    result = ragdoll("index", indexed.docs, *indexed.options, "--json")
    assert (result.status, "Unexpected" in result.err) == (0, False)
    assert "good.md" in indexed.sources()


@pytest.mark.parametrize(
    "half",
    [{"text": "half: \ud83d"}, {"title": "\ud83d"}, {"_id": "\ud83d"}, {"note": "\ud83d"}],
    ids=lambda half: next(iter(half)),
)
def test_a_record_with_half_a_character_does_not_stop_the_rest(
    ragdoll: Ragdoll, indexed: Indexed, half: dict[str, str]
) -> None:
    lines = records({"_id": "half", "text": "A lock.", **half}, {"_id": "good", "text": "A task."})
    (indexed.docs / "more.jsonl").write_text(lines)
    result = ragdoll("index", indexed.docs, *indexed.options, "--json")
    assert (result.status, "Unexpected" in result.err) == (0, False)
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
    ragdoll: Ragdoll, indexed: Indexed, embedded: list[str], touched: bool
) -> None:
    if touched:
        os.utime(indexed.docs / "loop.md", (1, 1))
    before = indexed.rows()
    record = ragdoll("index", indexed.docs, *indexed.options, "--json").json
    assert embedded == []
    assert counts(record) == {"unchanged": 4}
    assert (record["documents"], record["chunks"]) == (4, 4)
    assert indexed.rows() == before


def test_an_edit_at_the_top_of_a_long_file_embeds_only_what_changed(
    indexed: Indexed, embedded: list[str]
) -> None:
    def section(number: int) -> str:
        return f"## Section {number}\n\nTask {number} waits for the lock, then calls back.\n\n"

    file = indexed.docs / "long.md"
    file.write_text("".join(section(number) for number in range(30)))
    table = indexed.at(indexed.database / "fine")
    chunks = table.index(chunk_size=24).chunks
    assert [row["source"] for row in table.rows()].count("long.md") == 30
    table.check()

    file.write_text(section(99) + file.read_text())
    embedded.clear()
    result = table.index(chunk_size=24)

    assert embedded == [section(99).strip()]
    assert (result.changed, result.unchanged, result.chunks_embedded) == (1, 4, 1)
    assert (result.chunks, result.new_chunks) == (chunks + 1, 1)
    table.check()


def test_added_changed_and_removed_documents_are_written(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    (indexed.docs / "new.md").write_text("A queue of tasks.")
    (indexed.docs / "loop.md").write_text("# The loop\n\nIt runs.\n")
    (indexed.docs / "streams.jsonl").write_text(
        records({"_id": "reader", "title": "StreamReader", "text": "Reads data from a transport."})
    )
    record = ragdoll("index", indexed.docs, *indexed.options, "--json").json
    assert counts(record) == {
        "added": 1,
        "changed": 1,
        "unchanged": 2,
        "removed": 1,
        "chunks_embedded": 2,
    }
    assert (record["documents"], record["chunks"]) == (4, 4)
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
    whole = json.dumps(texts)
    (docs / "a.json").write_text(whole)
    table = Indexed(tmp_path / "database", docs, trained.model)
    assert table.index().added == 9
    (docs / "a.json").write_text(whole[: len(whole) // 2])
    result = table.index()
    assert (result.removed, result.documents) == (0, 9)
    (docs / "a.json").write_text(json.dumps(texts[:3]))
    assert table.index().removed == 6


def test_a_corpus_without_documents_says_what_was_left_out(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "latin.txt").write_bytes(b"caf\xe9")
    result = ragdoll("index", docs, "--model", trained.model, "--database", tmp_path / "database")
    assert result.status == 1
    assert "Left out: 1 (latin.txt: not utf-8 text)" in result.err


def test_only_sources_under_the_given_folder_are_removed(indexed: Indexed, tmp_path: Path) -> None:
    one = write(tmp_path / "one", a="The first lock.", b="The second lock.")
    two = write(tmp_path / "two", a="The first lock.", b="Another task.")
    table = indexed.at(tmp_path / "two roots")
    table.index(one, two)
    (one / "a.md").unlink()
    (two / "a.md").unlink()

    result = table.index(one)

    assert (result.removed, result.unchanged, result.documents) == (1, 1, 3)
    assert sorted(row["text"] for row in table.rows()) == [
        "Another task.",
        "The first lock.",
        "The second lock.",
    ]
    assert table.index(two).removed == 1
    assert sorted(row["text"] for row in table.rows()) == ["Another task.", "The second lock."]


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
    state = Database(str(moved.database)).open("documents").state
    assert [root["path"] for root in state.roots.values()] == [str(moved.docs)]


def test_folders_that_moved_with_the_database_are_known_one_after_another(
    trained: Trained, tmp_path: Path
) -> None:
    one = write(tmp_path / "before/one", a="The first lock.")
    two = write(tmp_path / "before/two", a="The second lock.")
    Indexed(tmp_path / "before/database", one, trained.model).index(one, two)
    (tmp_path / "before").rename(tmp_path / "after")
    one, two = tmp_path / "after/one", tmp_path / "after/two"
    moved = Indexed(tmp_path / "after/database", one, trained.model)

    first, second = moved.index(one), moved.index(two)

    assert [(result.added, result.unchanged) for result in (first, second)] == [(0, 1), (0, 1)]
    assert sorted(row["text"] for row in moved.rows()) == ["The first lock.", "The second lock."]


def test_chunks_since_the_table_was_built_are_counted(indexed: Indexed) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    assert indexed.index().new_chunks == 1
    (indexed.docs / "newer.md").write_text("A newer one.")
    assert indexed.index().new_chunks == 2
    assert indexed.index().new_chunks == 2


# A run that writes nothing


def test_a_dry_run_on_no_database_creates_nothing(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path
) -> None:
    table = Indexed(tmp_path / "database", docs, trained.model)
    result = ragdoll("index", docs, *table.options, "--dry-run", "--json")
    assert result.status == 0
    assert (result.json["added"], result.json["dry_run"]) == (4, True)
    assert not table.database.exists()


def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    (indexed.docs / "locks.txt").unlink()
    before = snapshot(indexed.database)
    result = ragdoll("index", indexed.docs, *indexed.options, "--dry-run")
    assert result.status == 0
    assert "nothing written" in result.out
    assert "of which 1 to embed\n" in result.out
    assert "1 added, 1 removed, 3 unchanged" in result.out
    assert snapshot(indexed.database) == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]], ids=["update", "overwrite"])
def test_a_dry_run_foretells_the_run(
    ragdoll: Ragdoll, indexed: Indexed, options: list[str]
) -> None:
    (indexed.docs / "new.md").write_text("\n\n".join(["One of many paragraphs."] * 200))
    (indexed.docs / "loop.md").write_text("Changed.")
    (indexed.docs / "locks.txt").unlink()
    command = ["index", indexed.docs, *indexed.options, *options, "--json"]
    foretold, done = ragdoll(*command, "--dry-run").json, ragdoll(*command).json
    for record in (foretold, done):
        del record["seconds"], record["dry_run"]
    assert foretold == done


def test_a_dry_run_refuses_what_the_run_would_refuse(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    command = ["index", docs, "--model", trained.model, "--database", tmp_path / "file"]
    for options in ([], ["--dry-run"]):
        result = ragdoll(*command, *options)
        assert result.status == 1
        assert "is a file" in result.err


# What is refused


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        pytest.param("--model", "distillate", "fingerprint", id="model"),
        pytest.param("--metric", "dot", "metric was cosine, now dot", id="metric"),
        pytest.param("--chunk-size", 64, "chunk_size was 256, now 64", id="chunk size"),
    ],
)
def test_another_model_or_setting_is_refused_until_the_table_is_overwritten(
    ragdoll: Ragdoll, indexed: Indexed, option: str, value: object, words: str
) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    before = snapshot(indexed.database)
    value = indexed.model / str(value) if option == "--model" else value
    command = ["index", indexed.docs, *indexed.options, option, value]

    result = ragdoll(*command)

    assert (result.status, result.out) == (1, "")
    assert words in result.err
    assert "--overwrite" in result.err
    assert snapshot(indexed.database) == before

    assert ragdoll(*command, "--overwrite").status == 0
    assert "new.md" in indexed.sources()


def test_overwriting_embeds_everything_anew(ragdoll: Ragdoll, indexed: Indexed) -> None:
    record = ragdoll("index", indexed.docs, *indexed.options, "--overwrite", "--json").json
    assert counts(record) == {"added": 4, "chunks_embedded": 4}
    indexed.check()


@pytest.mark.parametrize("options", [[], ["--overwrite"]], ids=["update", "overwrite"])
def test_a_corpus_without_documents_changes_nothing(
    ragdoll: Ragdoll, indexed: Indexed, options: list[str]
) -> None:
    before = indexed.rows()
    shutil.rmtree(indexed.docs)
    indexed.docs.mkdir()
    result = ragdoll("index", indexed.docs, *indexed.options, *options)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"Error: No documents in {indexed.docs}; nothing was changed.")
    assert indexed.rows() == before


def test_a_corpus_without_documents_makes_no_table(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    table = Indexed(tmp_path / "database", tmp_path / "docs", trained.model)
    with pytest.raises(CorpusError, match="nothing was changed"):
        table.index()
    result = ragdoll("index", table.docs, *table.options)
    assert result.status == 1
    assert result.err.startswith(f"Error: No documents in {table.docs}")
    assert not list(table.database.glob("*.lance"))


def test_no_documents_named_anywhere_is_wrong_usage(ragdoll: Ragdoll) -> None:
    result = ragdoll("index")
    assert (result.status, result.out) == (2, "")


@pytest.mark.parametrize("name", ["a/b", "../up", "", "übung", "/../out"])
def test_a_table_of_an_impossible_name_is_refused_and_leaves_nothing_behind(
    ragdoll: Ragdoll, indexed: Indexed, name: str
) -> None:
    before = snapshot(indexed.database.parent)
    result = ragdoll("index", indexed.docs, *indexed.options, "--table", name)
    assert result.status in (1, 2)
    assert "Unexpected" not in result.err
    assert snapshot(indexed.database.parent) == before


# Others at work, and work that is cut short


@pytest.mark.parametrize("step", ["index_text", "write_state"])
@pytest.mark.parametrize("killed", [False, True], ids=["at work", "interrupted"])
def test_queries_see_the_old_table_until_the_new_one_is_whole(
    ragdoll: Ragdoll, indexed: Indexed, monkeypatch: pytest.MonkeyPatch, step: str, killed: bool
) -> None:
    query = ["query", "lock", "-k", 99, "--json", "--database", indexed.database]
    modes = ("hybrid", "vector", "text")
    before = [ragdoll(*query, "--mode", mode).json for mode in modes]
    meanwhile: list[Any] = []
    done = getattr(Table, step)

    def watched(self: Table, *rest: Any) -> None:
        meanwhile.extend(ragdoll(*query, "--mode", mode).json for mode in modes)
        return interrupted() if killed else done(self, *rest)

    (indexed.docs / "locks.txt").write_text("No key fits this.")
    (indexed.docs / "new.md").write_text("A new lock.")
    monkeypatch.setattr(Table, step, watched)
    command = ["index", indexed.docs, *indexed.options, "--model", indexed.model / "distillate"]
    status = ragdoll(*command, "--overwrite").status
    monkeypatch.undo()

    assert meanwhile == before
    if killed:
        assert status == 130
        assert [ragdoll(*query, "--mode", mode).json for mode in modes] == before
        status = ragdoll(*command).status
    assert status == 0
    after = [ragdoll(*query, "--mode", mode).json for mode in modes]
    assert [hit["source"] for hit in after[2]["hits"]] == ["new.md"]
    assert len(after[0]["hits"]) == 5


def test_a_table_whose_files_are_gone_says_how_to_get_it_back(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    shutil.rmtree(indexed.database / "documents.lance" / "data")
    table = Database(str(indexed.database)).open("documents")
    with pytest.raises(TableError, match="its files are gone"):
        list(table.sources(next(iter(table.state.roots))))
    result = ragdoll("query", "loop", "--database", indexed.database)
    assert (result.status, result.out) == (1, "")
    assert "ragdoll index DOCS builds it anew" in result.err
    dry = ragdoll("index", indexed.docs, *indexed.options, "--dry-run", "--json")
    assert counts(dry.json) == {"added": 4, "chunks_embedded": 4}
    result = ragdoll("index", indexed.docs, *indexed.options)
    assert result.status == 0
    assert "has lost files; it is built anew" in result.err
    indexed.check()


def test_a_table_whose_files_are_gone_is_not_built_of_some_of_its_documents(
    ragdoll: Ragdoll, indexed: Indexed, tmp_path: Path
) -> None:
    more = write(tmp_path / "more", other="Of another folder.")
    indexed.index(more)
    shutil.rmtree(indexed.database / "documents.lance" / "data")
    result = ragdoll("index", more, *indexed.options)
    assert (result.status, result.out) == (1, "")
    assert f"it has some of {indexed.docs} too" in result.err
    assert ragdoll("index", indexed.docs, more, *indexed.options).status == 0
    indexed.check(indexed.docs, more)


@pytest.mark.parametrize(
    ("place", "step"), [(module, "StaticEncoder"), (index_module, "refuse_long_passages")]
)
def test_a_model_that_is_replaced_before_it_is_loaded_embeds_nothing(
    ragdoll: Ragdoll,
    indexed: Indexed,
    trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    step: str,
) -> None:
    moved = replace(indexed, model=shutil.copytree(trained.model, indexed.database / "model"))
    go_on = getattr(place, step)

    def replaced(argument: Any) -> Any:
        shutil.rmtree(moved.model)
        shutil.copytree(trained.model / "distillate", moved.model)
        return go_on(argument)

    (indexed.docs / "new.md").write_text("A new one.")
    monkeypatch.setattr(place, step, replaced)
    result = ragdoll("index", moved.docs, *moved.options)
    assert (result.status, result.out) == (1, "")
    assert "was replaced by another one meanwhile" in result.err
    assert "new.md" not in indexed.sources()


@pytest.mark.parametrize("removed", [".", "documents.lance", "documents.lance/data"])
@pytest.mark.parametrize("step", ["replace_sources", "index_text", "write_state"])
def test_a_table_that_is_removed_while_it_is_written_is_not_said_to_be_done(
    ragdoll: Ragdoll,
    docs: Path,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    removed: str,
) -> None:
    def bereft(*arguments: object) -> None:
        shutil.rmtree(table.database / removed, ignore_errors=True)
        go_on(*arguments)

    table = Indexed(tmp_path / "database", docs, trained.model)
    if step == "replace_sources":
        table.index()
        (docs / "new.md").write_text("A new one.")
    go_on = getattr(Table, step)
    with monkeypatch.context() as patch:
        patch.setattr(Table, step, bereft)
        result = ragdoll("index", docs, *table.options)
    assert (result.status, result.out) == (1, "")
    assert re.search("has been removed|its files are gone", result.err)
    assert len(result.err.splitlines()) == 2
    assert ragdoll("index", docs, *table.options).status == 0
    table.check()


def test_a_first_table_is_not_whole_until_it_is(
    ragdoll: Ragdoll,
    docs: Path,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Indexed(tmp_path / "database", docs, trained.model)
    monkeypatch.setattr(Table, "index_text", interrupted)
    assert ragdoll("index", docs, *table.options).status == 130
    monkeypatch.undo()
    result = ragdoll("query", "lock", "--database", table.database)
    assert (result.status, result.out) == (1, "")
    assert "table 'documents' is not whole" in result.err
    assert "run the same ragdoll index command again" in result.err
    assert ragdoll("index", docs, *table.options).status == 0
    assert ragdoll("query", "lock", "--database", table.database).status == 0


def test_a_table_has_one_writer_at_a_time(ragdoll: Ragdoll, indexed: Indexed) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    with FileLock(indexed.database / ".documents.lock"):
        result = ragdoll("index", indexed.docs, *indexed.options)
        assert (result.status, result.out) == (1, "")
        assert result.err.startswith("Error: Another process (")
        assert f"is writing to {indexed.database}, table 'documents'." in result.err
        assert ragdoll("index", indexed.docs, *indexed.options, "--dry-run").status == 0
        assert ragdoll("index", indexed.docs, *indexed.options, "--table", "other").status == 0
        assert ragdoll("query", "loop", "--database", indexed.database).status == 0
    assert ragdoll("index", indexed.docs, *indexed.options, "--json").json["added"] == 1


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param(StaticEncoder, "encode", id="embedding"),
        pytest.param(Table, "index_text", id="building the full-text index"),
        pytest.param(Table, "write_state", id="noting what was read"),
    ],
)
def test_a_first_run_that_was_interrupted_is_completed_by_the_same_command(
    ragdoll: Ragdoll,
    docs: Path,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: type,
    name: str,
) -> None:
    table = Indexed(tmp_path / "database", docs, trained.model)
    monkeypatch.setattr(place, name, interrupted)
    result = ragdoll("index", docs, *table.options)
    monkeypatch.undo()
    assert (result.status, result.out) == (130, "")
    assert "Interrupted" in result.err

    assert ragdoll("index", docs, *table.options).status == 0

    table.check()
    whole = table.at(tmp_path / "whole")
    whole.index()
    query = ["query", "locking tasks", "--mode", "text", "--json", "--database"]
    hits = ragdoll(*query, whole.database).json["hits"]
    assert hits
    assert ragdoll(*query, table.database).json["hits"] == hits


def test_an_update_that_was_interrupted_is_completed_by_the_same_command(
    ragdoll: Ragdoll, indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (indexed.docs / f"{number}.md").write_text(f"Document {number} about transports.")
    (indexed.docs / "locks.txt").unlink()
    encode: Callable[..., Any] = StaticEncoder.encode
    calls = iter([encode, encode, interrupted])

    def fails_at_the_third(*given: object) -> Any:
        return next(calls)(*given)

    monkeypatch.setattr(module, "_DOCUMENTS", 1)
    monkeypatch.setattr(StaticEncoder, "encode", fails_at_the_third)
    assert ragdoll("index", indexed.docs, *indexed.options).status == 130
    monkeypatch.undo()
    assert len(indexed.rows()) == 6

    record = ragdoll("index", indexed.docs, *indexed.options, "--json").json

    assert counts(record) == {"added": 2, "unchanged": 5, "removed": 1, "chunks_embedded": 2}
    indexed.check()


def test_progress_goes_from_stage_to_stage_and_never_back(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DOCUMENTS", 1)
    said: list[str] = []
    index(
        open_corpus([str(indexed.docs)]),
        IndexSettings(str(indexed.database), "documents", indexed.model),
        overwrite=True,
        report=lambda stage, *rest: said.append(stage),
    )
    stages = [stage for stage, _ in groupby(said)]
    assert stages[0] == "documents"
    assert len(set(stages)) == len(stages) > 1
