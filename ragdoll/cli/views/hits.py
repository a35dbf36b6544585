"""Answers to a query: the place of each passage, and its lines with the words marked."""

from __future__ import annotations

import os
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.text import from_here, one_line, printable
from ragdoll.corpus.documents import BETWEEN
from ragdoll.retrieval.reading.marks import Marker
from ragdoll.retrieval.reading.snippets import best_lines

if TYPE_CHECKING:
    from ragdoll.cli.console import Console
    from ragdoll.retrieval.reading.search import Copy, Hit

_INDENT = " " * 4
# Copies of a passage that are named.
_NAMED = 3
# Wrapping a text takes a console; which one makes no difference.
_ANY_CONSOLE = RichConsole(width=80)
# Legible on dark terminals and on light ones, where bold yellow is not.
_FOUND = "bold magenta"
# Columns where there is no terminal to ask for its own.
_WIDTH = 100


def hits(
    text: str, found: Sequence[Hit], with_root: bool, console: Console, lines: int
) -> RenderableType:
    """Show the answers to a query, at most ``lines`` lines of each.

    ``with_root`` shows the folders of the documents, which have several.
    """
    parts: list[RenderableType] = []
    places = Counter(_place(hit, with_root) for hit in found)
    for hit in found:
        heading = Text.assemble((f"{hit.rank:>2}  ", "bold"), (f"{hit.score:.3f}  ", "cyan"))
        # Of passages that begin in one line the offsets tell which is which.
        place = _place(hit, with_root)
        place = _place(hit, with_root, with_offsets=places[place] > 1)
        heading.append(place, style=_link(hit))
        # A file without a title of its own has its name for one, which stands there already.
        if hit.title and not f"/{hit.source}".endswith(f"/{hit.title}"):
            heading.append("  " + one_line(hit.title), style="bold")
        if below := hit.section.removeprefix(hit.title).removeprefix(BETWEEN):
            heading.append("  " + one_line(below))
        parts.append(heading)
        if console.verbose:
            scores = [
                f"{name} {value:.3f}"
                for name, value in (
                    ("vector", hit.vector_score),
                    ("BM25", hit.text_score),
                    ("tokens", hit.token_score),
                )
                if value is not None
            ]
            parts.append(Text("    " + ", ".join(scores), style="dim"))
        if hit.copies:
            parts.append(Text(f"    also in {_others(hit.copies)}", style="dim"))
        parts.append(passage_view(hit.text, hit.title, text, lines, console.width))
        parts.append(Text(""))
    return Group(*parts[:-1])


def passage_view(text: str, title: str, query: str, most: int, width: int | None = None) -> Text:
    """Indent the ``most`` lines of a passage that hold most of the query's words, and mark those.

    The title is left out where the passage begins with it, since it stands above. Lines are broken
    to ``width`` columns; None: there is no terminal.
    """
    body = text.removeprefix(title).strip() if title else text.strip()
    marker = Marker(query, text)
    room = max(20, (width or _WIDTH) - len(_INDENT))
    printed = map(printable, (body or text).splitlines())
    lines = [part for line in printed for part in _wrapped(line, room)]
    chosen, before, is_cut = best_lines(lines, marker, most)
    chosen = [*(["…"] if before else []), *chosen, *(["…"] if is_cut else [])]
    view = Text(textwrap.indent("\n".join(chosen), _INDENT))
    for mark in marker.marks(view.plain):
        view.stylize(_FOUND, mark.start, mark.end)
    return view


def _others(copies: Sequence[Copy]) -> str:
    """Name the first places of copies, and count the others."""
    named = [one_line(copy.source) for copy in copies[:_NAMED]]
    more = f" and {len(copies) - _NAMED} more" if len(copies) > _NAMED else ""
    return ", ".join(named) + more


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line to a width in columns; Chinese and other wide characters take two."""
    return [part.plain.rstrip() for part in Text(line).wrap(_ANY_CONSOLE, width)]


def _place(hit: Hit, with_root: bool, with_offsets: bool = False) -> str:
    """Return the source with the line or page of a passage, or else with its offsets.

    Where a table has several roots, ``with_root``, the source of a file begins with its folder.
    """
    offsets = f" [{hit.start}–{hit.end}]"
    source = hit.source
    if with_root and hit.path:
        folder = from_here(hit.root)
        source = source if folder == "." else f"{folder}/{source}"
    if hit.line is not None:
        file = source.partition(".py#")
        place = f"{one_line(file[0] + file[1].removesuffix('#'))}:{hit.line}"
        return place + offsets * with_offsets
    if hit.page is not None:
        return f"{one_line(source)}:p. {hit.page}" + offsets * with_offsets
    return one_line(source) + offsets


def _link(hit: Hit) -> str:
    """Return a style that links to the file, where it is there."""
    # Not Path.is_file, which raises for a record whose id is too long for a file name.
    is_there = hit.path is not None and os.path.isfile(hit.path)  # noqa: PTH113
    return f"green link {Path(hit.path).as_uri()}" if is_there and hit.path else "green"
