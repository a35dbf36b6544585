"""Documents that are rows or objects, and the JSON files that hold them."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from itertools import count, repeat
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError, storable
from ragdoll.corpus.formats.stripped import without_colours

# The usual keys of what an object wraps.
_WRAPPERS = ("data", "items", "results", "records", "rows", "documents", "_source")
# Objects and lists that records may be wrapped in, one in another.
_MAX_WRAPPED = 6
_ID_KEYS = ("_id", "id", "doc_id", "docid")
_END = object()
# A deeper value is a mistake or an attack.
_MAX_DEPTH = 1000
# Python writes no whole number of more than 4,300 digits.
_MAX_BITS = 4096
# The parser goes over a long text again with each piece of it.
_PIECE = 2**18
# Python reads no whole number of more digits, and the parser, which goes on all the same, may end
# the process. A run of digits within a text is refused too where it stands like a number.
_MAX_DIGITS = 4300
_LONG_NUMBER = re.compile(rb"[\s\[,:-]\d{%d}" % (_MAX_DIGITS + 1))
# What some programs write for a number that JSON lacks, and a string, which may be cut off.
_NO_NUMBER = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|-?\b(?:NaN|Infinity)\b', re.DOTALL)
# A piece should not end within such a word, nor behind a backslash.
_UNFINISHED = b"-\\INafinty"
_LONGEST = len("-Infinity")
# What people and some programs write into JSON: comments, and a comma behind the last item.
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*+"?)|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=\s*(?:[\]}]|\Z))', re.DOTALL)
# Between values. RFC 7464 has a sign before each.
_BETWEEN = re.compile(r"[\s,\x1e]*")
# A file with such a mistake is held as a whole.
_MAX_MENDED = 16 * 2**20


def record_from(fields: dict[str, Any], text_key: str, name: str) -> Document:
    """Make a document of a JSON object or dataset row: its text with its title, the rest metadata.

    ``text_key`` may be several keys with commas between them, whose texts become one; see
    ``keys_of``. One with dots leads into objects, unless the record has a key of that very name. A
    list of strings becomes paragraphs, and messages of a conversation do with the names of their
    roles. ``name`` becomes the ``source`` where no key of the record (``_id``, ``id`` …) identifies
    it.

    Raises:
        UnreadableError: ``text_key`` is missing or holds no text; text and title are blank; the
            text is too large; or the record is nested too deeply.
    """
    text, fields = _with_text(fields, text_key)
    if len(text) > decoding.MAX_BYTES:
        raise UnreadableError(decoding.TOO_LARGE)
    title = fields.get("title")
    used = {"title"} if isinstance(title, str | None) else set()
    title = without_colours(title).strip() if isinstance(title, str) else ""
    text = without_colours(text)
    if not text.strip() and not title:
        raise UnreadableError("empty")
    title, text = storable(title), storable(text)
    for key in _ID_KEYS:
        if isinstance(fields.get(key), str | int) and fields[key] != "":
            name = str(fields[key])
            used.add(key)
            break
    try:
        rest = plain({key: value for key, value in fields.items() if key not in used})
    except RecursionError as error:
        raise UnreadableError("nested too deeply") from error
    return Document(
        text=f"{title}\n\n{text}" if title and not _begins_with(text, title) else text,
        title=title,
        source=storable(name),
        metadata=rest,
    )


def has_key(fields: dict[str, Any], key: str) -> bool:
    """Tell whether a record has a key of the text; see ``keys_of``."""
    return any(_taken(fields, one) for one in keys_of(fields, key))


def keys_of(keys: Collection[str], text_key: str) -> list[str]:
    """Return the keys of the text among those of a record.

    They are those of ``text_key`` that are there, as they are written, else in capital or small
    letters.
    """
    if text_key in keys:
        return [text_key]
    by_small = {key.lower(): key for key in reversed(list(keys))}
    found: dict[str, None] = {}
    for key in map(str.strip, text_key.split(",")):
        if key in keys or key.partition(".")[0] in keys:
            found[key] = None
        elif key.lower() in by_small:
            found[by_small[key.lower()]] = None
    return list(found)


def _with_text(fields: dict[str, Any], text_key: str) -> tuple[str, dict[str, Any]]:
    """Return the text of a record, with empty lines between those of several keys, and the rest.

    Raises:
        UnreadableError: no key of the text is there, or none holds a text.
    """
    texts = []
    problem = f"no key '{text_key}' (`text_key` names another)"
    for key in keys_of(fields, text_key):
        if (taken := _taken(fields, key)) is None:
            continue
        value, others = taken
        text = _text_of(value)
        if text is not None:
            texts.append(text)
            fields = others
        elif value is None:
            problem = f"'{key}' is null"
            if isinstance(title := fields.get("title"), str) and title.strip():
                texts.append("")
                fields = others
        else:
            problem = f"'{key}' is not a string, nor a list of strings or messages"
    if not texts:
        raise UnreadableError(problem)
    return "\n\n".join(filter(str.strip, texts)) or texts[0], fields


def _taken(fields: dict[str, Any], key: str) -> tuple[Any, dict[str, Any]] | None:
    """Return the value of a key, which may lead into objects by dots, and the fields without it.

    None where there is no such key.
    """
    if key in fields:
        return fields[key], {name: value for name, value in fields.items() if name != key}
    first, dot, rest = key.partition(".")
    below = fields.get(first)
    taken = _taken(below, rest) if dot and isinstance(below, dict) else None
    if taken is None:
        return None
    value, others = taken
    fields = {name: item for name, item in fields.items() if name != first}
    return value, {**fields, first: others} if others else fields


def _text_of(value: Any) -> str | None:
    """Return the text of a value: a string, strings, or messages; None for anything else."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple):
        return None
    parts = [item if isinstance(item, str) else _message(item) for item in value]
    if any(part is None for part in parts):
        return None
    if any(isinstance(item, dict) and "text" in item for item in value) and str in map(type, value):
        return "".join(filter(None, parts))  # a text with links and the like
    return "\n\n".join(part for part in parts if part and part.strip())


def _message(item: Any) -> str | None:
    """Return a message of a conversation, in either of the two forms that are common, or a part.

    Its content may be in parts, of which those that are no text (pictures) are left out.
    """
    if not isinstance(item, dict):
        return None
    role = item.get("role", item.get("from"))
    content = item.get("content", item.get("value", item.get("text")))
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "\n".join(text for text in texts if isinstance(text, str))
    if content is None and isinstance(role, str):
        return ""  # a call of a tool says nothing
    if not isinstance(content, str):
        return None
    return f"{role}: {content}" if isinstance(role, str) and content.strip() else content


def read_json_lines(path: Path, text_key: str) -> Iterator[Document | UnreadableError]:
    """Yield the records of a file of JSON objects, each on a line of its own.

    Objects over several lines are read as ``read_json`` does.
    """
    empty = True
    with decoding.opened(path) as file:
        start = file.tell()
        if file.readline(_PIECE).strip(b"\x1e \t\r\n") in {b"{", b"["}:
            yield from read_json(path, text_key)
            return
        file.seek(start)
        for number in count(1):
            try:
                line = decoding.next_line(file)
                if not line:
                    break
                if not line.strip():
                    continue
                empty = False
                value = _json_line(line)
                values = _unwrapped(value if isinstance(value, list) else _object(value), text_key)
                yield from _documents(values, text_key, "line", repeat(number))
            except UnreadableError as error:
                empty = False
                yield UnreadableError(f"line {number}: {error}")
    if empty:
        raise UnreadableError("empty")


def read_json(path: Path, text_key: str) -> Iterator[Document | UnreadableError]:
    """Yield the records of an array of objects or texts, or of objects one after the other.

    The file is parsed as it is read: no more than one record of it is in memory. Only a small file
    that is not quite JSON is read as a whole.
    """
    values = _values(path)
    for number in count(1):
        try:
            value = next(values, _END)
        except UnreadableError as error:
            if number == 1:
                raise
            yield UnreadError(f"record {number}: {error}; nothing after it is read")
            return
        if value is _END:
            break
        yield from _documents(_unwrapped(value, text_key), text_key, "record", count(number))
    if number == 1:
        raise UnreadableError("empty")


def _values(path: Path) -> Iterator[Any]:
    """Yield the values of an array, or those that stand one after the other."""
    import ijson

    number = 0
    with decoding.opened(path) as file:
        source = _Counted(file)
        try:
            for value in _json_values(source):
                yield value
                number += 1
                source.taken = 0
        except UnreadableError as error:
            values = _mended_values(path) if isinstance(error.__cause__, ijson.JSONError) else []
            if not values:
                raise
            yield from values[number:]


def _mended_values(path: Path) -> list[Any]:
    """Return the same values of a file with small mistakes; none where it has others."""
    values: list[Any] = []
    try:
        decoding.check_size(path, _MAX_MENDED)
        text = _mended(decoding.decode(path.read_bytes()))
        decoder = json.JSONDecoder(strict=False)
        end = 0
        while (start := _BETWEEN.match(text, end).end()) < len(text):  # type: ignore[union-attr]
            value, end = decoder.raw_decode(text, start)
            values += value if isinstance(value, list) else [value]
    except (ValueError, RecursionError, UnreadableError):
        return []
    return values


def _mended(text: str) -> str:
    """Return JSON without comments, and without commas behind a last item."""
    for pattern in (_COMMENT, _LAST_COMMA):
        text = pattern.sub(lambda found: found[1] or " ", text)
    return text


def _unwrapped(value: Any, text_key: str) -> list[Any]:
    """Return the records that a value without a text wraps; else the value alone.

    They are those of the outermost lists that have one, or of objects that hold nothing but
    objects, by ids; else what a usual key holds: a record, or a list of texts.
    """
    if _has_text(value, text_key):
        return [value]
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_MAX_WRAPPED):
        if records := [one for held in level for one in _held(held, text_key)]:
            return records
        level = [item for held in level for item in _items(held) if isinstance(item, dict | list)]
    texts = map(value.get, _WRAPPERS) if isinstance(value, dict) else ()
    lists = (held for held in texts if isinstance(held, list))
    return next((held for held in lists if any(isinstance(one, str) for one in held)), [value])


def _held(value: Any, text_key: str) -> list[Any]:
    """Return the records that a list or an object holds; none where none of them has a text."""
    if not any(_has_text(item, text_key) for item in _items(value)):
        return []
    if isinstance(value, list):
        return value
    ids = {key: value[key] for key in _ID_KEYS if key in value}
    wrapped = [{**ids, **value[key]} for key in _WRAPPERS if _has_text(value.get(key), text_key)]
    if wrapped or not all(isinstance(item, dict) for item in value.values()):
        return wrapped
    return [
        item if not isinstance(item, dict) or any(map(item.get, _ID_KEYS)) else {"_id": key, **item}
        for key, item in value.items()
    ]


def _items(value: dict[str, Any] | list[Any]) -> Collection[Any]:
    return value.values() if isinstance(value, dict) else value


def _has_text(value: Any, text_key: str) -> bool:
    return isinstance(value, dict) and has_key(value, text_key)


def _json_values(source: _Counted) -> Iterator[Any]:
    """Yield the values of an array, or those that stand one after the other."""
    import ijson
    from ijson.common import ObjectBuilder

    depth = depth_of_values = 0
    builder = ObjectBuilder()
    try:
        events = ijson.basic_parse(source, buf_size=_PIECE, multiple_values=True)
        # Not a loop over the events themselves: where a number is too long for Python the parser
        # returns one and leaves an error behind, for which ``map`` looks after every call.
        for event, value in map(next, repeat(events)):
            if event == "start_array" and depth == 0:
                depth = depth_of_values = 1
            elif event == "end_array" and depth == depth_of_values:
                depth = depth_of_values = 0
            else:
                builder.event(event, float(value) if isinstance(value, Decimal) else value)
                depth += event.startswith("start") - event.startswith("end")
                if depth > _MAX_DEPTH:
                    raise UnreadableError("nested too deeply")
                if depth == depth_of_values:
                    yield builder.value
                    builder = ObjectBuilder()
    except (ijson.JSONError, ValueError, ArithmeticError, SystemError) as error:
        if not source.has_text:
            raise UnreadableError("empty") from error
        said = error.args[0] if error.args else ""
        said = said if isinstance(said, bytes) else str(said).encode("utf-8", "replace")
        is_no_text = said.partition(b"\n")[0].endswith(b"invalid bytes in UTF8 string.")
        is_no_text = is_no_text or isinstance(error, UnicodeDecodeError)
        raise UnreadableError("not utf-8 text" if is_no_text else "not JSON") from error


class _Counted:
    """A file that counts in ``taken`` the bytes read of it since that was last set to 0."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tail = b" "
        self._is_over = self._is_in_string = False
        self.taken = 0
        self.has_text = False

    def read(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            UnreadableError: a record has too many bytes, or a number has too many digits.
        """
        if self.taken > decoding.MAX_BYTES:
            raise UnreadableError(decoding.TOO_LARGE)
        if self._is_over:
            raise UnreadableError("not JSON")
        piece = self._file.read(size)
        for _ in range(_LONGEST):
            if not piece or piece[-1] not in _UNFINISHED:
                break
            piece += self._file.read(1)
        piece = self._with_null(piece)
        number = _LONG_NUMBER.search(self._tail + piece)
        if number:
            # The values before the number are read first.
            piece = piece[: max(0, number.start() - len(self._tail))]
            self._is_over = True
        self._tail = (self._tail + piece)[-_MAX_DIGITS - 2 :]
        self.taken += len(piece)
        self.has_text = self.has_text or bool(piece.strip()) or self._is_over
        # An empty piece would mean the end of the file.
        return piece or (b" " if self._is_over else b"")

    def _with_null(self, piece: bytes) -> bytes:
        """Put null in the place of NaN and infinity, where they are no part of a string."""
        begin = b'"' if self._is_in_string else b""
        # Without escapes, which take their quotes with them.
        quotes = piece.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"')
        self._is_in_string ^= bool(quotes % 2)
        if b"NaN" not in piece and b"Infinity" not in piece:
            return piece
        return _NO_NUMBER.sub(lambda found: found[1] or b"null", begin + piece)[len(begin) :]


def _documents(
    values: Iterable[Any], text_key: str, place: str, numbers: Iterable[int]
) -> Iterator[Document | UnreadableError]:
    """Make a document of each object or text; ``place`` and its number name it in errors."""
    for value, number in zip(values, numbers, strict=False):
        fields = {text_key: value} if isinstance(value, str) else value
        if not isinstance(fields, dict):
            yield UnreadableError(f"{place} {number}: not a JSON object")
            continue
        try:
            yield record_from(fields, text_key, name=str(number))
        except UnreadableError as error:
            yield UnreadableError(f"{place} {number}: {error}")


def json_object(line: bytes) -> dict[str, Any]:
    """Parse a line that is a JSON object.

    Raises:
        UnreadableError: the line is no JSON object, or no text.
    """
    return _object(_json_line(line))


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError("not a JSON object")
    return value


def _json_line(line: bytes) -> Any:
    """Parse a line of JSON, which may have a sign before it, and small mistakes.

    Raises:
        UnreadableError: the line is no JSON, or no text.
    """
    text = decoding.decode(line).lstrip("\x1e")
    try:
        return parsed(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("not JSON") from error


def parsed(text: str) -> Any:
    """Parse JSON with small mistakes: raw line ends and tabs, comments, commas behind the last.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(text, strict=False)
    except ValueError:
        return json.loads(_mended(text), strict=False)


def plain(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields as JSON can hold them, without empty ones and those it cannot hold.

    Raises:
        RecursionError: the fields are nested too deeply.
    """
    return {key: kept for key, value in fields.items() if (kept := _plain(value)) is not None}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it; None for one that it cannot (NaN, bytes), or empty."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()} or None
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value] or None
    if isinstance(value, int | float):
        is_held = value.bit_length() <= _MAX_BITS if isinstance(value, int) else isfinite(value)
        return value if is_held else None
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | dt.timedelta):
        return str(value)
    return value if isinstance(value, str) else None


def _begins_with(text: str, title: str) -> bool:
    """Tell whether a text begins with its title, as whole words."""
    return text.startswith(title) and not text[len(title) : len(title) + 1].isalnum()
