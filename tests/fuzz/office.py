"""PDF, Word, PowerPoint and Excel."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.corpus.archives import BOOK, OPEN_DOCUMENT, archive, cell, docx, paragraph, row, workbook
from tests.corpus.pdfs import nested_forms, pdf
from tests.fuzz.harness import Case, FindingError, Prepare
from tests.fuzz.mutation import mutated, mutated_zip
from tests.fuzz.texts import check_records, mutations

_PDF_WORDS = (
    *(
        b"1 0 R",
        b"2 0 R",
        b"4 0 R",
        b"5 0 R",
        b"obj\n",
        b"endobj\n",
        b"stream\n",
        b"endstream",
        b"<<",
    ),
    *(b">>", b"/Kids [2 0 R]", b"/Contents 5 0 R", b"/Filter /FlateDecode", b"/Filter /LZWDecode"),
    *(
        b"/Filter /ASCII85Decode",
        b"/Filter /RunLengthDecode",
        b"/Filter /CCITTFaxDecode",
        b"/Prev 9",
    ),
    *(
        b"/Predictor 12 /Columns 999999999",
        b"/Type /ObjStm",
        b"/Type /XRef",
        b"/XRefStm 9",
        b"trailer",
    ),
    *(
        b"/MediaBox [0 0 1e30 -1]",
        b"/Rotate 90",
        b"/ToUnicode 5 0 R",
        b"/Encoding /Identity-H",
        b"Tj",
    ),
    *(
        b"1e30 Tf",
        b" 0 0 0 0 0 0 Tm",
        b"/XObject << /X 5 0 R >>",
        b"/X Do",
        b"BI /W 9 ID x EI",
        b"q ",
    ),
)
_XML_WORDS = (
    *(
        b"<a>",
        b"</a>",
        b"<a/>",
        b"&a;",
        b"&#0;",
        b"&#x10FFFF;",
        b"<![CDATA[",
        b"<?x?>",
        b"xmlns:w='x'",
    ),
    *(
        b"<!DOCTYPE x [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>",
        b' r="1048576"',
        b"<w:tbl>",
    ),
    *(
        b'r="XFD1048576"',
        b"A1:XFD1048576",
        b"<w:tr><w:tc>",
        b"<w:p>",
        b'val="99999999"',
        b"<v>",
        b'<c t="s"><v>1</v></c>',
        b'<sheet name="x" sheetId="9" r:id="r1"/>',
        b'<c:ptCount val="99999999"/>',
        b"<f>",
    ),
    *(
        b'<w:gridSpan w:val="99999999"/>',
        b't="s"',
        b't="d"',
        b"#REF!",
        b"1e999",
        b"../../x",
        b"rId1",
    ),
)


def _pdf(folder: Path) -> Case:
    seeds = (
        pdf(["The event_loop runs.", "A second page."]),
        pdf(["Packed."], packed=True),
        pdf(["Locked."], encrypted=True),
        nested_forms(3, 2),
    )
    file = folder / "a.pdf"

    def case(draw: Random) -> None:
        content = draw.choice(seeds)
        if draw.random() < 0.3:
            content = mutated(_repacked(content, draw), draw, _PDF_WORDS)
        else:
            content = mutated(content, draw, _PDF_WORDS)
        file.write_bytes(content)
        check_records(file)

    for seed in (seeds[0], seeds[1], seeds[3]):
        file.write_bytes(seed)
        if not check_records(file):
            raise FindingError("the seed is not read")
    return case


def _repacked(content: bytes, draw: Random) -> bytes:
    """A PDF whose first packed stream is another's bytes, often far larger."""
    begin = content.find(b"stream\n") + len(b"stream\n")
    end = content.find(b"\nendstream", begin)
    inner = draw.choice((b"(x) Tj ", b"q ", b"[", b"<<", b"BT ET ", b"/X Do ", b"1 "))
    return content[:begin] + zlib.compress(inner * draw.choice((10, 3000))) + content[end:]


def _word(folder: Path) -> bytes:
    body = (
        paragraph("The event_loop", "Heading1")
        + paragraph("It runs &amp; runs.")
        + f"<w:tbl>{row('a', 'b')}{row('1', '2')}</w:tbl>"
    )
    return docx(folder / "seed.docx", body).read_bytes()


def _slides(folder: Path) -> bytes:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "The event_loop"
    slide.placeholders[1].text = "It runs."
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    table = slide.shapes.add_table(2, 2, 0, 0, 9999, 9999).table
    table.cell(0, 0).text = "cell"
    data = CategoryChartData()
    data.categories = ["a", "b"]
    data.add_series("S", (1, 2))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 9, 9, data)
    deck.save(str(folder / "seed.pptx"))
    return (folder / "seed.pptx").read_bytes()


def _workbook(folder: Path) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Prices"
    for values in (["item", "price", "day"], ["lock", 3, "2020-01-01"], ["key", None, "=1+1"]):
        book.active.append(values)
    book.active.merge_cells("A4:B5")
    book.create_sheet("More").append(["x", 1e10, True])
    book.save(folder / "seed.xlsx")
    return (folder / "seed.xlsx").read_bytes()


def _strings(folder: Path) -> bytes:
    """A workbook as Excel writes it, with each string in one place for all of its cells."""
    rows = cell(0) + cell(1) * 3
    return workbook(folder / "seed.xlsx", ["head", "long " * 2000], rows).read_bytes()


def _book(folder: Path) -> bytes:
    return archive(folder / "seed.epub", BOOK).read_bytes()


def _open_document(folder: Path) -> bytes:
    return archive(folder / "seed.odt", {"content.xml": OPEN_DOCUMENT}).read_bytes()


def _zipped(suffix: str, make: Callable[[Path], bytes]) -> Prepare:
    def mutate(seed: bytes, draw: Random) -> bytes:
        return mutated_zip(seed, draw, _XML_WORDS)

    return lambda folder: mutations(folder / f"a{suffix}", make(folder), mutate)


TARGETS: dict[str, Prepare] = {
    "pdf": _pdf,
    "docx": _zipped(".docx", _word),
    "pptx": _zipped(".pptx", _slides),
    "xlsx": _zipped(".xlsx", _workbook),
    "xlsx-strings": _zipped(".xlsx", _strings),
    "epub": _zipped(".epub", _book),
    "odt": _zipped(".odt", _open_document),
}
