"""The wall: readers of formats that a hostile file could break run in another process.

A small file can unpack to gigabytes, take hours, or abort a library that is written in C. The
worker, which is reused for the files after it, has limits of memory and time for each file. Its
death costs the file that it reads, and the next file starts another worker.

Requests and answers go over pipes: a header in JSON and some bytes, each after its length.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError, storable

logger = logging.getLogger(__name__)

# Bytes that a reader may use beyond those that it has when it is imported.
MEMORY = 2**30
# Seconds that a reader may take for a file, and again for each batch of its records.
SECONDS = 60.0
SECONDS_PER_MIB = 30.0

CAN_LIMIT_MEMORY = sys.platform == "linux"
CAN_LIMIT_TIME = hasattr(signal, "setitimer")

# The worker imports from the same places as this process.
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from {} import serve; serve()"
_START = _CODE.format("ragdoll.corpus.formats.behind_wall.worker")
# Without these, libraries reserve far more memory than they use, for threads that are not needed.
_ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_LENGTHS = struct.Struct("<QQ")

Answer = tuple[dict[str, Any], bytes]
"""A header, and bytes that belong to it."""


def document(reader: str, path: Path, **arguments: Any) -> Document:
    """Read a file that is one document; see ``documents``.

    Raises:
        UnreadableError: the file cannot be read within the limits.
    """
    (result,) = documents(reader, path, **arguments)
    if isinstance(result, UnreadableError):
        raise result
    return result


def documents(reader: str, path: Path, **arguments: Any) -> Iterator[Document | UnreadableError]:
    """Yield the documents of a file; a record that cannot be read is yielded as its error.

    Raises:
        UnreadableError: the file, or the rest of it, cannot be read within the limits.
    """
    for header, _ in answers(reader, path, **arguments):
        for item in header["documents"]:
            yield UnreadableError(item) if isinstance(item, str) else Document(**item)


def answers(reader: str, path: Path, **arguments: Any) -> Iterator[Answer]:
    """Yield the answers of a reader, which is called with the path and ``arguments``.

    Raises:
        UnreadableError: the file, or the rest of it, cannot be read within the limits.
    """
    seconds = SECONDS + SECONDS_PER_MIB * path.stat().st_size / 2**20
    limits = {"memory": MEMORY, "seconds": seconds, "characters": decoding.MAX_BYTES}
    request = {"reader": reader, "arguments": arguments, **limits}
    worker = _borrowed()
    is_reusable = False  # also where the caller takes no more answers
    try:
        worker.send(request, path)
        header, content = worker.receive()
        while "end" not in header:
            yield header, content
            header, content = worker.receive()
        is_reusable = not header["is_worn"]
    except (EOFError, BrokenPipeError) as error:
        raise UnreadableError(worker.cause_of_death(seconds)) from error
    finally:
        if is_reusable:
            _idle_workers().append(worker)
        else:
            worker.end()
    if header["end"] != "done":
        raise (UnreadError if header["end"] == "unread" else UnreadableError)(header["reason"])


class _Worker:
    """A process behind the wall, at the end of two pipes."""

    def __init__(self) -> None:
        _warn_without_limits()
        package = Path(__file__).parents[3]
        self._process = subprocess.Popen(  # noqa: S603  (this interpreter)
            [sys.executable, "-c", _START, *filter(None, sys.path), str(package)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
            start_new_session=True,  # an interrupt of the terminal does not reach it
        )

    def send(self, request: dict[str, Any], path: Path) -> None:
        """Ask for a file.

        Raises:
            BrokenPipeError: the process has died.
        """
        send(self._process.stdin, request, os.fsencode(path.absolute()))  # type: ignore[arg-type]

    def receive(self) -> Answer:
        """Return the next answer.

        Raises:
            EOFError: the process has died.
        """
        return receive(self._process.stdout)  # type: ignore[arg-type]

    def is_alive(self) -> bool:
        """Tell whether the process is still running."""
        return self._process.poll() is None

    def cause_of_death(self, seconds: float) -> str:
        """Say why the process has died; it had ``seconds`` for a file."""
        status = self._process.wait()
        if CAN_LIMIT_TIME and status == -signal.SIGALRM:
            return f"took longer than {seconds:.0f} seconds"
        return f"its reader died ({f'signal {-status}' if status < 0 else f'status {status}'})"

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with suppress(BrokenPipeError), self._process:
            pass  # Closes the pipes, and waits.


# By process: after a fork, the child must not use the workers of its parent.
_idle: dict[int, list[_Worker]] = {}


def _idle_workers() -> list[_Worker]:
    return _idle.setdefault(os.getpid(), [])


def _borrowed() -> _Worker:
    """Return a worker for one file at a time: threads, and generators in turn, read several."""
    with suppress(IndexError):
        while True:
            worker = _idle_workers().pop()
            if worker.is_alive():
                return worker
            worker.end()
    return _Worker()


@atexit.register
def _end_idle() -> None:
    while _idle_workers():
        _idle_workers().pop().end()


@cache
def _warn_without_limits() -> None:
    if not CAN_LIMIT_MEMORY:
        logger.warning("This system cannot limit the memory that reading a document takes.")


def send(file: BinaryIO, header: dict[str, Any], content: bytes) -> None:
    """Write a request or an answer."""
    text = storable(json.dumps(header, ensure_ascii=False)).encode()
    file.write(_LENGTHS.pack(len(text), len(content)) + text)
    file.write(content)
    file.flush()


def receive(file: BinaryIO) -> Answer:
    """Read a request or an answer.

    Raises:
        EOFError: there is none, or it is cut off.
    """

    def exactly(size: int) -> bytes:
        content = file.read(size)
        if len(content) < size:
            raise EOFError
        return content

    header, content = map(exactly, _LENGTHS.unpack(exactly(_LENGTHS.size)))
    return json.loads(header), content
