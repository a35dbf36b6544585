"""Requests that wait together are answered together, by the one thread that owns a table."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from ragdoll.errors import RagdollError

# Requests that are answered together, at most: the first is not to wait for very many.
_TOGETHER = 32


class BusyError(RagdollError):
    """More requests wait than may wait."""


class _Request(NamedTuple):
    kind: Hashable
    item: Any
    answer: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Batches:
    """A thread that answers requests; those of one kind that wait together in one call.

    ``answer`` is called in the thread with a kind and its items, and returns an answer to each. If
    that fails, it is called with each item alone, so that one item fails no other.
    """

    def __init__(self, answer: Callable[[Any, list[Any]], list[Any]], most_waiting: int) -> None:
        self._answer = answer
        self._most = most_waiting
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def ask(self, kind: Hashable, item: Any) -> Any:
        """Return the answer to an item.

        Raises:
            BusyError: too many requests wait. What ``answer`` raises comes through.
        """
        if self._waiting.qsize() >= self._most:
            raise BusyError("Too many requests wait.", hint="Try again in a second.")
        if self._thread is None:
            # A daemon: the process does not wait for it at its end.
            self._thread = threading.Thread(target=self._run, name="ragdoll-search", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.put(_Request(kind, item, answer, loop))
        return await answer

    def stop(self) -> None:
        """Let the thread end when all requests so far are answered."""
        self._waiting.put(None)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            requests = [first]
            while len(requests) < _TOGETHER and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    self._waiting.put(None)
                    break
                requests.append(following)
            kinds: dict[Hashable, list[_Request]] = {}
            for request in requests:
                kinds.setdefault(request.kind, []).append(request)
            for kind, several in kinds.items():
                self._answer_all(kind, [one for one in several if not one.answer.done()])

    def _answer_all(self, kind: Hashable, requests: list[_Request]) -> None:
        if not requests:
            return
        results: list[Any]
        try:
            results = self._answer(kind, [request.item for request in requests])
        except BaseException as error:  # noqa: BLE001  (raised where the answer is waited for)
            if len(requests) > 1:
                for request in requests:
                    self._answer_all(kind, [request])
                return
            results = [error]
        loop = requests[0].loop
        pairs = list(zip(requests, results, strict=True))
        try:
            loop.call_soon_threadsafe(_deliver, pairs)
        except RuntimeError:
            return  # the loop has ended, and nobody waits any more


def _deliver(pairs: list[tuple[_Request, Any]]) -> None:
    for request, result in pairs:
        if request.answer.done():  # the client has gone
            continue
        if isinstance(result, BaseException):
            request.answer.set_exception(result)
        else:
            request.answer.set_result(result)
