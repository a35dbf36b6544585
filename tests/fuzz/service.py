"""The service: bytes of HTTP as they come from a socket, and messages of agents."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable
from pathlib import Path
from random import Random
from threading import Thread
from typing import TypeVar

import uvicorn
from uvicorn.server import ServerState

from ragdoll.serve.api import create_app
from ragdoll.serve.guard import Counts, Guard
from ragdoll.serve.names import hosts_of
from ragdoll.serve.server import _Protocol
from ragdoll.serve.service import Service
from ragdoll.serve.tools import http_app
from ragdoll.settings import IndexSettings
from tests.fuzz.harness import Case, FindingError, Prepare
from tests.fuzz.mutation import mutated, mutated_json
from tests.fuzz.tables import database_in

Result = TypeVar("Result")

# Seconds to wait for the first bytes of an answer; half a request has none.
_PATIENCE = 0.2


def _request(line: str, body: bytes = b"", *headers: str) -> bytes:
    head = [f"{line} HTTP/1.1", "Host: localhost", *headers]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


_REQUESTS = (
    _request("GET /search?query=wing&top_k=3&where=year>1"),
    _request("GET /documents?source=wing0.md", b"", "Origin: http://localhost"),
    _request("GET /passages/0123", b"", "Connection: close"),
    _request("GET /health") + _request("GET /tables"),
    _request("POST /search", b'{"query": "wing", "top_k": 2}'),
    _request("POST /search/batch", b'{"queries": ["wing", "flap"]}'),
    _request("POST /v1/embeddings", b'{"input": "wing", "model": "any"}'),
    _request("POST /search", b"", "Transfer-Encoding: chunked")
    + b'10\r\n{"query": "wing"}\r\n0\r\n\r\n',
)
_WORDS = (
    *(b"\r\n", b"\r\n\r\n", b": ", b"Host: ", b"Content-Length: ", b"Transfer-Encoding: chunked"),
    *(
        b"HTTP/1.1",
        b"HTTP/2.0",
        b"GET ",
        b"POST ",
        b"Upgrade: websocket\r\n",
        b"Expect: 100-continue",
    ),
    *(b"%00", b"%ff", b"query=", b"where=", b"source=", b"&", b"?", b"[::1]", b"0\r\n\r\n"),
)
_MESSAGES: tuple[dict[str, object], ...] = (
    {"method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {}}},
    {"method": "tools/list", "params": {}},
    {
        "method": "tools/call",
        "params": {"name": "search", "arguments": {"query": "wing", "top_k": 2, "where": "year>1"}},
    },
    {
        "method": "tools/call",
        "params": {"name": "get", "arguments": {"id": "wing0.md", "lines": 3}},
    },
    {"method": "tools/call", "params": {"name": "list", "arguments": {}}},
    {"method": "tools/call", "params": {"name": "status", "arguments": {}}},
)


class _Running:
    """The service in a thread, whose connections are made without a port."""

    def __init__(self, folder: Path) -> None:
        service = Service(IndexSettings(database=str(database_in(folder))))
        service.open()
        counts = Counts()
        app = create_app(service, counts, metrics=True, tools=lambda: http_app(service))
        names = hosts_of("127.0.0.1", [])
        guard = Guard(app=app, hosts=names, origins=frozenset(), token=None, counts=counts)
        self._config = uvicorn.Config(
            guard, http=_Protocol, ws="none", log_config=None, access_log=False, lifespan="on"
        )
        self._config.load()
        self._loop = asyncio.new_event_loop()
        Thread(target=self._loop.run_forever, daemon=True).start()
        self._state = ServerState()
        self._lifespan = self._config.lifespan_class(self._config)
        self._run(self._lifespan.startup())

    def ask(self, request: bytes) -> bytes:
        """Send bytes on a connection of their own, and return the beginning of what comes back."""
        ours, theirs = socket.socketpair()
        with ours:
            self._run(self._connected(theirs))
            ours.settimeout(_PATIENCE)
            try:
                ours.sendall(request)
                return ours.recv(1 << 16)
            except (TimeoutError, ConnectionError):
                return b""

    async def _connected(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        await self._loop.connect_accepted_socket(
            lambda: _Protocol(self._config, self._state, self._lifespan.state), connection
        )

    def _run(self, work: Awaitable[Result]) -> Result:
        async def awaited() -> Result:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


def _check(answer: bytes) -> None:
    """Check that an answer is one of HTTP, without a defect of the service in it."""
    if not answer:
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head[9:12]
    if not head.startswith(b"HTTP/1.1 ") or not status.isdigit():
        raise FindingError(f"no answer of HTTP: {answer[:80]!r}")
    if status.startswith(b"5") and status != b"503":
        raise FindingError(f"status {status.decode()}: {body[:200]!r}")
    if b"Traceback" in body or b'.py"' in body:
        raise FindingError(f"a trace: {body[:200]!r}")


def _http(folder: Path) -> Case:
    running = _Running(folder)
    for request in _REQUESTS:
        if not running.ask(request).startswith(b"HTTP/1.1 "):
            raise FindingError(f"no answer to {request!r}")

    def case(draw: Random) -> None:
        _check(running.ask(mutated(draw.choice(_REQUESTS), draw, _WORDS)))

    return case


def _agents(folder: Path) -> Case:
    running = _Running(folder)

    def case(draw: Random) -> None:
        message = {"jsonrpc": "2.0", "id": 1, **draw.choice(_MESSAGES)}
        body = mutated_json(message, draw) if draw.random() < 0.7 else json.dumps(message).encode()
        if draw.random() < 0.3:
            body = mutated(body, draw, (b'"', b":", b",", b"jsonrpc", b"null"))
        accept = "Accept: application/json, text/event-stream"
        _check(running.ask(_request("POST /mcp", body, accept)))

    return case


TARGETS: dict[str, Prepare] = {"http": _http, "mcp": _agents}
