"""Pieces of a text that somebody might ask for: its title, a heading, a sentence.

Taken out of its text, a piece is a question whose answer is that text. After Azzopardi, de Rijke
and Balog, "Building Simulated Queries for Known-Item Topics" (2007), with pieces of text in
the place of sampled words.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

# A piece is a question if it has this many words, and if at least as many words of its text remain
# without it, and no fewer than _MIN_LEFT: from less, nobody could tell what the text is about.
_MIN_WORDS, _MAX_WORDS = 3, 40
_MIN_LEFT = 10

# The number of words in a row that are a question where a text has no sentences.
_RUN = (5, 10)

# The headings of a text, and its sentences, that may be one: each is counted in the whole text.
_MOST = 1000

# The ends of sentences: before a space, and in languages without spaces.
STOPS = ".!?…؟۔।॥።။។"
WIDE_STOPS = "。！？．｡"

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_END = re.compile(
    rf"[{STOPS}]+[\"'”’)\]]*(?=\s)\s*|[{WIDE_STOPS}]+[”’」』）]*|\n\s*\n\s*|\n(?=#{{1,6}} )"
)
_WORD = re.compile(r"\w+")

# In languages without spaces a character counts as a word.
_UNIT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text that can be a question; ``kind`` is a name for people, as ``title``."""

    kind: str
    text: str


def choose(text: str, title: str, shared: set[str], draw: random.Random) -> Piece | None:
    """Draw a question: first one of the kinds of pieces in a text, then a piece of that kind.

    ``shared`` are pieces that other texts have, too; see ``shared_pieces``. None where the text is
    too short.
    """
    kinds: dict[str, list[Piece]] = {}
    total = _length(text)
    for piece in _pieces(text, title):
        words = _length(piece.text)
        if not _MIN_WORDS <= words <= _MAX_WORDS:
            continue
        least = max(words, _MIN_LEFT)
        # Without a piece its own words are missing, and at most the two that it stands in. Counting
        # the words of a long text anew for each of its pieces would take minutes.
        is_long_enough = total - text.count(piece.text) * (words + 2) >= least
        is_long_enough = is_long_enough or _length(text.replace(piece.text, " ")) >= least
        if is_long_enough and _normal(piece.text) not in shared:
            kinds.setdefault(piece.kind, []).append(piece)
    if kinds:
        return draw.choice(kinds[draw.choice(sorted(kinds))])
    return _run_of_words(text, draw)


def shared_pieces(texts: Iterable[tuple[str, str]]) -> set[str]:
    """Return the pieces that more than one text has: as questions, they have two answers.

    ``texts`` are pairs of a text and its title.
    """
    counts: Counter[str] = Counter()
    for text, title in texts:
        counts.update({_normal(piece.text) for piece in _pieces(text, title)})
    return {piece for piece, count in counts.items() if count > 1}


def unit_lengths(words: Iterable[str]) -> list[int]:
    """Return the number of words that each counts for, in any language; at least one."""
    return [max(1, len(_UNIT.findall(word))) for word in words]


def has_words(text: str) -> bool:
    """Tell whether there is anything in a text to search for."""
    return _WORD.search(text) is not None


def _pieces(text: str, title: str) -> Iterator[Piece]:
    """Yield the pieces of a text that may be a question, each once."""
    title = title.strip()
    seen = set()
    if title and title in text:
        seen.add(title)
        yield Piece("title", title)
    for found in islice(_HEADING.finditer(text), _MOST):
        if found[1] not in seen:
            seen.add(found[1])
            yield Piece("heading", found[1])
    for sentence in islice(_sentences(text), _MOST):
        if sentence not in seen and not sentence.startswith("#"):
            seen.add(sentence)
            yield Piece("sentence", sentence)


def _sentences(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        if piece := text[begin : end.end()].strip():
            yield piece
        begin = end.end()
    if piece := text[begin:].strip():
        yield piece


def _run_of_words(text: str, draw: random.Random) -> Piece | None:
    """Draw some words in a row from a text without sentences; None where it is too short."""
    words = list(_WORD.finditer(text))
    count = min(draw.randint(*_RUN), len(words) // 3)
    if count < _MIN_WORDS or len(words) - count < _MIN_LEFT:
        return None
    first = draw.randrange(len(words) - count + 1)
    return Piece("excerpt", text[words[first].start() : words[first + count - 1].end()])


def _length(text: str) -> int:
    """Count the words; a qualified name is one, a sign of punctuation none."""
    return sum(1 for unit in _UNIT.findall(text) if _WORD.search(unit))


def _normal(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))
