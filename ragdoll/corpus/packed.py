"""Whether an Office file, which is a zip archive of XML, stays small when it is unpacked."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from typing import BinaryIO
from xml.parsers import expat

from ragdoll.corpus import decoding
from ragdoll.corpus.decoding import UnreadableError

# A converter makes a grid of all cells up to the last, used or not; a file need not name them.
_MAX_CELLS = 1_000_000
_CELL = re.compile(r"([A-Z]{0,3})(\d{1,7})")

_CHUNK = 1 << 20


def check_parts(file: BinaryIO) -> None:
    """Refuse a file that is too large unpacked, however small it is packed.

    Pictures, whose text no one reads, may have as much as the texts; entities, by which XML grows
    when it is parsed, have no place in these formats. The file is read from its beginning, and is
    at its beginning again.

    Raises:
        UnreadableError: its parts or its sheets are too large, or it declares entities.
        zipfile.BadZipFile: it is no archive.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        media = [part for part in parts if "media" in part.filename.split("/")]
        others = [part for part in parts if part not in media]
        for group in (media, others):
            if sum(part.file_size for part in group) > decoding.MAX_BYTES:
                raise UnreadableError(decoding.TOO_LARGE)
        cells = sum(_cells(archive, part) for part in others)
    if cells > _MAX_CELLS:
        raise UnreadableError(f"sheets of more than {_MAX_CELLS:,} cells; split it")
    file.seek(0)


def _cells(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> int:
    """The cells of a sheet's grid; 0 where a part is no sheet.

    Raises:
        UnreadableError: it declares entities.
    """
    extent = [0, 0]
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = _measuring(extent, parser)
    try:
        with archive.open(part) as content:
            while chunk := content.read(_CHUNK):
                parser.Parse(chunk)
    except expat.ExpatError:
        pass  # no XML; or damaged, which the converter says
    return extent[0] * extent[1]


def _refuse(*_: object) -> None:
    raise UnreadableError("declares entities, which no Office file needs")


def _measuring(
    extent: list[int], parser: expat.XMLParserType
) -> Callable[[str, dict[str, str]], None]:
    """A handler that keeps the last row and the last column of a sheet in ``extent``."""

    def root(name: str, _: dict[str, str]) -> None:
        # Only sheets are measured: calling back for each element takes time.
        parser.StartElementHandler = cell if name.rpartition(":")[2] == "worksheet" else None

    def cell(_: str, attributes: dict[str, str]) -> None:
        found = _CELL.fullmatch(attributes.get("r", ""))
        if found:
            extent[0] = max(extent[0], int(found[2]))
            extent[1] = max(extent[1], _column(found[1]))

    return root


def _column(letters: str) -> int:
    """The number of a column: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
