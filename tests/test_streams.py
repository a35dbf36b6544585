"""Items read ahead by a thread: all of them, in order, with their errors, and one at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ragdoll.streams import read_ahead


def test_all_items_come_in_order() -> None:
    assert list(read_ahead(range(100))) == list(range(100))
    assert list(read_ahead([])) == []


def test_an_error_is_raised_where_the_items_are_used() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be made")

    items = read_ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="second"):
        next(items)


def test_no_more_than_one_is_read_ahead() -> None:
    made: list[int] = []

    def counted() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    items = read_ahead(counted())
    next(items)
    time.sleep(0.05)
    assert len(made) <= 2
    items.close()


def test_closing_does_not_wait_for_an_item_that_may_never_come() -> None:
    waits = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        waits.wait(30)

    items = read_ahead(slow())
    assert next(items) == 1
    items.close()
    assert "ragdoll-read" in [thread.name for thread in threading.enumerate()]
    waits.set()
