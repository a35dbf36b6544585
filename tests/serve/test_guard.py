"""Who may ask, and how much: hosts, origins, tokens, sizes."""

from __future__ import annotations

import io
import json
import logging
import socket
from typing import Any, Literal

import pytest

from ragdoll.errors import UsageError
from ragdoll.serve.log import logged_to
from ragdoll.serve.names import hosts_of, is_loopback, origin_of
from ragdoll.serve.service import Service
from tests.serve.conftest import TOKEN, Serving

ASKED = {"query": "lock"}


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1@evil"])
@pytest.mark.parametrize("path", ["/", "/health", "/search?query=x", "/mcp", "/openapi.json"])
def test_no_route_answers_under_a_foreign_name(serving: Serving, host: str, path: str) -> None:
    answer = serving().get(path, headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "misdirected"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8765", "localhost.", "127.0.0.1:1", "[::1]:8765"]
)
def test_the_names_of_this_machine_are_known(serving: Serving, host: str) -> None:
    assert serving().get("/tables", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("listening", ["0.0.0.0", "::", "192.0.2.2"])
def test_a_service_that_others_can_reach_answers_to_its_addresses(
    serving: Serving, listening: str
) -> None:
    client = serving(host=listening)
    for host in ("192.0.2.2:8765", "[2001:db8::1]:8765", socket.gethostname(), "localhost"):
        assert client.get("/tables", headers={"host": host}).status_code == 200
    for host in ("evil.example", "192.0.2.2.evil.example", "[evil]", "192.0.2"):
        assert client.get("/tables", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1", "[::1]"])
def test_hosts_that_this_machine_alone_can_reach(host: str) -> None:
    hosts = hosts_of(host, [])
    assert is_loopback(host)
    assert hosts.has(f"[{host}]:1" if host == "::1" else f"{host}:1")
    assert not hosts.has("192.0.2.2")


def test_names_are_allowed_however_they_are_written() -> None:
    hosts = hosts_of("127.0.0.1", ["MyHost:8903", "docs.example.org.", "[2001:DB8::1]:80"])
    for host in ("myhost", "myhost:1", "Docs.example.org", "[2001:db8::1]"):
        assert hosts.has(host)
    for name in ("http://example.org", "a b", "", "*.example.org", "müller.example", "a/b"):
        with pytest.raises(UsageError, match="no name of a host"):
            hosts_of("127.0.0.1", [name])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.org", "https://example.org"),
        ("http://b.test:80/", "http://b.test"),
        ("https://b.test:8443", "https://b.test:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_an_origin_is_what_browsers_send(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["example.org", "*", "null", "https://a.b/c", "https://a:b", "ftp://a"]
)
def test_what_is_no_origin_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no address of a site"):
        origin_of(url)


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
    assert "mcp-protocol-version" in asked.headers["access-control-allow-headers"]
    # A cache must not give one site what another was answered.
    assert client.get("/health").headers["vary"] == "origin"
    answered = client.post("/search", json=ASKED, headers=origin)
    assert answered.headers["access-control-allow-origin"] == "https://example.org"


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Bearer ", f"Basic {TOKEN}", "Bearer é"])
def test_without_the_token_only_health_and_page_are_told(
    serving: Serving, given: str | None
) -> None:
    client = serving(token=TOKEN)
    headers = {} if given is None else {"authorization": given.encode()}
    closed = ("/search?query=lock", "/v1/models", "/tables", "/mcp", "/metrics", "/openapi.json")
    for path in closed:
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/health").status_code in {200, 503}
    for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg"):
        assert client.get(path, headers=headers).status_code == 200


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
