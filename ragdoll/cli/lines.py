"""Lines from standard input, taken together where they wait together."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import TextIO

_BYTES = 1 << 16


def waiting_lines(stream: TextIO) -> Iterator[list[str]]:
    """Yield the lines that can be read without waiting, then wait for more.

    A program that writes a line and waits for its answer gets it; lines that are written together
    are read together. Bytes that are no text are replaced.
    """
    buffer = getattr(stream, "buffer", None)
    if not isinstance(buffer, io.BufferedIOBase):
        yield from ([line] for line in stream)
        return
    # Joined at its end alone: a long line would be copied with each piece of it.
    begun: list[str] = []
    for text in _texts(buffer, stream.encoding or "utf-8"):
        first, *others = text.split("\n")
        begun.append(first)
        if others:
            *lines, rest = others
            yield ["".join(begun), *lines]
            begun = [rest]
    if last := "".join(begun):
        yield [last]


def _texts(buffer: io.BufferedIOBase, encoding: str) -> Iterator[str]:
    """Yield the text that waits, each time that some does, with line feeds as line ends."""
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)("replace"), translate=True
    )
    while content := buffer.read1(_BYTES):
        yield decoder.decode(content)
    yield decoder.decode(b"", final=True)
