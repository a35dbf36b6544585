"""Answers to a query: the place of each passage, and its lines with the words marked."""

from __future__ import annotations

import os
import re
import textwrap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.text import from_here, one_line, printable
from ragdoll.corpus.formats.kinds import CODE, LINES, MARKUP, format_of
from ragdoll.retrieval.reading.marks import Marker
from ragdoll.retrieval.reading.snippets import best_lines

if TYPE_CHECKING:
    from ragdoll.cli.console import Console
    from ragdoll.retrieval.answers import Copy, Hit

_INDENT = " " * 4
# Copies of a passage that are named.
_NAMED = 3
# Wrapping a text takes a console; which one makes no difference.
_ANY_CONSOLE = RichConsole(width=80)
# Legible on dark terminals and on light ones, where bold yellow is not.
_FOUND = "bold magenta"
# Columns where there is no terminal to ask for its own, and at least.
_WIDTH = 100
_LEAST_WIDTH = 20
# A line of prose with as many characters was broken, and goes on in the next that begins so.
_BROKEN = 45
_GOES_ON = re.compile(r"[\w\"'“‘(`*]")
_NO_PROSE = re.compile(r"\s{4}|\t|[-*+|>#]|\d+[.)] |```|~~~|\.\. ")
# Rows of an answer besides its lines: its place, signs for what is left out, and a blank one.
_ROWS = 4


def fitting(found: Sequence[Hit], most: int, height: int | None) -> int:
    """Return how many lines of each answer a terminal of a height has room for, up to ``most``.

    It is 0 where there is room only for the best line, and nothing around it. Without a terminal,
    where the height is None, there is room for all.
    """
    files = len({(hit.root, hit.source) for hit in found})
    rows = (height or 0) - 1 - (len(found) - files)
    return most if height is None or not files else max(0, min(most, rows // files - _ROWS))


def hits(
    text: str, found: Sequence[Hit], with_root: bool, console: Console, lines: int
) -> RenderableType:
    """Show the answers to a query, at most ``lines`` lines of each; see ``fitting`` for 0.

    Further answers of the same file stand below the first, each in a line. ``with_root`` shows the
    folders of the documents, which have several.
    """
    from ragdoll.retrieval.answers import headings_of

    parts: list[RenderableType] = []
    by_file: dict[object, list[Hit]] = {}
    for hit in found:
        by_file.setdefault((hit.root, hit.source), []).append(hit)
    for hit, *others in by_file.values():
        shown, before = passage_view(
            hit.text, hit.title, text, lines, console.width, is_prose(hit.source)
        )
        heading = Text.assemble((f"{hit.rank:>2}  ", "bold"), (f"{hit.score:.3f}  ", "cyan"))
        heading.append(_place(hit, with_root, before), style=_link(hit))
        title, below = headings_of(hit)
        if title:
            heading.append("  " + one_line(title), style="bold")
        if below:
            heading.append("  " + one_line(below))
        parts.append(heading)
        if console.verbose:
            parts.append(Text(_INDENT + _scores(hit), style="dim"))
        if hit.copies:
            parts.append(Text(f"{_INDENT}also in {_others(hit.copies, with_root)}", style="dim"))
        parts.append(shown)
        lines_of = [one.line for one in (hit, *others)]
        parts += [
            _further(other, text, console, lines_of.count(other.line) > 1) for other in others
        ]
        parts += [Text("")] * bool(lines)
    return Group(*(parts[:-1] if lines else parts))


def _further(hit: Hit, query: str, console: Console, shares_line: bool) -> Text:
    """Show another answer of a file: its place in it, and the line that tells most.

    Of passages that begin in one line, the offsets tell which is which.
    """
    shown, before = passage_view(
        hit.text, hit.title, query, 1, max(_LEAST_WIDTH, (console.width or _WIDTH) - 24)
    )
    place = f"[{hit.start}–{hit.end}]" if hit.page is None else f"p. {hit.page}"
    if hit.line is not None:
        place = f":{_line(hit, before)}" + f" {place}" * shares_line
    line = Text(f"{hit.rank:>2}  {hit.score:.3f}  {place}  ", style="dim")
    best = next((part for part in shown.split("\n") if part.plain.strip() != "…"), Text(""))
    return Text.assemble(line, best[len(_INDENT) :])


def _scores(hit: Hit) -> str:
    scores = {"vector": hit.vector_score, "BM25": hit.text_score, "tokens": hit.token_score}
    return ", ".join(f"{name} {value:.3f}" for name, value in scores.items() if value is not None)


def is_prose(source: str) -> bool:
    """Tell whether the lines of a text may be joined: they end where they are long enough.

    A part of a file of Python is a docstring.
    """
    file, _, part = source.partition("#")
    kind = format_of(Path(file))
    is_code = kind in CODE or (MARKUP.get(kind) == "python" and not part)
    return not is_code and kind not in LINES


def passage_view(
    text: str,
    title: str,
    query: str,
    most: int,
    width: int | None = None,
    reflows: bool = False,
) -> tuple[Text, int]:
    """Indent the ``most`` lines of a passage that hold most of the query's words, and mark those.

    With 0 that is the best line, without a sign for what is left out around it.
    The title is left out where the passage begins with it, since it stands above. Lines are broken
    to ``width`` columns; None: there is no terminal. ``reflows`` joins the lines of paragraphs
    first. Return the number of the text's lines before the first one that is shown, too.
    """
    marker = Marker(query, text)
    room = max(_LEAST_WIDTH, (width or _WIDTH) - len(_INDENT))
    body = text.removeprefix(title) if title and text.removeprefix(title).strip() else text
    skipped = text[: len(text) - len(body.lstrip())].count("\n")
    lines = [printable(line) for line in body.lstrip().split("\n")]
    paragraphs = _paragraphs(lines) if reflows else ([line] for line in lines)
    parts = []
    for paragraph in paragraphs:
        ends = list(accumulate(len(line) + 1 for line in paragraph))
        at, joined = 0, " ".join(paragraph)
        for part in _wrapped(joined, room):
            at = joined.find(part, at)
            parts.append((skipped + bisect_right(ends, at), part))
            at += len(part)
        skipped += len(paragraph)
    parts = [(number, part) for number, part in parts if part.strip()]
    chosen, before, is_cut = best_lines([part for _, part in parts], marker, most or 1)
    first = parts[before][0] if parts else 0
    if most:
        chosen = [*(["…"] if before else []), *chosen, *(["…"] if is_cut else [])]
    view = Text(textwrap.indent("\n".join(chosen), _INDENT))
    for mark in marker.marks(view.plain):
        view.stylize(_FOUND, mark.start, mark.end)
    return view, first


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    """Group lines that were broken for their length; code, lists and headings stay apart."""
    paragraph = [lines[0].rstrip()]
    is_code = False
    for line in lines[1:]:
        is_code ^= line.lstrip().startswith(("```", "~~~"))
        is_broken = len(paragraph[-1]) >= _BROKEN and not is_code
        if is_broken and _GOES_ON.match(line) and not _NO_PROSE.match(paragraph[0]):
            paragraph.append(line.rstrip())
            continue
        yield paragraph
        paragraph = [line.rstrip()]
    yield paragraph


def _others(copies: Sequence[Copy], with_root: bool) -> str:
    """Name the first places of copies, and count the others."""
    named = [one_line(_source(copy, with_root)) for copy in copies[:_NAMED]]
    more = f" and {len(copies) - _NAMED} more" if len(copies) > _NAMED else ""
    return ", ".join(named) + more


def _source(place: Hit | Copy, with_root: bool) -> str:
    if not (with_root and place.path):
        return place.source
    folder = from_here(place.root)
    return place.source if folder == "." else f"{folder}/{place.source}"


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line to a width in columns; Chinese and other wide characters take two."""
    return [part.plain.rstrip() for part in Text(line).wrap(_ANY_CONSOLE, width)]


def _place(hit: Hit, with_root: bool, before: int) -> str:
    """Return the source with the line or page of a passage, or else with its offsets.

    The line is that of what is shown, ``before`` lines behind the first of the passage.

    Where a table has several roots, ``with_root``, the source of a file begins with its folder.
    """
    source = _source(hit, with_root)
    if hit.line is not None:
        file = source.partition(".py#")
        return f"{one_line(file[0] + file[1].removesuffix('#'))}:{_line(hit, before)}"
    if hit.page is not None:
        return f"{one_line(source)}:p. {hit.page}"
    return f"{one_line(source)} [{hit.start}–{hit.end}]"


def _line(hit: Hit, before: int) -> int:
    """Return the line of what is shown; of a docstring, which has other lines, its first one."""
    return (hit.line or 0) + (before if hit.path is not None else 0)


def _link(hit: Hit) -> str:
    """Return a style that links to the file, where it is there."""
    # Not Path.is_file, which raises for a record whose id is too long for a file name.
    is_there = hit.path is not None and os.path.isfile(hit.path)  # noqa: PTH113
    return f"green link {Path(hit.path).as_uri()}" if is_there and hit.path else "green"
