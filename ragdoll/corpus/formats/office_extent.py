"""What a document or slides become as text, if each part counts as often as it is used.

A note that the file holds once may be referred to from any number of places, and a slide be listed
any number of times.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

_USES = {
    "sldId": "slide",
    "chart": "chart",
    "footnoteReference": "note",
    "endnoteReference": "note",
}

Attributes = dict[str, str]


@dataclass(slots=True)
class Extent:
    """The extent of the parts that were measured: the longest of a kind, for each of its uses."""

    _uses: Counter[str] = field(default_factory=Counter)
    _longest: Counter[str] = field(default_factory=Counter)
    _most_points: int = 0

    @property
    def text(self) -> int:
        """The characters of what may be used more than once, at the most."""
        others = sum(times * self._longest[kind] for kind, times in self._uses.items())
        return others + self._uses["slide"] * self._longest["notes"]

    @property
    def points(self) -> int:
        """The points of charts; a chart need not name them."""
        return self._uses["chart"] * self._most_points

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

    def references(self, parser: expat.XMLParserType) -> None:
        """Count what a presentation or a document refers to."""
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
        elif local == "ptCount":
            self._most_points = max(self._most_points, _whole(attributes.get("val", "")))


_KINDS: dict[str, Callable[[Extent, expat.XMLParserType], None]] = {
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
