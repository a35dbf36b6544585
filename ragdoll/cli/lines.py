"""Lines from standard input, as many at a time as are there."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import TextIO

_BYTES = 1 << 16


def waiting_lines(stream: TextIO) -> Iterator[list[str]]:
    """Yield the lines that can be read without waiting, then wait for more.

    Who writes a line and waits for its answer gets it; who writes many gets them read together.
    Bytes that are no text are replaced.
    """
    buffer = getattr(stream, "buffer", None)
    if not isinstance(buffer, io.BufferedIOBase):
        yield from ([line] for line in stream)
        return
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(stream.encoding or "utf-8")("replace"), translate=True
    )
    rest = ""
    while content := buffer.read1(_BYTES):
        *lines, rest = (rest + decoder.decode(content)).split("\n")
        if lines:
            yield lines
    rest += decoder.decode(b"", final=True)
    if rest:
        yield [rest]
