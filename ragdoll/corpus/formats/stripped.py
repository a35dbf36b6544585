"""Texts with marks for those who show them, not for readers: terminals, subtitles, man pages."""

from __future__ import annotations

import re
import shlex
from html import unescape

# What tells a terminal the colours and the titles of windows (ECMA-48), and where links lead.
_FOR_TERMINALS = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\r\n]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\`-~])"
)

# The times of a subtitle, its number before them, and what WebVTT has for programs.
_TIMES = re.compile(r"(?:\d+:)?\d\d:\d\d[.,]\d{1,3}[ \t]*-->")
_NUMBER = re.compile(r"\s*\d+\s*")
_WEBVTT = "WEBVTT"
_FOR_PROGRAMS = re.compile(rf"\ufeff?{_WEBVTT}\b|NOTE(?!\S)|(?:STYLE|REGION)\s*$")
_TAG = re.compile(r"</?[a-zA-Z0-9][^<>]*>|<\d[\d:.]*>|\{\\[^}]*\}")

# The marks of roff within a line, and the characters that some of them stand for.
_ESCAPE = re.compile(
    r"\\(?:[fFmMk](?:\[[^\]]*\]|\(..|.)|s[+-]?\d+|\*?\((..)|\*?\[([^\]]*)\]|\*.|[hvwx]'[^']*'|(.))"
)
_CHARACTERS = {
    "aq": "'",
    "bu": "•",
    "co": "©",
    "cq": "’",
    "dq": '"',
    "em": "—",
    "en": "–",
    "ha": "^",
    "lq": "“",
    "oq": "‘",
    "rq": "”",
    "rs": "\\",
    "ti": "~",
    "hy": "-",
    "mi": "-",
    "-": "-",
    "e": "\\",
    " ": " ",
    "~": " ",
    "0": " ",
    "'": "'",
    "`": "`",
    ".": ".",
}
_COMMENT = re.compile(r"[.']?\\\".*|\\\".*$")
_IS_MAN = re.compile(r"^\.(?:TH|SH|Dd|Dt|Sh)\b", re.MULTILINE)
_TITLE = re.compile(r"^\.(?:TH|Dt)[ \t]+(.*)", re.MULTILINE)
_REQUEST = re.compile(r"[.'][ \t]*([A-Za-z]+|\.)[ \t]*(.*)")
_HEADINGS = {"SH": "# ", "Sh": "# ", "SS": "## ", "Ss": "## "}
_JOINED = frozenset(("BR", "RB", "IR", "RI", "BI", "IB"))
_SHOWN = frozenset(("B", "I", "SM", "SB", "UR", "MT", "OP", "SY"))
# Macros of mdoc, which may stand within a line, and what they put before a word.
_MDOC = {"Fl": "-", "Xr": "", "Ar": "", "Nm": "", "Cm": "", "Op": "", "Pa": "", "Ev": "", "Em": ""}
_MDOC |= {"Sy": "", "Li": "", "Ic": "", "Va": "", "Ql": "", "Dq": "", "Sq": "", "Nd": "— "}
_MDOC |= {"It": "", "Fn": "", "Fa": "", "Ft": "", "In": "", "An": "", "Ns": "", "No": "", "Pq": ""}


def without_colours(text: str) -> str:
    """Return a text without what it says to a terminal."""
    return _FOR_TERMINALS.sub("", text) if "\x1b" in text else text


def subtitles(text: str) -> str:
    """Return what subtitles (SRT, WebVTT) say, with an empty line for each line that says nothing.

    So the lines stay those of the file.
    """
    lines = text.split("\n")
    shown = []
    is_webvtt = text.removeprefix("\ufeff").startswith(_WEBVTT)
    is_for_programs, is_first = False, True
    for number, line in enumerate(lines):
        is_blank = not line.strip()
        begins = is_first and is_webvtt and _FOR_PROGRAMS.match(line) is not None
        is_for_programs, is_first = not is_blank and (is_for_programs or begins), is_blank
        following = lines[number + 1] if number + 1 < len(lines) else ""
        is_number = _NUMBER.fullmatch(line) is not None and _TIMES.match(following) is not None
        is_mark = is_for_programs or is_number or _TIMES.match(line) is not None
        shown.append("" if is_mark else unescape(_TAG.sub("", line)).rstrip("\r"))
    return "\n".join(shown)


def is_man_page(text: str) -> bool:
    """Tell whether a text is a man page, in either set of macros."""
    return _IS_MAN.search(text) is not None


def man_page(text: str) -> tuple[str, str | None]:
    """Return a man page as Markdown, line by line, and its title, such as ``git(1)``."""
    found = _TITLE.search(text)
    words = [_plain(word) for word in _words(found[1])[:2]] if found else []
    title = f"{words[0].lower()}({words[1]})" if all(words) and len(words) > 1 else None
    shown = []
    is_definition = False
    for line in text.split("\n"):
        request = _REQUEST.match(line)
        if is_definition or (request and request[1] in {"de", "ig"}):
            is_definition = not line.startswith("..")
            shown.append("")
            continue
        shown.append(_request(request[1], request[2]) if request else _plain(line))
    return "\n".join(shown), title


def _request(name: str, rest: str) -> str:
    if name in _HEADINGS:
        return _HEADINGS[name] + " ".join(map(_plain, _words(rest)))
    if name in _JOINED:
        return "".join(map(_plain, _words(rest)))
    if name == "IP":
        return " ".join(map(_plain, _words(rest)[:1]))
    if name in _SHOWN:
        return " ".join(map(_plain, _words(rest)))
    return _mdoc([name, *_words(rest)]) if name in _MDOC else ""


def _mdoc(words: list[str]) -> str:
    shown = []
    before = ""
    for number, word in enumerate(words):
        if word in _MDOC:
            before += _MDOC[word]
            continue
        is_section = number > 1 and words[number - 2] == "Xr"
        shown.append(f"({word})" if is_section else before + _plain(word))
        before = ""
    return " ".join(filter(None, [*shown, before])).replace(" (", "(")


def _words(rest: str) -> list[str]:
    """Split the arguments of a request, of which some are in quotes."""
    try:
        return shlex.split(_COMMENT.sub("", rest).replace("\\", "\\\\").replace("'", "\\'"))
    except ValueError:
        return rest.replace('"', " ").split()


def _plain(line: str) -> str:
    return _ESCAPE.sub(_character, _COMMENT.sub("", line)).rstrip("\r")


def _character(found: re.Match[str]) -> str:
    return _CHARACTERS.get(found[1] or found[2] or found[3] or "", "")
