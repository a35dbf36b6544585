"""The worker behind the wall, which reads files within limits of memory and time."""

from __future__ import annotations

import errno
import importlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.behind_wall.wall import (
    CAN_LIMIT_MEMORY,
    CAN_LIMIT_TIME,
    Answer,
    receive,
    send,
)
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError
from ragdoll.errors import first_line

# Documents of an answer; fewer where they have more characters together.
_MOST_DOCUMENTS = 128
_MOST_CHARACTERS = 2**20

# Bytes of memory of this process when a reader had been imported.
_sizes: dict[str, int] = {}


class _Reader(NamedTuple):
    """A function, as ``module:name``, and the text before the message of a library's error."""

    place: str
    failure: str


_CONVERSION = "cannot be converted: "
READERS = {
    "features": _Reader("ragdoll.distillation.features.parts:read_part", ""),
    "features-extent": _Reader("ragdoll.distillation.features.parts:read_extent", ""),
    "book": _Reader(f"{__package__}.archives:read_book", _CONVERSION),
    "box": _Reader(f"{__package__}.mail:read_box", _CONVERSION),
    "html": _Reader(f"{__package__}.html:read_html", _CONVERSION),
    "message": _Reader(f"{__package__}.mail:read_message", _CONVERSION),
    "notebook": _Reader(f"{__package__}.notebook:read_notebook", _CONVERSION),
    "opendocument": _Reader(f"{__package__}.archives:read_open_document", _CONVERSION),
    "parquet": _Reader(f"{__package__}.parquet:read_parquet", "damaged, or not Parquet: "),
    "pdf": _Reader(f"{__package__}.pdf:read_pdf", _CONVERSION),
    "slides": _Reader(f"{__package__}.office:read_slides", _CONVERSION),
    "word": _Reader(f"{__package__}.office:read_word", _CONVERSION),
    "workbook": _Reader(f"{__package__}.workbook:read_workbook", _CONVERSION),
}


def serve() -> None:
    """Read the files that requests on standard input name; answer on standard output."""
    requests, output = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # A library that reads or prints must not disturb the exchange.
    os.dup2(2, 0)
    os.dup2(2, 1)
    with suppress(EOFError, BrokenPipeError):
        while True:
            request, path = receive(requests)
            for answer in _answers(request, Path(os.fsdecode(path))):
                send(output, *answer)


def _answers(request: dict[str, Any], path: Path) -> Iterator[Answer]:
    """Yield the answers of a reader, then the end: its kind, the reason, and whether it is worn.

    A worn worker was short of memory, or has not given back what it took.
    """
    end, reason, size, memory = "done", "", 0, request["memory"]
    reader = READERS[request["reader"]]
    try:
        function, size = _imported(reader.place)
        items = _items(function, path, request["arguments"])
        answers = _framed(items, request["characters"])
        yield from _limited(answers, size + memory, request["seconds"])
    except MemoryError:
        end, reason = "memory", f"needs more than {memory / 2**30:g} GiB of memory"
    except UnreadableError as error:
        end, reason = "unread" if isinstance(error, UnreadError) else "unreadable", str(error)
    except Exception as error:  # noqa: BLE001  (the libraries of these formats raise anything)
        end, reason = "unreadable", reader.failure + first_line(error)
        # An error of the disk has a number. So has a seek to before the file, in a damaged one.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            end, reason = "unread", error.strerror or reason
    is_worn = end == "memory" or _size() > size + memory // 4
    yield {"end": end, "reason": reason, "is_worn": is_worn}, b""


def _imported(place: str) -> tuple[Callable[..., Any], int]:
    """Import a reader; return it, and the bytes of memory that all imports have taken."""
    module, _, name = place.partition(":")
    function = getattr(importlib.import_module(module), name)
    _sizes.setdefault(place, _size())
    return function, max(_sizes.values())


def _items(
    function: Callable[..., Any], path: Path, arguments: dict[str, Any]
) -> Iterator[Document | UnreadableError | Answer]:
    result = function(path, **arguments)
    if isinstance(result, Document):
        yield result
    else:
        yield from result


def _framed(
    items: Iterable[Document | UnreadableError | Answer], most_characters: int
) -> Iterator[Answer]:
    """Put several documents into an answer; a reader's own answer stays as it is.

    Raises:
        UnreadableError: a document has too many characters.
    """
    batch: list[Any] = []
    size = 0
    try:
        for item in items:
            if isinstance(item, tuple):
                yield item
                continue
            if isinstance(item, UnreadableError):
                batch.append(str(item))
            elif len(item.text) > most_characters:
                raise UnreadableError(decoding.TOO_LARGE)
            else:
                batch.append(asdict(item))
                size += len(item.text)
            if len(batch) == _MOST_DOCUMENTS or size > _MOST_CHARACTERS:
                yield {"documents": batch}, b""
                batch, size = [], 0
    finally:
        # Also when the reader fails: the documents before the failure were read.
        if batch:
            yield {"documents": batch}, b""


def _limited(answers: Iterator[Answer], memory: int, seconds: float) -> Iterator[Answer]:
    """Yield answers, each made within the limits; a signal ends the process at the limit of time.

    The limits are off while an answer is sent, which waits for the other process.

    Raises:
        MemoryError: an answer needs too much memory.
    """
    while True:
        _limit(memory, seconds)
        try:
            answer = next(answers, None)
        finally:
            _limit(0, 0)
        if answer is None:
            return
        yield answer


def _limit(memory: int, seconds: float) -> None:
    """Set the limits; 0 stands for none."""
    if CAN_LIMIT_TIME:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    if CAN_LIMIT_MEMORY:
        import resource

        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        is_lower = memory and (memory < most or most == resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_DATA, (memory if is_lower else most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _size() -> int:
    """Return the bytes of memory that the process has, as the limit counts them."""
    if not CAN_LIMIT_MEMORY:
        return 0
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * os.sysconf("SC_PAGE_SIZE")
