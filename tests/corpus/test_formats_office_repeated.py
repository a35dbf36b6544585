"""Office files that use a part again and again: a few kilobytes would become gigabytes of text."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ragdoll.corpus import decoding, packed
from tests.corpus.reading import only, reason
from tests.corpus.test_formats_office import docx

OFFICE = "http://schemas.openxmlformats.org"
MAIN = f"{OFFICE}/spreadsheetml/2006/main"
RELATIONS = f"{OFFICE}/officeDocument/2006/relationships"
PACKAGE = f'<Relationships xmlns="{OFFICE}/package/2006/relationships">'
LONG = "x" * 1000

TOO_MUCH = "repeats a text until it is too large"
TOO_MANY = "sheets of more than 100 cells; split it"


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 200_000)
    monkeypatch.setattr(packed, "_MAX_CELLS", 100)


def cell(string: int | str) -> str:
    return f'<row><c t="s"><v>{string}</v></c></row>'


def workbook(
    file: Path, strings: Iterable[str], rows: str, sheets: Iterable[str] = ("r1",), at: str = "two"
) -> Path:
    """A workbook whose sheets name strings that are written once; its relations are r1 and r2."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    kinds = {
        "workbook": f"{kind}.sheet.main+xml",
        "strings": f"{kind}.sharedStrings+xml",
        "one": f"{kind}.worksheet+xml",
        "two": f"{kind}.worksheet+xml",
    }
    listed = "".join(
        f'<sheet name="S{number}" sheetId="{number}" r:id="{sheet}"/>'
        for number, sheet in enumerate(sheets, start=1)
    )
    sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{OFFICE}/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        + "".join(
            f'<Override PartName="/{name}.xml" ContentType="{kind}"/>'
            for name, kind in kinds.items()
        )
        + "</Types>",
        "_rels/.rels": f'{PACKAGE}<Relationship Id="r1" Type="{RELATIONS}/officeDocument" '
        'Target="workbook.xml"/></Relationships>',
        "_rels/workbook.xml.rels": f"{PACKAGE}"
        f'<Relationship Id="r1" Type="{RELATIONS}/worksheet" Target="one.xml"/>'
        f'<Relationship Id="r2" Type="{RELATIONS}/worksheet" Target="{at}.xml"/>'
        f'<Relationship Id="r3" Type="{RELATIONS}/sharedStrings" Target="strings.xml"/>'
        "</Relationships>",
        "workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets>'
        "</workbook>",
        "strings.xml": f'<sst xmlns="{MAIN}">'
        + "".join(f"<si><t>{string}</t></si>" for string in strings)
        + "</sst>",
        "one.xml": sheet,
        "two.xml": sheet.replace(rows, ""),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file


def changed(file: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The same file with another content of a part."""
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name == part else content)
    return file


def test_a_string_of_a_workbook_counts_in_each_of_its_cells(tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    book = workbook(file, ["head", "short", LONG], cell(0) + cell(1) * 50 + cell(2) * 40)
    assert only(book).text.count(LONG) == 40
    sheets = cell(0) + cell(2) * 90
    assert only(workbook(file, ["head", "short", LONG], sheets)).text.count(LONG) == 90
    for string in ("2", " 2 ", "+2", "-1", "2<x/>"):
        book = workbook(file, ["head", "short", 3 * LONG], cell(0) + cell(string) * 80)
        assert reason(book) == TOO_MUCH


def test_a_sheet_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    assert only(workbook(file, "ab", cell(0) + cell(1), ["r1", "r2"])).text.count("## S") == 2
    for sheets, at in ((["r1", "r1"], "two"), (["r1", "r2"], "one"), (["r1", "r2"], "./x/../one")):
        assert reason(workbook(file, "ab", cell(0), sheets, at)) == "lists a sheet twice"


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="101"><c r="A101"/></row>',
        '<row r="+1e2"/><row/><row><c/></row>',
        "<row/>" * 51 + "<row><c/><c/></row>",
        "<row><c/><c r='XFD1'/></row>",
        "<row><c r='A1_01'/></row>",
    ],
)
def test_cells_count_wherever_they_say_that_they_are(tmp_path: Path, rows: str) -> None:
    assert reason(workbook(tmp_path / "a.xlsx", "ab", rows)) == TOO_MANY


def test_a_sheet_that_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    book = workbook(tmp_path / "a.xlsx", "ab", cell(0) * 101 + "<")
    assert reason(book).startswith("cannot be converted: one.xml: ")
    book = workbook(tmp_path / "a.xlsx", "ab", cell(0) * 101)
    said = reason(changed(book, "one.xml", lambda content: encoded(content, "gb18030")))
    assert said == "cannot be converted: multi-byte encodings are not supported"


def encoded(content: bytes, encoding: str) -> bytes:
    text = content.decode().rpartition("?>")[2]
    return f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)


def test_a_note_counts_wherever_it_is_referred_to(tmp_path: Path) -> None:
    def document(references: int) -> Path:
        note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
        file = docx(tmp_path / "a.docx", f"<w:p>{note * references}</w:p>")
        notes = "".join(
            f'<w:footnote w:id="{number}"><w:p><w:r><w:t>{LONG}</w:t></w:r></w:p></w:footnote>'
            for number in range(3)
        )
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                "word/_rels/document.xml.rels",
                f'{PACKAGE}<Relationship Id="r1" Type="{RELATIONS}/footnotes" '
                'Target="footnotes.xml"/></Relationships>',
            )
            archive.writestr(
                "word/footnotes.xml",
                f'<w:footnotes xmlns:w="{OFFICE}/wordprocessingml/2006/main">{notes}</w:footnotes>',
            )
        return file

    assert only(document(100)).text.count(LONG) == 100
    assert reason(document(201)) == TOO_MUCH


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.placeholders[1].text = LONG
    slide.notes_slide.notes_text_frame.text = LONG
    data = CategoryChartData()
    data.categories = ["a", "b"]
    data.add_series("S", (1, 2))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 9, 9, data)
    file = tmp_path_factory.mktemp("slides") / "a.pptx"
    deck.save(str(file))
    return file.read_bytes()


@pytest.mark.parametrize(
    ("part", "element", "times", "said"),
    [
        ("ppt/presentation.xml", rb"<p:sldId [^>]*/>", 120, TOO_MUCH),
        ("ppt/slides/slide1.xml", rb"<p:graphicFrame>.*</p:graphicFrame>", 51, "charts of more"),
    ],
    ids=["slide", "chart"],
)
def test_slides_and_charts_count_as_often_as_they_are_used(
    tmp_path: Path, slides: bytes, part: str, element: bytes, times: int, said: str
) -> None:
    file = tmp_path / "a.pptx"

    def repeated(times: int) -> Path:
        file.write_bytes(slides)
        return changed(
            file, part, lambda content: re.sub(element, lambda found: found[0] * times, content)
        )

    assert only(repeated(50)).text
    assert said in reason(repeated(times))


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_slides_that_cannot_be_measured_are_refused(
    tmp_path: Path, slides: bytes, encoding: str
) -> None:
    file = tmp_path / "a.pptx"
    file.write_bytes(slides)
    part = "ppt/slides/slide1.xml"
    changed(file, part, lambda content: encoded(content, encoding))
    assert reason(file).startswith(f"cannot be converted: {part}: ")


def test_a_chart_of_points_that_it_does_not_name_is_refused(tmp_path: Path, slides: bytes) -> None:
    file = tmp_path / "a.pptx"
    file.write_bytes(slides)
    with zipfile.ZipFile(file) as archive:
        (chart,) = (
            name for name in archive.namelist() if "charts/chart" in name and "_rels" not in name
        )
    many = changed(
        file, chart, lambda content: content.replace(b'ptCount val="2"', b'ptCount val=" 1_01"')
    )
    assert reason(many) == "charts of more than 100 points"
