"""Streams: items in groups of bounded size, items read ahead by a thread, and their progress."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")


class Report(Protocol):
    """A callback for progress; the library knows no terminal."""

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Report progress; ``total`` None is an unknown end, ``detail`` is for people."""


def silent(stage: str, done: int, total: int | None, detail: str = "") -> None:
    """Report nothing."""


def grouped(
    items: Iterable[Item], text_of: Callable[[Item], str], most: int, characters: int
) -> Iterator[list[Item]]:
    """Yield the items in order, in groups of at most ``most``.

    A group is full when its texts together have ``characters``; a single text may have more.
    """
    group: list[Item] = []
    length = 0
    for item in items:
        group.append(item)
        length += len(text_of(item))
        if len(group) >= most or length >= characters:
            yield group
            group, length = [], 0
    if group:
        yield group


def read_ahead(items: Iterable[Item]) -> Generator[Item, None, None]:
    """Yield the items; a thread makes the next one while the last one is in use.

    Closing this generator does not wait long for a thread that waits for a network or a pipe.
    """
    maker = _Maker(items)
    maker.start()
    try:
        while not isinstance(item := maker.made.get(), _End):
            yield item
            maker.needed.release()
        if item.error:
            raise item.error
    finally:
        maker.closed = True
        maker.needed.release()
        maker.join(timeout=1)


class _End:
    """The end of the items, or the error that ended them."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Maker(Thread, Generic[Item]):
    def __init__(self, items: Iterable[Item]) -> None:
        super().__init__(name="ragdoll-read", daemon=True)
        self._items = items
        self.made: SimpleQueue[Item | _End] = SimpleQueue()
        self.needed = Semaphore(1)
        self.closed = False

    def run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self.made.put(item)
                self.needed.acquire()
                if self.closed:
                    return
        except BaseException as raised:  # noqa: BLE001  (raised again where the items are used)
            error = raised
        self.made.put(_End(error))
