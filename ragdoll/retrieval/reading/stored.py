"""Documents as a table has them: their passages, put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from ragdoll.retrieval.reading.hits import Placed
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.schema import COLUMNS, KEY_LENGTH
from ragdoll.retrieval.storage.table import row_ids

# Characters between two passages, at most: a damaged table may name any number.
_MOST_BLANK = 100_000


@dataclass(frozen=True, slots=True)
class StoredPassage(Placed):
    """A passage of a table; its fields are those of a ``Hit``.

    >>> index = Index.create("database", model="model")
    >>> index.update([{"id": "timers", "text": "Set a timer."}]).added
    1
    >>> (hit,) = index.search("timer", k=1)
    >>> index.passage(hit.id).text
    'Set a timer.'
    """

    id: str
    source: str
    title: str
    start: int
    end: int
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    root: str = ""
    path: str | None = None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of a table: its passages in their order.

    >>> index = Index.create("database", model="model")
    >>> index.update([{"id": "timers", "text": "Set a timer."}]).added
    1
    >>> (document,) = index.documents("timers")
    >>> document.text
    'Set a timer.'
    """

    source: str
    title: str
    root: str
    path: str | None
    passages: list[StoredPassage]

    @property
    def text(self) -> str:
        """The text; a table keeps the extent of what stood between passages, and no characters."""
        stretches = [stretch_of(passage, passage.text) for passage in self.passages]
        pairs = zip(blanks(stretches), self.passages, strict=True)
        return "".join(blank + passage.text for blank, passage in pairs)


class Stretch(NamedTuple):
    """Where a passage stands: its offsets, its first line, and the line breaks within it."""

    start: int
    end: int
    line: int | None
    page: int | None
    breaks: int
    has_wide_breaks: bool


def stretch_of(place: Placed, text: str) -> Stretch:
    """Return where a passage of a text stands."""
    return Stretch(place.start, place.end, place.line, place.page, text.count("\n"), "\r\n" in text)


def blanks(stretches: Sequence[Stretch]) -> Iterator[str]:
    """Yield the whitespace before each of a document's passages; before the first is none.

    Where each passage has its own line, lines tell the line breaks in it, and offsets the rest.
    """
    has_lines = all(one.line is not None for one in stretches) and all(
        (one.line or 0) + one.breaks <= (other.line or 0) for one, other in pairwise(stretches)
    )
    line_break = "\r\n" if any(one.has_wide_breaks for one in stretches) else "\n"
    yield from [""] * bool(stretches)
    for before, stretch in pairwise(stretches):
        gap = min(max(0, stretch.start - before.end), _MOST_BLANK)
        if has_lines:
            breaks = (stretch.line or 0) - (before.line or 0) - before.breaks
            breaks = min(breaks, gap // len(line_break))
            yield line_break * breaks + " " * (gap - breaks * len(line_break))
        else:
            yield "\n" * min(gap, 2)


def passages(
    searcher: Searcher, conditions: Sequence[str], most: int, offset: int = 0
) -> list[StoredPassage]:
    """Return passages of a table that meet conditions, in the order of their documents.

    They are ``most`` at most, from the one at ``offset`` on.
    """
    # Here, because searching does without it.
    from pyarrow.compute import utf8_slice_codeunits

    keys = searcher.table.keys_where(conditions)
    keys = keys.append_column("root", utf8_slice_codeunits(keys["id"], 0, KEY_LENGTH))
    keys = keys.sort_by([(name, "ascending") for name in ("root", "source", "start")])
    ids = row_ids(keys.slice(offset, most))
    if not len(ids):
        return []
    rows, places = searcher.table.rows_at(ids, COLUMNS)
    return [StoredPassage(**searcher.facts(row)) for row in rows.take(places).to_pylist()]


def documents(found: Sequence[StoredPassage]) -> Iterator[StoredDocument]:
    """Put passages in their order together to documents."""
    begun: list[StoredPassage] = []
    for passage in [*found, None]:
        if begun and (passage is None or (passage.root, passage.source) != _place(begun[0])):
            first = begun[0]
            yield StoredDocument(first.source, first.title, first.root, first.path, begun)
            begun = []
        if passage is not None:
            begun.append(passage)


def _place(passage: StoredPassage) -> tuple[str, str]:
    return passage.root, passage.source
