"""What stands before every route: hosts, origins, the token, sizes and times, and the log.

A page in a browser can send requests to a service on the same machine, also under a name of its own
that leads there (DNS rebinding). So the name that a request was sent to must be a known one, and so
must be the page that sent it.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.exceptions import HTTPException

from ragdoll.serve.log import REQUESTS
from ragdoll.serve.names import Hosts, is_same

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)
requests = logging.getLogger(REQUESTS)

MAX_BODY = 2**20
"""Bytes of a request's body, at most."""

BODY_SECONDS = 10.0
"""Seconds in which the body of a request has to arrive."""

# The routes that need no token: that a service is up is no secret, and neither is its page, which
# asks for the token and has nothing of the documents.
_OPEN = re.compile(r"/|/health|/page/[^/]*")

# The bounds of the classes of durations, in seconds, as Prometheus wants them.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class RefusedError(HTTPException):
    """A request is refused: its status, a code, what is wrong and what to do."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(status, message)
        self.code, self.message, self.hint = code, message, hint


def error_body(code: str, message: str, hint: str | None = None) -> bytes:
    """Return the body of an error's answer, the same for all routes."""
    record = {"error": {"code": code, "message": message, "hint": hint}}
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")


@dataclass
class Counts:
    """The requests so far, by route and status, and how long they took."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    within: Counter[float] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests[route, status] += 1
        self.seconds += seconds
        for bound in _BUCKETS:
            self.within[bound] += seconds <= bound

    def as_text(self) -> str:
        """Write the counts in the format of Prometheus."""
        name, total = "ragdoll_request_seconds", sum(self.requests.values())
        lines = ["# TYPE ragdoll_requests_total counter"]
        lines += [
            f'ragdoll_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self.requests.items())
        ]
        lines.append(f"# TYPE {name} histogram")
        lines += [f'{name}_bucket{{le="{bound}"}} {self.within[bound]}' for bound in _BUCKETS]
        lines.append(f'{name}_bucket{{le="+Inf"}} {total}')
        lines += [f"{name}_sum {self.seconds:.6f}", f"{name}_count {total}"]
        return "\n".join(lines) + "\n"


@dataclass
class Guard:
    """The outermost layer of the service; ``token`` None lets everyone in.

    ``hosts`` are the names that the service may be asked under, and ``origins`` the pages of other
    hosts that may ask.
    """

    app: App
    hosts: Hosts
    origins: frozenset[str]
    token: str | None
    counts: Counts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it; one line of the log tells what became of it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0
        headers = scope["headers"]
        origin = _only(headers, b"origin")

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers(origin)]
            await send(message)

        try:
            self._check(scope, origin)
            if scope["method"] == "OPTIONS" and origin in self.origins:
                await _answer(watched, 204, b"")
            else:
                await self.app(scope, _Body(receive, headers).receive, watched)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  (it is answered, too)
            refused = _refusal(error)
            if not status:
                body = error_body(refused.code, refused.message, refused.hint)
                await _answer(watched, refused.status_code, body)
        finally:
            seconds = time.perf_counter() - begun
            route = getattr(scope.get("route"), "path", "other")
            self.counts.add(route, status, seconds)
            _log(scope, status, seconds)

    def _check(self, scope: Message, origin: str | None) -> None:
        """Check host, origin and token.

        Raises:
            RefusedError: one of them is wrong.
        """
        host = _only(scope["headers"], b"host")
        if host is None or not self.hosts.has(host):
            raise RefusedError(
                421,
                "misdirected",
                "This service does not answer to that host name.",
                "The setting serve.allow_host adds names.",
            )
        is_sent = any(key == b"origin" for key, _ in scope["headers"])
        if is_sent and origin is None:
            raise RefusedError(400, "origin", "The header Origin comes several times.")
        if origin is not None and origin not in self.origins and not is_same(origin, host):
            raise RefusedError(
                403,
                "origin",
                "Pages of other sites may not ask here.",
                "The setting serve.allow_origin adds sites.",
            )
        is_preflight = scope["method"] == "OPTIONS"
        if self.token is not None and not (is_preflight or _OPEN.fullmatch(scope["path"])):
            self._check_token(_only(scope["headers"], b"authorization"))

    def _check_token(self, given: str | None) -> None:
        scheme, _, token = (given or "").partition(" ")
        expected = (self.token or "").encode()
        # Compared in the same time however much of it is right.
        is_right = hmac.compare_digest(token.strip().encode(), expected)
        if scheme.lower() != "bearer" or not is_right:
            raise RefusedError(
                401, "token", "The token is missing or wrong.", "Send Authorization: Bearer TOKEN."
            )

    def _headers(self, origin: str | None) -> list[tuple[bytes, bytes]]:
        headers = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
        if self.origins:
            headers.append((b"vary", b"origin"))
        if origin is not None and origin in self.origins:
            allowed = b"authorization, content-type, mcp-protocol-version"
            headers += [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-headers", allowed),
                (b"access-control-allow-methods", b"GET, POST"),
            ]
        return headers


def _refusal(error: BaseException) -> RefusedError:
    """Return what is answered where the application raises; a defect is logged, once."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return RefusedError(503, "ending", "The service is ending.", "Ask again later.")
    logger.error("Unexpected %s.", type(error).__name__, exc_info=error)
    return RefusedError(500, "defect", f"Unexpected {type(error).__name__}.", "See the log.")


def _log(scope: Message, status: int, seconds: float) -> None:
    """Write a line about a request, without what was asked."""
    facts = {
        "client": (scope.get("client") or ("-",))[0],
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    requests.info("%s %s %s %s %s ms", *facts.values(), extra={"facts": facts})


class _Body:
    """The body of a request, of bounded size, and within a bounded time."""

    def __init__(self, receive: Receive, headers: list[tuple[bytes, bytes]]) -> None:
        self._receive = receive
        self._declared = _only(headers, b"content-length")
        self._size = 0
        self._until: float | None = None
        self._is_whole = False

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            RefusedError: the body is too large, or comes too slowly.
        """
        if self._is_whole:
            return await self._receive()
        if self._declared and self._declared.isdigit() and int(self._declared) > MAX_BODY:
            raise _too_large()
        loop = asyncio.get_running_loop()
        self._until = self._until or loop.time() + BODY_SECONDS
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise RefusedError(408, "timeout", "The request did not arrive in time.") from None
        self._size += len(message.get("body", b""))
        if self._size > MAX_BODY:
            raise _too_large()
        self._is_whole = not message.get("more_body", False)
        return message


def _too_large() -> RefusedError:
    return RefusedError(413, "too_large", f"A request has at most {MAX_BODY // 2**20} MiB.")


def _only(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Return the value of a header; None if it is missing, or comes several times."""
    values = [value for key, value in headers if key == name]
    return values[0].decode("latin-1") if len(values) == 1 else None


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if status == 408:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
