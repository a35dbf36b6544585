"""Records in JSON: what each becomes, and what a file of them may be."""

from __future__ import annotations

import datetime as dt
import json
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read
from ragdoll.corpus.formats.kinds import Manner
from ragdoll.corpus.formats.records import record_from
from tests.corpus.reading import in_one_folder, only, reason, records, told, written
from tests.making import open_corpus

NO_TEXT = "'text' is not a string, nor a list of strings or messages"


def read_lines(folder: Path, *lines: object, text_key: str = "text") -> list[Any]:
    file = folder / "records.jsonl"
    file.write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    )
    return list(read(file, Manner(text_key)))


def the(records: list[Any]) -> Document:
    (record,) = records
    assert isinstance(record, Document)
    return record


# Records


def test_a_record_is_its_text_its_title_in_front_and_its_other_keys(tmp_path: Path) -> None:
    line = {
        "_id": "d7",
        "title": " The loop ",
        "text": "It runs callbacks.",
        "year": 2024,
        "tags": ["a", "b"],
        "draft": False,
        "by": {"name": "Ada"},
    }
    assert the(read_lines(tmp_path, line)) == Document(
        source="d7",
        title="The loop",
        text="The loop\n\nIt runs callbacks.",
        metadata={"year": 2024, "tags": ["a", "b"], "draft": False, "by": {"name": "Ada"}},
    )


def test_a_line_of_a_beir_corpus_is_a_record(tmp_path: Path) -> None:
    line = {"_id": "MED-10", "title": "Statins", "text": "A study.", "metadata": {}}
    assert the(read_lines(tmp_path, line)) == Document("Statins\n\nA study.", "Statins", "MED-10")


def test_a_record_without_an_id_is_named_by_its_line(tmp_path: Path) -> None:
    records = read_lines(tmp_path, {"text": "a"}, "", {"text": "b"}, {"_id": "", "text": "c"})
    assert [record.source for record in records] == ["1", "3", "4"]


@pytest.mark.parametrize("key", ["_id", "id", "doc_id", "docid"])
@pytest.mark.parametrize(("value", "name"), [("x", "x"), (7, "7"), (0, "0")])
def test_the_usual_keys_name_a_record(key: str, value: object, name: str, tmp_path: Path) -> None:
    record = the(read_lines(tmp_path, {key: value, "text": "a"}))
    assert (record.source, record.metadata) == (name, {})


def test_an_id_that_is_no_name_is_not_used(tmp_path: Path) -> None:
    assert the(read_lines(tmp_path, {"_id": ["a"], "text": "a"})).source == "1"
    assert the(read_lines(tmp_path, {"_id": None, "id": "b", "text": "a"})).source == "b"
    assert the(read_lines(tmp_path, {"_id": "", "id": "b", "text": "a"})).source == "b"


def test_the_text_may_have_another_key(tmp_path: Path) -> None:
    line = {"text": "not this", "body": "this"}
    record = the(read_lines(tmp_path, line, text_key="body"))
    assert (record.text, record.metadata) == ("this", {"text": "not this"})


def test_a_title_that_the_text_begins_with_is_not_said_twice(tmp_path: Path) -> None:
    line = {"title": "The loop", "text": "The loop\nruns."}
    assert the(read_lines(tmp_path, line)).text == "The loop\nruns."


def test_a_title_that_only_begins_the_first_word_is_said(tmp_path: Path) -> None:
    line = {"title": "The", "text": "Theory of loops"}
    assert the(read_lines(tmp_path, line)).text == "The\n\nTheory of loops"


@pytest.mark.parametrize("text", ["", None])
def test_a_title_alone_is_a_text(text: str | None, tmp_path: Path) -> None:
    assert the(read_lines(tmp_path, {"title": "The loop", "text": text})).text.strip() == "The loop"


@pytest.mark.parametrize(
    ("key", "metadata"),
    [
        ("a.b.c", {"a": {"d": 1}}),
        ("a.b", {"a.b.c": "other", "a": {"d": 1}}),
        ("x.y", {"x": {"y": "deep"}, "n": 1}),
    ],
    ids=["two levels", "one", "a key with a dot"],
)
def test_a_key_leads_into_objects(key: str, metadata: dict[str, Any], tmp_path: Path) -> None:
    lines = {
        "a.b.c": {"a": {"b": {"c": "It runs."}, "d": 1}},
        "a.b": {"a.b.c": "other", "a": {"b": "It runs.", "d": 1}},
        "x.y": {"x.y": "It runs.", "x": {"y": "deep"}, "n": 1},
    }
    record = the(read_lines(tmp_path, lines[key], text_key=key))
    assert (record.text, record.metadata) == ("It runs.", metadata)


@pytest.mark.parametrize("key", ["a.c", "a.b.c", "b.a", "a.", ".a"])
def test_a_key_that_leads_nowhere_is_named(key: str, tmp_path: Path) -> None:
    (error,) = read_lines(tmp_path, {"a": {"b": "text"}}, text_key=key)
    assert str(error) == f"line 1: no key '{key}' (`text_key` names another)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["one", " ", "two"], "one\n\ntwo"),
        (
            [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}],
            "user: Why?\n\nassistant: So.",
        ),
        ([{"from": "human", "value": "Why?"}], "human: Why?"),
        (
            [{"role": "user", "content": [{"type": "text", "text": "Look."}, {"type": "image"}]}],
            "user: Look.",
        ),
        ([{"role": "assistant", "content": None}, {"content": "Done."}], "Done."),
        (
            ["Read ", {"type": "link", "text": "e.org"}, " on", {"text": "line"}],
            "Read e.org online",
        ),
        ([{"type": "text", "text": "Look."}, {"type": "text", "text": "So."}], "Look.\n\nSo."),
    ],
    ids=["strings", "messages", "from and value", "parts", "a call of a tool", "links", "texts"],
)
def test_lists_of_strings_and_messages_are_texts(value: Any, text: str, tmp_path: Path) -> None:
    assert the(read_lines(tmp_path, {"messages": value}, text_key="messages")).text == text


@pytest.mark.parametrize("title", [None, 7, "", "  "])
def test_a_title_that_says_nothing_is_none(title: object, tmp_path: Path) -> None:
    record = the(read_lines(tmp_path, {"title": title, "text": "a"}))
    assert (record.title, record.text) == ("", "a")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"body": "a"}, "no key 'text' (`text_key` names another)"),
        ({"text": None}, "'text' is null"),
        ({"text": 7}, NO_TEXT),
        ({"text": ["a", 7]}, NO_TEXT),
        ({"text": [{"a": 7}]}, NO_TEXT),
        ({"text": {"a": "b"}}, NO_TEXT),
        ({"text": []}, "empty"),
        ({"text": " \n"}, "empty"),
        ({"text": "", "title": " "}, "empty"),
        ("not json", "not JSON"),
        ('{"text": "a"', "not JSON"),
        ('{"text": "a"} {"text": "b"}', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"n": ' + "9" * 5000 + "}", "not JSON"),
        (["a"], "not a JSON object"),
        ('"a"', "not a JSON object"),
        ("7", "not a JSON object"),
        ("null", "not a JSON object"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_line_that_is_no_record_is_named_by_its_number(
    line: object, reason: str, tmp_path: Path
) -> None:
    before, bad, after = read_lines(tmp_path, {"text": "before"}, line, {"text": "after"})
    assert (before.text, after.text) == ("before", "after")
    assert isinstance(bad, UnreadableError)
    assert str(bad) == f"line 2: {reason}"


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "one\ttab"}\n{"text": "two"}\n',
        '{"text": "one\ttab", "n": [1, 2,],}\n{"text": "two"}\n',
        '{"text": "one\\ttab"},\n{"text": "two"},\n',
        '\x1e{"text": "one\\ttab"}\n\x1e{"text": "two"}\n',
        '{\n  "text": "one\\ttab"\n}\n{\n  "text": "two"\n}\n',
        '[\n{"text": "one\\ttab"},\n{"text": "two"}\n]\n',
        '[{"text": "one\\ttab"}, {"text": "two"}]\n',
        '// two\n{"text": "one\\ttab"} // the first\n{"text": /* the */ "two"}\n',
    ],
    ids=["tab", "comma", "commas", "signs", "pretty", "lines of an array", "array", "comments"],
)
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_what_is_not_quite_json_is_read(content: str, suffix: str, tmp_path: Path) -> None:
    found = [text for text in told(written(tmp_path, f"a.{suffix}", content)) if text[0] != "!"]
    assert found == ["one\ttab", "two"]


def test_mistakes_in_json_cost_nothing_before_or_behind_them(tmp_path: Path) -> None:
    content = '["a", {"text": "// b, ]", "n": [1,], /* , */}, // c\n"d\ne",]'
    assert told(written(tmp_path, "a.json", content)) == ["a", "// b, ]", "d\ne"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ({"a1": {"text": "x"}, "a2": {"text": "y"}}, ["a1", "a2"]),
        ({"data": {"items": [{"text": "x"}, {"text": "y"}]}}, ["1", "2"]),
        (
            {"hits": {"hits": [{"_id": n, "_source": {"text": t}} for n, t in ("px", "qy")]}},
            ["p", "q"],
        ),
        ([[{"text": "x"}], [{"text": "y"}]], ["1", "1"]),
        ([[[{"text": "x"}, {"text": "y"}]]], ["1", "2"]),
        (
            {"meta": {"n": 2}, "by": {"id": {"a": {"text": "x"}, "b": {"id": 7, "text": "y"}}}},
            ["a", "7"],
        ),
    ],
    ids=["by id", "two levels", "hits", "arrays", "arrays in an array", "deep"],
)
def test_records_are_found_wherever_they_lie(
    content: object, names: list[str], tmp_path: Path
) -> None:
    found = records(written(tmp_path, "a.json", json.dumps(content)))
    assert [record.text for record in found] == ["x", "y"]
    assert names == ["1", "1"] or [record.source for record in found] == names


def test_a_line_that_is_no_text_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    lines = b'{"text": "a"}\n{"text": "\xe9 \0 \0"}\n{"text": "\0 \0"}\n'
    file.write_bytes(lines)
    _, *bad = read(file)
    assert [str(error) for error in bad] == ["line 2: not utf-8 text", "line 3: binary"]


def test_lines_may_end_as_on_windows_and_begin_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes('\ufeff{"text": "café"}\r\n\r\n{"text": "two"}'.encode())
    assert [(r.source, r.text) for r in read(file)] == [("1", "café"), ("3", "two")]  # type: ignore[union-attr]


def test_half_a_character_is_replaced_wherever_it_stands(tmp_path: Path) -> None:
    half, pair = r"\ud800", r"\ud83d\ude00"
    line = f'{{"_id": "{half}", "title": "T{half}", "text": "a {half} {pair}"}}'
    record = the(read_lines(tmp_path, line))
    assert (record.source, record.title) == ("\ufffd", "T\ufffd")
    assert record.text == "T\ufffd\n\na \ufffd 😀"


def test_what_json_has_no_number_for_is_not_kept(tmp_path: Path) -> None:
    line = '{"text": "a", "x": NaN, "y": [-Infinity, {"z": 1e999}], "n": 1e9}'
    record = the(read_lines(tmp_path, line))
    json.dumps(record.metadata, allow_nan=False)
    assert record.metadata["n"] == 1e9


@pytest.mark.parametrize("depth", [100, 400, 700, 900])
def test_a_record_of_any_depth_is_read_or_unreadable(depth: int, tmp_path: Path) -> None:
    deep = '{"text": "a", "deep": ' + "[" * depth + "1" + "]" * depth + "}"
    records = read_lines(tmp_path, deep, {"text": "after"})
    assert len(records) == 2
    assert records[1].text == "after"
    if isinstance(records[0], Document):
        json.dumps(records[0].metadata)


def test_json_lines_in_utf_16_are_read(tmp_path: Path) -> None:
    lines = '{"text": "café"}\n{"text": "two"}\n'
    assert told(written(tmp_path, "a.jsonl", lines.encode("utf-16"))) == ["café", "two"]


def test_a_line_too_large_to_be_held_is_skipped_and_the_next_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with file.open("wb") as lines:
        lines.write(b'{"text": "before"}\n')
        for _ in range(200):
            lines.write(b" " * 2**20)
        lines.write(b'\n{"text": "after"}\n')
    tracemalloc.start()
    found = told(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ["before", "! line 2: larger than 64 MiB; split it", "after"]
    assert peak < 150 * 2**20


def test_raw_bytes_are_not_kept() -> None:
    fields = {"text": "a", "picture": b"\x89PNG", "more": [b"x", 1]}
    assert record_from(fields, "text", "1").metadata == {"more": [None, 1]}


def test_what_json_cannot_hold_is_not_kept_unless_it_has_a_form_of_its_own() -> None:
    fields = {
        "text": "a",
        "picture": object(),
        "at": dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC),
        "clock": dt.time(12, 30),
        "price": Decimal("1.50"),
        "key": UUID(int=1),
    }
    assert record_from(fields, "text", "1").metadata == {
        "at": "2024-02-29T12:00:00+00:00",
        "clock": "12:30:00",
        "price": "1.50",
        "key": "00000000-0000-0000-0000-000000000001",
    }


def test_a_text_that_is_too_large_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 10)
    assert record_from({"text": "x" * 10}, "text", "1").text == "x" * 10
    with pytest.raises(UnreadableError, match="larger than 64 MiB"):
        record_from({"text": "x" * 11}, "text", "1")


# Files of JSON


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('[{"text": "a"}, {"text": "b"}]', ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ('{"text": "a"}', ["a"]),
        ('"a"', ["a"]),
        ('{"text": "a"}\n{"text": "b"}\n', ["a", "b"]),
        ('\ufeff [\n{"text": "a"}\n]\n', ["a"]),
        ('[{"text": "a", "other": [{"text": "not this"}]}]', ["a"]),
    ],
    ids=["objects", "texts", "one object", "one text", "lines", "mark", "nested"],
)
def test_a_json_file_is_an_array_or_values_one_after_the_other(
    content: str, texts: list[str], tmp_path: Path
) -> None:
    found = records(written(tmp_path, "a.json", content))
    assert [record.text for record in found] == texts
    assert [record.source for record in found] == [str(n + 1) for n in range(len(texts))]


def test_a_record_of_a_json_file_has_its_own_name_and_the_rest_as_it_is(tmp_path: Path) -> None:
    fields = {
        "_id": "x",
        "title": "T",
        "text": "a",
        "n": 1.5,
        "big": 2**70,
        "list": [True, {"a": "b"}],
    }
    record = only(written(tmp_path, "a.json", json.dumps([fields])))
    assert (record.source, record.title, record.text) == ("x", "T", "T\n\na")
    assert record.metadata == {"n": 1.5, "big": 2**70, "list": [True, {"a": "b"}]}
    assert isinstance(record.metadata["n"], float)


def test_the_text_of_a_json_file_may_have_another_key(tmp_path: Path) -> None:
    file = written(tmp_path, "a.json", '[{"body": "a"}, "b", {"text": "c"}]')
    assert told(file, "body") == ["a", "b", "! record 3: no key 'body' (`text_key` names another)"]


def test_what_is_no_record_is_named_by_its_number(tmp_path: Path) -> None:
    file = written(tmp_path, "a.json", '["a", 7, null, [], {}, {"text": " "}, "b"]')
    assert told(file) == [
        "a",
        "! record 2: not a JSON object",
        "! record 3: not a JSON object",
        "! record 4: not a JSON object",
        "! record 5: no key 'text' (`text_key` names another)",
        "! record 6: empty",
        "b",
    ]


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("", "not JSON"),
        ("x", "not JSON"),
        (', {"text": "b"', "not JSON"),
        (', {"text": ' + "[" * 5000, "nested too deeply"),
        (', {"text": "\\xe9"}]', "not JSON"),
        (b', {"text": "caf\xe9 \0 \0 \0"}]', "not utf-8 text"),
        (b', {"text": "\0 \0 \0"}]', "not JSON"),
        (', {"text": "utf8" x}]', "not JSON"),
        (', {"text": "NaN" x}]', "not JSON"),
        (', {"text": "a", "n": NaNny}]', "not JSON"),
    ],
    ids=[
        *("cut off", "not closed", "cut off inside", "deep", "escape", "latin-1", "zero"),
        *("utf", "NaN in a text", "no NaN"),
    ],
)
def test_what_stands_before_a_break_is_read_and_the_break_is_named(
    end: str | bytes, why: str, tmp_path: Path
) -> None:
    end = end if isinstance(end, bytes) else end.encode()
    file = written(tmp_path, "a.json", b'[{"text": "a"}' + end)
    assert told(file) == ["a", f"! record 2: {why}; nothing after it is read"]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_lacks_costs_no_record(word: str, tmp_path: Path) -> None:
    record = f'{{"text": "\\" {word}, \\\\", "n": {word}, "m": [{word}, 1]}}, "b"]'
    for before in (0, *range(2**18 - len(record), 2**18)):  # where a piece of the file ends
        file = written(tmp_path, "a.json", f"[{' ' * before}{record}")
        first, second = records(file)
        assert (first.text, second.text) == (f'" {word}, \\', "b")
        assert first.metadata == {"m": [None, 1]}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("[]", "empty"),
        ("[ ]\n", "empty"),
        ("words", "not JSON"),
        (b"[\xe9]", "not JSON"),
        (b'["\xe9 \0"]', "not utf-8 text"),
        (b"\xff\xfe[", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=["nothing", "blank", "no item", "no items", "words", "bytes", "latin-1", "half", "deep"],
)
def test_a_json_file_without_records_is_unreadable(
    content: str | bytes, why: str, tmp_path: Path
) -> None:
    assert reason(written(tmp_path, "a.json", content)) == why


@pytest.mark.parametrize("number", ["9" * 5000, "1e" + "9" * 30], ids=["digits", "exponent"])
def test_a_number_that_python_cannot_hold_is_no_json_however_often_it_is_met(
    number: str, tmp_path: Path
) -> None:
    # What the interpreter checks changes with how often it was in the loop.
    for turn in range(12):
        written(tmp_path, f"{turn}.json", f'[{{"text": "a"}}, {{"text": "b", "n": {number}}}]')
        alone = written(tmp_path, "alone.json", f'{{"text": "b", "n": {number}}}')
        assert reason(alone) == "not JSON"
    (tmp_path / "alone.json").unlink()
    written(tmp_path, "good.json", '["good"]')
    found = open_corpus([str(tmp_path)])
    assert [document.text for document in found][-1] == "good"
    assert len(found.skipped) == 12
    assert all("not JSON" in item.reason for item in found.skipped)


def test_a_json_file_in_utf_16_is_read(tmp_path: Path) -> None:
    assert told(written(tmp_path, "a.json", '["café"]'.encode("utf-16"))) == ["café"]


def test_a_large_array_is_read_a_record_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with file.open("w") as array:
        array.write('[{"text": "' + "x" * 1000 + '"}')
        for _ in range(10_000):
            array.write(',\n{"text": "' + "y" * 1000 + '"}')
        array.write("]")
    tracemalloc.start()
    count = sum(1 for _ in read(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 10_001
    assert peak < file.stat().st_size / 10


def test_the_first_record_of_an_array_does_not_wait_for_the_last(tmp_path: Path) -> None:
    file = written(tmp_path, "a.json", '["first", ' + '"more", ' * 100_000 + "broken")
    assert next(read(file)).text == "first"  # type: ignore[union-attr]


@pytest.mark.parametrize("value", ['"%s"', '{"text": "%s"}', '{"text": "a", "other": ["%s"]}'])
def test_a_record_too_large_to_be_held_ends_the_reading_of_an_array(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 200_000)
    large = value.replace("%s", "x" * 1_000_000)
    file = written(tmp_path, "a.json", f'["small", {large}, "after"]')
    assert told(file)[0] == "small"
    assert told(file)[1].startswith("! record 2: larger than 64 MiB; split it")


def test_the_limit_is_that_of_a_record_not_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 200_000)
    file = written(tmp_path, "a.json", json.dumps(["x" * 1000] * 1000))
    assert told(file) == ["x" * 1000] * 1000


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b"))),
    escaped=st.booleans(),
)
@in_one_folder
def test_whatever_the_texts_they_come_back_from_an_array(
    texts: list[str], escaped: bool, tmp_path: Path
) -> None:
    file = written(tmp_path, "a.json", json.dumps(texts, ensure_ascii=escaped))
    if texts:
        assert told(file) == [
            text if text.strip() else f"! record {number}: empty"
            for number, text in enumerate(texts, start=1)
        ]
    else:
        assert reason(file) == "empty"


# Anything


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.sampled_from(["text", "title", "_id", "id", "docid", "year", "metadata"]), JSON
)


@given(FIELDS)
def test_whatever_the_fields_they_make_a_record_or_are_unreadable(fields: dict[str, Any]) -> None:
    kept = json.loads(json.dumps(fields))
    try:
        record = record_from(fields, "text", name="7")
    except UnreadableError:
        text = fields.get("text")
        title = fields.get("title")
        has_title = isinstance(title, str) and title.strip()
        assert not isinstance(text, str) or not (text.strip() or has_title)
    else:
        assert record.source
        assert record.text.startswith(record.title)
        text = fields["text"]
        parts = [part for part in text if part.strip()] if isinstance(text, list) else [text]
        assert record.text.endswith("\n\n".join(parts))
        named = {key for key, value in fields.items() if isinstance(value, str)}
        assert "text" not in record.metadata
        assert "title" not in named & set(record.metadata)
        json.dumps(record.metadata, allow_nan=False)
    assert json.dumps(fields) == json.dumps(kept), "the fields were changed"


@pytest.mark.parametrize("before", [0, 2**18 - 2000], ids=["at once", "from piece to piece"])
def test_a_number_too_long_to_read_ends_the_file_and_not_the_process(
    tmp_path: Path, before: int
) -> None:
    content = f'[{" " * before}{{"text": "a"}}, {{"text": "b", "n": {"9" * 5000}, "x": '
    file = written(tmp_path, "a.json", content + "[" * 10**5 + "]" * 10**5 + "}]")
    assert told(file) == ["a", "! record 2: not JSON; nothing after it is read"]


def test_digits_of_a_text_are_no_number(tmp_path: Path) -> None:
    digits = "3." + "1" * 5000 + "\\n" + "x" + "1" * 5000
    (told_text,) = told(written(tmp_path, "a.json", f'["{digits}"]'))
    assert len(told_text) > 10_000
