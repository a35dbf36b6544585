"""Texts as an index over words reads them: with identifiers whole and by their parts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from html import unescape

from ragdoll.corpus.languages import UNSPACED
from ragdoll.corpus.letters import plain_letters

# A candidate for an identifier: characters that programs, versions and error codes join words by.
_JOINED = re.compile(r"-{0,2}\w(?:[\w.+#:-]|(?<=\d)/(?=\d))*")
_HEXADECIMAL = r"[\da-fA-F]{1,4}(?::[\da-fA-F]{1,4}){3,}"
_IDENTIFIER = re.compile(
    r"-.*|.*_.*|.*[^\W_](?:\.{1,2}|::)[^\W_].*|.*\w(?:\+\+|#)|(?=.*\d).*[^\W\d_]-.*"
    # Dates, times, and other numbers that mean nothing in another order.
    rf"|\d+(?:[-/:]\d+)+|{_HEXADECIMAL}"
)

# The same inside of a longer word: an address before its port, a date before its time, the version
# in the name of a file.
_NUMBERS = re.compile(r"(?<!\d)\d+([-./:])\d+(?:\1\d+)*(?!\d)|\d+[年년]\d+[月월](?:\d+[日일])?")
_NO_NUMBERS = re.compile(_HEXADECIMAL)

# What stands around words, and is no part of an identifier.
_AROUND = "()[]{}<>\"'`*.,;:?!"

# A letter alone that is no initial, as in "vitamin D" or "plan B"; "a" and "I" are mere words.
_SHORT = 4
_LETTER = re.compile(r"(?<![\w.'’])[b-hj-zB-HJ-Z](?![\w.'’])")

# A word that was divided at the end of a line.
_LINE_END = re.compile(r"-[ \t]*\r?\n")
_DIVIDED = re.compile(r"([^\W\d_]{2,})-[ \t]*\r?\n[ \t]*([^\W\d_]{2,})")

# The parts of a word in camel case.
CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_RUN = re.compile(r"[^\W_]+")
# A number with its unit. The parts of other words with digits are in too many texts: with them BM25
# finds less.
_WITH_UNIT = re.compile(r"(\d+)([^\W\d_]+)")
# A hyphen that others leave out: behind a short beginning, as in "e-mail" and "pre-processing", and
# in front of a number, as in "UTF-8".
_HALVES = re.compile(r"(?=[^\W\d_]{1,3}-[a-z]|[^\W\d_]+-\d+$)([^\W\d_]+)-([a-z]+|\d+)")
# A number that others write without its hyphens.
_DIGIT_GROUPS = re.compile(r"(?=.*\d)[\da-fA-F]+(?:-[\da-fA-F]+){2,}")
# Hexadecimal numbers, and how many digits of a long one others name it by.
_HEX = re.compile(r"0[xX]([\da-fA-F]{2,})|(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[\da-fA-F]{8,}")
_ABBREVIATED = (7, 8, 10, 12)
_TIMES = re.compile(r"(?<=\d)×(?=\d)")

# Characters that texts write in several ways: letters and accents, invisible ones, hyphens and
# apostrophes.
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
_PLAIN = {
    **plain_letters(),
    **dict.fromkeys(map(ord, _INVISIBLE)),
    **dict.fromkeys((0x5BE, 0x2010, 0x2011, 0x2212), "-"),
    **dict.fromkeys((0x2018, 0x2019, 0x2BC), "'"),
}
# A character by its name or number in HTML. The semicolon tells it from a parameter of an address.
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,31}|#\d{1,7}|#[xX][\da-fA-F]{1,6});")
# A soft hyphen at the end of a line, and letters that are printed as one.
_SOFT_END = re.compile(r"\u00ad[ \t]*\r?\n[ \t]*")
_LIGATURE = re.compile("[\ufb00-\ufb06\u00ad\u200b\u2010\u2011]|[\uff01-\uffef]+")


def searchable(text: str, is_query: bool = False) -> str:
    """Return a text, or a query, as the index over words reads it.

    Characters that look alike become the same (Unicode's NFKC), and invisible ones go. Identifiers
    are added as one word each, and words in camel case by their parts, so that both are found:
    ``snake_case``, ``camelCase``, ``dotted.names``, ``--options``, ``C++``, ``3.11.7``,
    ``2026-01-31``. So are words that were divided at the end of a line. Of a text, though not of a
    query, a word such as ``e-mail`` is also added without its hyphen; else it would count thrice.
    """
    text = _without_entities(text)
    if not text.isascii():
        text = _SOFT_END.sub("", text) if "\u00ad" in text else text
        text = unicodedata.normalize("NFKC", text).translate(_PLAIN)
        text = _TIMES.sub("x", text) if "×" in text else text
    add = _added_to_query if is_query else _added_to_text
    added = " ".join(filter(None, map(add, text.split())))
    if _LINE_END.search(text) and (divided := _DIVIDED.findall(text)):
        added = " ".join([added, *map("".join, divided)])
    return f"{text}\n{added}" if added else text


def undivided(text: str) -> str:
    """Return a text with words whole that were divided at the end of a line, or have ligatures.

    Characters that are written by their names in HTML, as in Markdown, become those characters. A
    tokenizer knows no others.
    """
    text = _without_entities(text)
    if not text.isascii() and _LIGATURE.search(text):
        text = _LIGATURE.sub(_written_out, _SOFT_END.sub("", text))
    return _DIVIDED.sub(_whole, text) if _LINE_END.search(text) else text


def _without_entities(text: str) -> str:
    return _ENTITY.sub(lambda found: unescape(found[0]), text) if "&" in text else text


def _written_out(found: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", found[0]).translate(_PLAIN)


def _whole(found: re.Match[str]) -> str:
    # A capital letter begins a word of its own, as in a name of two.
    return f"{found[1]}{found[2]}" if found[2][0].islower() else found[0]


# Most words of a text are in others, too.
@lru_cache(maxsize=1 << 16)
def _added_to_text(words: str) -> str:
    """Return what is added for words without a space between them."""
    return " ".join(dict.fromkeys(_parts_and_whole(words, joins=True)))


@lru_cache(maxsize=1 << 10)
def _added_to_query(words: str) -> str:
    return " ".join(dict.fromkeys(_parts_and_whole(words, joins=False)))


def _parts_and_whole(words: str, joins: bool) -> list[str]:
    bare = words.strip(_AROUND)
    if len(bare) > 1 and bare.isalpha() and bare[1:].islower():
        return []  # as most are
    added: list[str] = []
    if len(words) <= _SHORT:
        added += map(_one_word, _LETTER.findall(words))
    for match in _JOINED.finditer(words):
        word = match.group().rstrip(".:-")
        wholes = [word] if _IDENTIFIER.fullmatch(word) else []
        if not _NO_NUMBERS.fullmatch(word):
            wholes += [found[0] for found in _NUMBERS.finditer(word)]
        added += map(_one_word, dict.fromkeys(wholes))
        parts = CAMEL.findall(word)
        has_cases = not (word.islower() or word.isupper() or word.istitle())
        if has_cases and len(parts) > 1 and word.lower() != word.upper():
            added += parts
        if not word.isalpha():
            added += _numbers(word)
    halves = _HALVES.fullmatch(bare) if joins else None
    if halves:
        added.append(halves[1] + halves[2])
    return added


def _numbers(word: str) -> Iterator[str]:
    """Yield the parts of a word with digits, and how others write its numbers."""
    if _DIGIT_GROUPS.fullmatch(word):
        yield word.replace("-", "")
        return
    for run in _RUN.findall(word):
        measured = _WITH_UNIT.fullmatch(run)
        if measured and not UNSPACED.search(run):
            yield from (part for part in measured.groups() if len(part) > 1)
        if number := _HEX.fullmatch(run):
            digits = number[1] or run
            yield from (digits[:length] for length in _ABBREVIATED if length < len(digits))
            if number[1]:
                yield digits


def _one_word(identifier: str) -> str:
    """Write an identifier in letters and digits alone, which no index splits and none stems."""
    written = "".join(
        character
        if character.isalnum() and not UNSPACED.match(character)
        else f"q{ord(character):x}q"
        for character in identifier.casefold()
    )
    return f"{written}qq"
