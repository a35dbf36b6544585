"""Text for a terminal: made safe, cut to size, and laid out in lines and columns."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as Grid
from rich.text import Text

# Left-to-right and right-to-left marks, embeddings, overrides and isolates: they can make a file
# name or a passage look like another.
DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# What must not reach a terminal: controls, halves of characters, separators of lines.
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})

# As wide as the longest label, so that the summaries of several stages stand in line.
_LABEL_WIDTH = 20


def printable(text: str) -> str:
    """Make control and direction characters visible, so that text cannot forge the terminal."""
    return "".join(
        f"\\x{ord(character):02x}" if _is_unsafe(character) else character for character in text
    )


def one_line(text: str) -> str:
    """Make line breaks visible too, for names; see ``printable``."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def clipped(text: str, most: int) -> str:
    """Cut a text to ``most`` characters, the last of which then is an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def counted(template: str, number: int) -> str:
    """Fill a number into a text; return nothing for 0."""
    return template.format(f"{number:,}") if number else ""


def megabytes(number: int) -> str:
    """Write a number of bytes in megabytes."""
    return f"{number / 1e6:,.1f} MB"


def from_here(path: str | Path) -> str:
    """Shorten a path below the current folder; other paths and URIs stay as they are.

    Paths of a configuration are absolute, and would fill a line of a terminal.
    """
    with contextlib.suppress(OSError, ValueError):  # no current folder any more, or not below it
        return Path(path).relative_to(Path.cwd()).as_posix()
    return str(path)


class Prose:
    """A text, perhaps behind a label, that a terminal breaks between words and never in them.

    Where standard output is no terminal it stays one line.
    """

    def __init__(self, text: Text, label: Text | None = None) -> None:
        self._text = text
        self._label = label or Text()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [self._text]
        if console.is_terminal:
            room = options.max_width - self._label.cell_len
            lines = list(self._text.divide(_line_starts(self._text.plain, room)))
        below = Text(" " * self._label.cell_len)
        for label, line in zip(chain([self._label], repeat(below)), lines, strict=False):
            line.rstrip()
            yield Text.assemble(label, line)


def facts(rows: Mapping[str, str | Sequence[str]]) -> RenderableType:
    """Lay out labels and their values, a line each; several values stand below one another."""
    lines = []
    for name, value in rows.items():
        values = [value] if isinstance(value, str) else value
        for label, line in zip(chain([name], repeat("")), values, strict=False):
            lines.append(Prose(Text(one_line(line)), Text(f"{label:<{_LABEL_WIDTH}}", "dim")))
    return Group(*lines)


def grid(gap: int) -> Grid:
    """Return a table without lines, whose columns are ``gap`` spaces apart."""
    return Grid(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")


def _is_unsafe(character: str) -> bool:
    if character in "\n\t":
        return False
    return unicodedata.category(character) in _CONTROLS or character in DIRECTION


def _line_starts(text: str, room: int) -> list[int]:
    """Return the offsets of all lines but the first; a word longer than a line stays in one piece.

    ``Text.wrap`` would cut such a word in two, or not break the line at all.
    """
    starts, used = [], 0
    for word in re.finditer(r"\s*\S+\s*", text):
        if used and used + cell_len(word[0].rstrip()) > room:
            starts.append(word.start())
            used = 0
        used += cell_len(word[0])
    return starts
