"""Text of any encoding is read, and what that took is noted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.formats import decoding
from ragdoll.errors import UsageError
from tests.conftest import Ragdoll
from tests.corpus.reading import in_one_folder
from tests.making import open_corpus

TEXTS = {
    "cp1252": "Le garçon a mangé des crêpes – c\u2019était délicieux.",
    "latin-1": "Größe der Tür: zwei Meter. Für alle Häuser der Straße.",
    "cp1250": "Příliš žluťoučký kůň úpěl ďábelské ódy o zaměstnání.",
    "cp1251": "Сохраните документ и закройте окно редактора.",
    "koi8_r": "Сохраните документ и закройте окно редактора.",
    "shift_jis": "会議の議事録はこちらです。毎朝九時に始まります。",
    "euc_jp": "会議の議事録はこちらです。毎朝九時に始まります。",
    "gb18030": "数据库的备份在每天晚上进行。",
    "big5": "資料庫的備份在每天晚上進行。",
    "euc_kr": "회의록은 여기에 있습니다. 매일 아침에 시작합니다.",
    "utf-16-le": "Wide text about badgers.",
    "utf-16-be": "Сохраните документ и закройте окно.",
}


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("kind", ["txt", "md", "csv", "tsv", "jsonl", "json", "csv.gz"])
def test_an_encoding_is_recognised_in_every_format(
    encoding: str, kind: str, tmp_path: Path
) -> None:
    text = TEXTS[encoding]
    written = {
        "csv": f'text,n\n"{text}",1\n',
        "tsv": f"text\tn\n{text}\t1\n",
        "jsonl": json.dumps({"text": text}, ensure_ascii=False),
        "json": json.dumps([text], ensure_ascii=False),
    }.get(kind.removesuffix(".gz"), text)
    content = written.encode(encoding)
    (tmp_path / f"a.{kind}").write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    corpus = open_corpus([str(tmp_path)])
    assert [document.text for document in corpus] == [text]
    (note,) = corpus.notes
    assert note.reason.startswith("read as ")
    assert corpus.skipped == []


def test_a_few_broken_places_cost_no_file(tmp_path: Path) -> None:
    lines = "Zwölf große Bären üben für Österreich.\n" * 10
    (tmp_path / "a.txt").write_bytes(lines.encode() + b"br\xffken\n" + lines.encode())
    corpus = open_corpus([str(tmp_path)])
    (document,) = corpus
    assert document.text == f"{lines}br\ufffdken\n{lines}"
    assert [note.reason for note in corpus.notes] == ["not UTF-8 in 1 place"]


ENGLISH = "The quarterly report describes how turbines behave under load.\n"


@pytest.mark.parametrize(
    ("content", "text", "note"),
    [
        ("café naïve ".encode() + b"\xff", "café naïve \ufffd", "not UTF-8 in 1 place"),
        (b'{"a": "caf\xc3\xa9 \xff"}', '{"a": "café \ufffd"}', "not UTF-8 in 1 place"),
        ("Le café est là, é".encode()[:-1], "Le café est là, \ufffd", "not UTF-8 in 1 place"),
        (b"line one\0\nline two", "line one \nline two", "zeros in 1 place"),
        ("Größe marmots\0 x\n".encode(), "Größe marmots  x\n", "zeros in 1 place"),
        (
            f"{ENGLISH}Größe\0\0\0\n".encode("cp1252"),
            f"{ENGLISH}Größe \n",
            "read as Windows-1252, zeros in 1 place",
        ),
    ],
)
def test_damage_costs_its_place_alone(content: bytes, text: str, note: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    corpus = open_corpus([str(tmp_path)])
    assert [document.text for document in corpus] == [text]
    assert [noted.reason for noted in corpus.notes] == [note]


@pytest.mark.parametrize("place", [100, 3_000])
def test_a_run_of_zeros_costs_nothing_else(place: int, tmp_path: Path) -> None:
    lines = ENGLISH * place
    (tmp_path / "a.log").write_bytes(lines.encode() + bytes(5000) + b"end")
    (document,) = open_corpus([str(tmp_path)])
    assert "".join(document.text.split()) == "".join(f"{lines}end".split())


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)) * 20,
        b"".join(number.to_bytes(2, "little") for number in range(0, 9000, 7)),
        b"\x7fELF\x02\x01\x01\0\0\0" + b"name\0\x01\x02\0\0" * 50,
        b"\x01\0\x02\0one\0\x03\0two\0" * 40,
    ],
)
@pytest.mark.parametrize("encoding", ["auto", "cp1252"])
def test_a_binary_file_stays_out(content: bytes, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    corpus = open_corpus([str(tmp_path)], encoding=encoding)
    assert list(corpus) == []
    assert len(corpus.skipped) == 1


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("language", ["cp1252", "cp1251", "shift_jis", "gb18030", "euc_kr"])
def test_a_wide_encoding_needs_no_mark(encoding: str, language: str, tmp_path: Path) -> None:
    text = f"{TEXTS[language] * 4}\n" * 5
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    corpus = open_corpus([str(tmp_path)])
    assert [document.text for document in corpus] == [text]
    assert [note.reason for note in corpus.notes] == [f"read as {encoding}"]


@pytest.mark.parametrize(
    "text",
    [
        "Perché è così? La città è più bella.",
        "Il est à Paris.",
        "Ça c'est très bien, à demain",
        "¿Qué tal? El niño está aquí.",
        "id,text\n1,plain words\n2,the café\n",
        f"{ENGLISH}don’t",
        f"{ENGLISH}½ cup",
        "# Maße\n\n- Breite: 50 cm, Größe L\n- Fuß: weiß\n",
        "Straße\n" * 50,
        "Noël",
        "10 °C",
        "5 £",
        "½ cup",
        "§ 5 Abs. 2",
        "© 2020",
        "5 µm",
        "3 × 4",
        "«oui»",
        "a – b",
        "it is 5 € now",
        "don’t",
        '{"text": "10 °C"}',
    ],
)
def test_a_short_latin_text_stays_latin(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode("cp1252"))
    assert [document.text for document in open_corpus([str(tmp_path)])] == [text]


@pytest.mark.parametrize("text", ["# Проверка\nprint('hello world')\n", "plain words а слово"])
def test_words_of_another_alphabet_among_latin_ones_stay(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode("cp1251"))
    assert [document.text for document in open_corpus([str(tmp_path)])] == [text]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "iso2022_jp"])
def test_ascii_is_utf_8_whatever_is_named(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("plain words")
    assert [d.text for d in open_corpus([str(tmp_path)], encoding=encoding)] == ["plain words"]


@pytest.mark.parametrize(
    ("named", "encoding"),
    [("utf-16", "utf-16-be"), ("utf-16", "utf-16-le"), ("utf-16-be", "utf-16-be")],
)
@pytest.mark.parametrize("text", ["Wide text about badgers.\n", "会議の議事録\n"])
def test_a_wide_encoding_that_is_named_needs_no_mark(
    named: str, encoding: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    assert [d.text for d in open_corpus([str(tmp_path)], encoding=named)] == [text]


def test_an_encoding_with_escapes_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("会議".encode("iso2022_jp"))
    assert [d.text for d in open_corpus([str(tmp_path)], encoding="iso2022_jp")] == ["会議"]


def test_a_sign_for_a_broken_character_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("An \ufffd is known.", encoding="utf-8")
    corpus = open_corpus([str(tmp_path)])
    assert [document.text for document in corpus] == ["An \ufffd is known."]
    assert corpus.notes == []


def test_an_encoding_that_is_named_is_that_of_files_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("тест".encode("cp866"))
    (tmp_path / "b.txt").write_text("тест", encoding="utf-8")
    corpus = open_corpus([str(tmp_path)], encoding="cp866")
    assert [document.text for document in corpus] == ["тест", "тест"]
    assert corpus.notes == []


@pytest.mark.parametrize("name", ["no-such", "base64", "cp1252\0"])
def test_an_encoding_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not known"):
        open_corpus([str(tmp_path)], encoding=name)


def test_what_was_noted_is_said(ragdoll: Ragdoll, trained: object, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXTS["latin-1"].encode("latin-1"))
    options = ["--model", trained.model, "--database", "base"]  # type: ignore[attr-defined]
    said = ragdoll("index", tmp_path / "a.txt", *options)
    assert "Noted: 1\n  1  read as Windows-1252: a.txt" in said.err
    record = ragdoll("index", tmp_path / "a.txt", *options, "--overwrite", "--json").json
    assert record["notes"] == [
        {"path": "a.txt", "note": "read as Windows-1252", "root": str(tmp_path)}
    ]


@given(content=st.binary(max_size=400))
@in_one_folder
def test_any_bytes_are_text_or_left_as_they_are(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with decoding.readable(file) as (place, note):
        if place == file:
            assert note is None
        else:
            place.read_text(encoding="utf-8")


@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=400)
)
@in_one_folder
def test_utf_8_is_read_where_it_lies(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(text, encoding="utf-8")
    with decoding.readable(file) as (place, note):
        assert (place, note) == (file, None)


def test_an_encoding_that_was_named_stays_when_it_is_left_out(
    ragdoll: Ragdoll, trained: object, tmp_path: Path
) -> None:
    """chardet takes these bytes for cp1252, so that forgetting the name would show."""
    file = tmp_path / "a.txt"
    options = ["--model", trained.model, "--database", "base"]  # type: ignore[attr-defined]
    file.write_bytes("café".encode("cp437"))
    ragdoll("index", file, *options, "--encoding", "cp437")
    file.write_bytes("café, thé".encode("cp437"))
    for places in ([file], []):
        assert ragdoll("index", *places, *options).status == 0
        (hit,) = ragdoll("query", "café", "--database", "base", "--json").json["hits"]
        assert hit["text"] == "café, thé"
