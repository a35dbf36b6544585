"""Texts in Markdown."""

from __future__ import annotations

import re

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_BLANK_LINES = re.compile(r"\n{3,}")
_FENCE = re.compile(r" {0,3}(```|~~~)")


def first_heading(text: str) -> str | None:
    """The first heading of a text, code blocks left out; None where it has none."""
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        found = None if fenced else _HEADING.match(line)
        if found:
            heading = found.group(1).rstrip()
            opened = heading.rstrip("#")
            # A closing run of marks stands apart: "# C#" is a heading about C#.
            closed = opened != heading and (not opened or opened[-1] in " \t")
            return (opened.rstrip() if closed else heading) or None
    return None


def tidy(text: str) -> str:
    """Remove what conversions leave behind: spaces at the ends of lines, and more blank lines."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()
