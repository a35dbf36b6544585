"""Workbooks of Excel as documents, each sheet a table in Markdown, made row by row.

The process behind the wall runs this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall.archives import has_formulas_alone, sheet_comments
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.markdown import converted, row_of

# Of all sheets. A row has all cells up to its last, used or not, and a sheet all rows.
_MAX_CELLS = 1_000_000


def read_workbook(path: Path) -> Document:
    """Read the sheets with their names as headings; of formulas the results, where they were saved.

    Comments on cells stand at the end. The first row of a sheet is the table's head. Rows and
    columns that are empty to their end are left out.

    Raises:
        UnreadableError: there are too many cells.
    """
    comments = sheet_comments(path)
    with path.open("rb") as file, path.open("rb") as again:
        books = [_opened(file, data_only=True)]
        # Programs that do not calculate save formulas without a result.
        if has_formulas_alone(path):
            books.append(_opened(again, data_only=False))
        lines = list(_lines(*books))
    if comments:
        lines += ["## Comments", *comments]
    return converted("\n".join(lines), path)


def _opened(file: IO[bytes], data_only: bool) -> Workbook:
    return load_workbook(file, read_only=True, data_only=data_only, keep_links=False)


def _lines(book: Workbook, formulas: Workbook | None = None) -> Iterator[str]:
    cells = 0
    for number, sheet in enumerate(book.worksheets):
        yield f"## {sheet.title}"
        # The size that a sheet gives itself may be wrong, and rows would be filled up to it.
        sheet.reset_dimensions()
        width = 0
        rows: Iterator[Any] = sheet.iter_rows(values_only=True)
        if formulas is not None:
            other = formulas.worksheets[number]
            other.reset_dimensions()
            pairs = zip_longest(rows, other.iter_rows(values_only=True), fillvalue=())
            rows = (_filled(row, written) for row, written in pairs)
        for row in rows:
            cells += max(1, len(row))
            if cells > _MAX_CELLS:
                raise UnreadableError(f"sheets of more than {_MAX_CELLS:,} cells; split it")
            line, width = row_of([_text(value) for value in row], width)
            if line:
                yield line
        yield ""


def _filled(row: Sequence[Any], written: Sequence[Any]) -> list[Any]:
    """Put what is written into cells in the place of results that are missing."""
    pairs = zip_longest(row, written)
    return [formula if value is None else value for value, formula in pairs]


def _text(value: Any) -> str:
    """Write a cell as a person reads it."""
    if isinstance(value, ArrayFormula | DataTableFormula):
        value = getattr(value, "text", None)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return str(value)
