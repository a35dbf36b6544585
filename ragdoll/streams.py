"""How the library says how far it is, without knowing a terminal.

Items in groups whose size is bounded by their number and by their text.

Making the next items while the last are in use.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, Protocol, TypeVar


class Report(Protocol):
    """Called as ``report(stage, done, total)``; ``total`` is None where the end is not known.

    ``detail`` says what a person would like to see of the work besides.
    """

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Say how far it is."""


def silent(stage: str, done: int, total: int | None, detail: str = "") -> None:
    """Report nothing."""


Item = TypeVar("Item")


def grouped(
    items: Iterable[Item], text_of: Callable[[Item], str], most: int, characters: int
) -> Iterator[list[Item]]:
    """Yield the items in order, in groups of at most ``most``.

    A group takes no further item once its texts have so many characters; a single text may have
    more.
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


_Item = TypeVar("_Item")


def ahead(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """Yield the items, which a thread of its own makes, one ahead of what is in use.

    Closing this generator does not wait long for a thread that waits for a network or a pipe.
    """
    maker = _Maker(items)
    maker.start()
    try:
        while not isinstance(item := maker.made.get(), _End):
            yield item
            maker.wanted.release()
        if item.error:
            raise item.error
    finally:
        maker.closed = True
        maker.wanted.release()
        maker.join(timeout=1)


class _End:
    """What a thread has come to: the end of its items, or an error."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Maker(Thread, Generic[_Item]):
    def __init__(self, items: Iterable[_Item]) -> None:
        super().__init__(name="ragdoll-read", daemon=True)
        self._items = items
        self.made: SimpleQueue[_Item | _End] = SimpleQueue()
        self.wanted = Semaphore(1)
        self.closed = False

    def run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._items:
                self.made.put(item)
                self.wanted.acquire()
                if self.closed:
                    return
        except BaseException as raised:  # noqa: BLE001  (raised again where the items are used)
            error = raised
        self.made.put(_End(error))
