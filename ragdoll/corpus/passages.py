"""Documents into passages: cut at headings, paragraphs, sentences, then words, up to a size.

A passage ends at the coarsest boundary in the second half of what fits, so that it is as whole as
its size allows and never a fragment beside a full one. Sizes are counted in the tokens of the model
that will read the passage.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ragdoll.corpus.documents import Document

TokenCounter = Callable[[Sequence[str]], Sequence[int]]
"""From words (no whitespace in them) to how many tokens each has for a model."""

# Where a text may be cut, coarsest first; each matches what lies between two pieces. Languages
# without spaces have their full stops in the third.
_HEADING = re.compile(r"\n(?=#{1,6} \S)")
_PARAGRAPH = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？．｡])[”’」』）]*")
_LINE = re.compile(r"\n")
_LEVELS = (_HEADING, _PARAGRAPH, _SENTENCE, _LINE)

_WORD = re.compile(r"\S+")

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: ``text == document.text[start:end]``, without whitespace around it."""

    document: Document
    start: int
    end: int

    @property
    def text(self) -> str:
        """The passage itself."""
        return self.document.text[self.start : self.end]


def cut(document: Document, size: int, count: TokenCounter) -> Iterator[Passage]:
    """Yield the passages of a document, in order, each of at most ``size`` tokens by ``count``.

    A passage has more only where a single character has. Every character of the document that is
    not whitespace is in exactly one passage.
    """
    text = document.text
    levels = [[match.end() for match in level.finditer(text)] for level in _LEVELS]
    spans, tokens = _units(text, size, count, sorted(place for level in levels for place in level))
    starts = [start for start, _ in spans]
    total = [0, *accumulate(tokens)]
    first = 0
    while first < len(spans):
        # One unit at least, however large, else as many as fit.
        last = max(first + 1, bisect_right(total, total[first] + size) - 1)
        if last < len(spans):
            half = max(first + 1, bisect_left(total, total[first] + (size + 1) // 2))
            boundary = _last_boundary(levels, starts[min(half, last)], starts[last])
            if boundary is not None:
                last = bisect_left(starts, boundary)
        yield Passage(document, starts[first], spans[last - 1][1])
        first = last


def _last_boundary(levels: list[list[int]], low: int, high: int) -> int | None:
    """The last place from ``low`` to ``high`` to cut at, of the coarsest kind that has one."""
    for places in levels:
        index = bisect_right(places, high) - 1
        if index >= 0 and places[index] >= low:
            return places[index]
    return None


def _units(
    text: str, size: int, count: TokenCounter, boundaries: list[int]
) -> tuple[list[Span], list[int]]:
    """Split a text into what is never cut, and count the tokens of each.

    These are its words; a word that goes on for longer than a passage (a language without spaces,
    a blob) is split, at its boundaries first, so that no tokenizer sees a word of megabytes.
    """
    spans: list[Span] = []
    for match in _WORD.finditer(text):
        spans.extend(_parts(match.start(), match.end(), size, boundaries))
    tokens = list(count([text[start:end] for start, end in spans])) if spans else []
    while any(number > size and end - start > 1 for number, (start, end) in _pairs(tokens, spans)):
        halved: list[Span] = []
        for number, (start, end) in _pairs(tokens, spans):
            middle = (start + end) // 2
            whole = number <= size or end - start <= 1
            halved.extend([(start, end)] if whole else [(start, middle), (middle, end)])
        spans = halved
        tokens = list(count([text[start:end] for start, end in spans]))
    return spans, tokens


def _pairs(tokens: list[int], spans: list[Span]) -> Iterator[tuple[int, Span]]:
    return zip(tokens, spans, strict=True)


def _parts(start: int, end: int, size: int, boundaries: list[int]) -> Iterator[Span]:
    inside = boundaries[bisect_right(boundaries, start) : bisect_left(boundaries, end)]
    for begin, finish in pairwise([start, *dict.fromkeys(inside), end]):
        for part in range(begin, finish, size):
            yield part, min(part + size, finish)
