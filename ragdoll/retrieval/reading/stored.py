"""Documents as a table has them: their passages, put together again, or some of their lines.

Of a document of any length, only the lines that are read are in memory, and the numbers of all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragdoll.retrieval.answers import StoredDocument, StoredPassage, Stretch, blanks, stretch_of
from ragdoll.retrieval.reading.filters import of_root, of_source, quoted
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.schema import COLUMNS, KEY_LENGTH
from ragdoll.retrieval.storage.table import row_ids


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


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A document of a table: its source, and the key of its root."""

    source: str
    key: str

    @property
    def conditions(self) -> list[str]:
        """The conditions in SQL that rows are of the document."""
        return [f"source = {quoted(self.source)}", of_root(self.key)]


@dataclass(frozen=True, slots=True)
class StoredLines:
    """Lines of a document: the number of the first of them, and that of the document's last line.

    The lines of a file have the file's numbers; those of another document count from 1.
    """

    source: str
    first: int
    last: int
    lines: list[str]


def places_of(searcher: Searcher, name: str) -> list[Place]:
    """Return the documents of a source, or else of a glob as a search takes it."""
    for condition in (f"source = {quoted(name)}", of_source(searcher.table, name)):
        found: set[Place] = set()
        for batch in searcher.table.batches_where([condition], ["id", "source"]):
            rows = zip(batch["source"].to_pylist(), batch["id"].to_pylist(), strict=True)
            found |= {Place(source, identifier[:KEY_LENGTH]) for source, identifier in rows}
        if found:
            return sorted(found)
    return []


def lines_of(
    searcher: Searcher, place: Place, first: int, most: int, characters: int, page: int | None
) -> StoredLines:
    """Return lines of a document from ``first`` on, or from where a page begins.

    They are ``most`` at most, and about as many as ``characters`` hold. A line that is longer is
    alone, and only its beginning.
    """
    outline = _Outline(_stretches(searcher, place))
    first = max(outline.begins[0], first if page is None else outline.line_of_page(page))
    begin, behind = outline.holding(first, most, characters)
    if begin == behind:
        return StoredLines(place.source, first, outline.ends[-1], [])
    starts = outline.stretches[begin].start, outline.stretches[behind - 1].start
    condition = f"start >= {starts[0]} AND start <= {starts[1]}"
    found = passages(searcher, [*place.conditions, condition], behind - begin)
    texts = zip(outline.blanks[begin:behind], found, strict=True)
    lines = "".join(blank + passage.text for blank, passage in texts).split("\n")
    lines = lines[first - outline.line_before(begin) :]
    if outline.goes_on(behind) and len(lines) > 1:
        lines.pop()
    shown = [line.removesuffix("\r") for line in lines[:most]]
    return StoredLines(place.source, first, outline.ends[-1], shown)


class _Outline:
    """The passages of a document: what stands before each, the lines where it begins and ends."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.stretches = stretches
        self.blanks = list(blanks(stretches))
        self.begins: list[int] = []
        self.ends: list[int] = []
        line = max(1, stretches[0].line or 1)
        for blank, stretch in zip(self.blanks, stretches, strict=True):
            self.begins.append(line + blank.count("\n"))
            line = self.begins[-1] + stretch.breaks
            self.ends.append(line)

    def line_of_page(self, page: int) -> int:
        """Return the line where a page begins; one behind the last if there is no such page."""
        pairs = zip(self.begins, self.stretches, strict=True)
        return next((line for line, one in pairs if one.page == page), self.ends[-1] + 1)

    def line_before(self, number: int) -> int:
        """Return the line where what stands before a passage begins."""
        return self.begins[number] - self.blanks[number].count("\n")

    def holding(self, first: int, most: int, characters: int) -> tuple[int, int]:
        """Return the first passage that holds some lines, and the first behind them."""
        begin = behind = bisect_left(self.ends, first)
        last, size = bisect_right(self.begins, first + most - 1), 0
        while behind < len(self.stretches) and (behind == begin or behind < last):
            # Lines before the first one do not count.
            size += (self.stretches[behind].end - self.stretches[behind].start) * (behind > begin)
            behind += 1
            if size > characters:
                break
        return begin, behind

    def goes_on(self, behind: int) -> bool:
        """Tell whether the last line before a passage goes on in it."""
        return behind < len(self.begins) and self.begins[behind] == self.ends[behind - 1]


def _stretches(searcher: Searcher, place: Place) -> list[Stretch]:
    found: list[Stretch] = []
    for batch in searcher.table.batches_where(place.conditions, COLUMNS):
        for row in batch.to_pylist():
            passage = StoredPassage(**searcher.facts(row))
            found.append(stretch_of(passage, passage.text))
    return sorted(found, key=lambda one: one.start)
