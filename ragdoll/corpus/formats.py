"""From the bytes of a file to the texts of its documents."""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARKDOWN = frozenset({".md", ".markdown"})
PLAIN = MARKDOWN | {".txt", ".text", ".rst"}
RECORDS = frozenset({".jsonl", ".ndjson"})
SUPPORTED = PLAIN | RECORDS

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ID_KEYS = ("_id", "id", "doc_id", "docid")


class UnreadableError(Exception):
    """A file or record cannot be turned into text; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Record:
    """A document's text before it has a place: ``name`` is None where the file is one document."""

    name: str | None
    title: str
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)


def read(path: Path, text_key: str) -> Iterator[Record | UnreadableError]:
    """Yield the records of a file; a record that cannot be read is yielded as its error.

    Raises:
        UnreadableError: the file as a whole cannot be read.
    """
    if path.suffix.lower() in RECORDS:
        yield from _read_lines(path, text_key)
    else:
        text = decode(_bytes(path))
        if not text.strip():
            raise UnreadableError("empty")
        heading = _heading(text) if path.suffix.lower() in MARKDOWN else None
        yield Record(name=None, title=heading or shown(path.name), text=text)


def decode(content: bytes) -> str:
    """Decode UTF-8 (with or without BOM) or UTF-16 (with BOM).

    Raises:
        UnreadableError: another encoding, or not text at all.
    """
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not {encoding.removesuffix('-sig')} text") from error
    if "\0" in text:
        raise UnreadableError("binary")
    return text


def record_from(fields: dict[str, Any], text_key: str, name: str) -> Record:
    """Make a record of a JSON object or dataset row: its text, its title in front, the rest kept.

    ``name`` identifies the record where none of its own keys (``_id``, ``id`` …) does.

    Raises:
        UnreadableError: ``text_key`` is missing or not a string; text and title are blank; or the
            record is nested too deeply.
    """
    text = fields.get(text_key)
    if text is None:
        raise UnreadableError(f"no key '{text_key}'")
    if not isinstance(text, str):
        raise UnreadableError(f"'{text_key}' is not a string")
    title = fields.get("title")
    used = {text_key, "title"} if isinstance(title, str | None) else {text_key}
    title = title.strip() if isinstance(title, str) else ""
    if not text.strip() and not title:
        raise UnreadableError("empty")
    title, text = whole(title), whole(text)
    for key in _ID_KEYS:
        if isinstance(fields.get(key), str | int) and fields[key] != "":
            name = str(fields[key])
            used.add(key)
            break
    try:
        rest = {
            key: plain
            for key, value in fields.items()
            if key not in used and (plain := _plain(value)) is not None
        }
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error
    return Record(
        name=whole(name),
        title=title,
        text=f"{title}\n\n{text}" if title and not _begins_with(text, title) else text,
        metadata=rest,
    )


def whole(text: str) -> str:
    """Replace half characters (lone surrogates, which JSON can spell) that nothing can store."""
    return _SURROGATE.sub("\ufffd", text)


def shown(name: str) -> str:
    """A file name as text; one that is not UTF-8 stays distinct from others."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it; None for what says nothing (NaN, an empty list)."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()} or None
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value] or None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def _begins_with(text: str, title: str) -> bool:
    """Whether a text begins with its title, as whole words."""
    return text.startswith(title) and not text[len(title) : len(title) + 1].isalnum()


def _heading(text: str) -> str | None:
    """The first heading of a Markdown text, code blocks left out; None where it has none."""
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


def _read_lines(path: Path, text_key: str) -> Iterator[Record | UnreadableError]:
    empty = True
    try:
        with path.open("rb") as lines:
            if lines.peek(2)[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
                raise UnreadableError("JSON lines in UTF-16, which must be UTF-8")
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                empty = False
                try:
                    yield record_from(_fields(line), text_key, name=str(number))
                except UnreadableError as error:
                    yield UnreadableError(f"line {number}: {error}")
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if empty:
        raise UnreadableError("empty")


def _fields(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(decode(line))
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not JSON") from error
    if not isinstance(fields, dict):
        raise UnreadableError("not a JSON object")
    return fields


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
