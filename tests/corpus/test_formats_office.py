"""PDF and Office files, converted for real, and what is said where the extra is missing."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.behind_wall import wall
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read
from ragdoll.corpus.formats.kinds import Manner
from ragdoll.errors import MissingExtraError
from ragdoll.extras import install_command
from tests.conftest import Ragdoll
from tests.corpus.archives import changed, docx, encoded, paragraph, row
from tests.corpus.pdfs import pdf, repacked
from tests.corpus.reading import only, reason, written
from tests.making import open_corpus

HINT = install_command("documents")


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def missing(name: str, *rest: Any) -> Any:
        return None if name in {"markitdown", "openpyxl", "pdfminer"} else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", missing)


# With the extra


def test_a_pdf_is_the_text_of_its_pages(tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.pdf", pdf(["The event_loop runs.", "A second page."])))
    assert (record.source, record.title, record.whole_file) == ("", "a.pdf", False)
    assert record.text == "The event_loop runs.\n\nA second page."


def test_a_word_file_is_markdown(tmp_path: Path) -> None:
    body = (
        paragraph("The event_loop", "Heading1")
        + paragraph("It runs *callbacks*.")
        + f"<w:tbl>{row('a', 'b')}{row('1', '2')}</w:tbl>"
    )
    record = only(docx(tmp_path / "a.docx", body))
    assert (record.source, record.title, record.whole_file) == ("", "The event_loop", False)
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
    assert (record.title, record.whole_file) == ("The event_loop", False)
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


@pytest.mark.parametrize(
    ("matrix", "place"), [("0 1 -1 0", "30 200"), ("0 -1 1 0", "500 700"), ("-1 0 0 -1", "500 100")]
)
def test_text_of_a_pdf_that_is_turned_is_read_behind_the_rest(
    matrix: str, place: str, tmp_path: Path
) -> None:
    stamp = f"BT /F1 20 Tf {matrix} {place} Tm (A stamp of 1991) Tj ET"
    content = f"{stamp} BT /F1 12 Tf 72 720 Td (The text.) Tj ET"
    record = only(written(tmp_path, "a.pdf", repacked(content.encode())))
    assert record.text.split("\n\n") == ["The text.", "A stamp of 1991"]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("end", [b"xref", b"endobj\nxref", b"endstream\nendobj\nxref"])
def test_the_pages_of_a_pdf_that_is_cut_off_are_read(
    end: bytes, packed: bool, tmp_path: Path
) -> None:
    content = pdf(["One", "Two"], packed=packed)
    record = only(written(tmp_path, "a.pdf", content[: content.index(end)]))
    assert record.text == "One\n\nTwo"


@pytest.mark.parametrize(
    ("kind", "shown"), [("FreeText", "A remark."), ("Highlight", "A remark."), ("Link", "")]
)
def test_a_remark_stands_on_its_page(kind: str, shown: str, tmp_path: Path) -> None:
    remark = f"<< /Type /Annot /Subtype /{kind} /Contents (A remark.) >>"
    record = only(written(tmp_path, "a.pdf", pdf(["One", "Two"], field=remark)))
    assert record.text == "\n\n".join([f"One\n{shown}".rstrip(), "Two"])


def test_a_user_may_say_that_a_file_is_of_word(tmp_path: Path) -> None:
    file = docx(tmp_path / "a.xyz", paragraph("text"))
    (record,) = read(file, Manner(formats=(".xyz=docx",)))
    assert isinstance(record, Document)
    assert record.text == "text"


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


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
def test_an_encrypted_or_old_file_is_named_as_such(name: str, tmp_path: Path) -> None:
    file = written(tmp_path, name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512))
    assert reason(file) == "needs a password, or is in the old binary format"


def test_words_of_the_head_of_a_page_stay_apart(tmp_path: Path) -> None:
    file = docx(tmp_path / "a.docx", paragraph("Text."))
    run = "<w:r><w:t>Acme</w:t><w:tab/><w:t>Invoice</w:t><w:br/><w:t>Two</w:t></w:r>"
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("word/header1.xml", f'<w:hdr xmlns:w="w"><w:p>{run}</w:p></w:hdr>')
    assert only(file).text == "Text.\n\nAcme Invoice Two"


@pytest.mark.parametrize(
    ("stated", "title"),
    [
        ("Introduction to Node.js", "Introduction to Node.js"),
        ("Handbook of version 3.11", "Handbook of version 3.11"),
        ("report_2.docx", "a.pdf"),
        ("Microsoft Word - My report.doc", "a.pdf"),
    ],
)
def test_the_title_of_a_pdf_is_stated_and_no_name(stated: str, title: str, tmp_path: Path) -> None:
    file = written(tmp_path, "a.pdf", pdf(["Text."], info=f"<< /Title ({stated}) >>"))
    assert only(file).title == title


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("<< /T (name) /V (Ada) >>", "name: Ada"),
        ("<< /T (name) /V [(Ada) (Bo)] >>", "name: Ada, Bo"),
        ("<< /T (name) /V /Off >>", ""),
    ],
)
def test_what_is_filled_in_stands_on_its_page(field: str, shown: str, tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.pdf", pdf(["One", "Two"], field=field)))
    one = f"One\n{shown}".rstrip()
    assert record.text == f"{one}\n\nTwo"
    assert list(record.pages) == [0, len(one) + 2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_file_is_read_for_an_entity(tmp_path: Path, encoding: str) -> None:
    secret = written(tmp_path, "secret", "secret")
    file = docx(tmp_path / "a.docx", paragraph("text &a;"))
    declared = f'<!DOCTYPE a [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'

    def with_entity(content: bytes) -> bytes:
        return encoded(declared.encode() + content.partition(b"?>")[2], encoding)

    changed(file, "word/document.xml", with_entity)
    try:
        assert only(file).text == "text"
    except UnreadableError as error:
        assert "secret" not in str(error)  # noqa: PT017  (either outcome is right)


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.pptx", "a.xlsx"])
def test_a_file_that_is_too_large_is_not_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / name).open("wb") as content:
        content.truncate(64 * 2**20 + 1)
    monkeypatch.setattr(wall, "document", lambda *_: pytest.fail("it is read"))
    assert reason(tmp_path / name) == "larger than 64 MiB; split it"


def test_a_text_that_is_too_large_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "a.pdf", pdf(["x" * 5_000] * 2, packed=True))
    assert len(only(file).text) == 10_002
    monkeypatch.setattr(decoding, "MAX_BYTES", 9_000)
    assert reason(file) == "larger than 64 MiB; split it"


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
