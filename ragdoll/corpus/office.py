"""PDF and Office files, by the converters that the extra ``documents`` brings."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path
from typing import BinaryIO

from ragdoll.corpus import decoding
from ragdoll.corpus.decoding import UnreadableError, shown
from ragdoll.corpus.markdown import first_heading, tidy
from ragdoll.corpus.packed import check_parts
from ragdoll.corpus.pdf import pdf_text
from ragdoll.corpus.quiet import ignore_warnings
from ragdoll.corpus.records import Record
from ragdoll.errors import first_line

EXTRA = "documents"
# The same for every file, so that an account of many can name it once.
MISSING = f"needs the extra {EXTRA}: pip install 'ragdoll-cli[{EXTRA}]'"

_CONVERTERS = {".docx": "DocxConverter", ".pptx": "PptxConverter", ".xlsx": "XlsxConverter"}
SUFFIXES = frozenset({".pdf", *_CONVERTERS})
_WITH_HEADINGS = frozenset({".docx", ".pptx"})  # a workbook's are its sheets' names

# These write to standard error what only a user of theirs can act on: some log, some warn.
_LIBRARIES = ("bs4", "mammoth", "markitdown", "openpyxl", "pandas", "pdfminer", "pptx")

# For the text to stay as it is, as markup does for HTML.
_OPTIONS = {
    "escape_asterisks": False,
    "escape_underscores": False,
    "strip": ["a", "b", "em", "i", "img", "strong"],
    "table_infer_header": True,
}

# What stands for a slide's number, a picture, a glyph without a character, and an empty cell.
_NOISE = re.compile(
    r"\0|<!-- Slide number: \d+ -->|!\[[^\]]*\]\([^)]*\)|\(cid:\d+\)"
    r"|(?<=\| )(?:NaN|Unnamed: \d+)(?= \|)"
)


def is_installed(suffix: str) -> bool:
    """Whether a format's converter is there; nothing is imported."""
    library = "markitdown" if suffix in _CONVERTERS else "pdfminer"
    return importlib.util.find_spec(library) is not None


def read_office(path: Path) -> Record:
    """Read a file as Markdown; pictures and scanned pages have no text.

    Raises:
        UnreadableError: the extra is missing, or the file is too large, damaged, locked, or
            without text.
    """
    suffix = path.suffix.lower()
    if not is_installed(suffix):
        raise UnreadableError(MISSING)
    if path.stat().st_size > decoding.MAX_BYTES:
        raise UnreadableError(decoding.TOO_LARGE)
    with path.open("rb") as file:
        text = tidy(_NOISE.sub("", _convert(file, suffix)))
    if not text:
        raise UnreadableError("no text in it")
    heading = first_heading(text) if suffix in _WITH_HEADINGS else None
    return Record(name=None, title=heading or shown(path.name), text=text, converted=True)


def _convert(file: BinaryIO, suffix: str) -> str:
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ignore_warnings(rf"({'|'.join(_LIBRARIES)})(\.|$)")
    try:
        text = _from_office(file, suffix) if suffix in _CONVERTERS else pdf_text(file)
    except UnreadableError:
        raise
    except Exception as error:  # the libraries for these formats raise whatever they meet
        raise UnreadableError(f"cannot be converted: {first_line(error)}") from error
    return decoding.whole(text)


def _from_office(file: BinaryIO, suffix: str) -> str:
    check_parts(file)
    # One format's converter: not the class that guesses formats and knows addresses.
    from markitdown import StreamInfo, converters

    converter = getattr(converters, _CONVERTERS[suffix])()
    return str(converter.convert(file, StreamInfo(extension=suffix), **_OPTIONS).markdown)
