"""The service as a process: an address, signals, and an end within a few seconds."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ragdoll.embedding.vectors import ONE_THREAD
from ragdoll.errors import UsageError
from ragdoll.serve.api import create_app
from ragdoll.serve.guard import MAX_BODY, Counts, Guard, error_body
from ragdoll.serve.job import Job
from ragdoll.serve.names import Hosts, hosts_of, is_loopback, origin_of
from ragdoll.serve.service import Service
from ragdoll.settings import TOKEN_VARIABLE, IndexSettings, ServeSettings

# Seconds in which the headers of a request have to arrive, and their bytes at most.
HEADER_SECONDS = 10.0
MAX_HEADERS = 2**16

# Seconds for the rest of a body after the answer; at most as many bytes as a body may have.
REST_SECONDS = 2.0

# Seconds for requests that are being answered when a signal ends the process; its end takes more.
_GRACE = 1


class _Protocol(HttpToolsProtocol):
    """Ends connections whose headers are too long or late, or whose body nobody reads any more.

    uvicorn itself waits for the first request of a connection for ever, and so it does for the rest
    of a body after the answer.
    """

    _deadline: asyncio.TimerHandle | None = None
    _received = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Take bytes; see ``asyncio.Protocol``."""
        super().data_received(data)
        if self._deadline is None:
            return
        self._received += len(data)
        if self._is_answered and self._received > MAX_BODY:
            self._close()
        elif not self._is_answered and self._received > MAX_HEADERS:
            self._refuse(431, "headers", "The headers are too long.")

    def on_message_begin(self) -> None:
        """Wait for the headers of one more request on the connection."""
        super().on_message_begin()
        if self._deadline is None:
            self._wait_for_headers()

    def on_headers_complete(self) -> None:
        """Stop waiting; the guard takes the time of the body."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADERS:
            self._refuse(431, "headers", "The headers are too long.")
            return
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Wait a little for the rest of a body, since a client may read the answer only then."""
        super().on_response_complete()
        if self._is_answered:
            self._deadline = self.loop.call_later(REST_SECONDS, self._close)

    def on_message_complete(self) -> None:
        """Stop waiting for the rest of a body."""
        self._stop_waiting()
        super().on_message_complete()
        if self.cycle is not None:
            self.cycle.more_body = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no request."""
        self._refuse(400, "invalid", msg)

    @property
    def _is_answered(self) -> bool:
        """True if the latest request has its answer, and more of its body is to come."""
        cycle = self.cycle
        return cycle is not None and bool(cycle.response_complete and cycle.more_body)

    def _wait_for_headers(self) -> None:
        late = (408, "timeout", "The request did not arrive in time.")
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._refuse, *late)

    def _stop_waiting(self) -> None:
        self._received = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, code: str, message: str) -> None:
        is_free = self.cycle is None or (self.cycle.response_complete and not self._is_answered)
        if is_free and self.transport is not None and not self.transport.is_closing():
            body = error_body(code, message)
            head = (
                f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nconnection: close\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        self._close()

    def _close(self) -> None:
        self._stop_waiting()
        if self.transport is not None:
            self.transport.close()


def serve(
    index: IndexSettings,
    settings: ServeSettings,
    ready: Callable[[str, Hosts], None],
    command: list[str],
) -> None:
    """Answer requests until a signal ends the process.

    ``ready`` is called with the address, and the names that are answered to, once requests are
    taken. ``command`` is the pipeline's.

    Raises:
        UsageError: another host can reach the service, and it has no token; or a name that is
            allowed is none.
        OSError: the address is taken.
        RagdollError: a table is not there, or does not fit its model.
    """
    token = token_of(settings)
    if not is_loopback(settings.host) and token is None and not settings.insecure:
        raise UsageError(
            f"Others can reach {settings.host}, and no token is set.",
            hint=f"Set {TOKEN_VARIABLE}, give a file as `token_file`, or let everyone in by "
            "`insecure=True`.",
        )
    if settings.allow_run and token is None:
        raise UsageError(
            "Running the pipeline needs a token, and none is set.",
            hint=f"Set {TOKEN_VARIABLE}, or give a file as `token_file`.",
        )
    hosts = hosts_of(settings.host, settings.allow_host or [])
    origins = frozenset(map(origin_of, settings.allow_origin or []))
    listening = _bound(settings.host, settings.port)
    with listening:
        service = Service(index, settings.tables, settings.max_top_k)
        service.open()
        counts = Counts()

        def tools() -> Any:
            from ragdoll.serve.tools import http_app

            return http_app(service)

        guard = Guard(
            app=create_app(
                service,
                counts,
                settings.page,
                settings.metrics,
                tools if settings.mcp else None,
                Job(command) if settings.allow_run else None,
            ),
            hosts=hosts,
            origins=origins,
            token=token,
            counts=counts,
        )
        server = uvicorn.Server(
            uvicorn.Config(
                guard,
                http=_Protocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=_GRACE,
                lifespan="on",
            )
        )
        host, port = listening.getsockname()[:2]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}", hosts)
        # What is loaded by now stays. To look through it for garbage would take 50 ms each time, in
        # which nobody is answered.
        gc.freeze()
        with ONE_THREAD:
            server.run(sockets=[listening])


def token_of(settings: ServeSettings) -> str | None:
    """Return the token that requests need; None where they need none.

    Raises:
        UsageError: the file of the token cannot be read, or there is no token that a request could
            have.
    """
    origin, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "")
    if settings.token_file is not None:
        origin = settings.token_file
        try:
            token = Path(settings.token_file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UsageError(f"The token in {origin} cannot be read: {error}.") from error
    elif not token:
        return None
    token = token.strip()
    if not token:
        raise UsageError(f"{origin} is empty.", hint="Write a token into it.")
    if not (token.isascii() and token.isprintable()):
        raise UsageError(
            f"The token in {origin} has characters that a header cannot have.",
            hint="Write it in letters without accents, digits and signs, in one line.",
        )
    return token


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address."""
    name = host.strip("[]")
    listening = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((name, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise UsageError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            hint="Give another `port`; 0 takes a free one.",
        ) from error
    listening.setblocking(False)
    return listening
