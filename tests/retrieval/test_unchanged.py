"""Tests of updates that read the changed files alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ragdoll.corpus.formats import files
from ragdoll.corpus.sources import folder
from tests.retrieval.conftest import Indexed


@pytest.fixture
def read(indexed: Indexed, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on; all files count as settled."""
    monkeypatch.setattr(folder, "_SETTLED", -10.0)
    names: list[str] = []
    original = files.read

    def watched(path: Path, *arguments: Any) -> Any:
        names.append(path.name)
        return original(path, *arguments)

    monkeypatch.setattr(files, "read", watched)
    (indexed.docs / "first.md").write_text("A first change.")
    indexed.index()
    names.clear()
    return names


def everything(indexed: Indexed) -> list[str]:
    return sorted(path.name for path in indexed.docs.iterdir())


def test_an_update_reads_the_changed_file_alone(indexed: Indexed, read: list[str]) -> None:
    (indexed.docs / "first.md").write_text("Another text.")
    result = indexed.index()
    assert read == ["first.md"]
    assert (result.added, result.changed, result.removed) == (0, 1, 0)
    assert result.unchanged == result.documents - 1
    indexed.check()


def test_new_files_are_read_and_gone_ones_removed(indexed: Indexed, read: list[str]) -> None:
    (indexed.docs / "new.md").write_text("A new one.")
    (indexed.docs / "loop.md").unlink()
    result = indexed.index()
    assert read == ["new.md"]
    assert (result.added, result.changed, result.removed) == (1, 0, 1)
    indexed.check()
    read.clear()
    (indexed.docs / "locks.txt").write_text("Other keys.")
    indexed.index()
    assert read == ["locks.txt"]
    indexed.check()


def test_a_file_of_the_same_size_and_another_time_is_read(
    indexed: Indexed, read: list[str]
) -> None:
    file = indexed.docs / "first.md"
    file.write_text("A first chance.")
    os.utime(file, (1, 1))
    assert indexed.index().changed == 1
    indexed.check()


def test_records_of_a_file_that_is_kept_stay(indexed: Indexed, read: list[str]) -> None:
    (indexed.docs / "a#b.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    indexed.index()
    (indexed.docs / "first.md").write_text("Another text.")
    assert indexed.index().removed == 0
    assert {"a#b.jsonl#1", "a#b.jsonl#2"} <= indexed.sources()


def test_what_is_left_out_is_named_again(indexed: Indexed, read: list[str]) -> None:
    (indexed.docs / "bad.jsonl").write_text('{"text": "fine"}\nnot JSON\n')
    for text in ("one", "two"):
        (indexed.docs / "first.md").write_text(text)
        assert [item.path for item in indexed.index().skipped] == ["bad.jsonl"]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "not JSON", '{"version": 1}', '{"version": 1, "table": "x", "roots": {"a": 1}}'],
)
def test_a_damaged_memory_makes_an_update_read_everything(
    indexed: Indexed, read: list[str], content: str
) -> None:
    (memory,) = indexed.database.glob(".*ragdoll-files")
    memory.write_text(content)
    (indexed.docs / "first.md").write_text("Another text.")
    indexed.index()
    assert sorted(read) == everything(indexed)
    indexed.check()


def test_what_another_program_wrote_makes_an_update_read_everything(
    indexed: Indexed, read: list[str]
) -> None:
    table = indexed.connect().open_table("documents")
    table.delete("source = 'loop.md'")
    (indexed.docs / "first.md").write_text("Another text.")
    indexed.index()
    assert sorted(read) == everything(indexed)
    assert "loop.md" in indexed.sources()


def test_other_options_of_reading_make_an_update_read_everything(
    indexed: Indexed, read: list[str]
) -> None:
    (memory,) = indexed.database.glob(".*ragdoll-files")
    content = json.loads(memory.read_text())
    for root in content["roots"].values():
        root[0] = "otherwise"
    memory.write_text(json.dumps(content))
    (indexed.docs / "first.md").write_text("Another text.")
    indexed.index()
    assert sorted(read) == everything(indexed)


def test_a_file_that_may_have_changed_unseen_is_read_again(
    indexed: Indexed, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_SETTLED", 1e9)
    (indexed.docs / "first.md").write_text("Another text.")
    indexed.index()
    read.clear()
    (indexed.docs / "first.md").write_text("Yet another.")
    indexed.index()
    assert sorted(read) == everything(indexed)
