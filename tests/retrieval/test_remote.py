"""Tables on a server: what works on a folder works there, and what fails is said briefly."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ragdoll.corpus.reading import open_corpus
from ragdoll.retrieval.storage import engine
from ragdoll.retrieval.storage import lance as remote
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexSettings
from tests.conftest import Bucket, Ragdoll, Result, Trained

MODES = ("hybrid", "vector", "text")


def counts(result: Any) -> dict[str, int]:
    """What an index run counted, where that is not nothing."""
    names = ("added", "changed", "unchanged", "removed", "chunks_embedded")
    return {name: result.json[name] for name in names if result.json[name]}


def test_a_table_on_a_server_is_kept_up_to_date_and_searched_as_in_a_folder(
    ragdoll: Ragdoll, docs: Path, trained: Trained, bucket: Bucket, tmp_path: Path
) -> None:
    uri = f"{bucket.uri}/some/where"
    make = ["index", docs, "--json", "--model", trained.model, "--database"]
    folder = tmp_path / "database"
    before = sorted(tmp_path.iterdir())

    assert counts(ragdoll(*make, uri)) == {"added": 4, "chunks_embedded": 4}
    objects = bucket.objects()
    assert counts(ragdoll(*make, uri)) == {"unchanged": 4}
    (docs / "locks.txt").write_text("A semaphore guards several.")
    (docs / "loop.md").unlink()
    expected = {"changed": 1, "unchanged": 2, "removed": 1, "chunks_embedded": 1}
    assert counts(ragdoll(*make, uri, "--dry-run")) == expected
    assert bucket.objects() == objects
    assert counts(ragdoll(*make, uri)) == expected

    assert ragdoll(*make, folder).status == 0
    for mode in MODES:
        query = ["query", "guards data", "--mode", mode, "--json", "--database"]
        assert ragdoll(*query, uri).json == ragdoll(*query, folder).json
    lines = ["query", "-", "--where", "source LIKE 'locks%'", "--database"]
    asked = "semaphore\n" * 20
    assert ragdoll(*lines, uri, stdin=asked).out == ragdoll(*lines, folder, stdin=asked).out
    facts = ragdoll("inspect-model", "--json", "--database", uri)
    assert facts.status == 0
    assert facts.json["tables"][0]["model"] == str(trained.model)

    assert not list(Path().iterdir())
    assert sorted(tmp_path.iterdir()) == sorted([*before, folder])
    stored = b"".join(bucket.objects().values())
    assert b"the-key-id" not in stored
    assert b"the-secret-key" not in stored


def test_queries_see_the_old_table_on_a_server_until_the_new_one_is_whole(
    ragdoll: Ragdoll,
    docs: Path,
    trained: Trained,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = ["index", docs, "--overwrite", "--database", bucket.uri, "--model"]
    query = ["query", "guard", "--mode", "text", "--json", "--database", bucket.uri]
    assert ragdoll(*make, trained.model).status == 0
    before = ragdoll(*query).json
    assert [hit["source"] for hit in before["hits"]] == ["locks.txt"]
    (docs / "locks.txt").write_text("Nothing.")

    def interrupted(self: Table) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Table, "index_text", interrupted)
        assert ragdoll(*make, trained.model / "distillate").status == 130
    assert ragdoll(*query).json == before
    assert ragdoll(*make, trained.model / "distillate").status == 0
    assert ragdoll(*query).json["hits"] == []


@pytest.fixture
def table(docs: Path, trained: Trained, bucket: Bucket) -> Table:
    """A table of the documents in the bucket."""
    settings = IndexSettings(bucket.uri, "documents", trained.model)
    index(open_corpus([str(docs)]), settings)
    opened = Database(bucket.uri).find("documents")
    assert opened is not None
    return opened


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


def is_refused(result: Result, *words: str) -> None:
    """The command failed, and says so in a line or two with these words in them."""
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) <= 2
    for word in words:
        assert word in result.err


def test_a_missing_table_on_a_server_is_said_with_those_that_are_there(
    ragdoll: Ragdoll, table: Table
) -> None:
    missing = ["--database", table.uri, "--table", "missing"]
    is_refused(ragdoll("query", "lock", *missing), table.uri, "it has documents.")


def test_a_table_that_the_server_does_not_give_away_is_refused(
    ragdoll: Ragdoll, table: Table, trained: Trained, docs: Path, bucket: Bucket
) -> None:
    everything = f"arn:aws:s3:::{bucket.name}/*"
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": everything}
    policy = {"Version": "2012-10-17", "Statement": [denied]}
    bucket.backend.put_bucket_policy(bucket.name, json.dumps(policy).encode())
    for command in (["query", "lock"], ["index", docs, "--model", trained.model]):
        result = ragdoll(*command, "--database", table.uri)
        is_refused(result, table.uri, "127.0.0.1", "status 403", "AWS_SECRET_ACCESS_KEY")


def test_a_server_that_does_not_answer_is_given_up(
    ragdoll: Ragdoll, docs: Path, trained: Trained, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PATIENCE", 0.1)
    # So that LanceDB, which is left waiting, comes to an end as well.
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "0")
    monkeypatch.setenv("TIMEOUT", "1s")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT", "http://{}:{}".format(*silent.getsockname()))
        for command in (["query", "lock"], ["index", docs, "--model", trained.model]):
            result = ragdoll(*command, "--database", bucket.uri)
            is_refused(result, bucket.uri, "no answer within 0.1 seconds", "AWS_ENDPOINT")


LIST = (
    'Invalid input, Failed to connect to namespace: IO { source: Generic { store: "S3", source: '
    "ListRequest { source: RetryError(RetryErrorImpl { method: GET, uri: Some(http://ab.example:9000"
    "/bucket?list-type=2&prefix=x), retries: 3, max_retries: 3, elapsed: 471.0ms, "
    'retry_timeout: 180s, inner: %s }) } }, location: Location { file: "object_store.rs" } }'
)
REFUSED = 'Status { status: %d, body: Some("<?xml version=\\"1.0\\"?>\\n<Error>%s</Error>") }'
CONNECT = (
    "Http(HttpError { kind: Connect, source: reqwest::Error { kind: Request, source: "
    "hyper_util::client::legacy::Error(Connect, %s) } })"
)
PUT = (
    "lance error: LanceError(IO): single PUT of x/data/1.lance failed after 51ms: Error performing "
    "PUT https://user:sesame@ab.example/bucket/x?sig=sesame in 43.9ms - Server returned non-2xx "
    'status code: 403 Forbidden: <?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>'
    "<Message>Access Denied\nRequestId:sesame</Message><AWSAccessKeyId>sesame</AWSAccessKeyId>"
)


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            LIST % (REFUSED % (404, "<Code>NoSuchBucket</Code><Message>No bucket.</Message>")),
            "No bucket (NoSuchBucket)",
            None,
        ),
        (
            LIST
            % (REFUSED % (403, "<Code>Invalid</Code><Message>No key.</Message><Key>sesame</Key>")),
            "No key (Invalid)",
            "AWS_ACCESS_KEY_ID",
        ),
        (PUT, "Access Denied (AccessDenied)", "AWS_ACCESS_KEY_ID"),
        (
            LIST % 'Status { status: 500, body: Some("sesame") }',
            "ab.example:9000 answers with the status 500",
            None,
        ),
        (LIST % "BareRedirect", "the bucket is in another region", "AWS_REGION"),
        (
            "LanceError(IO): Generic S3 error: Failed to resolve region for bucket 'sesame'",
            "nobody says which region the bucket is in",
            "AWS_REGION",
        ),
        (
            LIST % "Http(HttpError { source: reqwest::Error { source: BadScheme } })",
            "ab.example:9000 would be asked without encryption",
            "AWS_ALLOW_HTTP",
        ),
        (
            LIST
            % (CONNECT % 'ConnectError("tcp", Os { code: 111, message: "Connection refused" })'),
            "ab.example:9000 cannot be reached: Connection refused",
            "AWS_ENDPOINT",
        ),
        (LIST % (CONNECT % "TimedOut"), "ab.example:9000 cannot be reached", "AWS_ENDPOINT"),
        (
            'IO { source: "Failed to get AWS credentials: CredentialsNotLoaded" }',
            "there are no credentials for it",
            "AZURE_STORAGE_ACCOUNT_NAME",
        ),
    ],
)
def test_what_a_server_answers_is_said_without_the_rest(
    said: str, message: str, hint: str | None
) -> None:
    explained = remote.explained(said)
    assert explained is not None
    assert explained[0] == message
    assert (explained[1] is None) == (hint is None)
    assert (hint or "") in (explained[1] or "")
    assert "sesame" not in str(explained)


def test_what_has_no_server_in_it_is_left_as_it_is() -> None:
    assert remote.explained("Invalid input, see https://example.org/help: status: 404") is None


@pytest.mark.parametrize("uri", ["s3://bucket/x", "gs://bucket/x", "az://bucket/x/"])
def test_a_uri_comes_to_lancedb_as_it_was_given(
    ragdoll: Ragdoll, docs: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    import lancedb

    seen: list[str] = []

    def connect(uri: str) -> None:
        seen.append(uri)
        raise ValueError("not now")

    monkeypatch.setattr(lancedb, "connect", connect)
    monkeypatch.setattr(engine, "connect", connect)
    make = ["index", docs, "--model", trained.model]
    is_refused(ragdoll(*make, "--database", uri), f"{uri}: not now")
    is_refused(ragdoll("inspect-model", "--database", uri), f"{uri}: not now")
    Path("folder").mkdir()
    Path("folder/ragdoll.toml").write_text(f"[index]\ndatabase = '{uri}'\n")
    is_refused(ragdoll("query", "lock", "--config", "folder/ragdoll.toml"), f"{uri}: not now")
    is_refused(ragdoll(*make, "--config", "folder/ragdoll.toml"), f"{uri}: not now")
    monkeypatch.setenv("RAGDOLL_INDEX_DATABASE", uri)
    is_refused(ragdoll(*make, "--dry-run"), f"{uri}: not now")
    is_refused(ragdoll("query", "lock"), f"{uri}: not now")
    assert seen == [uri] * 6
    assert [path.name for path in Path().iterdir()] == ["folder"]
