"""Phrases in a query: words in quotation marks, which a passage is to have side by side.

A query of stop words alone ("to be or not to be") is one phrase: no index holds its words, so only
their order can match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from ragdoll.corpus.languages import UNSPACED, function_words
from ragdoll.retrieval.reading.filters import quoted
from ragdoll.retrieval.reading.marks import COMMON

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」")
_WORD = re.compile(r"\w+")
_CONTRACTED = re.compile(r"\w+['’](?:d|ll|m|re|s|t|ve)", re.IGNORECASE)

# What may stand between words that stand side by side: no comma and no full stop.
_LOOSE = r"[\s'’\"“”*_`/‐‑–-]+"
_LOOSE_ONLY = re.compile(_LOOSE)

# The share of a query's words that stand in quotation marks, from which on they are asked for. In a
# long question they rather name something.
_LEAST_SHARE = 1 / 3

_MAX_WORDS = 50

# Accents; a Latin letter with some; what may divide a word; and letters that are printed as one.
_ACCENTS = "[\u0300-\u036f]"
_ACCENTED = re.compile(f"([a-z]){_ACCENTS}+")
_DIVIDED = r"(?:\u00ad|-[ \t]*\r?\n[ \t]*)?"
_JOINED = {"ss": "ß", "ffi": "ﬃ", "ffl": "ﬄ", "ff": "ﬀ", "fi": "ﬁ", "fl": "ﬂ", "st": "[ﬅﬆ]"}
_LETTERS = re.compile("|".join([*_JOINED, "."]))


def phrases_of(query: str, language: str) -> list[str]:
    """Return the phrases that a query asks for, in a table of a language."""
    words = _WORD.findall(query)
    found = ["".join(groups) for groups in _QUOTED.findall(query)]
    found = [phrase for phrase in found if _WORD.search(phrase)]
    if found:
        inside = sum(len(_WORD.findall(phrase)) for phrase in found)
        return found if inside >= _LEAST_SHARE * len(words) else []
    common = COMMON | function_words(language)
    spoken = _CONTRACTED.sub(" ", query.lower())
    is_common = bool(words) and all(word in common for word in _WORD.findall(spoken))
    return [query] if is_common else []


def holding(phrases: Sequence[str]) -> list[str]:
    """Return conditions in SQL for passages that have all of the phrases."""
    return [f"regexp_like(text, {quoted(_pattern(phrase))})" for phrase in phrases]


def _pattern(phrase: str) -> str:
    """Return a regular expression of the words of a phrase, in any of their spellings."""
    phrase = _plain(phrase)
    words = list(_WORD.finditer(phrase))[:_MAX_WORDS]
    pattern = ""
    end = words[0].start()
    for word in words:
        if between := phrase[end : word.start()]:
            pattern += _LOOSE if _LOOSE_ONLY.fullmatch(between) else r"[^\w]+"
        pattern += _DIVIDED.join(map(_letter, _LETTERS.findall(word[0])))
        end = word.end()
    first, last = ("" if UNSPACED.search(word[0]) else r"\b" for word in (words[0], words[-1]))
    return f"(?i){first}{pattern}{last}"


def _plain(text: str) -> str:
    """Write a text small, without accents on Latin letters and without letters printed as one."""
    folded = ((letter, letter.casefold()) for letter in unicodedata.normalize("NFC", text))
    small = (fold if len(fold) == 1 or fold in _JOINED else letter for letter, fold in folded)
    plain = _ACCENTED.sub(r"\1", unicodedata.normalize("NFD", "".join(small)))
    return unicodedata.normalize("NFC", plain)


def _letter(letters: str) -> str:
    """Return a pattern for a letter as texts write it, or for some that are printed as one."""
    plain = "".join(map(_spellings, letters))
    joined = _JOINED.get(letters)
    return f"(?:{plain}|{joined})" if joined else plain


def _spellings(letter: str) -> str:
    if letter.isascii():
        return f"[{letter}{_variants().get(letter, '')}]{_ACCENTS}*"
    apart = unicodedata.normalize("NFD", letter)
    return letter if apart == letter else f"(?:{letter}|{apart})"


@cache
def _variants() -> dict[str, str]:
    """Return the Latin letters with accents, by the letter without."""
    found: dict[str, str] = {}
    for letter in map(chr, (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))):
        plain = _plain(letter)
        if len(plain) == 1 and plain.isascii() and letter == letter.lower():
            found[plain] = found.get(plain, "") + letter
    return found
