"""Decoding of bytes into text, and the number of bytes that one document may have."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from ragdoll.errors import number_of

# A longer text is a mistake far more often than a document, and would be held several times over.
MAX_BYTES = 64 * 2**20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")

# A file in UTF-8 has this many times as many characters beyond ASCII as broken places, or more.
_MOST_BROKEN = 10
# From this number of broken places on, a file that has more of them than characters is no UTF-8.
_CERTAIN = 1000
# Bytes by which an encoding is recognised.
_SAMPLE = 2**17
_WIDE_ZEROS = 0.3
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))


def too_large(most: int) -> str:
    """Return the reason for leaving out a document of more than ``most`` bytes."""
    return f"larger than {most // 2**20} MiB; split it"


TOO_LARGE = too_large(MAX_BYTES)


class UnreadableError(Exception):
    """A file or record cannot be turned into text; the message is the reason."""


class UnreadError(UnreadableError):
    """A file was not read this time, or not to its end: its documents may still be in it."""


def text_of(path: Path, encoding: str) -> tuple[str, str | None]:
    """Read a file that is one text, as ``readable`` does; return the note, too.

    Raises:
        UnreadableError: the file is too large, or no text.
        OSError: the file cannot be read.
    """
    check_size(path, MAX_BYTES)
    content = path.read_bytes()
    if encoding == "auto" and _marked(content) is None:
        try:
            return decode(content), None
        except UnreadableError:  # not UTF-8
            pass
    with readable(path, encoding) as (place, note):
        return decode(place.read_bytes()), note


def is_text(path: Path) -> bool:
    """Tell whether a file begins like a text."""
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
    except OSError:
        return True  # Reading it says why it cannot be read.
    return _marked(head) is not None or b"\0" not in head


def check_size(path: Path, most: int) -> None:
    """Check that a file has no more than ``most`` bytes.

    Raises:
        UnreadableError: it has more.
    """
    if path.stat().st_size > most:
        raise UnreadableError(too_large(most))


@contextmanager
def readable(path: Path, encoding: str = "auto") -> Iterator[tuple[Path, str | None]]:
    """Yield a file of the same text in UTF-8, not compressed, and a note on what that took.

    That is the file itself where it is UTF-8 already; the note is None then. Where it is not,
    ``encoding`` says what it is, or ``auto`` to recognise it. A file in UTF-8 with a few broken
    characters is read without these. What cannot be recognised stays as it is.

    Raises:
        UnreadableError: a compressed file is broken, or grows too large.
        OSError: the file cannot be read, or there is no room for a copy.
    """
    with ExitStack() as stack:
        place = path
        if path.suffix.lower() in COMPRESSED:
            place = Path(stack.enter_context(TemporaryDirectory())) / path.stem
            _inflate(path, place)
        found, note = _encoding_of(place, encoding)
        if found is not None:
            copy = Path(stack.enter_context(TemporaryDirectory())) / place.name
            _transcode(place, copy, found)
            place = copy
        yield place, note


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file in UTF-8 behind its mark, if it has one."""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        yield file


def _encoding_of(path: Path, told: str) -> tuple[str | None, str | None]:
    """Return the encoding of a file that has to be copied, and a note; None where it has not."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    marked = _marked(head)
    if marked == "utf-16":
        return marked, None
    is_wide = marked is None and b"\0" in head
    valid, broken = (0, 0) if is_wide else _characters(path)
    if broken and broken * _MOST_BROKEN <= valid:
        return "utf-8", f"not UTF-8 in {number_of('place', broken)}"
    if valid and not broken:
        return None, None
    if told != "auto":
        return told, None
    if not broken and not (is_wide and _may_be_wide(head)):
        return None, None
    found = _recognised(path)
    return found, found and f"read as {found}"


def _may_be_wide(head: bytes) -> bool:
    """Tell whether bytes with zeros may be text of two or four bytes a character.

    Letters have their zeros in such a text, and other scripts have control characters. Text of one
    byte a character with some zeros in it has neither.
    """
    zeros = head.count(0)
    return (
        zeros > _WIDE_ZEROS * len(head) or len(head.translate(None, _CONTROLS)) < len(head) - zeros
    )


def _characters(path: Path) -> tuple[int, int]:
    """Count the characters beyond ASCII in a file, and the places where it is not UTF-8.

    Counting ends where the file is certain to have another encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    valid = broken = 0
    with path.open("rb") as file:
        while piece := file.read(_TEXT_PIECE):
            text = decoder.decode(piece)
            if text.isascii():
                continue
            # A sign for a broken character may also stand in the file itself.
            lost = text.count("\ufffd") - piece.count("\ufffd".encode())
            broken += lost
            valid += len(text) - len(text.encode("ascii", "ignore")) - lost
            if broken > _CERTAIN and broken > valid:
                break
    return valid, broken + len(decoder.decode(b"", final=True))


def _recognised(path: Path) -> str | None:
    """Return the encoding that the bytes beyond ASCII speak for; None where none does."""
    import chardet

    with path.open("rb") as file:
        sample = file.read(_SAMPLE)
        while sample.isascii() and b"\0" not in sample and (piece := file.read(_SAMPLE)):
            sample = piece
    found = chardet.detect(sample)["encoding"]
    return None if found is None or "utf-8" in found.lower() else str(found)


def _transcode(path: Path, copy: Path, encoding: str) -> None:
    """Write a copy in UTF-8, with a sign for each broken character."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    with path.open("rb") as file, copy.open("wb") as written:
        while piece := file.read(_TEXT_PIECE):
            written.write(decoder.decode(piece).encode("utf-8", "replace"))
        written.write(decoder.decode(b"", final=True).encode("utf-8", "replace"))


def _inflate(path: Path, place: Path) -> None:
    """Decompress a file.

    Raises:
        UnreadableError: the file is damaged, or grows to more than a corpus of text does.
        OSError: the file cannot be read, or there is no room for its content.
    """
    most = max(_LEAST_INFLATED, path.stat().st_size * _INFLATION)
    try:
        with COMPRESSED[path.suffix.lower()](path) as file, place.open("wb") as inflated:
            while inflated.tell() <= most and (piece := file.read(_PIECE)):
                inflated.write(piece)
            size = inflated.tell()
    except _DAMAGES as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        kind = path.suffix.lower().removeprefix(".")
        raise UnreadableError(f"damaged, or no {kind} file") from error
    if size > most:
        raise UnreadableError(
            f"more than {_INFLATION} times as large when it is decompressed; do that beforehand"
        )


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
_TEXT_PIECE = 2**16


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


def is_encoding(name: str) -> bool:
    """Tell whether a name is ``auto`` or that of an encoding of text."""
    try:
        return name == "auto" or isinstance(b" ".decode(name, "ignore"), str)
    except (LookupError, ValueError):
        return False


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
