"""What an Office file becomes as text, where each of its parts counts as often as it is used.

A text that the file holds once may be in any number of cells, a note be referred to from any number
of places, and a slide be listed any number of times.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

_CELL = re.compile(r"([A-Z]{1,3})(\d{1,7})")
# A place that is written otherwise could be anywhere: far beyond what a sheet can have.
_NOWHERE = (10_000_000, 10_000_000)
_USES = {
    "sldId": "slide",
    "chart": "chart",
    "footnoteReference": "note",
    "endnoteReference": "note",
}

Attributes = dict[str, str]


@dataclass(slots=True)
class Extent:
    """The extent of the parts that were measured: ``cells`` is that of the sheets' grids.

    The strings of a workbook are counted one by one; of slides, notes and charts the longest is
    taken for each of them.
    """

    cells: int = 0
    _strings: list[int] = field(default_factory=list)
    _cells_of_string: Counter[int] = field(default_factory=Counter)
    _sheets: Counter[tuple[str, str]] = field(default_factory=Counter)
    _uses: Counter[str] = field(default_factory=Counter)
    _longest: Counter[str] = field(default_factory=Counter)
    _most_points: int = 0

    @property
    def text(self) -> int:
        """The characters of what may be used more than once, at the most."""
        longest = max(self._strings, default=0)
        lengths = dict(enumerate(self._strings))
        cells = sum(
            times * (longest if number < 0 else lengths.get(number, 0))
            for number, times in self._cells_of_string.items()
        )
        others = sum(times * self._longest[kind] for kind, times in self._uses.items())
        return cells + others + self._uses["slide"] * self._longest["notes"]

    @property
    def points(self) -> int:
        """The points of charts; a chart need not name them."""
        return self._uses["chart"] * self._most_points

    @property
    def lists_a_sheet_twice(self) -> bool:
        """Whether a sheet is in its workbook more than once, which no program writes."""
        return any(times > 1 for times in self._sheets.values())

    def of_part(self, parser: expat.XMLParserType) -> Callable[[], bool]:
        """Have a parser measure a part; return what tells whether it is of a kind to measure."""
        is_known = False

        def root(name: str, _: Attributes) -> None:
            # Only some kinds are measured: calling back for each element takes time.
            nonlocal is_known
            parser.StartElementHandler = None
            measure = _KINDS.get(_local(name))
            if measure:
                is_known = True
                measure(self, parser)

        parser.StartElementHandler = root
        return lambda: is_known

    def sheet(self, parser: expat.XMLParserType) -> None:
        """Measure a sheet: how far its cells go, and which strings they name."""
        row = column = rows = columns = 0
        are_shared: list[bool] = []  # of the cells around what is read
        digits: list[str] = []

        def start(name: str, attributes: Attributes) -> None:
            nonlocal row, column, rows, columns
            local = _local(name)
            if local == "row":
                row, column = _whole(attributes.get("r", "")) or row + 1, 0
            elif local == "c":
                row, column = _place(attributes["r"]) if "r" in attributes else (row, column + 1)
                are_shared.append(attributes.get("t") == "s")
            elif local == "v" and any(are_shared):
                digits.clear()
                parser.CharacterDataHandler = digits.append
            if row > rows or column > columns:
                self.cells -= rows * columns
                rows, columns = max(rows, row), max(columns, column)
                self.cells += rows * columns

        def end(name: str) -> None:
            if parser.CharacterDataHandler is not None:
                parser.CharacterDataHandler = None
                self._cells_of_string[_whole("".join(digits))] += 1
            if _local(name) == "c":
                are_shared.pop()

        parser.StartElementHandler, parser.EndElementHandler = start, end

    def strings(self, parser: expat.XMLParserType) -> None:
        """Measure the strings that cells name by their number."""
        number = -1

        def start(name: str, _: Attributes) -> None:
            nonlocal number
            if _local(name) == "si":
                number += 1
                if number == len(self._strings):
                    self._strings.append(0)

        def text(characters: str) -> None:
            if number >= 0:
                self._strings[number] += len(characters)

        parser.StartElementHandler, parser.CharacterDataHandler = start, text

    def references(self, parser: expat.XMLParserType) -> None:
        """Count what a workbook, a presentation, a document or a package refers to."""
        parser.StartElementHandler = lambda name, attributes: self._refer(_local(name), attributes)

    def texts(self, parser: expat.XMLParserType, kind: str, unit: str = "") -> None:
        """Measure the longest text of a kind: the whole part is one, or each ``unit`` in it."""
        length = 0

        def start(name: str, attributes: Attributes) -> None:
            nonlocal length
            local = _local(name)
            if local == unit:
                length = 0
            # What stands for a picture is made of these.
            text(attributes.get("descr", "") + attributes.get("name", ""))
            self._refer(local, attributes)

        def text(characters: str) -> None:
            nonlocal length
            length += len(characters)
            self._longest[kind] = max(self._longest[kind], length)

        parser.StartElementHandler, parser.CharacterDataHandler = start, text

    def _refer(self, local: str, attributes: Attributes) -> None:
        if local in _USES:
            # Other elements of these names refer to nothing.
            self._uses[_USES[local]] += bool(_id(attributes))
        elif local == "sheet":
            self._sheets["id", _id(attributes)] += 1
        elif local == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            path = posixpath.normpath(attributes.get("Target", ""))
            self._sheets["path", posixpath.basename(path)] += 1
        elif local == "ptCount":
            self._most_points = max(self._most_points, _whole(attributes.get("val", "")))


_KINDS: dict[str, Callable[[Extent, expat.XMLParserType], None]] = {
    "worksheet": Extent.sheet,
    "sst": Extent.strings,
    "workbook": Extent.references,
    "Relationships": Extent.references,
    "presentation": Extent.references,
    "document": Extent.references,
    "sld": lambda extent, parser: extent.texts(parser, "slide"),
    "notes": lambda extent, parser: extent.texts(parser, "notes"),
    "chartSpace": lambda extent, parser: extent.texts(parser, "chart"),
    "footnotes": lambda extent, parser: extent.texts(parser, "note", "footnote"),
    "endnotes": lambda extent, parser: extent.texts(parser, "note", "endnote"),
}


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _id(attributes: Attributes) -> str:
    """What an element refers to, by an attribute of a namespace; empty where it refers to none."""
    return next((value for name, value in attributes.items() if name.endswith(":id")), "")


def _whole(number: str) -> int:
    """A number as the converters read it; 0 where it is none, which they refuse."""
    try:
        return int(float(number))
    except (ValueError, OverflowError):
        return 0


def _place(reference: str) -> tuple[int, int]:
    """The row and the column of a cell: those of AA7 are 7 and 27."""
    found = _CELL.fullmatch(reference.upper())
    if not found:
        return _NOWHERE
    column = 0
    for letter in found[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(found[2]), column
