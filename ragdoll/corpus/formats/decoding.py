"""From bytes to text, and how many bytes one document may have."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

# A longer text is a mistake far more often than a document, and would be held several times over.
MAX_BYTES = 64 * 2**20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def too_large(most: int) -> str:
    """The reason for leaving out what has more bytes."""
    return f"larger than {most // 2**20} MiB; split it"


TOO_LARGE = too_large(MAX_BYTES)


class UnreadableError(Exception):
    """A file or record cannot be turned into text; the message is the reason."""


class UnreadError(UnreadableError):
    """A file was not read, or not to its end, and may hold what it held before all the same."""


def contents(path: Path, most: int = MAX_BYTES) -> bytes:
    """Read a file that is one document.

    Raises:
        UnreadableError: it has more than ``most`` bytes, which is known before it is read.
        OSError: it cannot be read.
    """
    if path.stat().st_size > most:
        raise UnreadableError(too_large(most))
    return path.read_bytes()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file of records as UTF-8 without a mark; one in UTF-16, which is rare, is held whole.

    Raises:
        UnreadableError: it is UTF-16 and too large, or broken.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        encoding = _marked(file.read(4))
        if encoding == "utf-16":
            yield BytesIO(decode(contents(path)).encode())
        else:
            file.seek(len(codecs.BOM_UTF8) if encoding else 0)
            yield file


def next_line(file: BinaryIO) -> bytes:
    """Return the next line of a file; none at its end.

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
        UnreadableError: another encoding, or not text at all.
    """
    encoding = _marked(content) or encoding
    try:
        text = content.decode(encoding)
    except (LookupError, ValueError) as error:
        raise UnreadableError(f"not {encoding.removesuffix('-sig')} text") from error
    if "\0" in text:
        raise UnreadableError("binary")
    return text


def whole(text: str) -> str:
    """Replace half characters (lone surrogates, which JSON can spell) that nothing can store."""
    return _SURROGATE.sub("\ufffd", text)


def shown(name: str) -> str:
    """A file name as text; one that is not UTF-8 stays distinct from others."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _marked(content: bytes) -> str | None:
    """The encoding that the first bytes tell; None where they tell none."""
    return next((name for bom, name in _BOMS if content.startswith(bom)), None)
