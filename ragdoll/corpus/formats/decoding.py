"""Decoding of bytes into text, and the number of bytes that one document may have."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

# A longer text is a mistake far more often than a document, and would be held several times over.
MAX_BYTES = 64 * 2**20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def too_large(most: int) -> str:
    """Return the reason for leaving out a document of more than ``most`` bytes."""
    return f"larger than {most // 2**20} MiB; split it"


TOO_LARGE = too_large(MAX_BYTES)


class UnreadableError(Exception):
    """A file or record cannot be turned into text; the message is the reason."""


class UnreadError(UnreadableError):
    """A file was not read this time, or not to its end: its documents may still be in it."""


def contents(path: Path, most: int = MAX_BYTES) -> bytes:
    """Read a file that is one document.

    Raises:
        UnreadableError: the file has more than ``most`` bytes.
        OSError: the file cannot be read.
    """
    check_size(path, most)
    return path.read_bytes()


def check_size(path: Path, most: int) -> None:
    """Check that a file has no more than ``most`` bytes.

    Raises:
        UnreadableError: it has more.
    """
    if path.stat().st_size > most:
        raise UnreadableError(too_large(most))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of records, perhaps compressed, as UTF-8 without a mark.

    A file in UTF-16, which is rare, is held in memory.

    Raises:
        UnreadableError: the file is UTF-16 and too large, or broken.
        OSError: the file cannot be read.
    """
    with _inflated(path) if path.suffix.lower() in COMPRESSED else path.open("rb") as file:
        encoding = _marked(file.read(4))
        if encoding == "utf-16":
            file.seek(0)
            content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise UnreadableError(TOO_LARGE)
            yield BytesIO(decode(content).encode())
        else:
            file.seek(len(codecs.BOM_UTF8) if encoding else 0)
            yield file


def _inflated(path: Path) -> BinaryIO:
    """Decompress a file into one that is removed when it is closed; readers go back in it.

    Raises:
        UnreadableError: the file is damaged, or grows to more than a corpus of text does.
        OSError: the file cannot be read, or there is no room for its content.
    """
    most = max(_LEAST_INFLATED, path.stat().st_size * _INFLATION)
    inflated = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        with COMPRESSED[path.suffix.lower()](path) as file:
            while inflated.tell() <= most and (piece := file.read(_PIECE)):
                inflated.write(piece)
    except _DAMAGES as error:
        inflated.close()
        if isinstance(error, OSError) and error.errno is not None:
            raise
        kind = path.suffix.lower().removeprefix(".")
        raise UnreadableError(f"damaged, or no {kind} file") from error
    if inflated.tell() > most:
        inflated.close()
        raise UnreadableError(
            f"more than {_INFLATION} times as large when it is decompressed; do that beforehand"
        )
    inflated.seek(0)
    return inflated


def _zstandard(path: Path) -> BinaryIO:
    import pyarrow as pa

    stream: BinaryIO = pa.input_stream(str(path), compression="zstd")
    return stream


COMPRESSED: dict[str, Callable[[Path], Any]] = {
    ".bz2": bz2.open,
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
}
"""The endings of compressed files, and what opens them."""

_DAMAGES = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError)

# Logs that repeat themselves shrink to a hundredth. A bomb grows a thousandfold.
_INFLATION = 200
_LEAST_INFLATED = 2**30
_PIECE = 2**20


def next_line(file: BinaryIO) -> bytes:
    """Return the next line of a file; an empty one at its end.

    Raises:
        UnreadableError: the line is too large; the next call returns the one after it.
    """
    line = file.readline(MAX_BYTES + 1)
    if len(line) <= MAX_BYTES:
        return line
    while line and not line.endswith(b"\n"):
        line = file.readline(2**20)
    raise UnreadableError(TOO_LARGE)


def decode(content: bytes, encoding: str = "utf-8-sig") -> str:
    """Decode UTF-8 (with or without BOM) or UTF-16 (with BOM), or another encoding by its name.

    Raises:
        UnreadableError: the bytes have another encoding, or are no text at all.
    """
    encoding = _marked(content) or encoding
    try:
        text = content.decode(encoding)
    except (LookupError, ValueError) as error:
        raise UnreadableError(f"not {encoding.removesuffix('-sig')} text") from error
    if "\0" in text:
        raise UnreadableError("binary")
    return text


def storable(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot store."""
    try:
        text.encode()  # far faster than a search
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def display_name(name: str) -> str:
    """Return a file name as text; one that is not UTF-8 stays distinct from others."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _marked(content: bytes) -> str | None:
    """Return the encoding that the first bytes name; None where they name none."""
    return next((name for bom, name in _BOMS if content.startswith(bom)), None)
