"""Items made ahead: all of them, in order, with their errors, and no more than one ahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from ragdoll.streams import ahead


def test_all_items_come_in_order() -> None:
    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == []


def test_an_error_is_raised_where_the_items_are_used() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("the second cannot be made")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(ValueError, match="second"):
        next(items)


def test_no_more_than_one_is_made_ahead() -> None:
    made: list[int] = []

    def counted() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    items = ahead(counted())
    next(items)
    time.sleep(0.05)
    assert len(made) <= 2
    items.close()


def test_closing_does_not_wait_for_what_may_never_come() -> None:
    waits = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        waits.wait(30)

    items = ahead(slow())
    assert next(items) == 1
    items.close()
    assert "ragdoll-read" in [thread.name for thread in threading.enumerate()]
    waits.set()
