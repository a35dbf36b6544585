"""The service as a process: its start and end, raw bytes, and tables that change under it."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import ragdoll
from ragdoll.retrieval.index import Index
from tests.conftest import Ragdoll, Trained
from tests.making import open_corpus
from tests.serve.conftest import TOKEN, Process, started

Served = Callable[..., Process]

# Far above what is promised, for a busy machine.
PATIENCE = 60.0


def talk(process: Process, sent: bytes) -> bytes:
    """Send bytes, and return the first line of the answer."""
    with socket.create_connection((process.host, process.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            return answer.readline()


def ask(process: Process, query: str, **asked: Any) -> dict[str, Any]:
    body = json.dumps({"query": query, **asked}).encode()
    request = urllib.request.Request(
        f"http://{process.host}:{process.port}/search",
        body,
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return dict(json.load(answer))


def request(*headers: str, body: bytes = b"", line: str = "GET /tables HTTP/1.1") -> bytes:
    head = "\r\n".join([line, *headers, "", ""])
    return head.encode("latin-1") + body


CLOSE = "Connection: close"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request("Host: localhost", CLOSE), 200),
        (request(CLOSE), 421),
        (request("Host: localhost", "Host: evil.example", CLOSE), 421),
        (request("Host: localhost", "Origin: null", CLOSE), 403),
        (request("Host: localhost", "Origin: http://localhost", "Origin: x", CLOSE), 400),
        (request("Host: localhost", "X: " + "x" * 70_000, CLOSE), 431),
        (request("Host: localhost", *[f"X{n}: {'x' * 100}" for n in range(900)], CLOSE), 431),
        (b"NONSENSE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (
            request(
                *("Host: localhost", "Content-Type: application/json", "Content-Length: 9999999"),
                line="POST /search HTTP/1.1",
            ),
            413,
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_raw_bytes_are_answered_or_refused(base_served: Process, sent: bytes, status: int) -> None:
    with socket.create_connection((base_served.host, base_served.port), PATIENCE) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        record = json.load(answer)
    assert answer.status == status
    assert status == 200 or record["error"]["message"]


@pytest.fixture(scope="module")
def base_served(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One service for all tests that leave it as it is."""
    with started(tmp_path_factory.mktemp("served"), base) as process:
        yield process


def test_a_body_larger_than_headers_may_be_is_taken(base_served: Process) -> None:
    body = json.dumps({"queries": ["a lock guards " * 500] * 100, "top_k": 1}).encode()
    assert len(body) > 2**19
    kinds = ("Host: localhost", "Content-Type: application/json", CLOSE)
    head = request(*kinds, f"Content-Length: {len(body)}", line="POST /search/batch HTTP/1.1")
    with socket.create_connection((base_served.host, base_served.port), timeout=20) as connection:
        for start in range(0, len(body), 100_000):
            connection.sendall((head if not start else b"") + body[start : start + 100_000])
            time.sleep(0.01)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_half_a_request_does_not_hold_up_the_others(base_served: Process) -> None:
    half = [socket.create_connection((base_served.host, base_served.port)) for _ in range(50)]
    for number, connection in enumerate(half):
        start = b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
        connection.sendall(start[: 20 + number])
    assert ask(base_served, "a lock guards", top_k=1)["hits"]
    for connection in half:
        connection.close()


@pytest.mark.parametrize("line", ["POST /nope HTTP/1.1", "POST /search HTTP/1.1"])
def test_the_rest_of_a_body_is_not_read_for_ever(base_served: Process, line: str) -> None:
    kinds = ("Host: localhost", "Content-Type: application/json", "Content-Length: 104857600")
    with socket.create_connection((base_served.host, base_served.port), PATIENCE) as connection:
        connection.sendall(request(*kinds, line=line))
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 4")
        sent = 0
        with suppress(ConnectionError):
            while sent < 104857600:
                sent += connection.send(bytes(65536))
        assert sent < 2**25  # what the kernel holds, and what is read


def test_a_connection_whose_body_comes_after_the_answer_goes_on(base_served: Process) -> None:
    with socket.create_connection((base_served.host, base_served.port), PATIENCE) as connection:
        connection.sendall(
            request("Host: localhost", "Content-Length: 5", line="POST /nope HTTP/1.1")
        )
        answer = connection.recv(65536)
        while not answer.endswith(b"}}"):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 404")
        connection.sendall(b"12345" + request("Host: localhost", CLOSE))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_what_does_not_arrive_in_time_is_given_up(base: Path) -> None:
    """In a process whose limits are shortened, since nobody wants to wait for the real ones."""
    code = (
        "import sys\n"
        "from ragdoll.serve import guard, server\n"
        "server.HEADER_SECONDS = guard.BODY_SECONDS = server.REST_SECONDS = 0.3\n"
        "from ragdoll.cli import app\n"
        "app(sys.argv[1:])\n"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "serve",
        "--database",
        str(base),
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(ragdoll.__file__).parent.parent,
    ) as process:
        assert process.stdout
        address = json.loads(process.stdout.readline())["address"]
        host, _, port = address.removeprefix("http://").rpartition(":")
        slow = Process(process, host, int(port))
        assert talk(slow, b"GET / HTTP/1.1\r\nHost: loc").startswith(b"HTTP/1.1 408")
        half_body = request(
            *("Host: localhost", "Content-Type: application/json", "Content-Length: 50"),
            line="POST /search HTTP/1.1",
            body=b'{"query":',
        )
        assert talk(slow, half_body).startswith(b"HTTP/1.1 408")
        early = request("Host: localhost", "Content-Length: 50", line="POST /nope HTTP/1.1")
        with socket.create_connection((slow.host, slow.port), PATIENCE) as connection:
            connection.sendall(early)
            with connection.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 404")  # and is ended
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("state", ["idle", "half a request", "busy"])
def test_a_signal_ends_the_service(served: Served, number: signal.Signals, state: str) -> None:
    # A run in the background passes on that this signal is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = served()
    finally:
        signal.signal(signal.SIGINT, before)
    answered = threading.Event()

    def keep_asking() -> None:
        with suppress(OSError, http.client.HTTPException):  # until the service is gone
            while ask(process, "a lock guards")["hits"]:
                answered.set()

    askers = [threading.Thread(target=keep_asking) for _ in range(4 * (state == "busy"))]
    for asker in askers:
        asker.start()
    with socket.create_connection((process.host, process.port)) as connection:
        if state == "half a request":
            connection.sendall(
                b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"
            )
            ask(process, "a lock guards")  # which comes after the half
        assert not askers or answered.wait(PATIENCE)
        begun = time.monotonic()
        process.process.send_signal(number)
        status = process.process.wait(PATIENCE)
        if state == "half a request":
            cut_off = http.client.HTTPResponse(connection)
            cut_off.begin()
            assert (cut_off.status, json.load(cut_off)["error"]["code"]) == (503, "ending")
    assert status == 128 + number
    assert time.monotonic() - begun < PATIENCE
    assert process.process.stderr
    assert "Traceback" not in process.process.stderr.read()
    for asker in askers:
        asker.join(PATIENCE)
    assert not any(asker.is_alive() for asker in askers)


def test_a_log_in_json_has_nothing_else(served: Served) -> None:
    process = served("--log", "json")
    for sent in (request("Host: localhost", CLOSE), b"NONSENSE\r\n\r\n"):
        talk(process, sent)
    process.process.send_signal(signal.SIGTERM)
    assert process.process.stderr
    lines = [json.loads(line) for line in process.process.stderr]
    assert [line["path"] for line in lines if "path" in line] == ["/tables"]
    assert all("time" in line for line in lines)


def test_without_a_token_only_this_machine_is_served(ragdoll: Ragdoll, base: Path) -> None:
    refused = ragdoll("serve", "--database", base, "--host", "0.0.0.0", "--port", 0)
    assert refused.status == 2
    assert "RAGDOLL_SERVE_TOKEN" in refused.err
    assert "--insecure" in refused.err


def test_the_token_comes_from_a_file_or_a_variable(served: Served, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    for process in (
        served("--token-file", tmp_path / "token"),
        served(RAGDOLL_SERVE_TOKEN=f" {TOKEN}\n"),
    ):
        plain = request("Host: localhost", CLOSE)
        assert talk(process, plain).startswith(b"HTTP/1.1 401")
        known = request("Host: localhost", f"Authorization: Bearer {TOKEN}", CLOSE)
        assert talk(process, known).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("token", "said"), [(" \n", "empty"), ("pässword", "characters"), ("a\nb", "characters")]
)
def test_a_token_that_no_request_can_have_is_refused(
    ragdoll: Ragdoll, base: Path, monkeypatch: pytest.MonkeyPatch, token: str, said: str
) -> None:
    Path("token").write_text(token)
    in_file = ragdoll("serve", "--database", base, "--port", 0, "--token-file", "token")
    monkeypatch.setenv("RAGDOLL_SERVE_TOKEN", token)
    in_variable = ragdoll("serve", "--database", base, "--port", 0)
    for refused in (in_file, in_variable):
        assert refused.status == 2
        assert said in refused.err
        assert token.strip() == "" or token not in refused.err


def test_a_service_that_others_can_reach_says_its_names(served: Served) -> None:
    process = served("--host", "0.0.0.0", "--insecure")
    assert process.process.stderr
    first = process.process.stderr.readline()
    assert "every IP address; --allow-host adds names." in first
    assert socket.gethostname().lower() in first


def test_a_table_whose_model_was_moved_is_told_where_it_is(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    database, model = tmp_path / "base", shutil.copytree(trained.model, tmp_path / "model")
    Index.create(database, model=model).update(["A lock guards a resource."])
    model.rename(tmp_path / "moved")
    refused = ragdoll("serve", "--database", database, "--port", 0)
    assert refused.status == 1
    assert "give its folder as ragdoll index --model;" in refused.err


def test_what_is_wrong_is_said_before_the_service_starts(ragdoll: Ragdoll, base: Path) -> None:
    assert "No table 'nope'" in ragdoll("serve", "--database", base, "--table", "nope").err
    assert ragdoll("serve", "--database", "nowhere").status == 1
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = ragdoll("serve", "--database", base, "--port", port)
    assert refused.status == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in refused.err


def test_a_table_that_changes_is_followed_and_no_answer_fails(
    served: Served, trained: Trained, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(40):
        (docs / f"{number}.txt").write_text(f"Task {number} waits for a lock.")
    database, model = tmp_path / "base", trained.model
    Index.create(database, model=model).update(open_corpus([docs]))
    process = served(database=database)
    failures: list[Exception] = []
    is_over = threading.Event()

    def keep_asking() -> None:
        while not is_over.is_set():
            try:
                assert ask(process, "a task waits", top_k=3)["hits"]
            except Exception as error:  # noqa: BLE001  (whatever it is)
                failures.append(error)

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        for step in range(3):
            (docs / "new.txt").write_text(f"Semaphore number {step} bounds the pool.")
            Index.create(database, model=model).update(open_corpus([docs]))
            seen_within(process, f"semaphore number {step}", "new.txt")
        (docs / "last.txt").write_text("A barrier holds them all.")
        Index.create(database, model=model, overwrite=True).update(open_corpus([docs]))
        seen_within(process, "barrier holds", "last.txt")
        other = trained.model / "distillate"
        Index.create(database, model=other, overwrite=True).update(open_corpus([docs]))
        until = time.monotonic() + PATIENCE
        while tables(process)[0]["model"] != str(other) and time.monotonic() < until:
            time.sleep(0.05)
        assert tables(process)[0]["model"] == str(other)
        assert ask(process, "barrier holds", top_k=1)["hits"][0]["source"] == "last.txt"
    finally:
        is_over.set()
        for asker in askers:
            asker.join()
    assert failures == []


def seen_within(process: Process, query: str, source: str) -> None:
    """Ask until a source comes first."""
    until = time.monotonic() + PATIENCE
    while True:
        (hit,) = ask(process, query, top_k=1)["hits"]
        if hit["source"] == source:
            return
        assert time.monotonic() < until, hit
        time.sleep(0.05)


def tables(process: Process) -> list[dict[str, Any]]:
    address = f"http://{process.host}:{process.port}/tables"
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        return list(json.load(answer)["tables"])
