"""Letters in LaTeX, which may be written as commands."""

from __future__ import annotations

import re
import unicodedata

# The commands of accents, and the characters of Unicode that combine with the letter before.
_ACCENTS = {
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    "=": "\u0304",
    "u": "\u0306",
    ".": "\u0307",
    '"': "\u0308",
    "r": "\u030a",
    "H": "\u030b",
    "v": "\u030c",
    "d": "\u0323",
    "c": "\u0327",
    "k": "\u0328",
    "b": "\u0331",
}
_NAMES = "AA AE DH DJ L NG O OE SS TH aa ae dh dj i j l ng o oe ss th"
_LETTERS = dict(zip(_NAMES.split(), "ÅÆÐĐŁŊØŒẞÞåæðđıȷłŋøœßþ", strict=True))
_VERBATIM = r"\\begin\{(verbatim|lstlisting|minted|alltt|tabbing)(\*?)\}.*?(?:\\end\{\1\2\}|\Z)"
_ACCENTED = (
    r"\\(?:([`'^\"~=.])[ \t]*|([Hvckrudb])(?:[ \t]+|(?=\{)))"
    r"(?:\{[ \t]*\\?([A-Za-z])[ \t]*\}|\\([ij])(?![A-Za-z])(?:\{\})?|([A-Za-z]))"
)
_LETTER = rf"\\({'|'.join(_LETTERS)})(?![A-Za-z])(?:\{{\}}|[ \t]+)?"
_COMMAND = re.compile(rf"{_VERBATIM}|(\{{)?(?:{_ACCENTED}|{_LETTER})(?(3)\}})|\\-", re.DOTALL)


def with_letters(text: str) -> str:
    """Return a text in LaTeX with letters in place of their commands, line by line.

    Places where a word may be divided are left out.
    """
    return _COMMAND.sub(_letter, text) if "\\" in text else text


def _letter(found: re.Match[str]) -> str:
    verbatim, _, _, mark, mark_by_letter, *letters, name = found.groups()
    if verbatim:
        return found[0]
    if name:
        return _LETTERS[name]
    accent, letter = mark or mark_by_letter, next(filter(None, letters), "")
    if not accent:
        return ""
    combined = unicodedata.normalize("NFC", letter + _ACCENTS[accent])
    return combined if len(combined) == 1 else found[0]
