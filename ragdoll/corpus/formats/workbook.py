"""Workbooks of Excel as documents, each sheet a table in Markdown, made row by row.

The process behind the wall runs this.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.markdown import converted

# Of all sheets. A row has all cells up to its last, used or not, and a sheet all rows.
_MAX_CELLS = 1_000_000


def read_workbook(path: Path) -> Document:
    """Read the sheets with their names as headings; of formulas the results that were saved.

    The first row of a sheet is the table's head. Rows and columns that are empty to their end are
    left out.

    Raises:
        UnreadableError: there are too many cells.
    """
    with path.open("rb") as file:
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
        return converted("\n".join(_lines(book)), path)


def _lines(book: Workbook) -> Iterator[str]:
    cells = 0
    for sheet in book.worksheets:
        yield f"## {sheet.title}"
        # The size that a sheet gives itself may be wrong, and rows would be filled up to it.
        sheet.reset_dimensions()
        width = 0
        for row in sheet.iter_rows(values_only=True):
            cells += max(1, len(row))
            if cells > _MAX_CELLS:
                raise UnreadableError(f"sheets of more than {_MAX_CELLS:,} cells; split it")
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
    """Write a cell as a person reads it, in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return " ".join(str(value).replace("|", "\\|").split())
