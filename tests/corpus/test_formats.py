"""From bytes to texts: plain files, JSON lines, and what is no text at all."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragdoll.corpus.formats import Record, UnreadableError, decode, read, record_from

often = settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def read_lines(folder: Path, *lines: object, text_key: str = "text") -> list[Any]:
    file = folder / "records.jsonl"
    file.write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    )
    return list(read(file, text_key))


def only(records: list[Any]) -> Record:
    (record,) = records
    assert isinstance(record, Record)
    return record


def title_of(folder: Path, content: str, name: str = "a.md") -> str:
    (folder / name).write_text(content)
    return only(list(read(folder / name, "text"))).title


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Turn a hang into a failure."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"not done after {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


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
    assert only(read_lines(tmp_path, line)) == Record(
        name="d7",
        title="The loop",
        text="The loop\n\nIt runs callbacks.",
        metadata={"year": 2024, "tags": ["a", "b"], "draft": False, "by": {"name": "Ada"}},
    )


def test_a_line_of_a_beir_corpus_is_a_record(tmp_path: Path) -> None:
    line = {"_id": "MED-10", "title": "Statins", "text": "A study.", "metadata": {}}
    assert only(read_lines(tmp_path, line)) == Record(
        "MED-10", "Statins", "Statins\n\nA study.", {}
    )


def test_a_record_without_an_id_is_named_by_its_line(tmp_path: Path) -> None:
    records = read_lines(tmp_path, {"text": "a"}, "", {"text": "b"}, {"_id": "", "text": "c"})
    assert [record.name for record in records] == ["1", "3", "4"]


@pytest.mark.parametrize("key", ["_id", "id", "doc_id", "docid"])
@pytest.mark.parametrize(("value", "name"), [("x", "x"), (7, "7"), (0, "0")])
def test_the_usual_keys_name_a_record(key: str, value: object, name: str, tmp_path: Path) -> None:
    record = only(read_lines(tmp_path, {key: value, "text": "a"}))
    assert (record.name, record.metadata) == (name, {})


def test_an_id_that_is_no_name_is_not_used(tmp_path: Path) -> None:
    assert only(read_lines(tmp_path, {"_id": ["a"], "text": "a"})).name == "1"
    assert only(read_lines(tmp_path, {"_id": None, "id": "b", "text": "a"})).name == "b"
    assert only(read_lines(tmp_path, {"_id": "", "id": "b", "text": "a"})).name == "b"


def test_the_text_may_have_another_key(tmp_path: Path) -> None:
    line = {"text": "not this", "body": "this"}
    record = only(read_lines(tmp_path, line, text_key="body"))
    assert (record.text, record.metadata) == ("this", {"text": "not this"})


def test_a_title_that_the_text_begins_with_is_not_said_twice(tmp_path: Path) -> None:
    line = {"title": "The loop", "text": "The loop\nruns."}
    assert only(read_lines(tmp_path, line)).text == "The loop\nruns."


def test_a_title_that_only_begins_the_first_word_is_said(tmp_path: Path) -> None:
    line = {"title": "The", "text": "Theory of loops"}
    assert only(read_lines(tmp_path, line)).text == "The\n\nTheory of loops"


def test_a_title_alone_is_a_text(tmp_path: Path) -> None:
    assert only(read_lines(tmp_path, {"title": "The loop", "text": ""})).text.strip() == "The loop"


@pytest.mark.parametrize("title", [None, 7, "", "  "])
def test_a_title_that_says_nothing_is_none(title: object, tmp_path: Path) -> None:
    record = only(read_lines(tmp_path, {"title": title, "text": "a"}))
    assert (record.title, record.text) == ("", "a")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"body": "a"}, "no key 'text'"),
        ({"text": None}, "no key 'text'"),
        ({"text": 7}, "'text' is not a string"),
        ({"text": ["a"]}, "'text' is not a string"),
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


def test_a_line_that_is_no_text_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"text": "a"}\n{"text": "\xe9"}\n{"text": "\0"}\n')
    _, *bad = read(file, "text")
    assert [str(error) for error in bad] == ["line 2: not utf-8 text", "line 3: binary"]


def test_lines_may_end_as_on_windows_and_begin_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes('\ufeff{"text": "café"}\r\n\r\n{"text": "two"}'.encode())
    assert [(r.name, r.text) for r in read(file, "text")] == [("1", "café"), ("3", "two")]  # type: ignore[union-attr]


def test_half_a_character_is_replaced_wherever_it_stands(tmp_path: Path) -> None:
    half, pair = r"\ud800", r"\ud83d\ude00"
    line = f'{{"_id": "{half}", "title": "T{half}", "text": "a {half} {pair}"}}'
    record = only(read_lines(tmp_path, line))
    assert (record.name, record.title) == ("\ufffd", "T\ufffd")
    assert record.text == "T\ufffd\n\na \ufffd 😀"


def test_what_json_has_no_number_for_is_not_kept(tmp_path: Path) -> None:
    line = '{"text": "a", "x": NaN, "y": [-Infinity, {"z": 1e999}], "n": 1e9}'
    record = only(read_lines(tmp_path, line))
    json.dumps(record.metadata, allow_nan=False)
    assert record.metadata["n"] == 1e9


@pytest.mark.parametrize("depth", [100, 400, 700, 900])
def test_a_record_of_any_depth_is_read_or_unreadable(depth: int, tmp_path: Path) -> None:
    deep = '{"text": "a", "deep": ' + "[" * depth + "1" + "]" * depth + "}"
    records = read_lines(tmp_path, deep, {"text": "after"})
    assert len(records) == 2
    assert records[1].text == "after"
    if isinstance(records[0], Record):
        json.dumps(records[0].metadata)


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


@pytest.mark.parametrize("name", ["a.txt", "a.rst"])
def test_the_title_of_other_files_is_their_name(name: str, tmp_path: Path) -> None:
    assert title_of(tmp_path, "# no heading here\n", name) == name


@pytest.mark.parametrize(
    "content",
    ["# a" + " " * 3000 + "b\n", "# " + "#" * 3000 + "a\n", "\n" * 20_000 + "a", "# a\n" * 3000],
    ids=["spaces", "hashes", "blank lines", "headings"],
)
def test_a_title_is_found_at_once_whatever_the_heading(content: str, tmp_path: Path) -> None:
    with alarm(2):
        title_of(tmp_path, content)


def test_the_text_of_a_file_is_kept_as_it_is(tmp_path: Path) -> None:
    content = "\n  # A\r\n\r\n\ttext \n"
    (tmp_path / "a.md").write_bytes(content.encode())
    assert only(list(read(tmp_path / "a.md", "text"))).text == content


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        ("café".encode(), "café"),
        ("café".encode("utf-8-sig"), "café"),
        (b"\xff\xfe" + "café😀".encode("utf-16-le"), "café😀"),
        (b"\xfe\xff" + "café😀".encode("utf-16-be"), "café😀"),
    ],
    ids=["empty", "utf-8", "utf-8 mark", "utf-16 little", "utf-16 big"],
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
        ("text".encode("utf-32"), "binary"),
    ],
)
def test_what_is_no_unicode_is_refused_with_the_reason(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        decode(content)


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    for name in ("a.txt", "a.jsonl"):
        with pytest.raises(UnreadableError, match="No such file"):
            list(read(tmp_path / name, "text"))


def test_a_folder_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(UnreadableError):
        list(read(tmp_path / "a.jsonl", "text"))


# Anything


MARKS = st.sampled_from([b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"# ", b'{"text": "'])
BYTES = st.builds(lambda mark, rest: mark + rest, MARKS, st.binary(max_size=200))


@given(BYTES)
@often
def test_whatever_the_bytes_they_decode_or_are_unreadable(content: bytes) -> None:
    try:
        text = decode(content)
    except UnreadableError as error:
        assert str(error)  # noqa: PT017  (either outcome is right)
    else:
        assert "\0" not in text
        text.encode()


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@often
def test_whatever_the_text_it_comes_back_from_every_encoding(text: str) -> None:
    assert decode(text.encode("utf-8-sig")) == text
    assert decode(b"\xff\xfe" + text.encode("utf-16-le")) == text
    if not text.startswith("\ufeff"):
        assert decode(text.encode()) == text


@pytest.mark.parametrize("suffix", [".txt", ".md", ".jsonl"])
@given(content=BYTES)
@often
def test_whatever_the_file_it_is_read_or_unreadable(
    suffix: str, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    try:
        records = list(read(file, "text"))
    except UnreadableError:
        return
    for record in records:
        if isinstance(record, Record):
            assert record.text.strip()
            record.text.encode()
            record.title.encode()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=6,
)
FIELDS = st.dictionaries(
    st.sampled_from(["text", "title", "_id", "id", "docid", "year", "metadata"]), JSON
)


@given(FIELDS)
@often
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
        assert record.name
        assert record.text.startswith(record.title)
        assert record.text.endswith(fields["text"])
        assert {"text", "title", "_id", "id", "docid"}.isdisjoint(record.metadata)
        json.dumps(record.metadata, allow_nan=False)
    assert json.dumps(fields) == json.dumps(kept), "the fields were changed"
