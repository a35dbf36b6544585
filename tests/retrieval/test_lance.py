"""Calls of LanceDB: what works on a folder works on a server, and errors are one line."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdoll.errors import RagdollError, TableError
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.reading.inspection import inspect_table, inspect_tables
from ragdoll.retrieval.storage import engine, lance
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.lance import server_problem, translated
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.target import IndexResult
from tests.closeness import near
from tests.conftest import Bucket, Trained
from tests.making import index, index_settings, open_corpus

MODES = ("hybrid", "vector", "text")


def fill(database: object, docs: Path, model: Path, **run: bool) -> IndexResult:
    return index(open_corpus([docs]), index_settings(str(database), "documents", model), **run)


def counts(result: IndexResult) -> dict[str, int]:
    names = ("added", "changed", "unchanged", "removed", "chunks_embedded")
    return {name: getattr(result, name) for name in names if getattr(result, name)}


def test_a_table_on_a_server_is_kept_up_to_date_and_searched_as_in_a_folder(
    docs: Path, trained: Trained, bucket: Bucket, tmp_path: Path
) -> None:
    uri, folder = f"{bucket.uri}/some/where", tmp_path / "database"
    before = sorted(tmp_path.iterdir())

    assert counts(fill(uri, docs, trained.model)) == {"added": 4, "chunks_embedded": 4}
    objects = bucket.objects()
    assert counts(fill(uri, docs, trained.model)) == {"unchanged": 4}
    (docs / "locks.txt").write_text("A semaphore guards several.")
    (docs / "loop.md").unlink()
    expected = {"changed": 1, "unchanged": 2, "removed": 1, "chunks_embedded": 1}
    assert counts(fill(uri, docs, trained.model, dry_run=True)) == expected
    assert bucket.objects() == objects
    assert counts(fill(uri, docs, trained.model)) == expected

    fill(folder, docs, trained.model)
    there, here = Index.open(uri), Index.open(folder)
    for mode in MODES:
        hits, others = (one.search("guards data", mode=mode) for one in (there, here))
        assert [hit.source for hit in hits] == [hit.source for hit in others] != []
        assert [hit.score for hit in hits] == near([hit.score for hit in others])
    many = list(there.search_many(["semaphore"] * 20, where="source LIKE 'locks%'"))
    assert [[hit.source for hit in hits] for hits in many] == [["locks.txt"]] * 20
    facts = inspect_table(uri, "documents")
    assert facts.agrees
    assert facts.model is not None
    assert facts.model.path == trained.model

    assert not list(Path().iterdir())
    assert sorted(tmp_path.iterdir()) == sorted([*before, folder])
    stored = b"".join(bucket.objects().values())
    assert b"the-key-id" not in stored
    assert b"the-secret-key" not in stored


def test_queries_see_the_old_table_on_a_server_until_the_new_one_is_complete(
    docs: Path, trained: Trained, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sources() -> list[str]:
        return [hit.source for hit in Index.open(bucket.uri).search("guard", mode="text")]

    fill(bucket.uri, docs, trained.model)
    assert sources() == ["locks.txt"]
    (docs / "locks.txt").write_text("Nothing.")

    def interrupted(self: Table, _: object) -> None:
        raise KeyboardInterrupt

    other = trained.model / "distillate"
    with monkeypatch.context() as patch:
        patch.setattr(Table, "index_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(bucket.uri, docs, other, overwrite=True)
    assert sources() == ["locks.txt"]
    fill(bucket.uri, docs, other, overwrite=True)
    assert sources() == []


@pytest.fixture
def table(docs: Path, trained: Trained, bucket: Bucket) -> Table:
    """A table of the documents in the bucket."""
    fill(bucket.uri, docs, trained.model)
    return Database(bucket.uri).open("documents")


def test_searching_starts_as_fast_on_a_server(table: Table) -> None:
    by_engine = Database(table.uri, to_search=True).open(table.name)
    assert isinstance(by_engine._inner, engine.OpenTable)
    assert by_engine.count() == table.count() == 4


def test_tidying_on_a_server_leaves_what_another_writer_may_be_at(
    table: Table, bucket: Bucket
) -> None:
    theirs = f"documents.lance/data/{'0' * 50}.lance"
    bucket.backend.put_object(bucket.name, theirs, b"not committed yet")
    table.tidy()
    assert theirs in bucket.objects()


# What fails


def refused(attempt: Callable[[], object], *values: str) -> None:
    """Check that an attempt fails with one line that has these values."""
    with pytest.raises(TableError) as caught:
        attempt()
    assert "\n" not in caught.value.message
    said = f"{caught.value.message} {caught.value.hint}"
    for value in values:
        assert value in said


def test_a_missing_table_on_a_server_is_named_with_those_that_are_there(table: Table) -> None:
    refused(lambda: Index.open(table.uri, table="missing"), table.uri, "missing", "documents")


def test_a_table_that_the_server_does_not_give_away_is_refused(
    table: Table, trained: Trained, docs: Path, bucket: Bucket
) -> None:
    everything = f"arn:aws:s3:::{bucket.name}/*"
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": everything}
    policy = {"Version": "2012-10-17", "Statement": [denied]}
    bucket.backend.put_bucket_policy(bucket.name, json.dumps(policy).encode())
    for attempt in (
        lambda: Index.open(table.uri),
        lambda: fill(table.uri, docs, trained.model),
    ):
        refused(attempt, table.uri, "127.0.0.1", "403", "AWS_SECRET_ACCESS_KEY")


def test_a_server_that_does_not_answer_is_given_up(
    docs: Path, trained: Trained, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "_PATIENCE", 0.1)
    # So that LanceDB, which is left waiting, comes to an end as well.
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "0")
    monkeypatch.setenv("TIMEOUT", "1s")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT", "http://{}:{}".format(*silent.getsockname()))
        for attempt in (
            lambda: Index.open(bucket.uri),
            lambda: fill(bucket.uri, docs, trained.model),
        ):
            refused(attempt, bucket.uri, "0.1 seconds", "AWS_ENDPOINT")


def test_an_error_of_ragdolls_own_stays_as_it_is() -> None:
    error = RagdollError("as it was")

    def fails() -> None:
        raise error

    with pytest.raises(RagdollError) as caught:
        translated(fails, "here")
    assert caught.value is error


def test_a_panic_of_the_engine_is_one_line() -> None:
    class PanicError(Exception):
        """A panic like the engine's own, which is none of the usual kinds."""

    def panic() -> None:
        raise PanicError("not yet\nimplemented")

    refused(lambda: translated(panic, "here"), "here: not yet")


def test_what_has_no_server_in_it_is_left_as_it_is() -> None:
    assert server_problem("Invalid input, see https://example.org/help: status: 404") is None


@pytest.mark.parametrize("uri", ["s3://bucket/x", "gs://bucket/x", "az://bucket/x/"])
def test_a_uri_comes_to_lancedb_as_it_was_given(
    docs: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    import lancedb

    seen: list[str] = []

    def connect(uri: str) -> None:
        seen.append(uri)
        raise ValueError("not now")

    monkeypatch.setattr(lancedb, "connect", connect)
    monkeypatch.setattr(engine, "connect", connect)
    for attempt in (
        lambda: fill(uri, docs, trained.model),
        lambda: fill(uri, docs, trained.model, dry_run=True),
        lambda: inspect_tables(uri),
        lambda: Index.open(uri),
    ):
        refused(attempt, f"{uri}: not now")
    assert seen == [uri] * 4
    assert not list(Path().iterdir())
