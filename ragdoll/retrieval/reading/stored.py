"""Documents as a table has them: their passages, put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragdoll.retrieval.reading.hits import Placed
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.schema import COLUMNS, KEY_LENGTH
from ragdoll.retrieval.storage.table import row_ids


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
