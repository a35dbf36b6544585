"""Cutting of documents into passages: at headings, paragraphs, sentences, then words, up to a size.

A passage ends at the coarsest boundary in the second half of the text that fits, so that no passage
is a small fragment beside a full one; without a heading there, at one in the second quarter. A
block of code that fits is kept whole. No passage goes over the end of a page, so that its page is
that of whatever is found in it. Sizes are counted in the tokens that the words have for the model
that will read the passage.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

import numpy as np
import numpy.typing as npt

from ragdoll.corpus.documents import Document
from ragdoll.corpus.pieces import STOPS, WIDE_STOPS
from ragdoll.corpus.structure import CODE, Section, Span, structure_of

CountTokens = Callable[[Sequence[str]], Sequence[int]]
"""Counts the tokens that each word (without whitespace in it) has for a model."""

# The boundaries where a text may be cut below headings, coarsest first; each match ends where the
# next piece begins. The full stops of languages without spaces are in the second, which begins with
# the set of all stops: searching for a set is several times as fast as for alternatives.
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(
    rf"[{STOPS}{WIDE_STOPS}](?:(?<=[{STOPS}])[\"'”’)\]]*\s+|(?<=[{WIDE_STOPS}])[”’」』）]*)"
)
_LINE = re.compile(r"\n")
_LEVELS = (_PARAGRAPH, _SENTENCE, _LINE)
_LEVELS_OF_CODE = (_PARAGRAPH, _LINE)

# The characters needed to recognise the end of a sentence by what follows.
_WIDTH = 8

_SPACE = re.compile(r"\s")
# True for the codes of whitespace; no later code is whitespace.
_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])

# The size of the halves of a section, as a multiple of their mean, so that they end at boundaries.
_SLACK = 1.1

# Characters of a document that are cut at a time, so that memory does not grow with its length.
_STRETCH = 1 << 18

# Characters for a token: a document with no more is often a single passage, and checking that is
# several times as fast as cutting it.
_SHORT = 4

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: ``text == document.text[start:end]``, without whitespace around it.

    ``id`` is its id in a table, empty before it has one. ``line`` is the line of the file where it
    begins, from 1; None where the document is not a file as it lies on the disk. ``headings`` are
    those of the sections that it begins in, from the outermost, and ``table_head`` is the head of
    the table that it begins in. ``context`` is what ``context_of`` makes of these.
    """

    document: Document
    start: int
    end: int
    id: str = ""
    line: int | None = None
    headings: tuple[str, ...] = ()
    table_head: str = ""
    context: str = ""

    @property
    def text(self) -> str:
        """The passage itself."""
        return self.document.text[self.start : self.end]

    @property
    def page(self) -> int | None:
        """The page on which it begins, from 1; None where the document has no pages."""
        return bisect_right(self.document.pages, self.start) or None


def cut(
    document: Document, size: int, count: CountTokens, tokens: int | None = None
) -> Iterator[Passage]:
    """Yield the passages of a document, in order, each of at most ``size`` tokens by ``count``.

    Tokens are counted word by word. A tokenizer that makes tokens of whitespace (of the indentation
    of code, say) makes more tokens of a passage than are counted. A passage has more than ``size``
    only where a single character has. Every character that is not whitespace is in exactly one
    passage.

    ``tokens`` is the number of tokens of all words; None where it is not known, or where a word has
    more than ``size`` characters.
    """
    text, length = document.text, _STRETCH
    has_pages = len(document.pages) > 1
    if not has_pages and len(text) <= _SHORT * size and _fits(text, size, count, tokens):
        if words := text.strip():
            start = text.index(words)
            yield Passage(document, start, start + len(words))
        return
    outline = _Outline(document)
    begin = origin = 0  # the start of the next passage, and of the word that it is in
    while begin < len(text):
        stop = _stop(text, begin + length, length)
        stretch = _Stretch(outline, origin, stop, size, count)
        first = before = bisect_left(stretch.starts, begin)
        while first < len(stretch.starts):
            last = stretch.last(first)
            if stop < len(text) and stretch.is_undecided(first, last):
                break  # The next stretch tells.
            yield outline.passage(stretch.starts[first], stretch.ends[last - 1])
            first = last
        if first == len(stretch.starts):
            begin = origin = stop
        elif first > before:
            begin = stretch.starts[first]
            origin = stretch.word_of(begin)
        else:
            length *= 2


def _fits(text: str, size: int, count: CountTokens, tokens: int | None) -> bool:
    """Tell whether a text fits into one passage."""
    if tokens is not None:
        return tokens <= size
    words = text.split()
    return not words or (max(map(len, words)) <= size and sum(count(words)) <= size)


def _stop(text: str, near: int, reach: int) -> int:
    """Return the end of a stretch: before the first whitespace from ``near`` on.

    Without whitespace within ``reach``, the stretch ends within a word.
    """
    space = _SPACE.search(text, near, near + reach)
    return space.start() if space else min(near + reach, len(text))


class _Outline:
    """A document and its structure, by which passages are cut and know their headings."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.structure = structure_of(document.text, document.markup)
        self._starts = [section.start for section in self.structure.sections]
        self._tables = [table.start for table in self.structure.tables]
        by_level: dict[int, list[int]] = {}
        for section in self.structure.sections:
            by_level.setdefault(section.level, []).append(section.start)
        levels = [by_level[level] for level in sorted(by_level)]
        # Pages are sections, too: one in two passages is cut into halves.
        self.headings = [list(document.pages), *levels] if document.pages else levels
        self.kinds = _LEVELS_OF_CODE if document.markup in CODE else _LEVELS
        self._open: list[Section] = []
        self._seen = 0

    def passage(self, start: int, end: int) -> Passage:
        """Make a passage; its start must not lie before that of the last."""
        for section in self.structure.sections[self._seen : bisect_right(self._starts, start)]:
            self._seen += 1
            while self._open and self._open[-1].level >= section.level:
                self._open.pop()
            self._open.append(section)
        headings = tuple(section.title for section in self._open)
        number = bisect_left(self._tables, start) - 1
        table = self.structure.tables[number] if number >= 0 else None
        head = table.head if table and table.start < start < table.end else ""
        return Passage(self.document, start, end, headings=headings, table_head=head)


class _Stretch:
    """A part of a text, in units that are never cut, which begin at ``starts`` and end at ``ends``.

    Units are words. A word that is longer than a passage (a language without spaces, a blob) is
    divided, at its boundaries first, so that no tokenizer gets a word of megabytes.
    """

    def __init__(
        self, outline: _Outline, begin: int, stop: int, size: int, count: CountTokens
    ) -> None:
        text = outline.document.text
        self._size = size
        self._is_end = stop == len(text)
        self._headings = [
            places[bisect_right(places, begin) : bisect_right(places, stop)]
            for places in outline.headings
        ]
        self._pages = self._headings[0] if outline.document.pages else []
        self._levels = [
            [match.end() for match in level.finditer(text, begin, stop + _WIDTH)]
            for level in outline.kinds
        ]
        starts, ends = _words(text[begin:stop])
        starts, ends = self._words = starts + begin, ends + begin
        self._cut_off = stop if stop < len(text) and not text[stop].isspace() else None
        levels = [*self._headings, *self._levels]
        starts, ends = _divided(starts, ends, _inside(starts, ends, levels))
        starts, ends = _divided(starts, ends, _every(size, starts, ends))
        tokens: Sequence[int] = []
        while len(starts):
            if len(starts) == len(self._words[0]):
                units = text[begin:stop].split()  # several times as fast
            else:
                units = [text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]
            tokens = count(units)
            if max(tokens) <= size:
                break
            too_long = (np.array(tokens) > size) & (ends - starts > 1)
            if not too_long.any():
                break
            starts, ends = _divided(starts, ends, (starts + ends)[too_long] // 2)
        self.starts: list[int] = starts.tolist()
        self.ends: list[int] = ends.tolist()
        self._total = list(accumulate(tokens, initial=0))
        # The last line of a text may lack its end.
        self._join([block for block in outline.structure.blocks if block.end <= stop + 1])

    def _join(self, blocks: Sequence[Span]) -> None:
        """Make a unit of each block of code that fits into a passage."""
        for block in reversed(blocks):
            first, last = bisect_left(self.starts, block.start), bisect_right(self.ends, block.end)
            if first + 1 < last and self._total[last] - self._total[first] <= self._size:
                del self.starts[first + 1 : last]
                del self.ends[first : last - 1]
                del self._total[first + 1 : last]

    def last(self, first: int) -> int:
        """Return the first unit behind the passage that begins with the unit ``first``.

        It is the number of units where no other passage follows in this stretch.
        """
        starts, total, size = self.starts, self._total, self._share(first)
        # One unit at least, however large, else as many as fit and stand on the page.
        last = max(first + 1, bisect_right(total, total[first] + size) - 1)
        page = self._pages[bisect_right(self._pages, starts[first]) :][:1]
        if page and bisect_left(starts, page[0]) <= last:
            return bisect_left(starts, page[0])
        if last < len(starts):
            half, quarter = (
                starts[min(last, max(first + 1, bisect_left(total, total[first] + share)))]
                for share in ((size + 1) // 2, size // 4)
            )
            boundary = _last_boundary(self._headings, half, starts[last])
            if boundary is None:
                boundary = _last_boundary(self._headings, quarter, starts[last])
            if boundary is None:
                boundary = _last_boundary(self._levels, half, starts[last])
            if boundary is not None:
                last = bisect_left(starts, boundary)
        return last

    def is_undecided(self, first: int, last: int) -> bool:
        """Tell whether what follows the stretch decides where a passage ends.

        More text may fit, or the section that the passage begins in may end soon.
        """
        is_near_end = self._total[-1] - self._total[first] <= 2 * self._size
        return last == len(self.starts) or (bool(self._headings) and is_near_end)

    def _share(self, first: int) -> int:
        """Return the most tokens of a passage: those of a section in two are alike."""
        start = self.starts[first]
        following = (places[bisect_right(places, start) :][:1] for places in self._headings)
        end = min((at for found in following for at in found), default=None)
        if not self._headings or (end is None and not self._is_end):
            return self._size
        unit = len(self.starts) if end is None else bisect_left(self.starts, end)
        tokens = self._total[unit] - self._total[first]
        is_for_two = self._size < tokens <= 2 * self._size
        return min(self._size, ceil(_SLACK * tokens / 2)) if is_for_two else self._size

    def word_of(self, place: int) -> int:
        """Return the start of the word at a place; the place if the stretch cuts the word off."""
        starts, ends = self._words
        word = np.searchsorted(starts, place, side="right") - 1
        return place if ends[word] == self._cut_off else int(starts[word])


def _last_boundary(levels: list[list[int]], low: int, high: int) -> int | None:
    """Return the last boundary from ``low`` to ``high``, of the coarsest kind that has one."""
    for places in levels:
        index = bisect_right(places, high) - 1
        if index >= 0 and places[index] >= low:
            return places[index]
    return None


def _words(text: str) -> tuple[Places, Places]:
    """Return the starts and ends of the words of ``text.split()``."""
    codes = np.frombuffer(f" {text} ".encode("utf-32-le", "surrogatepass"), np.uint32)
    blank = _IS_SPACE.take(codes, mode="clip")
    edges = np.flatnonzero(blank[1:] != blank[:-1])
    return edges[::2], edges[1::2]


def _divided(starts: Places, ends: Places, cuts: Places) -> tuple[Places, Places]:
    """Divide units at places within them."""
    return (np.union1d(starts, cuts), np.union1d(ends, cuts)) if len(cuts) else (starts, ends)


def _inside(starts: Places, ends: Places, levels: list[list[int]]) -> Places:
    """Return the boundaries that are within a unit."""
    places = np.array([place for level in levels for place in level], np.int64)
    if not len(starts):
        return places[:0]
    unit = np.searchsorted(starts, places, side="right") - 1
    return places[(starts[unit] < places) & (places < ends[unit])]


def _every(size: int, starts: Places, ends: Places) -> Places:
    """Return the places that divide each unit into parts of at most ``size`` characters."""
    cuts = (ends - starts - 1) // size
    if not cuts.any():
        return cuts[:0]
    number: Places = np.arange(cuts.sum()) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    return np.repeat(starts, cuts) + (number + 1) * size
