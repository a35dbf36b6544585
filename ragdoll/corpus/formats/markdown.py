"""Texts in Markdown: what a conversion leaves behind, front matter, and what has to be escaped."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError, display_name
from ragdoll.corpus.formats.records import plain
from ragdoll.corpus.structure import structure_of

_BLANK_LINES = re.compile(r"\n{3,}")

# What conversions write for a slide's number, a picture, and a glyph without a character.
_NOISE = re.compile(r"\0|<!-- Slide number: \d+ -->|!\[[^\]]*\]\([^)]*\)|\(cid:\d+\)")


def escaped(text: str) -> str:
    """Escape a text so that Markdown shows it as it is, on one line; � is an invisible sign."""
    line = (sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))
    return "".join(f"\\{sign}" if sign in "\\|`*_[]<>#&" else sign for sign in line)


def tidy(text: str) -> str:
    """Remove what conversions leave behind: spaces at the ends of lines, and more blank lines."""
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", lines).strip()


def without_noise(text: str) -> str:
    """Return a text without what conversions write for pictures and unknown glyphs, tidied."""
    return tidy(_NOISE.sub("", text))


def row_of(texts: list[str], width: int) -> tuple[str, int]:
    """Return a row of a table, and how wide the table is with it; at first that is 0.

    The first row is the head of the table. Cells that are empty to the end of a row are left out,
    and so is a row of such cells.
    """
    texts = [" ".join(text.replace("|", "\\|").split()) for text in texts]
    while texts and not texts[-1]:
        texts.pop()
    if not texts:
        return "", width
    rule = "" if width else f"\n| {' | '.join(['---'] * len(texts))} |"
    width = max(width, len(texts))
    return f"| {' | '.join(texts + [''] * (width - len(texts)))} |{rule}", width


def first_heading(text: str) -> str | None:
    """Return the first heading of a text, code blocks aside; None where it has none."""
    return structure_of(text, "markdown").title


def converted(
    markdown: str, path: Path, title: Callable[[str], str | None] = lambda _: None
) -> Document:
    """Make a document of a file that was converted, without the noise of conversions.

    ``title`` finds its title in the text; where it finds None, the title is the file's name.

    Raises:
        UnreadableError: there is no text.
    """
    text = without_noise(markdown)
    if not text:
        raise UnreadableError("no text in it")
    return Document(text, title=title(text) or display_name(path.name), markup="markdown")


# Front matter: fields in YAML from a first line of three dashes to the next line of them, or in
# TOML between lines of three plus signs.
_BLOCK = re.compile(
    r"\ufeff?(?:---[ \t]*\r?\n(.*?\n)(?:---|\.\.\.)|\+\+\+[ \t]*\r?\n(.*?\n)\+\+\+)"
    r"[ \t]*\r?(?:\n|$)",
    re.DOTALL,
)
# A field at the beginning of a line, with the lines below that belong to it.
_FIELD = re.compile(r"^([\w-]+):(.*(?:\n(?:[ \t]|-(?: |$)).*)*)", re.MULTILINE)
# The same in TOML, or the head of a table.
_TOML_PART = re.compile(
    r"^(?:(\[[\w.-]+\]|\[\[[\w.-]+\]\])[ \t]*(?:#.*)?$"
    r"|[ \t]*([\w.-]+)[ \t]*=(.*(?:\n(?![ \t]*[\w.-]+[ \t]*=)[ \t\]\"'].*)*))",
    re.MULTILINE,
)
_TOML_LINE = re.compile(r"\(at line (\d+)")
_MAX_CHARACTERS = 64 * 1024
# The scanner looks through all open brackets at each word.
_MAX_OPEN = 100


def front_matter(text: str) -> tuple[dict[str, Any], str | None]:
    """Return the fields of a text's front matter, as JSON can hold them, and a mistake in it.

    Without a block there are no fields; without a mistake that is None. In a block with a mistake
    each field is read alone; one with a mistake is the text behind its colon. An alias is such a
    mistake: it lets a short text stand for a very long one.
    """
    block = _BLOCK.match(text[:_MAX_CHARACTERS])
    if block is None:
        return {}, None
    in_yaml, in_toml = (part and part.replace("\r\n", "\n") for part in block.groups())
    if in_toml:
        fields, mistake = _fields(tomllib.loads, in_toml)
        if fields is None:
            fields, _ = _fields(tomllib.loads, _repaired(in_toml))
        return fields or {}, mistake
    fields, mistake = _fields(_from_yaml, in_yaml)
    if fields is None:
        fields = {}
        for name, value in _FIELD.findall(in_yaml):
            # A tab indents nothing in YAML.
            alone, _ = _fields(_from_yaml, f"{name}:{value}".expandtabs())
            if alone is None and "\n" not in value:
                alone = {name: value.strip()} if value.strip() else {}
            fields |= alone or {}
    return fields, mistake


def _repaired(block: str) -> str:
    """Return a block of TOML in which each field stands once and can be read: as its text else."""
    fields: dict[str, str] = {}
    tables = {"": fields}
    for table, name, value in _TOML_PART.findall(block):
        if table:
            fields = tables.setdefault(table, {})
        elif _fields(tomllib.loads, f"{name} ={value}")[0] is not None:
            fields[name] = value
        elif text := value.partition("\n")[0].strip():
            fields[name] = json.dumps(text)
    return "\n".join(
        "\n".join([table, *(f"{name} ={value}" for name, value in fields.items())])
        for table, fields in tables.items()
    )


def _fields(read: Callable[[str], Any], block: str) -> tuple[dict[str, Any] | None, str | None]:
    """Read a block's fields, None where it has a mistake or is no mapping, and say the mistake."""
    import yaml

    try:
        return plain({str(key): value for key, value in read(block).items()}), None
    except (yaml.MarkedYAMLError, tomllib.TOMLDecodeError) as error:
        return None, f"{_line_of(error)}front matter with a mistake"
    except (
        *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
        yaml.YAMLError,
    ):
        # A value is not of the type that its tag says, or the block is no mapping.
        return None, None


def _line_of(error: Exception) -> str:
    """Name the line of a mistake in a block, which begins behind the first line of the file."""
    mark = getattr(error, "context_mark", None)
    # What a block began with says little of where the mistake is; what was not closed does.
    if mark is None or "block" in str(getattr(error, "context", "")):
        mark = getattr(error, "problem_mark", None)
    in_toml = _TOML_LINE.search(str(error))
    if mark is None and in_toml is None:
        return ""
    return f"line {mark.line + 2 if mark else int(in_toml[1]) + 1}: "  # type: ignore[index]


def _from_yaml(block: str) -> Any:
    import yaml

    return yaml.safe_load(block) if _is_harmless(block) else {}


def _is_harmless(block: str) -> bool:
    """Tell whether a block is not nested too deeply in brackets.

    Raises:
        YAMLError: it has a mistake, or an alias.
    """
    import yaml

    opening, closing = (
        (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken),
        (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken),
    )
    depth = 0
    for token in yaml.scan(block):
        depth += isinstance(token, opening) - isinstance(token, closing)
        if isinstance(token, yaml.AliasToken):
            raise yaml.MarkedYAMLError(problem="an alias", problem_mark=token.start_mark)
        if depth > _MAX_OPEN:
            return False
    return True
