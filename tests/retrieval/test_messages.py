"""The wording of this room's errors; other tests look at types and values only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from filelock import FileLock

from ragdoll import Index, ModelIdentity
from ragdoll.embedding.identity import identify
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import (
    CorpusError,
    ModelError,
    ModelMismatchError,
    RagdollError,
    TableError,
    UsageError,
)
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.reading.inspection import inspect_table, inspect_tables
from ragdoll.retrieval.storage.database import NoTableError
from ragdoll.retrieval.storage.lance import server_problem, translated
from ragdoll.retrieval.storage.schema import check_columns
from tests.retrieval.conftest import Indexed
from tests.retrieval.test_schema import fixed, rewrite, with_changing

Step = Callable[[Indexed], object]

REBUILD = "`Index.create(..., overwrite=True)`."


class Wrong:
    """An encoder that gives no vectors."""

    identity = ModelIdentity(fingerprint="wrong" * 5, dimension=4)

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.zeros((0, 4), dtype=np.float32)


class Right(Wrong):
    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.ones((len(texts), 4), dtype=np.float32)


def update(indexed: Indexed, *documents: str, **options: Any) -> None:
    Index.create(indexed.database, **options).update(documents)


def made_by_an_encoder(table: Indexed) -> None:
    place = table.database / "other"
    Index.create(place, model=Right()).update(["A lock."])
    Index.open(place)


def rewritten(change: Callable[[pa.Schema], pa.Schema]) -> Step:
    def step(table: Indexed) -> None:
        rewrite(table, change(table.arrow().schema))
        table.open()

    return step


def foreign(table: Indexed) -> None:
    table.connect().create_table("foreign", pa.table({"text": ["a"]}))
    Index.open(table.database, table="foreign")


def linked(table: Indexed) -> None:
    place = table.database / "documents.lance/data"
    place.rename(table.database / "elsewhere")
    place.symlink_to(table.database / "elsewhere")
    table.open()


def locked(table: Indexed) -> None:
    with FileLock(table.database / ".documents.lock"):
        table.index()


def file_in_its_place(table: Indexed) -> None:
    (table.docs / "file").write_text("")
    Index.open(table.docs / "file")


def without_model(table: Indexed) -> None:
    shutil.rmtree(table.model)
    table.open()
    Index.open(table.database)


def with_another_model(table: Indexed) -> None:
    shutil.copy(table.model / "distillate/model.safetensors", table.model)
    Index.open(table.database)


def replaced_meanwhile(table: Indexed) -> None:
    model = TableModel(table.model)
    with_another = table.model / "distillate/model.safetensors"
    shutil.copy(with_another, table.model)
    model.encode(["a lock"])


def emptied(table: Indexed) -> None:
    for file in table.docs.iterdir():
        file.unlink()
    (table.docs / "latin.txt").write_bytes(b"caf\xe9\0")
    table.index()


def without_files(table: Indexed) -> None:
    shutil.rmtree(table.database / "documents.lance/data")
    table.search("loop")


def lost_files(table: Indexed) -> None:
    more = table.docs / "more"
    more.mkdir()
    (more / "a.md").write_text("Of another folder.")
    shutil.rmtree(table.database / "documents.lance/data")
    table.index(more)


def other_metric(table: Indexed) -> None:
    (table.model / "ragdoll.json").write_text('{"metric": "dot"}')
    problem = inspect_table(str(table.database), "documents").problem
    assert problem is not None
    raise problem


def full_disk(table: Indexed) -> None:
    def fails() -> None:
        raise OSError("lance error: No space left on device, /a/b.rs:1:2\nmore")

    translated(fails, "here")


def searched(**options: Any) -> Step:
    return lambda table: table.search("a lock", **options)


def with_whole(schema: pa.Schema, whole: bool) -> pa.Schema:
    content = json.loads(schema.field("vector").metadata[b"ragdoll"])
    return with_changing(schema, json.dumps({**content, "whole": whole}).encode())


def declared(**fields: str) -> Step:
    return lambda table: check_columns(fields)


NO_DATABASE = (
    "Make one with `run(...)`, or with a model that is there by `Index.create(...)`; or name "
    "another `database`."
)
NO_TABLE = "Make it with `Index.create(...)`, or name another `table`."
OTHER_MODEL = (
    f"Give the table's own model as `model`, or rebuild the table with this one: {REBUILD}"
)
OTHER_SETTINGS = "Rebuild the table with `overwrite=True`, or write to another `table`."


def case(error: type[RagdollError], message: str, hint: str | None, step: Step) -> Any:
    return pytest.param(error, message, hint, step, id=message)


ERRORS = [
    case(
        TableError,
        "No database at {docs}/nowhere.",
        NO_DATABASE,
        lambda table: Index.open(table.docs / "nowhere"),
    ),
    case(
        TableError,
        "The database {docs}/file is a file; a database is a folder.",
        None,
        file_in_its_place,
    ),
    case(
        NoTableError,
        "No table 'x' in the database {database}: it has documents.",
        NO_TABLE,
        lambda table: Index.open(table.database, table="x"),
    ),
    case(
        NoTableError,
        "No table 'documents' in the database {docs}: it has none.",
        NO_TABLE,
        lambda table: Index.open(table.docs),
    ),
    case(
        TableError,
        "{database}, table 'foreign' was not made by ragdoll: it does not name its model.",
        "Name another `table`, or make a new one.",
        foreign,
    ),
    case(
        TableError,
        "{database}, table 'documents' has damaged metadata: dimension is 64, but its vectors have "
        "32.",
        f"Rebuild it: {REBUILD}",
        rewritten(lambda schema: fixed(schema, dimension=64)),
    ),
    case(
        TableError,
        "{database}, table 'documents' has damaged metadata: fingerprint is 5.",
        f"Rebuild it: {REBUILD}",
        rewritten(lambda schema: fixed(schema, fingerprint=5)),
    ),
    case(
        TableError,
        "{database}, table 'documents' has damaged metadata: unknown: colour.",
        f"Rebuild it: {REBUILD}",
        rewritten(lambda schema: fixed(schema, colour="red")),
    ),
    case(
        TableError,
        "{database}, table 'documents' has the format version 3; this ragdoll reads 2.",
        f"Update ragdoll, or rebuild the table: {REBUILD}",
        rewritten(lambda schema: fixed(schema, version=3)),
    ),
    case(
        TableError,
        "{database}, table 'documents' has the format version 1; this ragdoll reads 2.",
        f"Rebuild the table, whose full-text index is of an older kind: {REBUILD}",
        rewritten(lambda schema: fixed(schema, version=1)),
    ),
    case(
        TableError,
        "{database}, table 'documents' is not complete: it is being written, or that was "
        "interrupted.",
        "If no process writes it, make it again: `index.update(...)`.",
        rewritten(lambda schema: with_whole(schema, whole=False)),
    ),
    case(
        TableError,
        "{database}, table 'documents' is not all in its folder: "
        "{database}/documents.lance/data is a link.",
        "A table is read and written in its own folder only: put a copy of the files in the place "
        "of the link.",
        linked,
    ),
    case(
        TableError,
        "Another process (unknown) is writing to {database}, table 'documents'.",
        "Wait until it is done; queries go on meanwhile.",
        locked,
    ),
    case(
        TableError,
        "{database}, table 'documents': its files are gone",
        "If it was rebuilt meanwhile, try again; if not, `index.update(...)` builds it anew.",
        without_files,
    ),
    case(
        TableError,
        "{database}, table 'documents' has lost files, and not all of its documents are here: "
        "others are from {docs}.",
        f"Build it anew from all documents that it is to hold: {REBUILD}",
        lost_files,
    ),
    case(
        TableError,
        "here: the disk is full",
        "Free some space and try again.",
        full_disk,
    ),
    case(
        TableError,
        "The database {docs} has no tables.",
        "Make one with `Index.create(...)`.",
        lambda table: inspect_tables(str(table.docs)),
    ),
    case(
        TableError,
        "{database}, table 'documents' compares by cosine; the model at {model} was made for dot "
        "(recorded when the model was trained).",
        f"Rebuild it by the model's own metric: {REBUILD}",
        other_metric,
    ),
    case(
        TableError,
        "{database}, table 'documents' has other settings: metric was cosine, now dot; "
        "chunk_size was 256, now 64; columns were none, now year (integer).",
        OTHER_SETTINGS,
        lambda table: table.index(metric="dot", chunk_size=64, metadata={"year": "integer"}),
    ),
    case(
        ModelMismatchError,
        "The model of {database}, table 'documents' is gone from {model}.",
        "If it was moved, give its folder as `model`; if not, train again and rebuild the table: "
        f"{REBUILD}",
        without_model,
    ),
    case(
        ModelMismatchError,
        "{database}, table 'documents' was made with {model} (fingerprint {fingerprint}), but "
        "{model} has the fingerprint {other}.",
        OTHER_MODEL,
        with_another_model,
    ),
    case(
        ModelMismatchError,
        "{database}, table 'documents' was made with {model} (fingerprint {fingerprint}), but "
        "the encoder has the fingerprint wrongwrongwr.",
        OTHER_MODEL,
        lambda table: update(table, "A lock.", model=Wrong()),
    ),
    case(
        ModelMismatchError,
        "{database}/other, table 'documents' was made with an encoder that has no folder "
        "(wrongwrongwr).",
        "Give that encoder as `model`.",
        made_by_an_encoder,
    ),
    case(
        ModelError,
        "The model gives vectors of shape (0, 4), not (1, 4).",
        None,
        lambda table: update(table, "A lock.", model=Wrong(), overwrite=True),
    ),
    case(
        ModelError,
        "The model {model} was replaced by another one meanwhile.",
        "Do the same again.",
        replaced_meanwhile,
    ),
    case(
        CorpusError,
        "No documents in {docs}; nothing was changed. Left out: 1 (latin.txt: not utf-8 text).",
        "`prune=True` removes what the table has of it: 4 documents.",
        emptied,
    ),
    case(
        CorpusError,
        "No documents; nothing was changed. Left out: 1 (document 1: empty).",
        "ragdoll reads *; datasets and python:PACKAGE as well.",
        lambda table: update(table, " ", model=table.model),
    ),
    case(
        UsageError,
        "'a/b' cannot be the name of a table.",
        "A name has letters, digits, '_', '-' and '.', at most 200 of them.",
        lambda table: update(table, "A lock.", model=table.model, table="a/b"),
    ),
    case(
        UsageError,
        "Passages of 513 tokens are more than the model reads, which is 512.",
        "Give `chunk_size=512` or less.",
        lambda table: table.index(chunk_size=513),
    ),
    case(
        UsageError,
        "The field 'a b' of index.metadata cannot be the name of a column.",
        "A name has letters, digits and '_', which stands for '-' too, and begins with a letter.",
        declared(**{"a b": "string"}),
    ),
    case(
        UsageError,
        "The field 'Text' of index.metadata has the name of another column.",
        "Every table has end, id, metadata, source, start, text, text_tokens, "
        "text_words, title, vector; case does not "
        "matter.",
        declared(Text="string"),
    ),
    case(
        UsageError,
        "The field 'year' of index.metadata has the unknown type 'int'.",
        "Types are string, integer, number, boolean, date, list.",
        declared(year="int"),
    ),
    case(
        UsageError,
        "The filter 'yaer > 1' cannot be used: No field named yaer.",
        "Columns are id, source, title, text, start, end, metadata; the setting index.metadata "
        "makes columns of more fields.",
        searched(where="yaer > 1"),
    ),
    case(UsageError, "k must be at least 1, not 0.", None, searched(k=0)),
    case(
        UsageError,
        "alpha has no meaning in the mode 'text'.",
        "It weighs the vector in the mode hybrid.",
        searched(mode="text", alpha=0.5),
    ),
    case(UsageError, "alpha must be at most 1, not 2.", None, searched(alpha=2)),
]


@pytest.mark.parametrize(("error", "message", "hint", "step"), ERRORS)
def test_an_error_says_what_is_wrong_and_what_to_do(
    movable: Indexed, error: type[RagdollError], message: str, hint: str | None, step: Step
) -> None:
    values = {
        "database": movable.database,
        "docs": movable.docs,
        "model": movable.model,
        "fingerprint": identify(movable.model).fingerprint[:12],
        "other": identify(movable.model / "distillate").fingerprint[:12],
    }
    with pytest.raises(error) as caught:
        step(movable)
    assert type(caught.value) is error
    assert caught.value.message == message.format(**values)
    before, _, after = (hint or "").partition("*")
    assert (caught.value.hint is None) == (hint is None)
    assert str(caught.value.hint or "").startswith(before)
    assert str(caught.value.hint or "").endswith(after)


REASONS = {
    "year >": "*Expected: an expression*",
    "year > 2000 foo": "*found: foo*",
    "year > 2000; DROP TABLE documents": "*found: ;*",
    "1=1) OR (1=1": "a bracket too many",
    "1=1 /* ( */ ) OR (1=1": "it has a comment",
    "1=1 -- (\n) OR (1=1": "it has a comment",
    "year > 'x'": '*Received literal Utf8("x")*',
    "year": "*boolean*",
    "count(*) > 1": "*count is none of the functions of a filter, which are lower, *",
    "author = 'Ada": "*Unterminated string*",
    "repeat('x', 999999999) = text": "*repeat is none of the functions of a filter*",
    "1" + "+1" * 500: "it has more than 400 words and signs; compare with many values by IN",
}


@pytest.mark.parametrize("where", REASONS, ids=[where[:40] for where in REASONS])
def test_a_filter_is_refused_with_the_reason(movable: Indexed, where: str) -> None:
    movable.index(metadata={"year": "integer", "author": "string"}, overwrite=True)
    with pytest.raises(UsageError) as caught:
        movable.search("a lock", where=where)
    shown = where if len(where) <= 200 else where[:200] + "…"
    start, end = f"The filter '{shown}' cannot be used: ", "."
    assert caught.value.message.startswith(start)
    assert caught.value.message.endswith(end)
    reason = caught.value.message[len(start) : -len(end)]
    parts = REASONS[where].split("*")
    assert reason == REASONS[where] if len(parts) == 1 else parts[1] in reason


# Servers


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
            "the region of the bucket is not known",
            "AWS_REGION",
        ),
        (
            LIST % "Http(HttpError { source: reqwest::Error { source: BadScheme } })",
            "the request to ab.example:9000 would not be encrypted",
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
    problem = server_problem(said)
    assert problem is not None
    assert problem[0] == message
    assert (problem[1] is None) == (hint is None)
    assert (hint or "") in (problem[1] or "")
    assert "sesame" not in str(problem)
