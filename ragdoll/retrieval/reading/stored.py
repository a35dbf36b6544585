"""Documents as a table has them: their passages, put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragdoll.retrieval.reading.hits import Placed
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.schema import COLUMNS


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
        """The text, with the blank lines between passages where their lines or offsets say so."""
        parts: list[str] = []
        end, line = 0, self.passages[0].line or 1
        for passage in self.passages:
            gap = max(0, passage.start - end) if parts else 0
            if passage.line is not None:
                gap = max(min(gap, 1), passage.line - line)
                line = passage.line + passage.text.count("\n")
            parts += ["\n" * min(gap, 2) if passage.line is None else "\n" * gap, passage.text]
            end = passage.end
        return "".join(parts)


def passages(searcher: Searcher, conditions: Sequence[str], most: int) -> list[StoredPassage]:
    """Return the passages of a table that meet conditions, in the order of their documents."""
    rows = searcher.table.rows_where(conditions, COLUMNS, most).to_pylist()
    found = [StoredPassage(**searcher.facts(row)) for row in rows]
    return sorted(found, key=lambda one: (one.root, one.source, one.start))


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
