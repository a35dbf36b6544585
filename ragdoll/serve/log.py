"""The log of the service: lines for people, or JSON for programs."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO

REQUESTS = "ragdoll.access"
"""The name of the logger of requests, a record each."""

# The innermost frames of a traceback that are logged.
_MAX_FRAMES = 20


@contextmanager
def logged_to(stream: TextIO, form: Literal["text", "json"], requests: bool) -> Iterator[None]:
    """Write what is logged meanwhile to a stream, by ragdoll or by a library.

    ``requests`` tells whether requests are logged, or only what goes wrong.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if form == "json" else _TextLines())
    root, own = logging.getLogger(), logging.getLogger("ragdoll")
    logging.getLogger(REQUESTS).setLevel(logging.INFO if requests else logging.WARNING)
    before = own.handlers, own.propagate
    own.handlers, own.propagate = [], True
    # Libraries that find a handler here, such as that of agents' protocol, bring none of their own.
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        own.handlers, own.propagate = before


class _TextLines(logging.Formatter):
    """Writes messages; no character in them can begin a line, or steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        lines = [record.getMessage()]
        if record.levelno >= logging.WARNING:
            lines[0] = f"{record.levelname.capitalize()}: {lines[0]}"
        lines += [f"  {line}" for line in _trace(record).splitlines()]
        return "\n".join(map(_visible, lines))


class _JsonLines(logging.Formatter):
    """Writes objects: ``time``, the ``facts`` of a request, or a ``level`` and a ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] | None = getattr(record, "facts", None)
        if facts is None:
            facts = {"level": record.levelname.lower(), "message": record.getMessage()}
        if trace := _trace(record):
            facts = {**facts, "trace": trace}
        return json.dumps({"time": round(record.created, 3), **facts}, default=str)


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    return "".join(traceback.format_exception(record.exc_info[1], limit=-_MAX_FRAMES))


def _visible(line: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )
