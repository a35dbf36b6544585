"""The client in Python: the same answers as the index, and errors that say what is wrong."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from ragdoll import Client, Index
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


@pytest.mark.parametrize(
    ("status", "said"), [(200, "is not a ragdoll service"), (502, "answers with the status 502")]
)
def test_an_answer_of_something_else_is_told_apart(status: int, said: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(ServiceError, match=said):
            Client(f"http://127.0.0.1:{server.server_port}").search("x")
