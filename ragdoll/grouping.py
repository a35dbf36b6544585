"""Items in groups whose size is bounded by their number and by their text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

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
