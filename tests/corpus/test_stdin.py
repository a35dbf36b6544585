"""Standard input as a corpus: what its lines are, and that it can be read again."""

from __future__ import annotations

import gc
import io
import json
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.documents import Corpus, Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.sources import stdin
from ragdoll.corpus.sources.stdin import StdinSource
from ragdoll.errors import CorpusError
from tests.conftest import Ragdoll, Trained

Pipe = Callable[[str | bytes], None]


class Terminal(io.BytesIO):
    """Typed text, as standard input."""

    def isatty(self) -> bool:
        return True


class Broken(io.RawIOBase):
    """A pipe that breaks."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise OSError(5, "Input/output error")


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Pipe something in."""

    def into(content: str | bytes) -> None:
        raw = content.encode() if isinstance(content, str) else content
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return into


def corpus(text_key: str = "text") -> Corpus:
    return Corpus([StdinSource(text_key)])


def read(text_key: str = "text") -> list[Document]:
    return list(corpus(text_key))


def skipped() -> list[tuple[str, str]]:
    found = corpus()
    list(found)
    return [(item.path, item.reason) for item in found.skipped]


# What its lines are


def test_a_line_is_a_document_named_by_its_number(pipe: Pipe) -> None:
    pipe("one\n\n  \t\ntwo words \r\nthree")
    assert [(document.source, document.text) for document in read()] == [
        ("stdin#1", "one"),
        ("stdin#4", "two words"),
        ("stdin#5", "three"),
    ]
    assert {document.root for document in read()} == {"stdin:"}
    assert {document.whole_file for document in read()} == {False}
    assert skipped() == []


def test_json_objects_are_records(pipe: Pipe) -> None:
    pipe('\n{"text": "one"}\n{"_id": "b", "title": "Two", "text": "two", "year": 2}\n')
    first, second = read()
    assert (first.source, first.text) == ("stdin#2", "one")
    assert (second.source, second.title, second.text) == ("stdin#b", "Two", "Two\n\ntwo")
    assert second.metadata == {"year": 2}


def test_the_key_of_the_text_is_that_which_is_asked_for(pipe: Pipe) -> None:
    pipe('{"text": "one", "body": "two"}')
    assert [document.text for document in read("body")] == ["two"]


@pytest.mark.parametrize("first", ["plain", "12", '"text"', "[1]", "null"])
def test_a_first_line_that_is_no_object_makes_texts_of_all(first: str, pipe: Pipe) -> None:
    pipe(f'{first}\n{{"text": "one"}}\n')
    assert [document.text for document in read()] == [first, '{"text": "one"}']


@pytest.mark.parametrize("first", ["{bad", ' \t{"text": "a",', '{"n": ' + "9" * 5000 + "}"])
def test_a_first_line_that_is_a_broken_object_is_left_out_alone(first: str, pipe: Pipe) -> None:
    pipe(f'\n{first}\n{{"text": "one"}}\n')
    assert [document.text for document in read()] == ["one"]
    assert skipped() == [("stdin", "line 2: not JSON")]


def test_bad_records_are_left_out_by_line_and_reason(pipe: Pipe) -> None:
    pipe('{"text": "one"}\nbad\n[1]\n{"body": "x"}\n{"text": " "}\n{"text": "six"}\n')
    assert [document.source for document in read()] == ["stdin#1", "stdin#6"]
    assert skipped() == [
        ("stdin", "line 2: not JSON"),
        ("stdin", "line 3: not a JSON object"),
        ("stdin", "line 4: no key 'text' (`text_key` names another)"),
        ("stdin", "line 5: empty"),
    ]


def test_records_of_the_same_id_are_kept_apart(pipe: Pipe) -> None:
    pipe('{"id": 1, "text": "one"}\n{"id": 1, "text": "two"}\n{"text": "three"}\n')
    assert [document.source for document in read()] == ["stdin#1", "stdin#1~2", "stdin#3"]


@pytest.mark.parametrize("content", ["one\ntwo", '{"text": "one"}\n{"text": "two"}'])
def test_a_byte_order_mark_is_no_text(content: str, pipe: Pipe) -> None:
    pipe(b"\xef\xbb\xbf" + content.encode())
    assert [document.text for document in read()] == ["one", "two"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("content", ["on\u010a\r\ntwo", '{"text": "on\u010a"}\n{"text": "two"}'])
def test_utf_16_with_a_mark_is_read(content: str, encoding: str, pipe: Pipe) -> None:
    pipe(("\ufeff" + content).encode(encoding))
    assert [document.text for document in read()] == ["on\u010a", "two"]


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
def test_utf_16_is_read_however_it_is_cut(
    piece: int, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdin, "_PIECE", piece)
    pipe("one 😀\ntwo\n".encode("utf-16"))
    assert [document.text for document in read()] == ["one 😀", "two"]


def test_utf_16_that_is_broken_costs_the_lines_it_stands_in(pipe: Pipe) -> None:
    half = "one\n\ud800\nthree\nlast".encode("utf-16", "surrogatepass") + b"x"
    pipe(half)
    assert [document.source for document in read()] == ["stdin#1", "stdin#3"]
    assert skipped() == [
        ("stdin", "line 2: not utf-8 text"),
        ("stdin", "line 4: not utf-8 text"),
    ]


def test_lines_that_are_no_text_are_left_out(pipe: Pipe) -> None:
    pipe("café\n".encode("latin-1") + b"a\0b\n\xef\xbb\xbf\nlast\n")
    assert [document.source for document in read()] == ["stdin#4"]
    assert skipped() == [
        ("stdin", "line 1: not utf-8 text"),
        ("stdin", "line 2: binary"),
        ("stdin", "line 3: empty"),
    ]


def test_the_first_line_that_can_be_read_decides(pipe: Pipe) -> None:
    pipe(b'\xe9\n{"text": "two"}\n')
    assert [document.text for document in read()] == ["two"]


def test_a_line_that_is_too_long_is_left_out_and_never_held_whole(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    pipe("short\n" + "x" * 5_000_000 + "\nnext\n" + "y" * 11)
    assert [document.source for document in read()] == ["stdin#1", "stdin#3"]
    assert [reason.partition(":")[0] for _, reason in skipped()] == ["line 2", "line 4"]


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\0\ufeff", codec="utf-8")), max_size=8)
)
def test_no_text_is_lost(lines: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        content = "first\n" + "\n".join(lines)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        expected = [line.strip() for line in content.split("\n") if line.strip()]
        assert [document.text for document in read()] == expected


# That it can be read again


def test_it_can_be_read_any_number_of_times_and_by_any_number_of_corpora(pipe: Pipe) -> None:
    pipe("one\ntwo\nthree\n")
    found = corpus()
    assert list(found) == list(found) == read()
    assert len(read()) == 3


def test_readings_do_not_disturb_each_other(pipe: Pipe) -> None:
    pipe("one\ntwo\nthree\n")
    pairs = zip(corpus(), corpus(), strict=True)
    assert [(a.text, b.text) for a, b in pairs] == [(t, t) for t in ("one", "two", "three")]


def test_another_input_is_read_as_such(pipe: Pipe) -> None:
    pipe("one\n")
    assert len(read()) == 1
    pipe("two\nthree\n")
    assert [document.text for document in read()] == ["two", "three"]
    gc.collect()


def test_nothing_is_read_before_it_is_asked_for(pipe: Pipe) -> None:
    pipe("one\n")
    StdinSource()
    assert sys.stdin.read() == "one\n"


def test_it_says_how_far_it_is(pipe: Pipe) -> None:
    pipe("12345\n\n" + "7" * 6 + "\n")
    found = corpus()
    assert [found.share_read() for _ in found] == [pytest.approx(6 / 14), 1.0]
    assert StdinSource().size() == 14


def test_its_signature_is_that_of_what_is_piped_in(pipe: Pipe) -> None:
    signatures = []
    for content in ("one text\n", "one text\n", "another\n"):
        pipe(content)
        signatures.append(corpus().signature())
    assert signatures[0] == signatures[1] != signatures[2]


# When there is none


def test_an_empty_input_has_no_documents(pipe: Pipe) -> None:
    pipe("")
    assert read() == []
    pipe("\n \n")
    assert read() == []


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Terminal(b"typed")))
    with pytest.raises(CorpusError, match="is a terminal") as caught:
        read()
    assert "Pipe something in" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["none", "closed", "text"])
def test_no_input_is_an_error(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    streams = {"none": None, "closed": stream, "text": io.StringIO("text")}
    monkeypatch.setattr(sys, "stdin", streams[kind])
    with pytest.raises(CorpusError, match="no standard input"):
        read()


def test_a_broken_pipe_is_an_error_that_says_what_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.TextIOWrapper(io.BufferedReader(Broken()))
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(CorpusError, match="Input/output error"):
        read()


# On the command line


def test_documents_are_piped_into_a_table_and_found(ragdoll: Ragdoll, trained: Trained) -> None:
    lines = ["Cats purr when they are content.", "A lock is held by one task at a time."]
    options = ["--model", trained.model, "--database", "base"]
    first = ragdoll("index", "-", *options, "--json", stdin="\n".join(lines))
    assert (first.status, first.json["added"]) == (0, 2)
    found = ragdoll("query", "who holds the lock", "--database", "base")
    assert "stdin#2" in found.out
    records = "".join(json.dumps({"id": f"n{n}", "text": lines[n]}) + "\n" for n in range(2))
    second = ragdoll("index", "-", *options, "--json", stdin=records)
    assert (second.json["added"], second.json["removed"]) == (2, 2)
    hits = ragdoll("query", "who holds the lock", "--database", "base", "--json").json["hits"]
    assert hits[0]["source"] == "stdin#n1"


def test_a_command_says_that_nothing_was_piped_in(ragdoll: Ragdoll, trained: Trained) -> None:
    result = ragdoll("index", "-", "--model", trained.model, "--database", "base", stdin="")
    assert result.status == 1
    assert "No documents in -;" in result.err
