"""Texts in Markdown.

Front matter: the fields in YAML that a Markdown file may begin with.
"""

from __future__ import annotations

import re
from typing import Any

from ragdoll.corpus.formats.records import plain

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


# From the first line, a line of three dashes, to the next such line.
_BLOCK = re.compile(r"\ufeff?---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_MAX_CHARACTERS = 64 * 1024
# The scanner looks through all open brackets at each word.
_MAX_OPEN = 100


def front_matter(text: str) -> dict[str, Any]:
    """The fields of a text's front matter, as JSON can hold them; empty where it has none.

    None are read of a block with a mistake in it, or with aliases: those let a short text stand for
    a very long one.
    """
    found = _BLOCK.match(text[:_MAX_CHARACTERS])
    if found is None:
        return {}
    import yaml

    try:
        if not _is_read(found[1]):
            return {}
        fields = yaml.safe_load(found[1])
        named = {str(key): value for key, value in fields.items()}
        return plain(named)
    except yaml.YAMLError:
        return {}
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return {}  # what is not of the type that its tag says, and what is no mapping


def _is_read(block: str) -> bool:
    """Whether a block has no alias, and is not nested too deeply in brackets."""
    import yaml

    opening, closing = (
        (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken),
        (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken),
    )
    depth = 0
    for token in yaml.scan(block):
        depth += isinstance(token, opening) - isinstance(token, closing)
        if depth > _MAX_OPEN or isinstance(token, yaml.AliasToken):
            return False
    return True
