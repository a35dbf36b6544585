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
from ragdoll.corpus.letters import MARKS, folded, other_forms
from ragdoll.retrieval.reading.filters import quoted
from ragdoll.retrieval.reading.marks import COMMON

# Quotation marks, with those that close them; some languages open with what others close with.
_PAIRS = ('""', "＂＂", "“”", "„“”", "””", "«»", "»«»", "‹›", "›‹›", "「」", "『』")
# A mark behind a digit is one of inches. The last phrase may lack its end.
_MARKED = [rf"(?<!\d){pair[0]}([^{pair}]+)(?:[{pair[1:]}]|$)" for pair in _PAIRS]
# An apostrophe within a word closes nothing.
_SINGLE = r"((?:[^‘’']|\b['’]\b)+)"
_MARKED += [rf"(?<!\w)[‘‚]{_SINGLE}[’‘](?!\w)", rf"^\s*'{_SINGLE}'\s*$"]
_QUOTED = re.compile("|".join(_MARKED))
_WORD = re.compile(r"\w+")
_CONTRACTED = re.compile(r"\w+['’](?:d|ll|m|re|s|t|ve)", re.IGNORECASE)

# What may stand between words that stand side by side: no comma and no full stop.
_LOOSE = r"[\s'’\"“”*_`/‐‑–-]+"
_LOOSE_ONLY = re.compile(_LOOSE)

# The share of a query's words that stand in quotation marks, from which on they are asked for. In a
# long question they rather name something.
_LEAST_SHARE = 1 / 3

_MAX_WORDS = 50

# What may divide a word.
_DIVIDED = r"(?:\u00ad|-[ \t]*\r?\n[ \t]*)?"


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
    phrase = folded(phrase)
    words = list(_WORD.finditer(phrase))[:_MAX_WORDS]
    pattern = ""
    end = words[0].start()
    for word in words:
        if between := phrase[end : word.start()]:
            pattern += _LOOSE if _LOOSE_ONLY.fullmatch(between) else r"[^\w]+"
        pattern += _DIVIDED.join(map(_letter, _letters().findall(word[0])))
        end = word.end()
    first, last = ("" if UNSPACED.search(word[0]) else r"\b" for word in (words[0], words[-1]))
    return f"(?i){first}{pattern}{last}"


@cache
def _letters() -> re.Pattern[str]:
    """Return a pattern of one letter, or of several that are printed as one."""
    joined = sorted((plain for plain in other_forms() if len(plain) > 1), key=len, reverse=True)
    return re.compile("|".join([*joined, "."]))


def _letter(letters: str) -> str:
    """Return a pattern for a letter as texts write it, or for some that are printed as one."""
    plain = "".join(map(_spellings, letters))
    joined = other_forms().get(letters) if len(letters) > 1 else None
    return f"(?:{plain}|[{joined}])" if joined else plain


def _spellings(letter: str) -> str:
    """Return a pattern for the forms of a letter, composed or not."""
    forms = _forms(letter)
    if UNSPACED.match(letter) is None:
        forms += f"[{MARKS}]*"
    apart = unicodedata.normalize("NFD", letter)
    return forms if apart == letter else f"(?:{forms}|{''.join(map(_forms, apart))})"


def _forms(letter: str) -> str:
    others = other_forms().get(letter)
    return f"[{letter}{others}]" if others else letter
