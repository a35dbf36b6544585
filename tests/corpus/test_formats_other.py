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
from tests.corpus.archives import BOOK, OPEN_DOCUMENT, archive, changed
from tests.corpus.reading import only, reason, records, told, written

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


@pytest.mark.parametrize(
    "content",
    [
        {"cells": [{"cell_type": "raw", "source": "A."}], "metadata": None},
        {"cells": [{"cell_type": "raw", "source": "A."}], "metadata": {"language_info": None}},
        {"cells": [{"source": ["A."]}, {"cell_type": "markdown", "source": None}]},
        {"cells": [{"cell_type": "raw", "source": "A."}, {"cell_type": "code", "outputs": None}]},
    ],
)
def test_what_a_notebook_leaves_out_costs_nothing_else(content: object, tmp_path: Path) -> None:
    assert only(written(tmp_path, "a.ipynb", json.dumps(content))).text == "A."


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            {
                "output_type": "error",
                "ename": "KeyError",
                "evalue": "'tide'",
                "traceback": ["\x1b[0;31mKeyError\x1b[0m  Traceback", "KeyError: 'tide'"],
            },
            "```\nKeyError  Traceback\nKeyError: 'tide'\n```",
        ),
        (
            {"output_type": "pyerr", "ename": "KeyError", "evalue": "1"},
            "```\nKeyError: 1\n```",
        ),
        ({"data": {"text/html": ["<h2>Low</h2>", "<p>tide"]}}, "## Low\n\ntide"),
        ({"data": {"text/markdown": "**Low**", "text/plain": "<M object>"}}, "**Low**"),
        ({"data": {"text/html": "<p>Low", "text/plain": "<a.HTML object>"}}, "Low"),
        ({"text": "\x1b[1mLow\x1b[0m"}, "```\nLow\n```"),
    ],
)
def test_what_a_cell_shows_is_read_in_every_form(output: object, text: str, tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": "x", "outputs": [output]}]
    record = only(written(tmp_path, "a.ipynb", json.dumps({"cells": cells})))
    assert record.text == f"```python\nx\n```\n\n{text}"


def test_code_without_outputs_is_read(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": "x", "outputs": None}]
    text = only(written(tmp_path, "a.ipynb", json.dumps({"cells": cells}))).text
    assert text == "```python\nx\n```"


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


def body(content: bytes, folder: Path) -> str:
    text = only(written(folder, "a.eml", b"Subject: S\n" + content)).text
    return text.removeprefix("Subject: S").removeprefix("\n\n")


def parts(kind: str, *contents: str) -> bytes:
    inner = "".join(f"--x\nContent-Type: {content}\n" for content in contents)
    return f'Content-Type: multipart/{kind}; boundary="x"\n\n{inner}--x--\n'.encode()


PLAIN, PAGE = "text/plain\n\nOne.", "text/html\n\n<p>Two.</p>"
EVENT = (
    'text/calendar\n\nBEGIN:VEVENT\nSUMMARY;X="a:b":Kiln\\, lit\nDTSTART:2024\n'
    "DESCRIPTION:Bring\n  clay.\\nAnd water.\nEND:VEVENT"
)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (parts("alternative", PAGE, PLAIN), "One."),
        (parts("alternative", "text/plain\n\n ", PAGE), "Two."),
        (parts("mixed", PLAIN, PAGE, "text/csv\n\na,b"), "One.\n\nTwo.\n\na,b"),
        (
            parts("mixed", PLAIN, "text/plain\nContent-Disposition: attachment\n\nThree."),
            "One.\n\nThree.",
        ),
        (
            parts("mixed", PLAIN, "message/rfc822\n\nSubject: In\nFrom: a@b\n\nInner."),
            "One.\n\nFrom: a@b\nSubject: In\n\nInner.",
        ),
        (parts("alternative", EVENT), "Kiln, lit\nBring clay.\nAnd water."),
        (parts("mixed", "text/calendar\n\nno entry"), "no entry"),
        (parts("mixed", PLAIN, "application/pdf\n\nx"), "One."),
        (b"Content-Type: multipart/mixed\n\nNo boundary.", "No boundary."),
    ],
)
def test_all_that_a_message_says_is_read_once(content: bytes, text: str, tmp_path: Path) -> None:
    assert body(content, tmp_path) == text


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize("charset", ["", "; charset=x-unknown", "; charset=us-ascii"])
def test_a_text_that_names_no_encoding_is_decoded_as_a_file(
    encoding: str, charset: str, tmp_path: Path
) -> None:
    text = "Grüße aus München: die Brücke über den Fluß ist geöffnet."
    head = f"Content-Type: text/plain{charset}\nContent-Transfer-Encoding: 8bit\n\n"
    assert body(head.encode() + text.encode(encoding), tmp_path) == text


def test_a_mark_before_a_message_is_passed_over(tmp_path: Path) -> None:
    assert only(written(tmp_path, "a.eml", b"\xef\xbb\xbfSubject: S\n\nText.")).title == "S"


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


def test_a_line_of_a_text_parts_no_message_of_a_box(tmp_path: Path) -> None:
    box = (
        "From x@example.org Tue Mar  5 10:00:00 2024\nSubject: A\n\nHello.\n\n"
        "From Berlin we go at 10:00 on.\n>From there home.\n>>From x\n\n"
        "From - Wed Mar  6 9:00:00 2024\nSubject: B\n\nBye.\n"
    )
    assert [record.text for record in records(written(tmp_path, "a.mbox", box))] == [
        "Subject: A\n\nHello.\n\nFrom Berlin we go at 10:00 on.\nFrom there home.\n>From x",
        "Subject: B\n\nBye.",
    ]


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [("latin-1", "iso-8859-1"), ("koi8-r", "koi8-r"), ("utf-8", "iso-8859-1"), ("cp1252", "")],
)
def test_heads_of_a_message_may_be_in_the_encoding_of_its_text(
    encoding: str, charset: str, tmp_path: Path
) -> None:
    said = "Привет" if encoding == "koi8-r" else "Größe"
    heads = f"Subject: {said}\nFrom: {said} <a@example.org>\n"
    kind = f"Content-Type: text/plain; charset={charset}\n" if charset else ""
    record = only(written(tmp_path, "a.eml", f"{heads}{kind}\nText.".encode(encoding)))
    assert record.title == said
    assert record.metadata["from"] == f"{said} <a@example.org>"


def test_a_book_is_its_chapters_in_the_order_of_reading(tmp_path: Path) -> None:
    record = only(archive(tmp_path / "a.epub", BOOK))
    assert (record.title, record.text) == ("Narwhals", "One.\n\n# Two")


@pytest.mark.parametrize(
    ("chapter", "text"),
    [
        (b'<?xml version="1.0" encoding="iso-8859-1"?><p>caf\xe9</p>', "café"),
        (
            "<p>café, naïve \udcff, Größe</p>".encode(errors="surrogateescape"),
            "café, naïve �, Größe",
        ),
        (b'<meta charset="no-such"><p>caf\xe9</p>', "café"),
    ],
)
def test_a_broken_character_costs_no_book(chapter: bytes, text: str, tmp_path: Path) -> None:
    book = archive(tmp_path / "a.epub", BOOK)
    assert only(changed(book, "x/2.xhtml", lambda _: chapter)).text == f"One.\n\n{text}"


@pytest.mark.parametrize("place", ["../x/2.xhtml", "./2.xhtml", "y/../2.xhtml", "2.xhtml#top"])
def test_the_places_of_chapters_are_those_of_the_archive(place: str, tmp_path: Path) -> None:
    book = archive(tmp_path / "a.epub", BOOK)
    changed(book, "x/a.opf", lambda package: package.replace(b"2.xhtml", place.encode()))
    assert only(book).text == "One.\n\n# Two"


def test_the_notes_of_a_book_are_read(tmp_path: Path) -> None:
    aside = b'<p>Text.</p><aside epub:type="footnote"><p>Note.</p></aside>'
    book = archive(tmp_path / "a.epub", BOOK)
    assert only(changed(book, "x/2.xhtml", lambda _: aside)).text == "One.\n\nText.\n\nNote."


@pytest.mark.parametrize("suffix", [".odt", ".ods", ".odp"])
def test_open_documents_are_their_headings_paragraphs_and_rows(suffix: str, tmp_path: Path) -> None:
    record = only(archive(tmp_path / f"a{suffix}", {"content.xml": OPEN_DOCUMENT}))
    assert (record.title, record.text) == (
        "Head",
        "## Head\n\nOne two.\n\nAside.\n\n| a | b |\n| --- | --- |",
    )


def opened(folder: Path, suffix: str, inner: str) -> Document:
    content = f'<d xmlns:o="o" xmlns:t="t" xmlns:b="b"><o:body>{inner}</o:body></d>'
    return only(archive(folder / f"a{suffix}", {"content.xml": content}))


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("<t:p>a<t:line-break/>b<t:tab/>c<t:s/>d<t:span>e</t:span>f</t:p>", "a b c def"),
        (
            "<t:p>a<t:note><t:note-citation>1</t:note-citation><t:p>n</t:p></t:note>b</t:p>",
            "ab\n\nn",
        ),
        ("<t:p>a<o:annotation><o:date>9</o:date><t:p>n</t:p></o:annotation> b</t:p>", "a b\n\nn"),
        ("<t:p>a<!-- c -->b</t:p>", "ab"),
    ],
)
def test_words_of_an_open_document_stay_apart(inner: str, text: str, tmp_path: Path) -> None:
    assert opened(tmp_path, ".odt", inner).text == text


def cells(*contents: str) -> str:
    made = "".join(f"<b:table-cell {content}</b:table-cell>" for content in contents)
    return f"<b:table-row>{made}</b:table-row>"


def test_a_sheet_is_a_table_below_its_name(tmp_path: Path) -> None:
    rows = [
        cells("><t:p>a|b</t:p>", "><t:p>two</t:p><t:p>lines</t:p>", "><t:p>c</t:p>"),
        cells('b:number-columns-repeated="2"><t:p>5</t:p>', 'b:number-columns-repeated="16382">'),
        cells('b:number-columns-repeated="2">', "><t:p>z</t:p>"),
    ]
    sheet = f'<o:spreadsheet><b:table b:name="Kilns">{"".join(rows)}</b:table></o:spreadsheet>'
    record = opened(tmp_path, ".ods", sheet)
    assert record.title == "a.ods"
    assert record.text.splitlines() == [
        "## Kilns",
        "| a\\|b | two lines | c |",
        "| --- | --- | --- |",
        "| 5 | 5 |  |",
        "|  |  | z |",
    ]


@pytest.mark.parametrize("row", ["{0}><t:p>x</t:p>", "{0}>|><t:p>x</t:p>"])
def test_cells_that_a_sheet_repeats_without_end_are_refused(row: str, tmp_path: Path) -> None:
    repeated = row.format('b:number-columns-repeated="9999999999999"').split("|")
    sheet = f"<o:spreadsheet><b:table>{cells(*repeated)}</b:table></o:spreadsheet>"
    with pytest.raises(UnreadableError, match="a table of more than 1,000,000 cells; split it"):
        opened(tmp_path, ".ods", sheet)


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


@pytest.mark.parametrize("said", ["NOTE well", "REGION of the north", "STYLE\nnext"])
@pytest.mark.parametrize("suffix", [".srt", ".vtt"])
def test_only_a_block_of_webvtt_may_be_for_programs(said: str, suffix: str, tmp_path: Path) -> None:
    head = "WEBVTT\n\nSTYLE\n::cue{}\n\n" if suffix == ".vtt" else "NOTE that\n\n"
    content = f"{head}1\n00:01.000 --> 00:02.000\n{said}\nmore\n"
    text = only(written(tmp_path, f"a{suffix}", content)).text
    assert text.split() == f"{'' if suffix == '.vtt' else 'NOTE that'} {said} more".split()


@pytest.mark.parametrize("times", ["00:00:03,000-->00:00:04,000", "0:00:03,0 --> 0:00:04,0"])
def test_times_in_other_spellings_are_not_shown(times: str, tmp_path: Path) -> None:
    assert only(written(tmp_path, "a.srt", f"1\n{times}\nHello\n")).text == "\n\nHello\n"


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


@pytest.mark.parametrize(
    ("head", "title"),
    [
        ('"GIT\\-ADD" "1" "2024\\-01\\-01"', "git-add(1)"),
        ("foo 3pm", "foo(3pm)"),
        ('"MY TOOL" 1', "my tool(1)"),
        ("foo", "a.1"),
    ],
)
def test_the_title_of_a_man_page_is_that_of_its_first_line(
    head: str, title: str, tmp_path: Path
) -> None:
    page = f".TH {head}\n.SH\ntext\n"
    assert only(written(tmp_path, "a.1", page)).title == title


@pytest.mark.parametrize(
    ("name", "title"), [("a.txt", "Lanterns"), ("a.log", "a.log"), ("a.yaml", "a.yaml")]
)
def test_a_plain_text_with_an_underlined_title_has_it(
    name: str, title: str, tmp_path: Path
) -> None:
    assert only(written(tmp_path, name, "Lanterns\n========\n\ntext\n")).title == title


def test_the_other_macros_of_man_pages_are_known(tmp_path: Path) -> None:
    page = ".Dd May 1\n.Dt LS 1\n.Sh SEE ALSO\n.Xr chmod 1 ,\n.Op Fl l\n.Nd list\n"
    record = only(written(tmp_path, "ls.1", page))
    assert record.title == "ls(1)"
    assert record.text.split("\n")[2:] == ["# SEE ALSO", "chmod(1) ,", "-l", "— list", ""]


def test_what_only_has_the_name_of_a_man_page_is_text(tmp_path: Path) -> None:
    assert only(written(tmp_path, "notes-1.2", "A\n.note\n")).text == "A\n.note\n"


def test_characters_of_subtitles_may_be_written_by_their_names(tmp_path: Path) -> None:
    said = "WEBVTT\n\n00:01.000 --> 00:02.000\n<b>K&ouml;ln</b> &amp; &lt;Bonn&gt;\n"
    assert only(written(tmp_path, "a.vtt", said)).text.strip() == "Köln & <Bonn>"


@pytest.mark.parametrize(
    ("written_so", "text"),
    [
        (r"G\"odel, Poincar\'e, na\"{\i}ve, \^\i{}le", "Gödel, Poincaré, naïve, île"),
        (r"Schr{\"o}dinger, {\AA}ngstr\"om, Stra{\ss}e", "Schrödinger, Ångström, Straße"),
        (r"\L{}ukasiewicz, Cura\c{c}ao, Erd\H{o}s, \v Cech", "Łukasiewicz, Curaçao, Erdős, Čech"),
        (r"Die Gr\"o\ss e der un\-ge\-heuren", "Die Größe der ungeheuren"),
        (r"\d{x} \cite{a} \item \' \\ \c{x}", r"\d{x} \cite{a} \item \' \\ \c{x}"),
        (
            '\\begin{verbatim}\n"\\"a\\""\n\\end{verbatim}\n\\"a',
            '\\begin{verbatim}\n"\\"a\\""\n\\end{verbatim}\nä',
        ),
        (r"\section{\'Etude}", "\\section{Étude}"),
    ],
)
def test_letters_of_latex_are_letters(written_so: str, text: str, tmp_path: Path) -> None:
    assert only(written(tmp_path, "a.tex", written_so)).text == text


@pytest.mark.parametrize(
    "name",
    ["README", "Dockerfile", "pyproject.toml", "a.yaml", "a.yml", "a.log", "a.conf", "a.ini"],
)
def test_text_by_other_names_is_read(name: str, tmp_path: Path) -> None:
    assert only(written(tmp_path, name, "A text.")).text == "A text."


def texts(folder: Path, **settings: object) -> dict[str, str]:
    corpus = read(folder, settings=CorpusSettings(**settings))  # type: ignore[arg-type]
    return {document.source: document.title for document in corpus}


@pytest.mark.parametrize(
    "name",
    [
        *("todo", "makefile", "Übersicht", "日記", "access_log", "README-2", "CHANGELOG-v2"),
        *("README.de", "Dockerfile.prod", "app.log.2024-03-05", "app.log.1", "a.mkd", "a.patch"),
    ],
)
def test_a_folder_is_read_with_the_texts_that_have_no_suffix_of_their_own(
    name: str, tmp_path: Path
) -> None:
    written(tmp_path, name, "A text.")
    written(tmp_path, "program", b"\x7fELF\x02\x01\x01\0\0\0\x03\0")
    assert list(texts(tmp_path)) == [name]


def test_a_file_with_marks_of_another_format_is_no_text(tmp_path: Path) -> None:
    file = written(tmp_path, "a.rtf", r"{\rtf1\ansi A \b text\b0 .}")
    with pytest.raises(UnreadableError, match="in the format RTF; save it as text"):
        list(read_file(file, Manner(include=("*",))))


@pytest.mark.parametrize("suffix", [".jsonlines", ".tab"])
def test_records_by_other_names_are_read(suffix: str, tmp_path: Path) -> None:
    content = "text\nA.\n" if suffix == ".tab" else '{"text": "A."}'
    assert only(written(tmp_path, f"a{suffix}", content)).text == "A."


def test_other_names_and_suffixes_are_read_as_a_user_says(tmp_path: Path) -> None:
    written(tmp_path, "a.xyz", "# Title\n")
    written(tmp_path, "b.abc", "x")
    assert texts(tmp_path) == {}
    assert texts(tmp_path, include=["*.xyz"]) == {"a.xyz": "a.xyz"}
    assert texts(tmp_path, formats=[".xyz=md", ".abc=txt"]) == {"a.xyz": "Title", "b.abc": "b.abc"}


@pytest.mark.parametrize(
    "told", ["xyz", ".xyz", ".xyz=", "xyz=md", ".xyz=nothing", ".xyz=jsonl.gz"]
)
def test_a_format_that_is_not_known_is_refused(told: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, settings=CorpusSettings(formats=[told]))


@pytest.mark.parametrize(
    ("content", "text_key", "found"),
    [
        ('{"Text": "a"}', "text", "a"),
        ('{"body": "a"}', "text,body", "a"),
        ('{"body": "a", "text": "b"}', "text, body", "b\n\na"),
        ('{"question": "Why?", "n": 7, "Answer": "So."}', "question,n,answer", "Why?\n\nSo."),
        ('{"question": "Why?", "answer": null}', "answer,question", "Why?"),
        ('{"a": " ", "b": "c"}', "a,b", "c"),
        ('{"a": {"b": "c"}}', "x,a.b", "c"),
        ('{"a,b": "c", "a": "d"}', "a,b", "c"),
    ],
)
def test_the_keys_of_the_text_that_are_there_hold_it(
    content: str, text_key: str, found: str, tmp_path: Path
) -> None:
    assert only(written(tmp_path, "a.jsonl", content), text_key).text == found


def test_records_may_be_wrapped_in_an_object(tmp_path: Path) -> None:
    file = written(tmp_path, "a.json", '{"count": 2, "data": [{"text": "a"}, {"text": "b"}]}')
    assert [record.text for record in records(file)] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('{"data": [{"text": "a"}], "links": [{"href": "x"}]}', ["a"]),
        ('{"links": [{"href": "x"}], "pages": [{"text": "a"}]}', ["a"]),
        ('{"train": [{"text": "a"}], "test": [{"text": "b"}]}', ["a", "b"]),
        ('{"data": [{"text": "a"}, null, "b"]}', ["a", "! {} {}: not a JSON object", "b"]),
        ('{"tags": ["x"], "rows": ["a", "b"]}', ["a", "b"]),
        ('{"data": {"text": "a"}}', ["a"]),
        ('{"text": "a", "data": [{"text": "b"}]}', ["a"]),
        ('{"tags": ["x"]}', ["! {} {}: no key 'text' (`text_key` names another)"]),
    ],
)
@pytest.mark.parametrize(("suffix", "place"), [("json", "record"), ("jsonl", "line")])
def test_an_object_without_a_text_may_wrap_records(
    content: str, found: list[str], suffix: str, place: str, tmp_path: Path
) -> None:
    number = 2 if suffix == "json" and len(found) > 1 else 1
    assert told(written(tmp_path, f"a.{suffix}", content)) == [
        text.format(place, number) for text in found
    ]


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
