"""PDF as text, by pdfminer, with bounds on what a small file can unpack to.

Not by markitdown, which runs words together wherever it takes a page for a form.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, BinaryIO

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError

# What is drawn may be drawn again and again, and is packed: so many bytes of it are read, and more
# for each byte of the file. A drawing within a page counts as so many at least.
_DRAWN = 2**18
_DRAWN_FOR_A_BYTE = 64
_LEAST_DRAWN = 256

# Units of 1/72 inch that the format allows a page to be wide or high. The search for lines of text
# looks at every place of a page.
_MAX_SIDE = 14_400

TOO_MUCH_DRAWN = "draws far more than its size allows"


def pdf_text(file: BinaryIO) -> str:
    """The text of the pages, one after another.

    Raises:
        UnreadableError: it is too large unpacked. The library raises whatever it meets.
    """
    from pdfminer import pdftypes
    from pdfminer.converter import TextConverter
    from pdfminer.layout import LAParams
    from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
    from pdfminer.pdfpage import PDFPage

    # It has no limits of its own, and no place to set them.
    pdftypes.zlib = _BoundedZlib
    pdftypes.lzwdecode = _lzw
    pdftypes.apply_png_predictor = _predicted
    budget = _Budget(file)

    class Interpreter(PDFPageInterpreter):  # type: ignore[misc]
        def execute(self, streams: Sequence[object]) -> None:
            for stream in map(pdftypes.stream_value, streams):
                budget.spend(len(stream.get_data()))
            super().execute(streams)

    text = _LimitedText()
    manager = PDFResourceManager()
    device = TextConverter(manager, text, laparams=LAParams())
    interpreter = Interpreter(manager, device)
    for page in PDFPage.get_pages(file):
        left, bottom, right, top = page.mediabox
        page.mediabox = (left, bottom, left + _side(right - left), bottom + _side(top - bottom))
        interpreter.process_page(page)
    return text.getvalue().replace("\f", "\n\n")


def _side(length: float) -> float:
    """A side of a page, which may lead to the left or down."""
    return max(-_MAX_SIDE, min(length, _MAX_SIDE))


class _Budget:
    """How much may be drawn of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._left = _DRAWN + _DRAWN_FOR_A_BYTE * Path(file.name).stat().st_size

    def spend(self, size: int) -> None:
        self._left -= size + _LEAST_DRAWN
        if self._left < 0:
            raise UnreadableError(TOO_MUCH_DRAWN)


class _BoundedZlib:
    """What pdfminer uses of the module ``zlib``; nothing is unpacked beyond a document's limit."""

    error = zlib.error

    @staticmethod
    def decompress(content: bytes) -> bytes:
        unpacker = zlib.decompressobj()
        unpacked = unpacker.decompress(content, decoding.MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise UnreadableError(decoding.TOO_LARGE)
        if not unpacker.eof:
            raise zlib.error("incomplete")
        return unpacked

    @staticmethod
    def decompressobj() -> Any:
        """For what is damaged, which pdfminer gives byte by byte."""
        return _Unpacker()


class _Unpacker:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj()
        self._left = decoding.MAX_BYTES

    def decompress(self, content: bytes) -> bytes:
        unpacked = self._inner.decompress(content, self._left + 1)
        self._left -= len(unpacked)
        if self._left < 0:
            raise UnreadableError(decoding.TOO_LARGE)
        return unpacked


def _lzw(content: bytes) -> bytes:
    """What pdfminer's ``lzwdecode`` returns."""
    from pdfminer.lzw import LZWDecoder

    unpacked = bytearray()
    for piece in LZWDecoder(BytesIO(content)).run():
        unpacked += piece
        if len(unpacked) > decoding.MAX_BYTES:
            raise UnreadableError(decoding.TOO_LARGE)
    return bytes(unpacked)


def _predicted(kind: int, colors: int, columns: int, bits: int, content: bytes) -> bytes:
    """What pdfminer's ``apply_png_predictor`` returns, which holds a line whatever it is told."""
    from pdfminer.utils import apply_png_predictor

    if columns > max(len(content), 1):
        raise UnreadableError("a line of a picture is longer than the picture")
    predicted: bytes = apply_png_predictor(kind, colors, columns, bits, content)
    return predicted


class _LimitedText(StringIO):
    """The text of a file, page by page, that is given up when it is too large: pages are packed."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > decoding.MAX_BYTES:
            raise UnreadableError(decoding.TOO_LARGE)
        return super().write(text)
