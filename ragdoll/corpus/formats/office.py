"""PDF and Office files, by the libraries that the extra ``documents`` brings."""

from __future__ import annotations

import importlib.util
import logging
import re
from pathlib import Path
from typing import BinaryIO

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError, shown
from ragdoll.corpus.formats.markdown import first_heading, tidy
from ragdoll.corpus.formats.packed import check_parts
from ragdoll.corpus.formats.pdf import pdf_text
from ragdoll.corpus.formats.quiet import ignore_warnings
from ragdoll.corpus.formats.records import Record
from ragdoll.corpus.formats.workbook import workbook_text
from ragdoll.errors import first_line

EXTRA = "documents"
# The same for every file, so that an account of many can name it once.
MISSING = f"needs the extra {EXTRA}: pip install 'ragdoll-cli[{EXTRA}]'"

_CONVERTERS = {".docx": "DocxConverter", ".pptx": "PptxConverter"}
_NEEDS = {".pdf": "pdfminer", ".xlsx": "openpyxl", **dict.fromkeys(_CONVERTERS, "markitdown")}
SUFFIXES = frozenset(_NEEDS)

# These write to standard error what only a user of theirs can act on: some log, some warn.
_LIBRARIES = ("bs4", "mammoth", "markitdown", "openpyxl", "pdfminer", "pptx")

# For the text to stay as it is, as markup does for HTML.
_OPTIONS = {
    "escape_asterisks": False,
    "escape_underscores": False,
    "strip": ["a", "b", "em", "i", "img", "strong"],
    "table_infer_header": True,
}

# What stands for a slide's number, a picture, and a glyph without a character.
_NOISE = re.compile(r"\0|<!-- Slide number: \d+ -->|!\[[^\]]*\]\([^)]*\)|\(cid:\d+\)")


def is_installed(suffix: str) -> bool:
    """Whether a format's converter is there; nothing is imported."""
    return importlib.util.find_spec(_NEEDS[suffix]) is not None


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
    # A workbook's headings are no more than the names of its sheets.
    heading = first_heading(text) if suffix in _CONVERTERS else None
    return Record(name=None, title=heading or shown(path.name), text=text, converted=True)


def _convert(file: BinaryIO, suffix: str) -> str:
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    ignore_warnings(rf"({'|'.join(_LIBRARIES)})(\.|$)")
    try:
        text = pdf_text(file) if suffix == ".pdf" else _from_office(file, suffix)
    except UnreadableError:
        raise
    except Exception as error:  # the libraries for these formats raise whatever they meet
        raise UnreadableError(f"cannot be converted: {first_line(error)}") from error
    return decoding.whole(text)


def _from_office(file: BinaryIO, suffix: str) -> str:
    check_parts(file)
    if suffix == ".xlsx":
        return workbook_text(file)
    # One format's converter: not the class that guesses formats and knows addresses.
    from markitdown import StreamInfo, converters

    converter = getattr(converters, _CONVERTERS[suffix])()
    return str(converter.convert(file, StreamInfo(extension=suffix), **_OPTIONS).markdown)
