"""Mail as documents: a message, or a box of them. The process behind the wall runs this."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall.html import page_of
from ragdoll.corpus.formats.decoding import UnreadableError, display_name, guessed, storable

_SHOWN = ("From", "To", "Cc", "Date", "Subject")

# A line of a calendar that goes on, what a person reads of an entry, and its escapes.
_FOLD = re.compile(r"\r?\n[ \t]")
_ENTRY = re.compile(
    r"^(?:SUMMARY|LOCATION|DESCRIPTION)(?:;(?:\"[^\"\n]*\"|[^\":\n])*)?:(.*)",
    re.MULTILINE | re.IGNORECASE,
)
_ESCAPED = re.compile(r"\\(.)")

# What stands before each message in a box, with a date, and a line of a text that looks like it.
_FROM = b"From "
_SEPARATOR = re.compile(rb"From .*\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*\b\d\d?:\d\d")
_QUOTED_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def read_message(path: Path) -> Document:
    """Read a message: who wrote it to whom, when, and its text; the subject is its title.

    Raises:
        UnreadableError: there is no text.
    """
    return _document(path.read_bytes(), "", display_name(path.name))


def read_box(path: Path) -> Iterator[Document | UnreadableError]:
    """Yield the messages of a file in the format mbox.

    Raises:
        UnreadableError: there is none.
    """
    number = 0
    for number, content in enumerate(_messages(path), 1):
        try:
            yield _document(content, str(number), display_name(path.name))
        except UnreadableError as error:
            yield UnreadableError(f"record {number}: {error}")
    if not number:
        raise UnreadableError("no message in it")


def _messages(path: Path) -> Iterator[bytes]:
    """Yield the messages of a box, without the marks before lines that look like a separator."""
    lines: list[bytes] | None = None
    with path.open("rb") as file:
        for line in file:
            if lines is None:
                lines = [] if line.startswith(_FROM) else None
            elif _SEPARATOR.match(line):
                yield _QUOTED_FROM.sub(b"", b"".join(lines))
                lines = []
            else:
                lines.append(line)
    if lines is not None:
        yield _QUOTED_FROM.sub(b"", b"".join(lines))


def _document(content: bytes, source: str, name: str) -> Document:
    content = content.removeprefix(codecs.BOM_UTF8)
    message = message_from_bytes(content, policy=policy.default)
    heads = _heads(message)
    if not heads:
        raise UnreadableError("not a message")
    text = _text(message)
    files = [part.get_filename() for part in message.iter_attachments()]
    if named := ", ".join(filter(None, files)):
        heads["Attachments"] = storable(named)
    if not text and "Subject" not in heads:
        raise UnreadableError("no text in it")
    metadata: dict[str, Any] = {
        head.lower(): heads[head] for head in ("From", "To", "Cc") if head in heads
    }
    if date := _date(heads.get("Date", "")):
        metadata["date"] = date
    title = heads.get("Subject") or name
    return Document(_below(heads, text), title, source, metadata)


def _heads(message: Message) -> dict[str, str]:
    stated = {head: " ".join(_head(message, head).split()) for head in _SHOWN}
    return {head: storable(value) for head, value in stated.items() if value}


def _head(message: Message, name: str) -> str:
    """Return a head; bytes beyond ASCII in it are of the encoding of the message's text."""
    raw = next(
        (str(value) for key, value in message.raw_items() if key.lower() == name.lower()), ""
    )
    content = raw.encode("utf-8", "surrogateescape")
    if content.isascii():
        return str(message[name] or "")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        charsets = (part.get_content_charset() for part in message.walk())
        text = _decoded(content, next(filter(None, charsets), None))
    return str(policy.default.header_factory(name, text))


def _below(heads: dict[str, str], text: str) -> str:
    above = "\n".join(f"{head}: {value}" for head, value in heads.items())
    return f"{above}\n\n{storable(text)}".strip()


def _text(part: Message) -> str:
    """Return the texts of a part of a message, those of messages and files in it too.

    Of several forms of the same text it is the plain one, or else the first that says something.
    """
    kind = part.get_content_type()
    if part.is_multipart():
        parts: Any = part.get_payload()
        if kind == "multipart/alternative":
            parts = sorted(parts, key=lambda one: one.get_content_type() != "text/plain")
            return next(filter(None, map(_text, parts)), "")
        heads = [_heads(one) if kind == "message/rfc822" else {} for one in parts]
        return "\n\n".join(filter(None, map(_below, heads, map(_text, parts))))
    if part.get_content_maintype() not in {"multipart", "text"}:
        return ""
    content = part.get_payload(decode=True)
    text = _decoded(content if isinstance(content, bytes) else b"", part.get_content_charset())
    if kind == "text/html":
        text = page_of(text)[0]
    elif kind == "text/calendar" and (said := _ENTRY.findall(_FOLD.sub("", text))):
        text = "\n".join(_ESCAPED.sub(_unescaped, one) for one in dict.fromkeys(said))
    return text.replace("\r\n", "\n").strip()


def _decoded(content: bytes, charset: str | None) -> str:
    """Decode a text by the encoding that it names, or else by its bytes."""
    try:
        if charset:
            return content.decode(charset)
    except (LookupError, ValueError):  # an encoding that nobody knows, or another one
        pass
    return guessed(content)


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] in "nN" else found[1]


def _date(written: str) -> str | None:
    try:
        return parsedate_to_datetime(written).isoformat()
    except (ValueError, TypeError):
        return None
