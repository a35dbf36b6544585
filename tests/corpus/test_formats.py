"""From bytes to texts: plain files, and what holds for files of every format."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding, kinds
from ragdoll.corpus.formats.behind_wall import wall
from ragdoll.corpus.formats.decoding import UnreadableError, decode
from ragdoll.corpus.formats.files import read
from tests.corpus.reading import alarm, in_one_folder, only, reason, written
from tests.making import open_corpus

RECORDS = [".csv", ".json", ".jsonl", ".parquet", ".tsv"]
DOCUMENTS = [".txt", ".md", ".py", ".html", ".pdf", ".docx", ".pptx", ".xlsx"]


def title_of(folder: Path, content: str, name: str = "a.md") -> str:
    return only(written(folder, name, content)).title


# Compressed files


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".bz2": bz2.compress,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}
TABLES = {
    ".csv": 'text,n\n"a ""b"" , c",1\n',
    ".json": '[{"text": "a \\"b\\" , c"}]',
    ".jsonl": '{"text": "a \\"b\\" , c"}\n',
    ".ndjson": '{"text": "a \\"b\\" , c"}\n',
    ".tsv": 'text\tn\na "b" , c\t1\n',
}


@pytest.mark.parametrize("outer", COMPRESS)
@pytest.mark.parametrize("inner", TABLES)
def test_compressed_records_are_read_as_others_are(inner: str, outer: str, tmp_path: Path) -> None:
    file = written(tmp_path, f"a{inner}{outer}", COMPRESS[outer](TABLES[inner].encode()))
    assert only(file).text == 'a "b" , c'
    (document,) = open_corpus([str(tmp_path)])
    assert (document.text, document.source) == ('a "b" , c', f"a{inner}{outer}#1")
    (named,) = open_corpus([str(file)])
    assert named.text == document.text


@pytest.mark.parametrize("outer", sorted(COMPRESS.keys() - {".zst"}))  # whose library tells less
def test_what_is_there_of_a_compressed_file_is_read(outer: str, tmp_path: Path) -> None:
    texts = (f"{number * 7919 % 99_991} " * 20 for number in range(30_000))
    lines = "".join(f'{{"text": "{text}"}}\n' for text in texts)
    whole = COMPRESS[outer](lines.encode())
    notes: list[str] = []
    file = written(tmp_path, f"a.jsonl{outer}", whole[: len(whole) // 2])
    found = list(read(file, note=notes.append))
    assert len(found) > 5000
    assert all(isinstance(record, Document) for record in found[:-1])
    assert notes == ["cut off; its end is missing"]


@pytest.mark.parametrize("outer", COMPRESS)
def test_a_compressed_file_that_is_damaged_or_a_bomb_is_left_out(
    outer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = COMPRESS[outer](TABLES[".jsonl"].encode() * 5000)
    for content in (b"no such file", whole[:12], whole[:-8] + bytes(8)):
        assert "damaged" in reason(written(tmp_path, f"a.jsonl{outer}", content))
    monkeypatch.setattr(decoding, "_LEAST_INFLATED", 1000)
    monkeypatch.setattr(decoding, "_INFLATION", 2)
    bomb = COMPRESS[outer](b" " * 10_000_000)
    assert "times as large" in reason(written(tmp_path, f"a.jsonl{outer}", bomb))


def test_a_compressed_text_is_read(tmp_path: Path) -> None:
    page = b".TH GIT-LOG 1\n.SH NAME\ngit-log \\- Show \\fBcommit\\fR logs\n"
    record = only(written(tmp_path, "git-log.1.gz", gzip.compress(page)))
    assert (record.title, record.text) == ("git-log(1)", "\n# NAME\ngit-log - Show commit logs\n")


@pytest.mark.parametrize(
    ("name", "content", "title", "text"),
    [
        ("a.html", b'<meta charset="cp1252"><p>caf\xe9</p>', "a.html.gz", "café"),
        ("a.ipynb", b'{"cells": [{"cell_type": "raw", "source": "A."}]}', "a.ipynb.gz", "A."),
        ("a.eml", b"Subject: S\n\ncaf\xc3\xa9", "S", "Subject: S\n\ncafé"),
        ("a.mbox", b"From x\nSubject: S\n\nText.", "S", "Subject: S\n\nText."),
    ],
)
def test_other_texts_are_read_compressed(
    name: str, content: bytes, title: str, text: str, tmp_path: Path
) -> None:
    record = only(written(tmp_path, f"{name}.gz", gzip.compress(content)))
    assert (record.title, record.text) == (title, text)


def test_a_page_that_is_too_large_when_it_is_decompressed_is_left_out(tmp_path: Path) -> None:
    page = gzip.compress(b"<p>" + b"x" * 2**24)
    assert reason(written(tmp_path, "a.html.gz", page)) == "larger than 16 MiB; split it"


def test_another_compressed_file_is_of_no_known_format(tmp_path: Path) -> None:
    written(tmp_path, "a.png.gz", gzip.compress(b"a"))
    corpus = open_corpus([str(tmp_path)])
    assert list(corpus) == []
    assert [item.reason for item in corpus.skipped] == ["format .gz"]


# Plain files


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("# The loop\n\nText.", "The loop"),
        ("Text.\n\n## The loop ##\n", "The loop"),
        ("   ### The loop", "The loop"),
        ("#hashtag\n\n# The loop", "The loop"),
        ("# C#\n", "C#"),
        ("Text without a heading.", "a.md"),
        ("#\n\nText.", "a.md"),
        ("```python\n# a comment\n```\n\n# The loop\n", "The loop"),
    ],
    ids=[
        "first line",
        "later and closed",
        "indented",
        "no space",
        "hash in name",
        "none",
        "empty",
        "code",
    ],
)
def test_the_title_of_markdown_is_its_first_heading(
    content: str, title: str, tmp_path: Path
) -> None:
    assert title_of(tmp_path, content) == title


@pytest.mark.parametrize("name", ["a.txt", "a.rst", "a.py", "A.C"])
def test_the_title_of_other_files_is_their_name(name: str, tmp_path: Path) -> None:
    assert title_of(tmp_path, "# no heading here\n", name) == name


@pytest.mark.parametrize(
    "content",
    ["# a" + " " * 3000 + "b\n", "# " + "#" * 3000 + "a\n", "\n" * 20_000 + "a", "# a\n" * 3000],
    ids=["spaces", "hashes", "blank lines", "headings"],
)
def test_a_title_is_found_at_once_whatever_the_heading(content: str, tmp_path: Path) -> None:
    with alarm(2, working=True):
        title_of(tmp_path, content)


def test_the_text_of_a_file_is_kept_as_it_is(tmp_path: Path) -> None:
    content = "\n  # A\r\n\r\n\ttext \n"
    record = only(written(tmp_path, "a.md", content))
    assert (record.text, record.source, record.whole_file) == (content, "", True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        ("café".encode(), "café"),
        ("café".encode("utf-8-sig"), "café"),
        (b"\xff\xfe" + "café😀".encode("utf-16-le"), "café😀"),
        (b"\xfe\xff" + "café😀".encode("utf-16-be"), "café😀"),
        (b"\xff\xfe\0\0" + "café😀".encode("utf-32-le"), "café😀"),
        (b"\0\0\xfe\xff" + "café😀".encode("utf-32-be"), "café😀"),
    ],
    ids=[
        *("empty", "utf-8", "utf-8 mark"),
        *("utf-16 little", "utf-16 big", "utf-32 little", "utf-32 big"),
    ],
)
def test_unicode_is_decoded(content: bytes, text: str) -> None:
    assert decode(content) == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9", "not utf-8 text"),
        (b"\xff\xfea", "not utf-16 text"),
        (b"\xff\xfe\x00\xd8", "not utf-16 text"),
        (b"\xef\xbb\xbf\xff", "not utf-8 text"),
        (b"a\0", "binary"),
    ],
)
def test_what_is_no_unicode_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        decode(content)


@pytest.mark.parametrize("name", ["a.py", "a.RS", "a.tsx", "a.m", "a.sql"])
def test_source_code_is_read_as_it_is(name: str, tmp_path: Path) -> None:
    code = "# a comment\ndef f():\n\treturn 1  \n"
    record = only(written(tmp_path, name, code))
    markup = "python" if name == "a.py" else "code"
    assert record == Document(code, title=name, whole_file=True, markup=markup)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("\x1b[31mERROR\x1b[0m \x1b[38;5;208mrefused\x1b[m by peer\n", "ERROR refused by peer\n"),
        ("\x1b]8;;https://e.org\x1b\\here\x1b]8;;\x1b\\ \x1b]0;name\x07\x1b(Bend", "here end"),
        ("one\n\x1b]0;never closed\ntwo", "one\n\x1b]0;never closed\ntwo"),
    ],
)
@pytest.mark.parametrize("name", ["app.log", "a.txt", "a.md", "a.json", "a.csv"])
def test_what_a_text_says_to_a_terminal_is_left_out(
    content: str, text: str, name: str, tmp_path: Path
) -> None:
    wrapped = {"json": json.dumps([content]), "csv": f'text\n"{content}"'}.get(name[2:], content)
    assert only(written(tmp_path, name, wrapped)).text == text


def test_lines_of_a_text_may_end_in_a_carriage_return_alone(tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.md", "# Tides\r\rHigh.\r"))
    assert (record.title, record.text) == ("Tides", "# Tides\n\nHigh.\n")


# Files of every format


@pytest.mark.parametrize("suffix", [*DOCUMENTS, *RECORDS])
def test_a_file_that_is_not_there_is_unreadable(suffix: str, tmp_path: Path) -> None:
    assert reason(tmp_path / f"a{suffix}") == "No such file or directory"


@pytest.mark.parametrize("suffix", [*DOCUMENTS, *RECORDS])
def test_a_folder_is_unreadable(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a{suffix}").mkdir()
    assert reason(tmp_path / f"a{suffix}") == "Is a directory"


@pytest.mark.parametrize("suffix", [*DOCUMENTS, *RECORDS])
def test_an_empty_file_is_unreadable(suffix: str, tmp_path: Path) -> None:
    assert reason(written(tmp_path, f"a{suffix}", ""))


@pytest.mark.parametrize(("suffix", "limit"), [(".txt", 64), (".py", 64), (".html", 16)])
def test_a_document_too_large_to_be_held_is_refused_by_its_size(
    suffix: str, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"a{suffix}"
    with file.open("wb") as content:
        content.truncate(200 * 2**20)
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail("it is read"))
    monkeypatch.setattr(wall, "document", lambda *_: pytest.fail("it is read"))
    assert reason(file) == f"larger than {limit} MiB; split it"


def test_a_document_of_the_largest_size_is_read(tmp_path: Path) -> None:
    size = 64 * 2**20
    assert len(only(written(tmp_path, "a.txt", b"a" * size)).text) == size


@pytest.mark.parametrize("change", ["appended", "replaced", "touched", "removed"])
@pytest.mark.parametrize("suffix", [".txt", ".html"])
def test_a_document_that_changes_while_it_is_read_is_unreadable(
    suffix: str, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, f"a{suffix}", "the text")
    place, name = (wall, "document") if suffix == ".html" else (Path, "read_bytes")
    before = getattr(place, name)

    def changing(*arguments: Any) -> Any:
        content = before(*arguments)
        _change(file, change)
        return content

    monkeypatch.setattr(place, name, changing)
    missing = "No such file or directory"
    assert reason(file) == (missing if change == "removed" else "changed while it was read")


@pytest.mark.parametrize("change", ["appended", "replaced", "touched"])
@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".jsonl", '{"text": "one"}\n{"text": "two"}\n'),
        (".json", '["one", "two"]'),
        (".csv", "text\none\ntwo\n"),
        (".tsv", "text\none\ntwo\n"),
    ],
)
def test_records_of_a_file_that_changes_while_it_is_read_may_be_missing(
    suffix: str, content: str, change: str, tmp_path: Path
) -> None:
    file = written(tmp_path, f"a{suffix}", content)
    found = read(file)
    first = next(found)
    assert isinstance(first, Document)
    _change(file, change)
    last = list(found)[-1]
    assert isinstance(last, UnreadableError)
    assert str(last) == "changed while it was read; some of its records may be missing"


def _change(file: Path, how: str) -> None:
    facts = file.stat()
    if how == "appended":
        file.write_text(file.read_text() + "  ")
    elif how == "replaced":
        (file.parent / "new").write_text("another text")
        (file.parent / "new").replace(file)
    elif how == "touched":
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    else:
        file.unlink()


def test_the_error_message_names_the_families_of_all_formats() -> None:
    for family in ("text", "Markdown", "HTML", "JSON", "CSV", "Parquet", "source code", "PDF"):
        assert family in kinds.FAMILIES
    assert len(kinds.FAMILIES) < 250


# Anything


MARKS = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"# ", b'{"text": "'])
BYTES = st.builds(lambda mark, rest: mark + rest, MARKS, st.binary(max_size=200))


@given(BYTES)
@in_one_folder
def test_whatever_the_bytes_they_decode_or_are_unreadable(content: bytes) -> None:
    try:
        text = decode(content)
    except UnreadableError as error:
        assert str(error)  # noqa: PT017  (either outcome is right)
    else:
        assert "\0" not in text
        text.encode()


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@in_one_folder
def test_whatever_the_text_it_comes_back_from_every_encoding(text: str) -> None:
    assert decode(text.encode("utf-8-sig")) == text
    assert decode(b"\xff\xfe" + text.encode("utf-16-le")) == text
    if not text.startswith("\ufeff"):
        assert decode(text.encode()) == text


BEGINNINGS = st.sampled_from(
    [b"", b"%PDF-1.4\n", b"PK\x03\x04", b"PAR1", b"text\n", b"<p>", b"[", b"{", b'"', b"\xff\xfe"]
)
ENDS = st.sampled_from([b"", b"PAR1", b"%%EOF", b"]", b'"', b"\n"])


@pytest.mark.parametrize("suffix", [*RECORDS, ".md", ".html", ".pdf", ".docx", ".xlsx"])
@given(start=BEGINNINGS, content=st.binary(max_size=200), end=ENDS)
@in_one_folder
def test_whatever_the_file_it_is_read_or_unreadable(
    suffix: str, start: bytes, content: bytes, end: bytes, tmp_path: Path
) -> None:
    file = written(tmp_path, f"a{suffix}", start + content + end)
    try:
        found = list(read(file))
    except UnreadableError as error:
        assert str(error)  # noqa: PT017  (either outcome is right)
        return
    assert found
    for record in found:
        if isinstance(record, Document):
            assert record.text.strip()
            record.text.encode()
            record.title.encode()


@pytest.mark.parametrize("suffix", DOCUMENTS)
def test_bytes_that_are_no_text_are_unreadable_in_every_format(suffix: str, tmp_path: Path) -> None:
    assert reason(written(tmp_path, f"a{suffix}", bytes(range(256))))
