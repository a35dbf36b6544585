"""What becomes of the cells of a workbook."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from ragdoll.corpus import decoding
from tests.corpus.reading import only, reason

Rows = list[list[Any]]


@pytest.fixture
def book(tmp_path: Path) -> Callable[[Rows], Path]:
    def make(rows: Rows) -> Path:
        made = Workbook()
        made.active.title = "One"
        for row in rows:
            made.active.append(row)
        made.save(tmp_path / "a.xlsx")
        return tmp_path / "a.xlsx"

    return make


def with_rows(book: Path, rows: str) -> Path:
    """Replace the rows of the sheet by XML."""
    with zipfile.ZipFile(book) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    before, _, rest = parts[name].partition(b"<sheetData>")
    _, _, after = rest.partition(b"</sheetData>")
    parts[name] = before + b"<sheetData>" + rows.encode() + b"</sheetData>" + after
    with zipfile.ZipFile(book, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return book


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines", "two lines"),
        ("a|b", "a\\|b"),
        ("NaN", "NaN"),
        (3, "3"),
        (3.0, "3"),
        (0.1 + 0.2, "0.3"),
        (1e300, "1e+300"),
        (True, "TRUE"),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 8, 30), "2026-01-31 08:30:00"),  # noqa: DTZ001  (has no zone)
        (time(8, 30), "08:30:00"),
        (None, ""),
        ("=1+1", ""),  # whose result was never saved
    ],
)
def test_a_cell_reads_as_a_person_sees_it(
    book: Callable[[Rows], Path], value: object, shown: str
) -> None:
    text = only(book([["name", "value", "end"], ["x", value, "y"]])).text
    assert text == f"## One\n| name | value | end |\n| --- | --- | --- |\n| x | {shown} | y |"


def test_empty_rows_and_columns_are_left_out(book: Callable[[Rows], Path]) -> None:
    rows = [[None, None], ["a", "b", None, " "], [None], [1, None, None], ["c", "d", "e"]]
    assert only(book(rows)).text.splitlines() == [
        "## One",
        "| a | b |",
        "| --- | --- |",
        "| 1 |  |",
        "| c | d | e |",
    ]


def test_a_workbook_without_a_cell_has_no_text_but_names(book: Callable[[Rows], Path]) -> None:
    assert only(book([])).text == "## One"


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="99999999999"><c r="A99999999999"><v>1</v></c></row>',
        "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 70)),
    ],
    ids=["far down", "far right"],
)
def test_cells_far_away_end_the_reading(book: Callable[[Rows], Path], rows: str) -> None:
    assert reason(with_rows(book([["x"]]), rows)).endswith("1,000,000 cells; split it")


def test_the_size_that_a_sheet_gives_itself_is_not_believed(book: Callable[[Rows], Path]) -> None:
    path = book([["a", "b"], [1, 2]])
    with zipfile.ZipFile(path) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b'ref="A1:B2"', b'ref="A1:A1"')
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    assert "| 1 | 2 |" in only(path).text


def test_text_that_is_repeated_counts_each_time(
    book: Callable[[Rows], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = book([["long " * 2000] for _ in range(60)])
    assert len(only(path).text) > 500_000
    monkeypatch.setattr(decoding, "MAX_BYTES", 400_000)
    assert "large" in reason(path)
