"""Whether an Office file, which is a zip archive of XML, stays small when it is unpacked."""

from __future__ import annotations

import zipfile
from typing import BinaryIO
from xml.parsers import expat

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.office_extent import Extent

# A chart need not name its points.
_MAX_POINTS = 1_000_000

# How XML begins in UTF-32, which some converters read and the parser here does not.
_UTF_32 = (b"\0\0\xfe\xff", b"\xff\xfe\0\0", b"\0\0\0<", b"<\0\0\0")

_CHUNK = 1 << 20


def check_parts(file: BinaryIO) -> None:
    """Refuse a file that is too large unpacked, however small it is packed.

    Pictures, whose text no one reads, may have as much as the texts; entities, by which XML grows
    when it is parsed, have no place in these formats. What is used again and again counts each
    time. The file is read from its beginning, and is at its beginning again.

    Raises:
        UnreadableError: its parts, its charts or the text that is made of them are too large, or
            it declares entities.
        zipfile.BadZipFile: it is no archive.
    """
    extent = Extent()
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        media = [part for part in parts if "media" in part.filename.split("/")]
        others = [part for part in parts if part not in media]
        for group in (media, others):
            if sum(part.file_size for part in group) > decoding.MAX_BYTES:
                raise UnreadableError(decoding.TOO_LARGE)
        for part in others:
            _measure(archive, part, extent)
    if extent.points > _MAX_POINTS:
        raise UnreadableError(f"charts of more than {_MAX_POINTS:,} points")
    if extent.text > decoding.MAX_BYTES:
        raise UnreadableError("repeats a text until it is too large")
    file.seek(0)


def _measure(archive: zipfile.ZipFile, part: zipfile.ZipInfo, extent: Extent) -> None:
    """Add what a part holds and what it refers to.

    Raises:
        UnreadableError: it declares entities, or can be read by a converter and not here.
    """
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse
    is_measured = extent.of_part(parser)
    with archive.open(part) as content:
        chunk = content.read(_CHUNK)
        head = chunk[:4]
        try:
            while chunk:
                parser.Parse(chunk)
                chunk = content.read(_CHUNK)
        except expat.ExpatError as error:
            # Otherwise it is no XML, or nothing of it becomes text.
            if is_measured() or head.startswith(_UTF_32):
                raise UnreadableError(f"cannot be converted: {part.filename}: {error}") from error


def _refuse(*_: object) -> None:
    raise UnreadableError("declares entities, which no Office file needs")
