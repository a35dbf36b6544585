"""Workbooks: the text of their cells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.formula import ArrayFormula

from ragdoll.corpus.formats.behind_wall import workbook as module
from ragdoll.corpus.formats.behind_wall.workbook import read_workbook
from ragdoll.corpus.formats.decoding import UnreadableError
from tests.corpus.archives import cell, changed, encoded, workbook
from tests.corpus.reading import alarm, only, reason

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
        ("=1+1", "=1+1"),  # whose result was never saved
    ],
)
def test_a_cell_reads_as_a_person_sees_it(
    book: Callable[[Rows], Path], value: object, shown: str
) -> None:
    text = only(book([["name", "value", "end"], ["x", value, "y"]])).text
    assert text == f"## One\n| name | value | end |\n| --- | --- | --- |\n| x | {shown} | y |"


def test_a_formula_for_several_cells_is_read(book: Callable[[Rows], Path]) -> None:
    formula = ArrayFormula("B2:B3", "=A2:A3*2")
    assert "| 2 | =A2:A3*2 |" in only(book([["name", "value"], [2, formula]])).text


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


def test_the_size_that_a_sheet_gives_itself_is_not_believed(book: Callable[[Rows], Path]) -> None:
    path = book([["a", "b"], [1, 2]])
    changed(
        path, "xl/worksheets/sheet1.xml", lambda xml: xml.replace(b'ref="A1:B2"', b'ref="A1:A1"')
    )
    assert "| 1 | 2 |" in only(path).text


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="99999999999"><c r="A99999999999"/></row>',
        '<row r="101"><c r="A101"/></row>',
        "<row/>" * 51 + "<row><c/><c/></row>" * 25,
        "<row><c/><c r='XFD1'/></row>",
        "<row/>" * 101,
    ],
)
def test_cells_count_wherever_they_say_that_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    monkeypatch.setattr(module, "_MAX_CELLS", 100)
    with alarm(10), pytest.raises(UnreadableError, match="sheets of more than 100 cells; split it"):
        read_workbook(workbook(tmp_path / "a.xlsx", "ab", rows))


def test_a_sheet_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", "ab", cell(0) * 3 + "<")
    assert reason(path).startswith("cannot be converted: ")
    path = workbook(tmp_path / "a.xlsx", "ab", cell(0) * 3)
    changed(path, "one.xml", lambda content: encoded(content, "gb18030"))
    assert reason(path).startswith("cannot be converted: ")
