"""A passage for the eye: the lines that answer a query, its words marked."""

from __future__ import annotations

import re
import textwrap

from rich.console import Console
from rich.text import Text

from ragdoll.cli.console import printable

_WORD = re.compile(r"\w+")
_INDENT = " " * 4
# Wrapping a text takes a console; which one makes no difference.
_ANY_CONSOLE = Console(width=80)
_MAX_LINES = 8
# Legible on dark terminals and on light ones, where bold yellow is not.
_FOUND = "bold magenta"
# Columns where there is no terminal to ask for its own.
_WIDTH = 100

# Words too common to say what a passage is about.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do does for from has have how i in is it its of on or that "
        "the this to was were what when where which who will with",
    )
)
_ENDINGS = ("ingly", "edly", "ing", "ies", "ied", "es", "ed", "ly", "s", "e")


def passage_view(text: str, title: str, query: str, width: int | None = None) -> Text:
    """Indent the part of a passage that holds most of the query's words, and mark those.

    The title is left out where the passage begins with it, since it stands above. Lines are broken
    to ``width`` columns; None: there is no terminal.
    """
    body = text.removeprefix(title).strip() if title else text.strip()
    wanted = {_stem(word) for word in _words(query)}
    room = max(20, (width or _WIDTH) - len(_INDENT))
    shown = map(printable, (body or text).splitlines())
    lines = [part for line in shown for part in _wrapped(line, room)]
    view = Text(textwrap.indent("\n".join(_best_lines(lines, wanted)), _INDENT))
    for match in _WORD.finditer(view.plain):
        if _stem(match.group().lower()) in wanted:
            view.stylize(_FOUND, match.start(), match.end())
    return view


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line to so many columns, of which Chinese and other wide characters take two."""
    return [part.plain.rstrip() for part in Text(line).wrap(_ANY_CONSOLE, width)]


def _best_lines(lines: list[str], wanted: set[str]) -> list[str]:
    """Choose the run of lines with most of the wanted words, the earliest of equals."""
    lines = [line for line in lines if line.strip()]
    if len(lines) <= _MAX_LINES:
        return lines
    found = [{_stem(word) for word in _words(line)} & wanted for line in lines]
    best = max(
        range(len(lines) - _MAX_LINES + 1),
        key=lambda start: (len(set().union(*found[start : start + _MAX_LINES])), -start),
    )
    chosen = lines[best : best + _MAX_LINES]
    return [*(["…"] if best else []), *chosen, *(["…"] if best + _MAX_LINES < len(lines) else [])]


def _words(text: str) -> list[str]:
    words = [word.lower() for word in _WORD.findall(text)]
    return [word for word in words if word not in _COMMON] or words


def _stem(word: str) -> str:
    """Cut an English ending, so that a plural or a participle is marked too."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word
