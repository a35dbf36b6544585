"""The client in Python: the same answers as the index, and errors that say what is wrong."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from ragdoll import Client, Hit, Index
from ragdoll.errors import ServiceError, UsageError
from tests.serve.conftest import GUIDE, TOKEN, started

QUERY = "call a function after a delay"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Iterator[str]:
    with started(tmp_path_factory.mktemp("client"), base, "--token-file", token_file(base)) as one:
        yield f"http://{one.host}:{one.port}"


def token_file(base: Path) -> Path:
    file = base.parent / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, TOKEN) as client:
        yield client


def same(one: Any, other: Any) -> bool:
    """Tell whether hits are the same; their scores are rounded on the way."""
    first, second = (
        [dataclasses.astuple(dataclasses.replace(hit, score=0, **LEGS)) for hit in hits]
        for hits in (one, other)
    )
    return first == second and [hit.score for hit in one] == pytest.approx(
        [hit.score for hit in other], abs=1e-5
    )


LEGS: dict[str, Any] = {"vector_score": None, "text_score": None, "token_score": None}


def test_the_answers_are_those_of_the_index(client: Client, base: Path) -> None:
    index = Index.open(base)
    for asked in ({}, {"mode": "text"}, {"where": "year > 2020"}, {"source": "*.md"}):
        assert same(client.search(QUERY, 5, **asked), index.search(QUERY, 5, **asked))  # type: ignore[arg-type]
    assert same(asyncio.run(client.asearch(QUERY, 3)), index.search(QUERY, 3))
    assert same(asyncio.run(index.asearch(QUERY, 3)), index.search(QUERY, 3))
    queries = [f"task {number}" for number in range(120)]
    several = client.search_many(queries, 2)
    assert [hits[0].id for hits in several] == [
        hits[0].id for hits in index.search_many(queries, 2)
    ]


def test_documents_and_passages_are_those_of_the_index(client: Client, base: Path) -> None:
    index = Index.open(base)
    (document,) = client.documents("guide/loop.md")
    assert [document] == index.documents("guide/loop.md")
    assert document.text == GUIDE.strip()
    assert client.passage(document.passages[0].id) == document.passages[0]
    assert client.passage("nope") is None
    assert client.documents("nope.md") == []
    assert [facts["table"] for facts in client.tables()] == ["documents", "other"]


@pytest.fixture(params=["index", "client"])
def either(request: pytest.FixtureRequest, base: Path) -> Index | Client:
    """An index, and a client of a service that has it: what the one does, the other does."""
    asked: Index | Client = (
        Index.open(base) if request.param == "index" else request.getfixturevalue("client")
    )
    return asked


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"k": 2.5},
        {"mode": "sound"},
        {"alpha": 1.5},
        {"alpha": 0.5, "mode": "text"},
        {"where": ""},
        {"where": "nope = 1"},
        {"source": ""},
        {"source": Path("guide")},
        {"k": np.int64(2)},
    ],
)
def test_what_has_no_meaning_is_refused(either: Index | Client, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        either.search("lock", **options)
    with pytest.raises(UsageError):
        asyncio.run(either.asearch("lock", **options))
    if options != {"where": "nope = 1"}:  # which the table has to tell
        with pytest.raises(UsageError):
            either.search_many(["lock"], **options)


def test_a_query_without_words_finds_nothing(either: Index | Client) -> None:
    assert either.search("") == either.search(" ") == asyncio.run(either.asearch("")) == []
    answers = [[hit.source for hit in hits] for hits in either.search_many(["", "loop", " "], 1)]
    assert answers == [[], ["guide/loop.md"], []]
    assert list(either.search_many([])) == []
    with pytest.raises(TypeError, match="a list of queries"):
        either.search_many("loop")


@pytest.mark.parametrize("identifier", ["", "..", "../tables", "a/b?c#d", "%2e"])
def test_what_is_no_id_is_no_passage(either: Index | Client, identifier: str) -> None:
    assert either.passage(identifier) is None


def test_model_roots_and_sources_are_those_of_the_index(either: Index | Client, base: Path) -> None:
    index = Index.open(base)
    assert either.model == index.model
    assert either.roots == index.roots
    assert list(index.roots.values()) == [str(base.parent / "docs")]
    assert len(either.sources()) == 33
    assert either.sources(most=2) == index.sources(most=2) == ["evil.txt", "guide/loop.md"]
    assert either.sources("*.txt") == ["evil.txt", "locks.txt"]
    assert either.sources("*.nope") == either.sources(most=0) == []
    with pytest.raises(UsageError):
        either.sources("")


def test_passages_are_counted_and_texts_embedded(either: Index | Client, base: Path) -> None:
    assert len(either) == len(Index.open(base)) > 30
    vectors, tokens = either.embed(["a lock", "a timer"])
    expected, count = Index.open(base).embed(["a lock", "a timer"])
    assert vectors.dtype == np.float32
    assert (vectors == expected).all()
    assert tokens == count
    assert either.embed([])[0].shape == (0, expected.shape[1])


def test_a_closed_client_says_so(url: str) -> None:
    with Client(url, TOKEN) as client:
        client.search("lock")
    with pytest.raises(UsageError, match="closed"):
        client.search("lock")
    with pytest.raises(UsageError, match="closed"):
        asyncio.run(client.asearch("lock"))


def test_another_table_is_searched_by_its_name(url: str) -> None:
    with Client(url, TOKEN, table="other") as client:
        assert [hit.text for hit in client.search("semaphore")] == [
            "A semaphore bounds how many tasks run at once."
        ]
    with Client(url, TOKEN, table="nope") as client, pytest.raises(UsageError, match="nope"):
        client.search("semaphore")


def test_what_is_wrong_is_said(url: str, client: Client) -> None:
    with pytest.raises(UsageError, match="No field named nope"):
        client.search("x", where="nope = 1")
    with pytest.raises(UsageError, match="100 is the most"):
        client.search("x", 1000)
    with pytest.raises(ServiceError, match="token"):
        Client(url, "wrong").search("x")
    with pytest.raises(ServiceError, match="cannot be reached"):
        Client("http://127.0.0.1:1").search("x")
    with pytest.raises(ServiceError, match="cannot be reached"):
        asyncio.run(Client("http://127.0.0.1:1").asearch("x"))


Answer = tuple[int, str, bytes]


@contextmanager
def answering(*answers: Answer) -> Iterator[str]:
    """Serve answers one after the other, and check that all were asked for."""
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            self.rfile.read(length)
            status, seconds, body = waiting.pop(0)
            if length > 2**20:
                status = 413
            self.send_response(status)
            if seconds:
                self.send_header("retry-after", seconds)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
    assert waiting == []


BUSY = (503, "0", b'{"error": {"code": "busy", "message": "Too many wait.", "hint": null}}')
DAMAGED = (503, "0", b'{"error": {"code": "table", "message": "It is damaged.", "hint": null}}')
NOTHING = (200, "", b'{"hits": []}')


@pytest.mark.parametrize("is_async", [False, True])
def test_a_busy_service_is_asked_again_when_it_says(is_async: bool) -> None:
    def search(url: str) -> list[Hit]:
        with Client(url) as client:
            return asyncio.run(client.asearch("x")) if is_async else client.search("x")

    with answering(BUSY, BUSY, NOTHING) as url:
        assert search(url) == []
    with answering(*[BUSY] * 6) as url, pytest.raises(ServiceError, match="Too many"):
        search(url)
    with answering(DAMAGED) as url, pytest.raises(ServiceError, match="damaged"):
        search(url)


def test_documents_in_several_answers_are_put_together() -> None:
    facts = {"title": "", "root": "/docs", "path": None}

    def part(sources: list[str], following: int | None) -> Answer:
        passage = {"id": "x", "start": 0, "end": 1, "text": "x", "metadata": {}, **facts}
        documents = [
            {**facts, "source": name, "passages": [{**passage, "source": name}]} for name in sources
        ]
        return 200, "", json.dumps({"documents": documents, "next": following}).encode()

    with answering(part(["a", "b"], 2), part(["b", "c"], None)) as url, Client(url) as client:
        found = client.documents("*")
    assert [(one.source, len(one.passages)) for one in found] == [("a", 1), ("b", 2), ("c", 1)]
    with answering(part(["a", "b"], 2)) as url, Client(url) as client:
        assert len(client.documents("*", 2)) == 2


def test_more_than_a_request_holds_is_asked_in_several() -> None:
    texts = [f"{number} {'é' * 8000}" for number in range(40)]
    answers = [b'{"answers": [' + b", ".join([b'{"hits": []}'] * n) + b"]}" for n in (21, 19)]
    with answering(*((200, "", body) for body in answers)) as url, Client(url) as client:
        assert list(client.search_many(texts)) == [[]] * 40
    vector = b'{"embedding": "AACAPw=="}'
    answers = [
        b'{"data": [%b], "usage": {"prompt_tokens": 1}}' % b", ".join([vector] * number)
        for number in (2048, 2)
    ]
    with answering(*((200, "", body) for body in answers)) as url, Client(url) as client:
        vectors, tokens = client.embed(["a"] * 2050)
    assert vectors.tolist() == [[1]] * 2050
    assert tokens == 2


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "is not a ragdoll service"),
        (200, b'{"ok": true}', "is not a ragdoll service"),
        (200, b"[1]", "is not a ragdoll service"),
        (502, b"<html>", "answers with the status 502"),
    ],
)
def test_an_answer_of_something_else_is_told_apart(status: int, body: bytes, said: str) -> None:
    calls: list[Callable[[Client], object]] = [
        lambda client: client.search("x"),
        lambda client: asyncio.run(client.asearch("x")),
        lambda client: list(client.search_many(["x"])),
        lambda client: client.passage("x"),
        lambda client: client.documents("x"),
        lambda client: client.sources(),
        lambda client: client.embed(["x"]),
        lambda client: client.model,
        lambda client: client.roots,
        lambda client: client.tables(),
        len,
    ]
    for call in calls:
        with (
            answering((status, "", body)) as url,
            Client(url) as client,
            pytest.raises(ServiceError, match=said),
        ):
            call(client)
