"""What the views of several commands are made of."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from ragdoll.cli.console import one_line
from ragdoll.cli.prose import Prose

# As wide as the longest label, so that the summaries of several stages stand in line.
LABEL_WIDTH = 20


def facts(rows: Mapping[str, str | Sequence[str]]) -> RenderableType:
    """Labels and what they stand for, a line each; several values below one another."""
    lines = []
    for name, value in rows.items():
        values = [value] if isinstance(value, str) else value
        for label, shown in zip(chain([name], repeat("")), values, strict=False):
            lines.append(Prose(Text(one_line(shown)), Text(f"{label:<{LABEL_WIDTH}}", "dim")))
    return Group(*lines)


def from_here(path: str | Path) -> str:
    """A path for the eye: from the current folder where it lies below that. URIs stay as they are.

    Paths of a configuration are absolute, and would fill a line of a terminal.
    """
    with contextlib.suppress(OSError, ValueError):  # no current folder any more, or not below it
        return Path(path).relative_to(Path.cwd()).as_posix()
    return str(path)


def grid(gap: int) -> Grid:
    """A table without lines, its columns so many spaces apart."""
    return Grid(box=None, padding=(0, gap, 0, 0), pad_edge=False, header_style="bold")


def counted(template: str, number: int) -> str:
    """Fill a number into a text; nothing where it is 0."""
    return template.format(f"{number:,}") if number else ""


def clipped(text: str, most: int) -> str:
    """A text of at most so many characters, which shows where it is cut."""
    return text if len(text) <= most else text[: most - 1] + "…"


def megabytes(number: int) -> str:
    """A number of bytes for the eye."""
    return f"{number / 1e6:,.1f} MB"
