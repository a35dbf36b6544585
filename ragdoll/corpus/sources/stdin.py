"""Standard input as a source of documents: a text a line, or a JSON object a line."""

from __future__ import annotations

import codecs
import hashlib
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import BinaryIO

from ragdoll.corpus.documents import Document, Reading, Source
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.records import json_object, record_from
from ragdoll.corpus.names import UniqueNames
from ragdoll.errors import CorpusError

# The name by which a user gives standard input.
STDIN = "-"

_NAME = "stdin"
_PIECE = 1 << 20

# A copy of each stream while it lives: a stream can be read once only, a corpus many times.
_spools: weakref.WeakKeyDictionary[BinaryIO, BinaryIO] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class StdinSource(Source):
    """The lines of standard input: JSON objects where the first that can be read begins one.

    A text is named by the number of its line, an object by its own id if it has one. The first
    reading copies the input to a temporary file.
    """

    text_key: str = "text"

    @property
    def root(self) -> str:
        """The same for every input: what is piped in later replaces what came before."""
        return f"{_NAME}:"

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Read line by line; a line that cannot be read is left out and named.

        Raises:
            CorpusError: there is no standard input, or no room for it.
        """
        spool, unique = _spooled(), UniqueNames()
        is_json: bool | None = None
        for number in count(1):
            spool.seek(reading.done)  # Another reading may have moved it.
            try:
                line = decoding.next_line(spool)
                if not line:
                    break
                if not line.strip():
                    continue
                if is_json is None:
                    is_json = _is_object(line)
                document = self._document(line, number, is_json)
            except UnreadableError as error:
                reading.skip(_NAME, f"line {number}: {error}")
                continue
            finally:
                reading.done = spool.tell()
            source = unique(f"{_NAME}#{document.source}")
            yield replace(document, root=self.root, source=source)

    def size(self) -> int:
        """Count the bytes of the input, which is read to its end for that."""
        return _spooled().seek(0, 2)

    def signature(self) -> str | None:
        """Hash the input, which is read to its end for that."""
        digest, spool = hashlib.sha256(self.text_key.encode()), _spooled()
        spool.seek(0)
        while piece := spool.read(_PIECE):
            digest.update(piece)
        return digest.hexdigest()

    def _document(self, line: bytes, number: int, is_json: bool) -> Document:
        if not is_json:
            text = decoding.decode(line).strip()
            if not text:
                raise UnreadableError("empty")
            return Document(text, source=str(number))
        return record_from(json_object(line), self.text_key, name=str(number))


def _is_object(line: bytes) -> bool:
    """Tell whether a line is a JSON object, or meant to be one: it may be broken."""
    return decoding.decode(line).lstrip().startswith("{")


def _spooled() -> BinaryIO:
    """Return a copy of standard input, in a file without a name."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is not None and stream in _spools:
        return _spools[stream]
    hint = f"Pipe something in, or name a file or folder instead of {STDIN}."
    if stream is None or stream.closed:
        raise CorpusError("There is no standard input to read.", hint=hint)
    if stream.isatty():
        raise CorpusError("Standard input is a terminal, which holds no documents.", hint=hint)
    spool = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the stream is gone)
    weakref.finalize(stream, spool.close)
    try:
        _copy(stream, spool)
    except OSError as error:
        raise CorpusError(
            f"Standard input cannot be copied to {tempfile.gettempdir()}: "
            f"{error.strerror or error}",
            hint="Make room there, or name another folder by the variable TMPDIR.",
        ) from error
    _spools[stream] = spool
    return spool


def _copy(stream: BinaryIO, spool: BinaryIO) -> None:
    """Copy a stream as it is, or UTF-16 with its mark as UTF-8.

    A broken character in UTF-16 stays broken in the copy, so that it costs the line it stands in.
    """
    piece = stream.read(2)
    if not piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        while piece:
            spool.write(piece)
            piece = stream.read(_PIECE)
        return
    decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
    while piece:
        spool.write(decoder.decode(piece).encode("utf-8", "surrogatepass"))
        piece = stream.read(_PIECE)
    if decoder.getstate()[0]:
        spool.write(b"\xff")
