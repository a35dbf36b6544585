"""PDF and Office files, converted for real, and what is said where the extra is missing."""

from __future__ import annotations

import importlib.util
import logging
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.reading import open_corpus
from ragdoll.errors import MissingExtraError
from tests.conftest import Ragdoll
from tests.corpus.nested import nested_forms
from tests.corpus.reading import alarm, only, reason, written

HINT = "pip install 'ragdoll-cli[documents]'"


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def missing(name: str, *rest: Any) -> Any:
        return None if name in {"markitdown", "openpyxl", "pdfminer"} else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", missing)


def pdf(pages: Sequence[str], encrypted: bool = False, packed: bool = False) -> bytes:
    """A PDF with a line of text on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        kind = ""
        if packed:
            content, kind = (
                zlib.compress(content.encode()).decode("latin-1"),
                "/Filter /FlateDecode",
            )
        page = f"/MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R"
        objects += [
            f"<< /Type /Page /Parent 2 0 R {page} /Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(content)} {kind} >>\nstream\n{content}\nendstream",
        ]
    lock = f"<< /Filter /Standard /V 1 /R 2 /O <{'00' * 32}> /U <{'00' * 32}> /P 0 >>"
    objects += [lock] if encrypted else []
    body, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n".encode("latin-1")
    size = len(objects) + 1
    entries = "".join(f"{place:010} 00000 n \n" for place in places)
    locked = f"/Encrypt {len(objects)} 0 R /ID [<00> <00>]" if encrypted else ""
    end = f"trailer << /Size {size} /Root 1 0 R {locked} >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{entries}{end}".encode()


def docx(file: Path, body: str) -> Path:
    """A Word file with what Word calls the body."""
    office = "http://schemas.openxmlformats.org"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
        f'<Relationship Id="r1" Type="{office}/officeDocument/2006/relationships/officeDocument" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{office}/wordprocessingml/2006/main">'
        f"<w:body>{body}</w:body></w:document>",
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + content)
    return file


def paragraph(text: str, style: str = "") -> str:
    kind = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{kind}<w:r><w:t>{text}</w:t></w:r></w:p>"


def row(*cells: str) -> str:
    return "<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in cells) + "</w:tr>"


# With the extra


def test_a_pdf_is_the_text_of_its_pages(tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.pdf", pdf(["The event_loop runs.", "A second page."])))
    assert (record.name, record.title, record.converted) == (None, "a.pdf", True)
    assert record.text == "The event_loop runs.\n\nA second page."


def test_a_word_file_is_markdown(tmp_path: Path) -> None:
    body = (
        paragraph("The event_loop", "Heading1")
        + paragraph("It runs *callbacks*.")
        + f"<w:tbl>{row('a', 'b')}{row('1', '2')}</w:tbl>"
    )
    record = only(docx(tmp_path / "a.docx", body))
    assert (record.name, record.title, record.converted) == (None, "The event_loop", True)
    assert record.text == (
        "# The event_loop\n\nIt runs *callbacks*.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"
    )


def test_slides_are_markdown_without_pictures(tmp_path: Path) -> None:
    import pptx
    from PIL import Image

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "The event_loop"
    slide.placeholders[1].text = "It runs *callbacks*."
    Image.new("RGB", (2, 2)).save(tmp_path / "x.png")
    slide.shapes.add_picture(str(tmp_path / "x.png"), 0, 0)
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    deck.save(str(tmp_path / "A.PPTX"))
    record = only(tmp_path / "A.PPTX")
    assert (record.title, record.converted) == ("The event_loop", True)
    assert "# The event_loop\nIt runs *callbacks*." in record.text
    assert record.text.endswith("Say it slowly.")
    assert "<!--" not in record.text
    assert "![" not in record.text


def test_a_workbook_is_a_table_a_sheet(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Prices"
    for values in (["item", "price"], ["lock", 3], ["key_ring", None]):
        book.active.append(values)
    book.create_sheet("More").append(["x"])
    book.save(tmp_path / "a.xlsx")
    record = only(tmp_path / "a.xlsx")
    assert record.title == "a.xlsx"
    assert "## Prices\n| item | price |" in record.text
    assert "| lock | 3" in record.text
    assert "| key_ring |  |" in record.text
    assert "## More" in record.text


def test_a_scanned_pdf_has_no_text(tmp_path: Path) -> None:
    assert reason(written(tmp_path, "a.pdf", pdf([""]))) == "no text in it"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"%PDF-1.7"),
        ("a.pdf", pdf(["text"])[:200]),
        ("a.pdf", pdf(["text"], encrypted=True)),
        ("a.pdf", b"only words"),
        ("a.docx", b"only words"),
        ("a.pptx", b"PK\x03\x04 and no more"),
        ("a.xlsx", b"PK\x05\x06" + bytes(18)),
        ("a.docx", b"PK\x05\x06" + bytes(18)),
    ],
)
def test_a_damaged_or_locked_file_is_unreadable_with_one_line(
    name: str, content: bytes, tmp_path: Path
) -> None:
    said = reason(written(tmp_path, name, content))
    assert said.startswith("cannot be converted: ")
    assert said.removeprefix("cannot be converted: ").strip()
    assert "\n" not in said


def test_a_packed_file_that_is_large_unpacked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 100_000)
    file = docx(tmp_path / "a.docx", paragraph("x" * 200_000))
    assert file.stat().st_size < 10_000
    assert reason(file) == "larger than 64 MiB; split it"


@pytest.mark.parametrize("name", ["word/media/a.png", "word/document.bin"])
def test_so_is_one_whose_other_parts_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 100_000)
    file = docx(tmp_path / "a.docx", paragraph("text"))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(90_000))
        assert only(file).text == "text"
        archive.writestr(name + ".2", bytes(20_000))
    assert reason(file) == "larger than 64 MiB; split it"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    "entity", ['"' + "x" * 1000 + '"', 'SYSTEM "file:///etc/passwd"'], ids=["text", "file"]
)
def test_entities_are_not_expanded(tmp_path: Path, encoding: str, entity: str) -> None:
    plain, file = docx(tmp_path / "plain.docx", paragraph("text &a;")), tmp_path / "a.docx"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            text = old.read(name).decode().partition("?>")[2]
            declared = (
                f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY a {entity}>]>'
            )
            new.writestr(name, (declared + text).encode(encoding))
    assert reason(file) == "declares entities, which no Office file needs"


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.pptx", "a.xlsx"])
def test_a_file_that_is_too_large_is_not_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 100)
    assert reason(written(tmp_path, name, b"x" * 101)) == "larger than 64 MiB; split it"
    assert reason(written(tmp_path, name, b"x" * 100)).startswith("cannot be converted: ")


def test_a_pdf_that_is_large_unpacked_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "a.pdf", pdf(["x" * 5_000] * 2, packed=True))
    assert len(only(file).text) == 10_002
    monkeypatch.setattr(decoding, "MAX_BYTES", 9_000)
    assert file.stat().st_size < 9_000
    assert reason(file) == "larger than 64 MiB; split it"


def test_a_conversion_writes_nothing_on_the_side(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    only(written(tmp_path, "a.pdf", pdf(["text"])))
    logging.getLogger("pdfminer.pdffont").warning("Could not get FontBBox")
    reason(written(tmp_path, "b.pdf", pdf(["text"])[:200]))
    only(docx(tmp_path / "a.docx", paragraph("text", "NoSuchStyle")))
    captured = capfd.readouterr()
    assert (captured.out, captured.err, caplog.records, list(recwarn)) == ("", "", [], [])


# Without it


@pytest.mark.parametrize("suffix", [".docx", ".pdf", ".pptx", ".xlsx"])
@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_every_format_has_the_same_reason(suffix: str, tmp_path: Path) -> None:
    said = reason(written(tmp_path, f"a{suffix}", "x"))
    assert said == f"needs the extra documents: {HINT}"


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_the_other_files_of_a_folder_are_read(docs: Path) -> None:
    written(docs, "a.pdf", "x")
    corpus = open_corpus([str(docs)])
    assert len(list(corpus)) == 4
    assert [item.path for item in corpus.skipped] == ["a.pdf"]


@pytest.mark.usefixtures("without_extra")
def test_without_the_extra_a_file_that_is_named_is_an_error_with_the_install_line(
    tmp_path: Path, ragdoll: Ragdoll
) -> None:
    file = written(tmp_path, "report.pdf", pdf(["text"]))
    with pytest.raises(MissingExtraError) as caught:
        open_corpus([str(file)])
    assert caught.value.hint == HINT
    result = ragdoll("featurize", file, "--json")
    assert (result.status, result.out) == (1, "")
    assert result.err.splitlines() == [
        f"Error: {file} needs the extra 'documents', which is not installed.",
        HINT,
    ]


def test_a_file_that_is_named_is_read_with_the_extra(tmp_path: Path) -> None:
    file = written(tmp_path, "report.pdf", pdf(["text"]))
    assert [document.text for document in open_corpus([str(file)])] == ["text"]


# Small files that are much unpacked


def repacked(content: bytes, entries: str = "") -> bytes:
    """A PDF whose page draws this."""
    whole = pdf(["text"], packed=True)
    begin = whole.find(b"stream\n") + len(b"stream\n")
    end = whole.find(b"\nendstream", begin)
    whole = whole[:begin] + zlib.compress(content) + whole[end:]
    return whole.replace(b"/Filter /FlateDecode", b"/Filter /FlateDecode " + entries.encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (nested_forms(12, 2), "draws far more than its size allows"),
        (repacked(b"q " * 2**20), "draws far more than its size allows"),
        (repacked(bytes(66 * 2**20)), "larger than 64 MiB"),
        (
            repacked(b"q ", "/DecodeParms << /Predictor 12 /Columns 99999999999 >>"),
            "a line of a picture is longer than the picture",
        ),
    ],
    ids=["drawn again and again", "long drawing", "packed", "predicted"],
)
def test_a_pdf_that_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, content: bytes, said: str
) -> None:
    assert said in reason(written(tmp_path, "a.pdf", content))


@pytest.mark.parametrize("box", [b"[0 0 999999999 999999999]", b"[0 0 -999999999 999999999]"])
def test_a_page_of_any_size_is_read(tmp_path: Path, box: bytes) -> None:
    content = pdf(["The loop runs."]).replace(b"[0 0 612 792]", box)
    assert only(written(tmp_path, "a.pdf", content)).text == "The loop runs."


def test_texts_that_lie_as_far_apart_as_no_page_is_large_are_read_at_once(tmp_path: Path) -> None:
    content = pdf(["One.) Tj 900000000 900000000 Td (Two."])
    content = content.replace(b"[0 0 612 792]", b"[0 0 999999999 999999999]")
    with alarm(5):
        assert only(written(tmp_path, "a.pdf", content)).text.split() == ["Two.", "One."]


def test_every_part_counts_to_what_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 100_000)
    file = docx(tmp_path / "a.docx", paragraph("x"))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.bin", bytes(200_000))
    assert "larger than" in reason(file)
    hardly_packs = docx(tmp_path / "b.docx", paragraph("x"))
    with zipfile.ZipFile(hardly_packs, "a") as archive:
        archive.writestr("word/media/picture.png", bytes(90_000))
    assert only(hardly_packs).text == "x"
