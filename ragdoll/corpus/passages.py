"""Cutting of documents into passages: at headings, paragraphs, sentences, then words, up to a size.

A passage ends at the coarsest boundary in the second half of the text that fits, so that no passage
is a small fragment beside a full one. Sizes are counted in the tokens that the words have for the
model that will read the passage.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from ragdoll.corpus.documents import Document
from ragdoll.corpus.pieces import STOPS, WIDE_STOPS

CountTokens = Callable[[Sequence[str]], Sequence[int]]
"""Counts the tokens that each word (without whitespace in it) has for a model."""

# The boundaries where a text may be cut, coarsest first; each match ends where the next piece
# begins. The full stops of languages without spaces are in the third. It begins with the set of all
# stops, because searching for a set is several times as fast as searching for alternatives.
_HEADING = re.compile(r"\n(?=#{1,6} \S)")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(
    rf"[{STOPS}{WIDE_STOPS}](?:(?<=[{STOPS}])[\"'”’)\]]*\s+|(?<=[{WIDE_STOPS}])[”’」』）]*)"
)
_LINE = re.compile(r"\n")
_LEVELS = (_HEADING, _PARAGRAPH, _SENTENCE, _LINE)

# The characters needed to recognise a heading: a line feed, six marks and a space.
_HEADING_WIDTH = 8

_SPACE = re.compile(r"\s")
# True for the codes of whitespace; no later code is whitespace.
_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])

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
    begins, from 1; None where the document is not a file as it lies on the disk.
    """

    document: Document
    start: int
    end: int
    id: str = ""
    line: int | None = None

    @property
    def text(self) -> str:
        """The passage itself."""
        return self.document.text[self.start : self.end]


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
    if len(text) <= _SHORT * size and _fits(text, size, count, tokens):
        if words := text.strip():
            start = text.index(words)
            yield Passage(document, start, start + len(words))
        return
    begin = origin = 0  # the start of the next passage, and of the word that it is in
    while begin < len(text):
        stop = _stop(text, begin + length, length)
        stretch = _Stretch(text, origin, stop, size, count)
        first = before = bisect_left(stretch.starts, begin)
        while first < len(stretch.starts):
            last = stretch.last(first)
            if last == len(stretch.starts) and stop < len(text):
                break  # The next stretch tells whether more fits.
            yield Passage(document, stretch.starts[first], stretch.ends[last - 1])
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


class _Stretch:
    """A part of a text, in units that are never cut, which begin at ``starts`` and end at ``ends``.

    Units are words. A word that is longer than a passage (a language without spaces, a blob) is
    divided, at its boundaries first, so that no tokenizer gets a word of megabytes.
    """

    def __init__(self, text: str, begin: int, stop: int, size: int, count: CountTokens) -> None:
        self._size = size
        self._levels = [
            [match.end() for match in level.finditer(text, begin, stop + _HEADING_WIDTH)]
            for level in _LEVELS
        ]
        starts, ends = _words(text[begin:stop])
        starts, ends = self._words = starts + begin, ends + begin
        self._cut_off = stop if stop < len(text) and not text[stop].isspace() else None
        starts, ends = _divided(starts, ends, _inside(starts, ends, self._levels))
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

    def last(self, first: int) -> int:
        """Return the first unit behind the passage that begins with the unit ``first``.

        It is the number of units where no other passage follows in this stretch.
        """
        starts, total, size = self.starts, self._total, self._size
        # One unit at least, however large, else as many as fit.
        last = max(first + 1, bisect_right(total, total[first] + size) - 1)
        if last < len(starts):
            half = max(first + 1, bisect_left(total, total[first] + (size + 1) // 2))
            boundary = _last_boundary(self._levels, starts[min(half, last)], starts[last])
            if boundary is not None:
                last = bisect_left(starts, boundary)
        return last

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
