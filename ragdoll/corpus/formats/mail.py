"""Mail as documents: a message, or a box of them. The process behind the wall runs this."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError, display_name, storable
from ragdoll.corpus.formats.html import page_of

_SHOWN = ("From", "To", "Cc", "Date", "Subject")


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
    box = mailbox.mbox(path, create=False)
    if not len(box):
        raise UnreadableError("no message in it")
    for number, key in enumerate(box.keys(), 1):
        try:
            yield _document(box.get_bytes(key), str(number), display_name(path.name))
        except UnreadableError as error:
            yield UnreadableError(f"record {number}: {error}")


def _document(content: bytes, source: str, name: str) -> Document:
    message = message_from_bytes(content, policy=policy.default)
    stated = {head: " ".join(str(message[head] or "").split()) for head in _SHOWN}
    heads = {head: storable(value) for head, value in stated.items() if value}
    if not heads:
        raise UnreadableError("not a message")
    text = _text(message).replace("\r\n", "\n").strip()
    files = [part.get_filename() for part in message.iter_attachments()]
    if named := ", ".join(filter(None, files)):
        heads["Attachments"] = storable(named)
    if not text and "Subject" not in heads:
        raise UnreadableError("no text in it")
    above = "\n".join(f"{head}: {value}" for head, value in heads.items())
    metadata: dict[str, Any] = {
        head.lower(): heads[head] for head in ("From", "To", "Cc") if head in heads
    }
    if date := _date(heads.get("Date", "")):
        metadata["date"] = date
    title = heads.get("Subject") or name
    return Document(f"{above}\n\n{storable(text)}".strip(), title, source, metadata)


def _text(message: EmailMessage) -> str:
    """Return the text of a message: the plain one, or else that of its page."""
    body = message.get_body(preferencelist=("plain", "html"))
    if not isinstance(body, EmailMessage):
        return ""
    try:
        content = str(body.get_content())
    except (LookupError, ValueError, KeyError):  # an encoding that nobody knows
        content = bytes(body.get_payload(decode=True) or b"").decode("utf-8", "replace")
    return page_of(content)[0] if body.get_content_subtype() == "html" else content


def _date(written: str) -> str | None:
    try:
        return parsedate_to_datetime(written).isoformat()
    except (ValueError, TypeError):
        return None
