"""Workbooks of Excel: each sheet a table in Markdown, made row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from typing import TYPE_CHECKING, Any, BinaryIO

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError

if TYPE_CHECKING:
    from openpyxl import Workbook

# Of all sheets. A row has all cells up to its last, used or not, and a sheet all rows.
_MAX_CELLS = 1_000_000


def workbook_text(file: BinaryIO) -> str:
    """The sheets with their names as headings; of formulas the results that were saved.

    The first row of a sheet is the table's head. Rows and columns that are empty to their end are
    left out.

    Raises:
        UnreadableError: there are too many cells, or their text is too large.
    """
    from openpyxl import load_workbook

    lines = []
    room = decoding.MAX_BYTES
    for line in _lines(load_workbook(file, read_only=True, data_only=True, keep_links=False)):
        room -= len(line)
        if room < 0:
            raise UnreadableError(decoding.TOO_LARGE)
        lines.append(line)
    return "\n".join(lines)


def _lines(book: Workbook) -> Iterator[str]:
    cells = 0
    for sheet in book.worksheets:
        yield f"## {sheet.title}"
        # What it says of its own size need not be true, and rows would be filled up to it.
        sheet.reset_dimensions()
        width = 0
        for row in sheet.iter_rows(values_only=True):
            cells += max(1, len(row))
            if cells > _MAX_CELLS:
                raise UnreadableError(f"sheets of more than {_MAX_CELLS:,} cells; split it")
            # A string that is there once may be in every cell.
            if sum(len(value) for value in row if isinstance(value, str)) > decoding.MAX_BYTES:
                raise UnreadableError(decoding.TOO_LARGE)
            texts = [_text(value) for value in row]
            while texts and not texts[-1]:
                texts.pop()
            if not texts:
                continue
            is_head = not width
            width = max(width, len(texts))
            yield _line(texts + [""] * (width - len(texts)))
            if is_head:
                yield _line(["---"] * width)
        yield ""


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _text(value: Any) -> str:
    """A cell as a person reads it, in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return " ".join(str(value).replace("|", "\\|").split())
