"""Letters as texts and queries are compared by them: small, without accents, printed apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

# Accents, and the signs of vowels in Arabic and Hebrew, which most texts leave out.
MARKS = "\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0640\u064b-\u065f\u0670"
_MARKS = re.compile(f"[{MARKS}]+")

# Letters that Unicode does not decompose, and that are written without their strokes too, apart, or
# in the middle of a word otherwise than at its end.
_PLAIN = dict(zip("øđðħıłŧςٱ", "oddhiltσا", strict=True))
_PLAIN |= {"œ": "oe", "æ": "ae", "ß": "ss", "þ": "th", "ĳ": "ij"}
_WIDE_AND_JOINED = (range(0xFB00, 0xFB07), range(0xFF10, 0xFFA0))
_TO_PLAIN = str.maketrans(
    _PLAIN
    | {
        letter: unicodedata.normalize("NFKC", letter).lower()
        for letter in map(chr, (code for codes in _WIDE_AND_JOINED for code in codes))
    }
)

# Latin, Greek, Cyrillic and Arabic letters, among which are those that have other forms.
_LETTERS = (range(0xC0, 0x250), range(0x370, 0x530), range(0x620, 0x672), range(0x1E00, 0x2000))

# Letters that a stemmer knows, or that are no forms of others. An index folds the Latin ones itself
# after it has stemmed the words.
_STEMMED = "àáâãäåçèéêëìíîïñòóôõöùúûüăğıőűşșţțйїѓќў"


def folded(text: str) -> str:
    """Return a text in small letters, without accents and signs of vowels."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFD", text.lower())
    return unicodedata.normalize("NFC", _MARKS.sub("", apart).translate(_TO_PLAIN))


@cache
def plain_letters() -> dict[int, str | None]:
    """Return what words are indexed without: letters, with those that stand for them, and marks."""
    small = {letter: folded(letter) for letter in _small_letters() if letter not in _STEMMED}
    large = {letter.upper(): plain.title() for letter, plain in small.items()} | {"İ": "I"}
    letters = {ord(letter): plain for letter, plain in (large | small).items() if len(letter) == 1}
    return letters | dict.fromkeys(code for code in range(0x300, 0x700) if _MARKS.match(chr(code)))


@cache
def other_forms() -> dict[str, str]:
    """Return all small letters that ``folded`` writes as others, by these; some are several."""
    found: dict[str, str] = {}
    printed = (chr(code) for codes in _WIDE_AND_JOINED for code in codes)
    for letter in (*_small_letters(), *printed):
        plain = folded(letter)
        if plain != letter:
            found[plain] = found.get(plain, "") + letter
    return found


def _small_letters() -> Iterator[str]:
    """Yield the letters that ``folded`` changes, except those of other widths and ligatures."""
    for code in (code for codes in _LETTERS for code in codes):
        letter = chr(code)
        if letter.isalpha() and letter == letter.lower() and folded(letter) not in ("", letter):
            yield letter
