"""Texts in Markdown: headings, what a conversion leaves behind, and front matter."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError, display_name
from ragdoll.corpus.formats.records import plain

_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_BLANK_LINES = re.compile(r"\n{3,}")
_FENCE = re.compile(r" {0,3}(```|~~~)")

# What conversions write for a slide's number, a picture, and a glyph without a character.
_NOISE = re.compile(r"\0|<!-- Slide number: \d+ -->|!\[[^\]]*\]\([^)]*\)|\(cid:\d+\)")


def first_heading(text: str) -> str | None:
    """Return the first heading of a text, code blocks aside; None where it has none."""
    fenced = False
    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match:
            heading = match[1].rstrip()
            opened = heading.rstrip("#")
            # A closing run of marks stands apart: "# C#" is a heading about C#.
            closed = opened != heading and (not opened or opened[-1] in " \t")
            return (opened.rstrip() if closed else heading) or None
    return None


def tidy(text: str) -> str:
    """Remove what conversions leave behind: spaces at the ends of lines, and more blank lines."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()


def converted(
    markdown: str, path: Path, title: Callable[[str], str | None] = lambda _: None
) -> Document:
    """Make a document of a file that was converted, without the noise of conversions.

    ``title`` finds its title in the text; where it finds None, the title is the file's name.

    Raises:
        UnreadableError: there is no text.
    """
    text = tidy(_NOISE.sub("", markdown))
    if not text:
        raise UnreadableError("no text in it")
    return Document(text, title=title(text) or display_name(path.name))


# Front matter: fields in YAML from a first line of three dashes to the next line of them, or in
# TOML between lines of three plus signs.
_BLOCK = re.compile(
    r"\ufeff?(?:---[ \t]*\r?\n(.*?\n)(?:---|\.\.\.)|\+\+\+[ \t]*\r?\n(.*?\n)\+\+\+)"
    r"[ \t]*\r?(?:\n|$)",
    re.DOTALL,
)
# A field at the beginning of a line, with the lines below that belong to it.
_FIELD = re.compile(r"^([\w-]+):(.*(?:\n(?:[ \t]|-(?: |$)).*)*)", re.MULTILINE)
# What has a meaning of its own in YAML, or stands for something longer.
_TAGGED = re.compile(r"\s*[!&*]")
_MAX_CHARACTERS = 64 * 1024
# The scanner looks through all open brackets at each word.
_MAX_OPEN = 100


def front_matter(text: str) -> dict[str, Any]:
    """Return the fields of a text's front matter, as JSON can hold them; empty without any.

    In a block with a mistake each field is read alone; one with a mistake is the text behind its
    colon. A block with aliases has no fields: they let a short text stand for a very long one.
    """
    block = _BLOCK.match(text[:_MAX_CHARACTERS])
    if block is None:
        return {}
    in_yaml, in_toml = (part and part.replace("\r\n", "\n") for part in block.groups())
    if in_toml:
        return _fields(tomllib.loads, in_toml) or {}
    fields = _fields(_from_yaml, in_yaml)
    if fields is None:
        fields = {}
        for name, value in _FIELD.findall(in_yaml):
            alone = _fields(_from_yaml, f"{name}:{value}")
            if alone is None and "\n" not in value and not _TAGGED.match(value):
                alone = {name: value.strip()} if value.strip() else {}
            fields |= alone or {}
    return fields


def _fields(read: Callable[[str], Any], block: str) -> dict[str, Any] | None:
    """Read a block's fields; None where it has a mistake, or is no mapping."""
    import yaml

    try:
        return plain({str(key): value for key, value in read(block).items()})
    except yaml.YAMLError:
        return None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None  # a value is not of the type that its tag says, or the block is no mapping


def _from_yaml(block: str) -> Any:
    import yaml

    return yaml.safe_load(block) if _is_harmless(block) else {}


def _is_harmless(block: str) -> bool:
    """Tell whether a block has no alias, and is not nested too deeply in brackets."""
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
