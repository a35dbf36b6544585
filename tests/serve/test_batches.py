"""Requests that wait together are answered together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from ragdoll.serve.batches import Batches, BusyError


class Answering:
    """Answers in upper case; ``gate`` holds it up, and ``calls`` has the items of each call."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.calls: list[tuple[Any, list[str]]] = []

    def __call__(self, kind: Any, items: list[str]) -> list[str]:
        self.gate.wait(10)
        self.calls.append((kind, items))
        if "bad" in items:
            raise ValueError("bad")
        return [item.upper() for item in items]


def test_what_waits_together_is_answered_in_one_call_for_each_kind() -> None:
    answering = Answering()

    async def ask() -> list[str]:
        batches = Batches(answering, 100)
        first = asyncio.create_task(batches.ask("k", "first"))
        await asyncio.sleep(0.1)
        others = [batches.ask("kj"[n % 2], f"item {n}") for n in range(10)]
        waiting = asyncio.gather(first, *others)
        await asyncio.sleep(0.1)
        answering.gate.set()
        found: list[str] = await waiting
        batches.stop()
        return found

    assert asyncio.run(ask()) == ["FIRST", *(f"ITEM {n}" for n in range(10))]
    assert [(kind, len(items)) for kind, items in answering.calls] == [
        ("k", 1),
        ("k", 5),
        ("j", 5),
    ]


def test_an_item_that_fails_is_alone_in_that() -> None:
    answering = Answering()

    async def ask() -> list[Any]:
        batches = Batches(answering, 100)
        first = asyncio.create_task(batches.ask("k", "first"))
        await asyncio.sleep(0.1)
        asked = [batches.ask("k", item) for item in ("one", "bad", "two")]
        waiting = asyncio.gather(first, *asked, return_exceptions=True)
        await asyncio.sleep(0.1)
        answering.gate.set()
        return await waiting

    first, one, bad, two = asyncio.run(ask())
    assert (first, one, two) == ("FIRST", "ONE", "TWO")
    assert isinstance(bad, ValueError)
    assert ("k", ["one", "bad", "two"]) in answering.calls


def test_more_than_may_wait_are_refused() -> None:
    answering = Answering()

    async def ask() -> list[Any]:
        batches = Batches(answering, 3)
        first = asyncio.create_task(batches.ask("k", "first"))
        await asyncio.sleep(0.1)
        waiting = [asyncio.create_task(batches.ask("k", f"{n}")) for n in range(5)]
        await asyncio.sleep(0.1)
        answering.gate.set()
        return await asyncio.gather(first, *waiting, return_exceptions=True)

    answers = asyncio.run(ask())
    assert answers[:4] == ["FIRST", "0", "1", "2"]
    assert [type(answer) for answer in answers[4:]] == [BusyError, BusyError]


def test_who_has_gone_is_not_answered() -> None:
    answering = Answering()

    async def ask() -> str:
        batches = Batches(answering, 10)
        first = asyncio.create_task(batches.ask("k", "first"))
        await asyncio.sleep(0.1)
        gone = asyncio.create_task(batches.ask("k", "gone"))
        await asyncio.sleep(0.1)
        gone.cancel()
        await asyncio.sleep(0.1)
        answering.gate.set()
        found: str = await first
        assert await batches.ask("k", "last") == "LAST"
        with pytest.raises(asyncio.CancelledError):
            await gone
        return found

    assert asyncio.run(ask()) == "FIRST"
    assert [items for _, items in answering.calls] == [["first"], ["last"]]
