"""Who may ask, and how much: hosts, origins, tokens, sizes."""

from __future__ import annotations

import io
import json
import logging
from typing import Any, Literal

import pytest

from ragdoll.serve.log import logged_to
from ragdoll.serve.service import Service
from tests.serve.conftest import TOKEN, Serving

ASKED = {"query": "lock"}


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1@evil"])
@pytest.mark.parametrize("path", ["/", "/health", "/search?query=x", "/mcp", "/openapi.json"])
def test_no_route_answers_under_a_foreign_name(serving: Serving, host: str, path: str) -> None:
    answer = serving().get(path, headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "misdirected"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8765", "127.0.0.1:1", "[::1]:8765"])
def test_the_names_of_this_machine_are_known(serving: Serving, host: str) -> None:
    assert serving().get("/tables", headers={"host": host}).status_code == 200


def test_pages_of_other_sites_may_ask_only_where_that_was_said(serving: Serving) -> None:
    origin = {"origin": "https://example.org"}
    refused = serving().post("/search", json=ASKED, headers=origin)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin")
    assert "access-control-allow-origin" not in refused.headers
    assert serving().post("/search", json=ASKED, headers={"origin": "null"}).status_code == 403
    own = {"origin": "http://localhost"}
    assert serving().post("/search", json=ASKED, headers=own).status_code == 200
    client = serving(origins=frozenset(origin.values()))
    asked = client.options("/search", headers=origin)
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (
        204,
        "https://example.org",
    )
    answered = client.post("/search", json=ASKED, headers=origin)
    assert answered.headers["access-control-allow-origin"] == "https://example.org"


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", f"Basic {TOKEN}", "Bearer é"])
def test_without_the_token_only_health_is_told(serving: Serving, given: str | None) -> None:
    client = serving(token=TOKEN)
    headers = {} if given is None else {"authorization": given.encode()}
    for path in ("/", "/search?query=lock", "/tables", "/mcp", "/metrics", "/openapi.json"):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/health").status_code in {200, 503}


def test_with_the_token_all_is_told(serving: Serving) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert serving(token=TOKEN).post("/search", json=ASKED, headers=headers).status_code == 200


def test_a_body_has_a_bounded_size(serving: Serving) -> None:
    client = serving()
    for content in (b"x" * (2**20 + 1), (b"x" * 2**16 for _ in range(17))):
        answer = client.post(
            "/search", content=content, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_the_log_has_a_line_for_each_request_and_no_query(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    client = serving()
    with caplog.at_level(logging.INFO, "ragdoll.access"):
        client.get("/search?query=a+secret+question")
        client.post("/search", json={"query": "a secret question"})
    lines = [record.getMessage() for record in caplog.records if record.name == "ragdoll.access"]
    assert [line.split()[1:4] for line in lines] == [
        ["GET", "/search", "200"],
        ["POST", "/search", "200"],
    ]
    assert "secret" not in " ".join(lines)


def logged(serving: Serving, form: Literal["text", "json"], path: str) -> tuple[int, str]:
    """Return the status of a path, and what is logged of it."""
    stream = io.StringIO()
    with logged_to(stream, form, requests=True):
        answer = serving().get(path)
    return answer.status_code, stream.getvalue()


def test_a_defect_is_logged_once_and_plainly(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Service) -> Any:
        raise ZeroDivisionError("first\nFAKE \x1b[31m")

    monkeypatch.setattr(Service, "names", fail)
    status, text = logged(serving, "text", "/tables")
    assert status == 500
    assert text.count("ZeroDivisionError: first") == 1
    assert "\nFAKE" not in text
    assert "\x1b" not in text
    assert text.splitlines()[-1].split()[1:4] == ["GET", "/tables", "500"]
    defect, request = map(json.loads, logged(serving, "json", "/tables")[1].splitlines())
    assert (defect["level"], defect["message"]) == ("error", "Unexpected ZeroDivisionError.")
    assert "in fail" in defect["trace"]
    assert (request["path"], request["status"]) == ("/tables", 500)


def test_a_path_begins_no_line_of_the_log(serving: Serving) -> None:
    path = "/a%0aFAKE%1b[31m%E2%80%A8é"
    (line,) = logged(serving, "text", path)[1].splitlines()
    assert line.split()[1:4] == ["GET", "/a\\nFAKE\\x1b[31m\\u2028é", "404"]
    (line,) = logged(serving, "json", path)[1].splitlines()
    assert json.loads(line)["path"] == "/a\nFAKE\x1b[31m\u2028é"
