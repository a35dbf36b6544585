"""The words of a passage that match a query, in any script, to mark them.

LanceDB does not tell which words matched. So words are compared again here, by a simpler rule than
its stemmers': small and capital letters, accents and endings make no difference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from ragdoll.corpus.languages import (
    ENGLISH,
    SIGNS,
    UNSPACED,
    function_words,
    languages_of,
    stop_words,
)
from ragdoll.corpus.letters import folded
from ragdoll.corpus.terms import CAMEL

_WORD = re.compile(rf"\d+(?:[.,:]\d+)+|(?:[^\W_]|[{SIGNS}])+")

_HIRAGANA = re.compile(r"[\u3040-\u309f]+")

# English words too common to say what a passage is about. Letters alone may be names.
COMMON = {word for word in stop_words(ENGLISH) if len(word) > 1 or word in "ai"}
_ENDINGS = ("ingly", "edly", "ing", "ies", "ied", "es", "ed", "ly", "s", "e")

# In other languages words match that begin alike: with this many letters, and endings this long.
_STEM = 4
_ENDING = 3


class Mark(NamedTuple):
    """A part of a text that matches, and what of the query it matches."""

    start: int
    end: int
    key: str


class Marker:
    """Finds what matches a query in the lines of one passage."""

    def __init__(self, query: str, passage: str) -> None:
        """Read the query by the language of the passage."""
        self._language = languages_of([passage]).main
        common = COMMON | function_words(self._language)
        words = [folded(query[start:end]) for start, end in _words(query)]
        telling = [word for word in words if word not in common] or words
        self._words = {self._stem(word): word for word in telling}
        self._pairs = {pair for run in UNSPACED.findall(_plain(query)) for pair in _pairs_of(run)}

    def marks(self, line: str) -> list[Mark]:
        """Return the matching parts of a line, in their order."""
        found: list[Mark] = []
        for start, end in _words(line):
            word = line[start:end]
            if UNSPACED.search(word):
                found += self._marks_in_run(word, start)
            elif (key := self._match(folded(word))) is not None:
                found.append(Mark(start, end, key))
        return found

    def _marks_in_run(self, run: str, at: int) -> Iterator[Mark]:
        """Yield where two characters of a run stand side by side in the query, too."""
        run = "".join(_plain(character)[:1] or character for character in run)
        for place in range(len(run)):
            for length in (1, 2):
                if (key := run[place : place + length]) in self._pairs:
                    yield Mark(at + place, at + place + length, key)

    def _match(self, word: str) -> str | None:
        """Return the word of the query that a word matches."""
        exact = self._words.get(self._stem(word))
        if exact is not None or self._language == ENGLISH or len(word) < _STEM:
            return exact
        return next((other for other in self._words.values() if _begin_alike(word, other)), None)

    def _stem(self, word: str) -> str:
        """Cut an English ending, so that a plural or a participle is marked too."""
        if self._language == ENGLISH:
            for ending in _ENDINGS:
                if word.endswith(ending) and len(word) - len(ending) >= 3:
                    return word.removesuffix(ending)
        return word


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Yield where words begin and end; those of identifiers one by one."""
    for match in _WORD.finditer(text):
        word, start = match.group(), match.start()
        parts = list(CAMEL.finditer(word)) if word.isascii() and not word.islower() else []
        if len(parts) > 1 and word.isalnum():
            yield from ((start + part.start(), start + part.end()) for part in parts)
        else:
            yield match.span()


def _plain(text: str) -> str:
    """Return a text with the usual forms of its characters: composed, and neither wide nor half."""
    return unicodedata.normalize("NFKC", text)


def _pairs_of(run: str) -> Iterator[str]:
    """Yield all two characters side by side, except those of endings and particles."""
    pairs = [run[place : place + 2] for place in range(len(run) - 1)] or [run]
    yield from (pair for pair in pairs if not _HIRAGANA.fullmatch(pair))


def _begin_alike(one: str, other: str) -> bool:
    """Tell whether words differ in their endings alone, or one is a part of the other."""
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) >= _STEM and shorter in longer:
        return True
    common = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    return common >= _STEM and len(longer) - common <= _ENDING
