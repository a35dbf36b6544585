"""Text that is read as lines of a terminal."""

from __future__ import annotations

import re
from itertools import chain, repeat

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


class Prose:
    """A text, perhaps behind a label, which a terminal shows broken between words and not in them.

    Where no one sees it, it stays one line.
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


def _line_starts(text: str, room: int) -> list[int]:
    """The offsets of all lines but the first. A word that has no room, as a path may not, is whole.

    ``Text.wrap`` would cut it in two, or not break the line at all.
    """
    starts, used = [], 0
    for word in re.finditer(r"\s*\S+\s*", text):
        if used and used + cell_len(word[0].rstrip()) > room:
            starts.append(word.start())
            used = 0
        used += cell_len(word[0])
    return starts
