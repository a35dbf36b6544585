"""``ragdoll index``: what it prints for people and for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ragdoll.retrieval.storage.analysis import Analysis
from ragdoll.retrieval.storage.table import Table
from tests.conftest import Bucket, Ragdoll, Trained
from tests.retrieval.conftest import Indexed, snapshot

KEYS = {
    *("database", "table", "model", "dimension", "metric", "documents", "chunks", "added"),
    *("changed", "unchanged", "removed", "chunks_embedded", "skipped", "seconds"),
}


@pytest.fixture
def fresh(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table of the documents that is not made yet."""
    return Indexed(tmp_path / "database", docs, trained.model)


@pytest.fixture
def indexed(fresh: Indexed) -> Indexed:
    """A table of the documents."""
    fresh.index()
    return fresh


def counts(record: dict[str, Any]) -> dict[str, int]:
    names = ("added", "changed", "unchanged", "removed", "chunks_embedded")
    return {name: record[name] for name in names if record[name]}


def test_the_record_of_a_run(ragdoll: Ragdoll, fresh: Indexed) -> None:
    result = ragdoll("index", fresh.docs, *fresh.options, "--json")
    assert result.status == 0
    record = result.json
    assert record.keys() >= KEYS
    assert counts(record) == {"added": 4, "chunks_embedded": 4}
    assert (record["documents"], record["chunks"], record["skipped"]) == (4, 4, [])
    assert (record["database"], record["table"]) == (str(fresh.database), "documents")
    assert record["model"] == str(fresh.model)
    again = ragdoll("index", fresh.docs, *fresh.options, "--json").json
    assert counts(again) == {"unchanged": 4}
    overwritten = ragdoll("index", fresh.docs, *fresh.options, "--overwrite", "--json").json
    assert counts(overwritten) == counts(record)


def test_options_have_the_names_of_the_original_guide(ragdoll: Ragdoll, fresh: Indexed) -> None:
    result = ragdoll(
        *("index", "--docs-folder", fresh.docs, "--vector-data-dir", fresh.database),
        *("--embedding-model-name", fresh.model, "--json"),
    )
    assert (result.status, result.json["documents"]) == (0, 4)


def test_what_was_left_out_is_said_to_programs_and_people(ragdoll: Ragdoll, fresh: Indexed) -> None:
    (fresh.docs / "image.png").write_bytes(b"\x89PNG")
    skipped = {"path": "image.png", "reason": "format .png", "root": str(fresh.docs)}
    for _ in range(2):  # also where nothing has changed
        record = ragdoll("index", fresh.docs, *fresh.options, "--json").json
        assert record["skipped"] == [skipped]
    for number in range(6):
        (fresh.docs / f"{number}.png").write_bytes(b"\x89PNG")
    result = ragdoll("index", fresh.docs, *fresh.options)
    assert "Left out: 7" in result.err
    assert "  7  format .png: 0.png, 1.png and 5 more\n" in result.err


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
    record = ragdoll("index", indexed.docs, *indexed.options, "--dry-run", "--json").json
    assert (record["added"], record["dry_run"]) == (1, True)
    assert snapshot(indexed.database) == before


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        pytest.param("--model", "distillate", "fingerprint", id="model"),
        pytest.param("--metric", "dot", "metric was cosine, now dot", id="metric"),
        pytest.param("--chunk-size", 64, "chunk_size was 256, now 64", id="chunk size"),
    ],
)
def test_another_model_or_setting_needs_an_option(
    ragdoll: Ragdoll, indexed: Indexed, option: str, value: object, words: str
) -> None:
    value = indexed.model / str(value) if option == "--model" else value
    command = ["index", indexed.docs, *indexed.options, option, value]
    result = ragdoll(*command)
    assert (result.status, result.out) == (1, "")
    assert words in result.err
    assert "--overwrite" in result.err
    assert ragdoll(*command, "--overwrite").status == 0


def test_fields_of_the_file_become_columns(ragdoll: Ragdoll, fresh: Indexed) -> None:
    Path("ragdoll.toml").write_text('[index.metadata]\nyear = "integer"\nday = "date"\n')
    assert ragdoll("index", fresh.docs, *fresh.options).status == 0
    assert fresh.arrow().schema.names[7:-3] == ["year", "day"]
    Path("ragdoll.toml").write_text('[index.metadata]\nyear = "number"\n')
    result = ragdoll("index", fresh.docs, *fresh.options)
    assert result.status == 1
    assert "columns were year (integer), day (date), now year (number)" in result.err
    Path("ragdoll.toml").write_text("[index.metadata]\nyear = 3\n")
    result = ragdoll("index", fresh.docs, *fresh.options)
    assert (result.status, result.out) == (2, "")
    assert "index.metadata must be a section of strings" in result.err


def test_a_corpus_without_documents_fails_in_words(ragdoll: Ragdoll, fresh: Indexed) -> None:
    shutil.rmtree(fresh.docs)
    fresh.docs.mkdir()
    result = ragdoll("index", fresh.docs, *fresh.options)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"Error: No documents in {fresh.docs}; nothing was changed.")


def test_no_documents_named_anywhere_is_wrong_usage(ragdoll: Ragdoll) -> None:
    result = ragdoll("index")
    assert (result.status, result.out) == (2, "")


@pytest.mark.parametrize("name", ["a/b", "../up", "", "übung", "/../out"])
def test_a_table_of_an_impossible_name_is_wrong_usage(
    ragdoll: Ragdoll, indexed: Indexed, name: str
) -> None:
    result = ragdoll("index", indexed.docs, *indexed.options, "--table", name)
    assert result.status == 2
    assert "Unexpected" not in result.err


def test_passages_longer_than_the_model_reads_are_wrong_usage(
    ragdoll: Ragdoll, fresh: Indexed
) -> None:
    result = ragdoll("index", fresh.docs, *fresh.options, "--chunk-size", 513)
    assert result.status == 2
    assert "--chunk-size 512 or less" in result.err


def test_a_run_that_is_interrupted_says_how_to_go_on(
    ragdoll: Ragdoll, fresh: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Table, analysis: Analysis) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Table, "index_text", interrupted)
        result = ragdoll("index", fresh.docs, *fresh.options)
    assert (result.status, result.out) == (130, "")
    assert "Interrupted" in result.err
    result = ragdoll("query", "lock", "--database", fresh.database)
    assert (result.status, result.out) == (1, "")
    assert "ragdoll index DOCS" in result.err
    assert ragdoll("index", fresh.docs, *fresh.options).status == 0


def test_a_table_that_has_lost_its_files_is_built_anew_with_a_warning(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    shutil.rmtree(indexed.database / "documents.lance" / "data")
    result = ragdoll("query", "loop", "--database", indexed.database)
    assert (result.status, result.out) == (1, "")
    assert "ragdoll index DOCS builds it anew" in result.err
    result = ragdoll("index", indexed.docs, *indexed.options)
    assert result.status == 0
    assert "has lost files; it is built anew" in result.err


def test_a_database_on_a_server_is_named_by_its_uri(
    ragdoll: Ragdoll, docs: Path, trained: Trained, bucket: Bucket
) -> None:
    made = ragdoll("index", docs, "--model", trained.model, "--database", bucket.uri, "--json")
    assert counts(made.json) == {"added": 4, "chunks_embedded": 4}
    Path("folder").mkdir()
    Path("folder/ragdoll.toml").write_text(f"[index]\ndatabase = '{bucket.uri}'\n")
    asked = ragdoll("query", "a lock", "--config", "folder/ragdoll.toml", "--json")
    assert len(asked.json["hits"]) == 4
    assert ragdoll("inspect-model", "--database", bucket.uri).status == 0


def test_values_that_are_not_of_their_columns_type_are_noted(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    records = [{"id": "a", "year": 2001}, {"id": "b", "year": "n/a"}, {"id": "c", "year": ""}]
    lines = [json.dumps({"text": "A lock.", **record}) for record in records]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    Path("ragdoll.toml").write_text('[index.metadata]\nyear = "integer"\n')
    result = ragdoll("index", tmp_path / "docs.jsonl", "--model", trained.model)
    assert result.status == 0, result.err
    assert "Noted: 1\n  1  year is no integer; the column has no value: docs.jsonl#b" in result.err
