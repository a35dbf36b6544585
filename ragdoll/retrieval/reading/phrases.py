"""Phrases in a query: words in quotation marks, which a passage is to have side by side.

A query of stop words alone ("to be or not to be") is one phrase: no index holds its words, so only
their order can match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

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
    """Return a regular expression of the words of a phrase."""
    phrase = unicodedata.normalize("NFC", phrase)
    words = list(_WORD.finditer(phrase))[:_MAX_WORDS]
    pattern = ""
    end = words[0].start()
    for word in words:
        if between := phrase[end : word.start()]:
            pattern += _LOOSE if _LOOSE_ONLY.fullmatch(between) else r"[^\w]+"
        pattern += "".join(map(_letter, word[0]))
        end = word.end()
    first, last = ("" if UNSPACED.search(word[0]) else r"\b" for word in (words[0], words[-1]))
    return f"(?i){first}{pattern}{last}"


def _letter(letter: str) -> str:
    apart = unicodedata.normalize("NFD", letter)
    return letter if apart == letter else f"(?:{letter}|{apart})"
