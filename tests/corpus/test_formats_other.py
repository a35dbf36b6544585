"""Tests of notebooks, mail, books, OpenDocument, subtitles, man pages, and what a user says."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read as read_file
from ragdoll.corpus.formats.kinds import Manner
from ragdoll.corpus.reading import read
from ragdoll.errors import UsageError
from ragdoll.settings import CorpusSettings
from tests.corpus.archives import BOOK, OPEN_DOCUMENT, archive
from tests.corpus.reading import only, reason, records, written

CELLS = [
    {"cell_type": "markdown", "source": ["# Tides\n", "When it rises."]},
    {
        "cell_type": "code",
        "source": "print(level)",
        "outputs": [
            {"output_type": "stream", "text": ["3.2 metres\n"]},
            {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}},
            {"output_type": "execute_result", "data": {"text/plain": "'high'", "text/html": "x"}},
        ],
    },
    {"cell_type": "code", "source": [], "outputs": []},
]


@pytest.mark.parametrize("content", [{"cells": CELLS}, {"worksheets": [{"cells": CELLS}]}])
def test_a_notebook_is_its_cells_and_what_they_printed(content: object, tmp_path: Path) -> None:
    file = written(tmp_path, "a.ipynb", json.dumps(content))
    code = "# Tides\nWhen it rises.\n\n```python\nprint(level)\n```"
    record = only(file)
    assert record.text == f"{code}\n\n```\n3.2 metres\n```\n\n```\n'high'\n```"
    assert (record.title, record.markup) == ("Tides", "markdown")
    (short,) = read_file(file, Manner(outputs=False))
    assert isinstance(short, Document)
    assert short.text == code


@pytest.mark.parametrize("content", ["{}", "[1]", '{"cells": [1]}', "not JSON", "[" * 100_000])
def test_what_is_no_notebook_is_left_out(content: str, tmp_path: Path) -> None:
    assert reason(written(tmp_path, "a.ipynb", content)) == "not a notebook"


def message(text: str, **heads: str) -> EmailMessage:
    made = EmailMessage()
    for head, value in heads.items():
        made[head] = value
    made.set_content(text)
    return made


def test_a_message_is_its_text_under_its_subject(tmp_path: Path) -> None:
    mail = message(
        "Zwei Paletten.\n",
        Subject="Lieferung für März",
        From="Ada <ada@example.org>",
        Date="Tue, 05 Mar 2024 10:00:00 +0100",
    )
    mail.add_alternative("<p>Zwei <b>Paletten</b>.</p>", subtype="html")
    mail.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="plan.pdf")
    record = only(written(tmp_path, "a.eml", mail.as_bytes()))
    assert record.title == "Lieferung für März"
    assert record.text.endswith("Attachments: plan.pdf\n\nZwei Paletten.")
    assert record.metadata == {
        "from": "Ada <ada@example.org>",
        "date": "2024-03-05T10:00:00+01:00",
    }


def test_a_message_that_is_a_page_alone_is_read_as_one(tmp_path: Path) -> None:
    mail = message("", Subject="Page")
    mail.set_content("<html><body><h1>Hello</h1><script>x</script></body></html>", subtype="html")
    assert only(written(tmp_path, "a.eml", mail.as_bytes())).text == "Subject: Page\n\n# Hello"


def test_a_box_has_a_document_for_each_message(tmp_path: Path) -> None:
    box = b"".join(
        b"From x@example.org Tue Mar  5 10:00:00 2024\n"
        + message(f"Text {number}.", Subject=f"Number {number}").as_bytes()
        + b"\n\n"
        for number in range(2)
    )
    found = records(written(tmp_path, "a.mbox", box))
    assert [(record.source, record.title) for record in found] == [
        ("1", "Number 0"),
        ("2", "Number 1"),
    ]
    assert reason(written(tmp_path, "b.mbox", "no message")) == "no message in it"


def test_a_book_is_its_chapters_in_the_order_of_reading(tmp_path: Path) -> None:
    record = only(archive(tmp_path / "a.epub", BOOK))
    assert (record.title, record.text) == ("Narwhals", "One.\n\n# Two")


@pytest.mark.parametrize("suffix", [".odt", ".ods", ".odp"])
def test_open_documents_are_their_headings_paragraphs_and_rows(suffix: str, tmp_path: Path) -> None:
    record = only(archive(tmp_path / f"a{suffix}", {"content.xml": OPEN_DOCUMENT}))
    assert (record.title, record.text) == ("Head", "## Head\n\nOne two.\n\n| a | b |")


@pytest.mark.parametrize("name", ["a.epub", "a.odt"])
def test_a_damaged_archive_is_left_out(name: str, tmp_path: Path) -> None:
    assert reason(written(tmp_path, name, b"PK\3\4 broken")) == "damaged, or no such file"
    assert reason(archive(tmp_path / name, {"other.xml": "<a/>"})) == "a part is missing"
    broken = {**BOOK, "content.xml": "no XML", "META-INF/container.xml": "no XML"}
    assert reason(archive(tmp_path / name, broken)) == "a part of it is no XML"


@pytest.mark.parametrize("entity", ["&x;", "&lol;"])
def test_entities_of_a_hostile_archive_are_not_resolved(entity: str, tmp_path: Path) -> None:
    kind = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY lol "ha">]>'
    content = kind + OPEN_DOCUMENT.replace("One", f"One{entity}")
    text = only(archive(tmp_path / "a.odt", {"content.xml": content})).text
    assert "root:" not in text
    assert "ha" not in text


def test_subtitles_are_what_is_said_line_by_line(tmp_path: Path) -> None:
    times = "00:00:01,000 --> 00:00:02,000"
    srt = f"1\n{times}\n<i>Welcome</i>\n\n2\n{times}\n12\n"
    assert only(written(tmp_path, "a.srt", srt)).text == "\n\nWelcome\n\n\n\n12\n"
    times = "00:01.000 --> 00:02.000 line:0"
    vtt = f"WEBVTT\nKind: x\n\nNOTE hidden\nmore\n\nid\n{times}\n<v Ann>Hello\n"
    assert only(written(tmp_path, "a.vtt", vtt)).text.split() == ["id", "Hello"]


MAN = r""".\" Comment.
.TH GIT-LOG "1" "2024" "Git"
.de XX
hidden
..
.SH NAME
git\-log \- Show \fBcommit\fR logs \(em \&.all
.SS "Sub section"
.TP
.BR \-\-since "=\fIdate\fR"
.IP "\(bu" 4
Not older \*(Aqthan.
"""


def test_a_man_page_is_read_without_its_marks_line_by_line(tmp_path: Path) -> None:
    record = only(written(tmp_path, "git-log.1", MAN))
    assert record.title == "git-log(1)"
    lines = record.text.split("\n")
    assert lines[5:9] == ["# NAME", "git-log - Show commit logs — .all", "## Sub section", ""]
    assert lines[9:] == ["--since=date", "•", "Not older than.", ""]
    assert record.markup == "markdown"


def test_the_other_macros_of_man_pages_are_known(tmp_path: Path) -> None:
    page = ".Dd May 1\n.Dt LS 1\n.Sh SEE ALSO\n.Xr chmod 1 ,\n.Op Fl l\n.Nd list\n"
    record = only(written(tmp_path, "ls.1", page))
    assert record.title == "ls(1)"
    assert record.text.split("\n")[2:] == ["# SEE ALSO", "chmod(1) ,", "-l", "— list", ""]


def test_what_only_has_the_name_of_a_man_page_is_text(tmp_path: Path) -> None:
    assert only(written(tmp_path, "notes-1.2", "A\n.note\n")).text == "A\n.note\n"


@pytest.mark.parametrize(
    "name",
    ["README", "Dockerfile", "pyproject.toml", "a.yaml", "a.yml", "a.log", "a.conf", "a.ini"],
)
def test_text_by_other_names_is_read(name: str, tmp_path: Path) -> None:
    assert only(written(tmp_path, name, "A text.")).text == "A text."


def texts(folder: Path, **settings: object) -> dict[str, str]:
    corpus = read(folder, settings=CorpusSettings(**settings))  # type: ignore[arg-type]
    return {document.source: document.title for document in corpus}


def test_other_names_and_suffixes_are_read_as_a_user_says(tmp_path: Path) -> None:
    written(tmp_path, "a.xyz", "# Title\n")
    written(tmp_path, "b.abc", "x")
    assert texts(tmp_path) == {}
    assert texts(tmp_path, include=["*.xyz"]) == {"a.xyz": "a.xyz"}
    assert texts(tmp_path, formats=[".xyz=md", ".abc=txt"]) == {"a.xyz": "Title", "b.abc": "b.abc"}


@pytest.mark.parametrize("told", ["xyz", ".xyz", ".xyz=", "xyz=md", ".xyz=nothing"])
def test_a_format_that_is_not_known_is_refused(told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, settings=CorpusSettings(formats=[told]))


@pytest.mark.parametrize(
    ("content", "text_key", "found"),
    [
        ('{"Text": "a"}', "text", "a"),
        ('{"body": "a"}', "text,body", "a"),
        ('{"body": "a", "text": "b"}', "text, body", "b"),
        ('{"a": {"b": "c"}}', "x,a.b", "c"),
        ('{"a,b": "c", "a": "d"}', "a,b", "c"),
    ],
)
def test_one_of_several_keys_holds_the_text(
    content: str, text_key: str, found: str, tmp_path: Path
) -> None:
    assert only(written(tmp_path, "a.jsonl", content), text_key).text == found


def test_records_may_be_wrapped_in_an_object(tmp_path: Path) -> None:
    file = written(tmp_path, "a.json", '{"count": 2, "data": [{"text": "a"}, {"text": "b"}]}')
    assert [record.text for record in records(file)] == ["a", "b"]
    two = written(tmp_path, "b.json", '{"data": [{"text": "a"}], "more": [{"text": "b"}]}')
    assert all(isinstance(one, UnreadableError) for one in read_file(two))


@pytest.mark.parametrize(("said", "mark"), [("sep=;", ";"), ('"sep=|"', "|"), ("SEP=,", ",")])
def test_the_line_in_which_excel_says_the_separator_is_passed_over(
    said: str, mark: str, tmp_path: Path
) -> None:
    table = f"{said}\r\nid{mark}text\r\n1{mark}a\r\n2\r\n2{mark}b{mark}c\r\n"
    first, *bad = read_file(written(tmp_path, "a.csv", table))
    assert isinstance(first, Document)
    assert (first.source, first.text) == ("1", "a")
    assert [str(error).partition(":")[0] for error in bad] == ["line 4", "line 5"]


@pytest.fixture
def workbook(tmp_path: Path) -> Callable[..., Path]:
    from openpyxl import Workbook
    from openpyxl.comments import Comment

    def made() -> Path:
        book = Workbook()
        sheet = book.active
        assert sheet is not None
        sheet.append(["Net", "Gross"])
        sheet.append([100, "=A2*1.19"])
        sheet["A2"].comment = Comment("Ask Tumbleweed.", "x")
        book.save(tmp_path / "a.xlsx")
        return tmp_path / "a.xlsx"

    return made


def test_formulas_without_results_and_comments_are_read(workbook: Callable[..., Path]) -> None:
    text = only(workbook()).text
    assert "| 100 | =A2*1.19 |" in text
    assert text.endswith("## Comments\nA2: Ask Tumbleweed.")
