"""The lines of a passage that show why it answers a query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ragdoll.retrieval.reading.marks import Marker

_LINE = re.compile(r"[^\n]+")
_WIDTH = 100


def best_lines(lines: Sequence[str], marker: Marker, most: int) -> tuple[list[str], int, bool]:
    """Choose the run of lines with most of the query's words, in its middle; of equals the first.

    Return the lines that are not blank, at most ``most``; the number of those before them; and
    whether others follow.
    """
    lines = [line for line in lines if line.strip()]
    if len(lines) <= most:
        return lines, 0, False
    found = [{mark.key for mark in marker.marks(line)} for line in lines]

    def merit(start: int) -> tuple[int, float, int]:
        run = found[start : start + most]
        matching = [place for place, keys in enumerate(run) if keys]
        away = abs(sum(matching) / len(matching) - (most - 1) / 2) if matching else 0
        return len(set().union(*run)), -away, -start

    best = max(range(len(lines) - most + 1), key=merit)
    return lines[best : best + most], best, best + most < len(lines)


def snippet(query: str, text: str, most: int) -> str:
    """Return the part of a text that tells most about a query, of ``most`` lines at most.

    A line longer than about a hundred characters counts as several. Where something is left out
    before or behind the part, … stands.
    """
    spans = [span for span in _spans(text) if text[slice(*span)].strip()]
    lines = [text[slice(*span)] for span in spans]
    chosen, before, is_cut = best_lines(lines, Marker(query, text), most)
    if not chosen:
        return ""
    part = text[spans[before][0] : spans[before + len(chosen) - 1][1]].strip()
    return f"{'… ' * bool(before)}{part}{' …' * is_cut}"


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where lines begin and end; long ones are broken behind a space, if there is one."""
    for line in _LINE.finditer(text):
        start, end = line.span()
        while end - start > _WIDTH:
            space = text.rfind(" ", start, start + _WIDTH)
            cut = space + 1 if space > start else start + _WIDTH
            yield start, cut
            start = cut
        yield start, end
