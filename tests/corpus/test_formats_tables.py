"""Tables: CSV, TSV and Parquet, row by row."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.files import read
from tests.corpus.reading import in_one_folder, only, reason, records, told, written

BOTH = pytest.mark.parametrize(("suffix", "mark"), [(".csv", ","), (".tsv", "\t")])


def table(rows: Sequence[Sequence[str]], mark: str = ",") -> str:
    content = io.StringIO(newline="")
    csv.writer(content, delimiter=mark).writerows(rows)
    return content.getvalue()


def parquet(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "a.parquet", **options)
    return folder / "a.parquet"


# CSV and TSV


@BOTH
def test_a_row_is_its_text_its_title_in_front_and_its_other_columns(
    suffix: str, mark: str, tmp_path: Path
) -> None:
    rows = [["year", "text", "title", "by"], ["2024", 'Runs, "calls"\nback.', "The loop", ""]]
    record = only(written(tmp_path, f"a{suffix}", table(rows, mark)))
    assert (record.source, record.title) == ("1", "The loop")
    assert record.text == 'The loop\n\nRuns, "calls"\nback.'
    assert record.metadata == {"year": "2024"}


def test_a_row_is_named_by_its_id_or_its_number(tmp_path: Path) -> None:
    content = "id,text\nx,one\n\n,two\nx,three\n"
    assert [r.source for r in records(written(tmp_path, "a.csv", content))] == ["x", "2", "x"]


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.csv", "tag,text,tag,text\nx,one,y,two\n"))
    assert (record.text, record.metadata) == ("one", {"tag": "x", "tag 2": "y", "text 2": "two"})


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_the_texts_of_an_only_column_need_no_quotes(suffix: str, tmp_path: Path) -> None:
    content = 'text\nOne, two; three\n"Four,\nfive"\nSix\n'
    assert told(written(tmp_path, f"a.{suffix}", content)) == [
        "One, two; three",
        "Four,\nfive",
        "Six",
    ]


def test_the_text_may_be_in_another_column(tmp_path: Path) -> None:
    record = only(written(tmp_path, "a.csv", "text,body\nnot this,this\n"), "body")
    assert (record.text, record.metadata) == ("this", {"text": "not this"})


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
@pytest.mark.parametrize("quote", ['"', ""])
def test_what_spreadsheets_write_for_commas_is_understood(
    mark: str, quote: str, tmp_path: Path
) -> None:
    content = f"n{mark}{quote}text{quote}\r\n1{mark}{quote}one{quote}\r\n"
    assert told(written(tmp_path, "a.csv", content)) == ["one"]


def test_commas_in_a_table_separated_by_tabs_are_text(tmp_path: Path) -> None:
    assert told(written(tmp_path, "a.tsv", "n\ttext\n1\tone, two; three\n")) == ["one, two; three"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_lines_may_end_in_a_carriage_return_alone(encoding: str, tmp_path: Path) -> None:
    content = "n,text\r1,café\r2,two\r"
    assert told(written(tmp_path, "a.csv", content.encode(encoding))) == ["café", "two"]


def test_several_columns_may_hold_the_text(tmp_path: Path) -> None:
    (first, second) = records(written(tmp_path, "a.csv", "a,n,b\none,1,two\n,2,three\n"), "b,a")
    assert (first.text, first.metadata) == ("two\n\none", {"n": "1"})
    assert (second.text, second.metadata) == ("three", {"n": "2"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_in_unicode_are_read(encoding: str, tmp_path: Path) -> None:
    file = written(tmp_path, "a.csv", "text,n\ncafé,1\n".encode(encoding))
    assert told(file) == ["café"]


def test_a_short_row_lacks_its_last_columns(tmp_path: Path) -> None:
    assert told(written(tmp_path, "a.csv", "text,n\none\n")) == ["one"]
    assert told(written(tmp_path, "a.csv", "n,text\n1\n")) == ["! line 2: empty"]


def test_a_row_that_cannot_be_read_is_named_by_the_line_where_it_begins(tmp_path: Path) -> None:
    content = b'text,n\n"one\nline",1\ntwo,2,3\n"a" b,3\ncaf\xe9,4\n"z\n'
    content += b"\0 " * 6 + b'",5\n"",6\nlast,7\n'
    assert told(written(tmp_path, "a.csv", content)) == [
        "one\nline",
        "! line 4: 3 fields, where the header has 2",
        "! line 5: ',' expected after '\"'",
        "! line 6: not utf-8 text",
        "! line 7: binary",
        "! line 9: empty",
        "last",
    ]


def test_rows_after_a_bad_one_keep_their_numbers(tmp_path: Path) -> None:
    file = written(tmp_path, "a.csv", "text,n\none\ntwo,2,3\nthree\n")
    assert [r.source for r in read(file) if isinstance(r, Document)] == ["1", "3"]


def test_a_quote_that_is_not_closed_costs_its_line(tmp_path: Path) -> None:
    content = 'text,n\none,1\n"two,2\nthree,3\n"fo\nur",4\n"five,5\nsix,6\n7\n'
    assert told(written(tmp_path, "a.csv", content)) == [
        "one",
        "! line 3: unexpected end of data",
        "three",
        "fo\nur",
        "! line 7: unexpected end of data",
        "six",
        "! line 9: 1 fields, where the header has 2",
    ]


def test_a_quote_that_another_row_closes_swallows_none(tmp_path: Path) -> None:
    content = 'n,text,m\n1,"one,1\n2,two,2\n3,three,3"\n4,four,4\n'
    assert told(written(tmp_path, "a.csv", content)) == [
        "! line 2: unexpected end of data",
        "two",
        "three",
        "four",
    ]


@pytest.mark.parametrize("at", [0, 500, 999])
def test_a_lone_quote_costs_one_row_of_a_long_table(at: int, tmp_path: Path) -> None:
    rows = ['"' * (number == at) + f"row {number},x" for number in range(1000)]
    found = told(written(tmp_path, "a.csv", "\n".join(["text,n", *rows])))
    assert found == [
        f"! line {at + 2}: unexpected end of data" if number == at else f"row {number}"
        for number in range(1000)
    ]


def test_lines_are_read_twice_at_most_whatever_their_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "a.csv", 'text,n\n"lone,1\n' + 'a","b\n' * 500)
    taken: list[bytes] = []
    next_line = decoding.next_line

    def counted(file: BinaryIO) -> bytes:
        taken.append(next_line(file))
        return taken[-1]

    monkeypatch.setattr(decoding, "next_line", counted)
    assert len(told(file)) == 501
    assert len(taken) < 2 * 504


def test_a_row_of_any_number_of_fields_is_never_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 1000)
    content = 'text,n\none,1\n"' + 'a","b\n' * 500 + "two,2\n"
    found = told(written(tmp_path, "a.csv", content))
    assert (found[0], found[-1]) == ("one", "two")


@pytest.mark.parametrize("columns", [1, 2])
def test_quotes_may_be_text_in_a_table_separated_by_tabs(columns: int, tmp_path: Path) -> None:
    texts = [f"row {number}" for number in range(1000)]
    texts[100] = '"Words" they said'
    texts[200] = '"Not closed'
    texts[300] = 'a "word"'
    texts[400] = '"not closed either'
    texts[999] = '"' if columns > 1 else 'the "last"'
    rows = ["\t".join(["text", "n"][:columns])]
    rows += ["\t".join([text, "1"][:columns]) for text in texts]
    assert told(written(tmp_path, "a.tsv", "\n".join(rows))) == texts


def test_rows_that_look_like_a_field_in_quotes_are_rows(tmp_path: Path) -> None:
    content = 'n\ttext\n1\t"one\n2\ttwo\n3\t5"\n4\t"all of it"\n'
    assert told(written(tmp_path, "a.tsv", content)) == ['"one', "two", '5"', "all of it"]


def test_fields_in_quotes_are_read_beside_those_that_are_not(tmp_path: Path) -> None:
    content = 'n\ttext\n"lone\t"said ""one"""\n2\t"two\nlines"\n"3"\t"a\tb"\n'
    assert told(written(tmp_path, "a.tsv", content)) == ['said "one"', "two\nlines", "a\tb"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("text,n\n", "empty"),
        ("a,b\n1,2\n", "no column 'text'; it has a, b"),
        (b"caf\xe9\0,text\n1,2\n", "not utf-8 text"),
        (b"text,\0\n1,2\n", "binary"),
        (b"\xff\xfet", "no column 'text'; it has \ufffd"),
        ('"text"x,n\n1,2\n', "',' expected after '\"'"),
    ],
    ids=["nothing", "blank", "no rows", "columns", "latin-1", "binary", "half", "header"],
)
def test_a_table_without_a_usable_header_or_rows_is_unreadable(
    content: str | bytes, why: str, tmp_path: Path
) -> None:
    assert reason(written(tmp_path, "a.csv", content)) == why


def test_a_long_header_is_shortened_in_the_message(tmp_path: Path) -> None:
    said = reason(written(tmp_path, "a.csv", ",".join(f"column{n}" for n in range(1000))))
    assert said.startswith("no column 'text'; it has column0, column1")
    assert len(said) < 250


def test_a_text_longer_than_the_module_allows_by_itself_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, "a.csv", "text\n" + "x" * 1_000_000 + "\n")
    assert len(only(file).text) == 1_000_000


def test_a_line_too_large_to_be_held_is_skipped_and_a_field_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 1000)
    content = "text\none\n" + "x" * 2000 + '\ntwo\n"' + "y\n" * 600 + '"\nafter\n'
    assert told(written(tmp_path, "a.csv", content)) == [
        "one",
        "! line 3: larger than 64 MiB; split it",
        "two",
        "! line 5: larger than 64 MiB; split it; nothing after it is read",
    ]


def test_a_large_table_is_read_a_row_at_a_time(tmp_path: Path) -> None:
    file = written(tmp_path, "a.csv", "text\n" + ("x" * 1000 + "\n") * 5000)
    tracemalloc.start()
    count = sum(1 for _ in read(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000
    assert peak < file.stat().st_size / 10


FIELD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1b"))


@BOTH
@given(rows=st.lists(st.tuples(FIELD, FIELD), min_size=1))
@in_one_folder
def test_whatever_the_texts_they_come_back_from_a_table(
    suffix: str, mark: str, rows: list[tuple[str, str]], tmp_path: Path
) -> None:
    # Where quotes may be text, a tab and a line feed within them may be the ends of fields.
    assume(mark == "," or not any("\t" in text and "\n" in text for row in rows for text in row))
    content = table([["text", "other"], *rows], mark)
    found = list(read(written(tmp_path, f"a{suffix}", content)))
    assert len(found) == len(rows)
    for record, (text, other) in zip(found, rows, strict=True):
        if text.strip():
            assert record.text == text  # type: ignore[union-attr]
            assert record.metadata == ({"other": other} if other else {})  # type: ignore[union-attr]
        else:
            assert str(record).endswith(": empty")


# Parquet


def test_a_row_of_parquet_is_a_record(tmp_path: Path) -> None:
    columns = {"n": [1, 2], "title": ["The loop", None], "text": ["Runs.", "two"]}
    first, second = records(parquet(tmp_path, columns))
    assert (first.source, first.title, first.text) == ("1", "The loop", "The loop\n\nRuns.")
    assert (second.source, second.text, second.metadata) == ("2", "two", {"n": 2})


def test_rows_of_parquet_are_named_by_their_ids(tmp_path: Path) -> None:
    file = parquet(tmp_path, {"_id": ["x", None], "text": ["one", "two"]})
    assert [record.source for record in records(file)] == ["x", "2"]


def test_all_row_groups_and_batches_are_read_in_order(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(1000)]
    file = parquet(tmp_path, {"text": texts}, row_group_size=300)
    found = records(file)
    assert [record.text for record in found] == texts
    assert [record.source for record in found] == [str(number) for number in range(1, 1001)]


def test_values_that_json_has_no_form_for_become_text_or_are_left_out(tmp_path: Path) -> None:
    columns = {
        "text": ["a"],
        "at": [dt.datetime(2024, 2, 29, tzinfo=dt.UTC)],
        "day": [dt.date(2024, 2, 29)],
        "price": [Decimal("1.50")],
        "picture": [b"\x89PNG"],
        "nothing": [math.nan],
        "tags": [["a", "b"]],
        "lasted": [dt.timedelta(hours=1)],
        "by": [{"name": "Ada", "face": b"x"}],
        "nanosecond": pa.array([1], pa.timestamp("ns")),
        "far": pa.array([2**62], pa.timestamp("ms")),
    }
    metadata = only(parquet(tmp_path, columns)).metadata
    json.dumps(metadata, allow_nan=False)
    assert metadata["at"] == "2024-02-29T00:00:00+00:00"
    assert metadata["lasted"] == "1:00:00"
    assert metadata["day"] == "2024-02-29"
    assert metadata["price"] == "1.50"
    assert metadata["tags"] == ["a", "b"]
    assert metadata["by"] == {"name": "Ada", "face": None}
    assert {"picture", "nothing", "far"}.isdisjoint(metadata)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_texts_of_every_kind_are_read(kind: pa.DataType, tmp_path: Path) -> None:
    column = pa.array(["one", "two"]).cast(kind)
    assert told(parquet(tmp_path, {"text": column})) == ["one", "two"]


def test_a_row_without_text_is_named_by_its_number(tmp_path: Path) -> None:
    assert told(parquet(tmp_path, {"text": ["a", None, " "]})) == [
        "a",
        "! row 2: 'text' is null",
        "! row 3: empty",
    ]
    assert told(parquet(tmp_path, {"text": [7]})) == [
        "! row 1: 'text' is not a string, nor a list of strings or messages"
    ]


def test_a_value_that_cannot_be_decoded_costs_its_own_row_only(tmp_path: Path) -> None:
    broken = pa.array([b"one", b"caf\xe9", b"three"]).view(pa.string())
    assert told(parquet(tmp_path, {"text": broken})) == [
        "one",
        "! row 2: 'text' is null",
        "three",
    ]


def test_parquet_without_the_column_or_rows_is_unreadable(tmp_path: Path) -> None:
    file = parquet(tmp_path, {"a": ["x"], "b": [1]})
    assert reason(file) == "no column 'text'; it has a, b"
    assert reason(parquet(tmp_path, {"text": pa.array([], pa.string())})) == "empty"


@pytest.mark.parametrize("damage", ["no parquet", "cut off", "beginning", "empty"])
def test_damaged_parquet_is_unreadable(damage: str, tmp_path: Path) -> None:
    file = parquet(tmp_path, {"text": [f"text {number}" * 100 for number in range(100)]})
    content = file.read_bytes()
    damaged = {
        "no parquet": b"PAR1 is how it begins and ends PAR1",
        "cut off": content[:-10],
        "beginning": b"\xff" * 500 + content[500:],
        "empty": b"",
    }
    assert reason(written(tmp_path, "a.parquet", damaged[damage])).startswith(
        "damaged, or not Parquet: "
    )


def test_what_stands_before_the_damage_is_read(tmp_path: Path) -> None:
    file = parquet(
        tmp_path,
        {"text": [f"text {number} " + "x" * number for number in range(1000)]},
        row_group_size=100,
        compression="none",
        use_dictionary=False,
    )
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = b"\xff" * 20_000
    found = read(written(tmp_path, "a.parquet", bytes(content)))
    assert next(found).text.strip() == "text 0"  # type: ignore[union-attr]
    with pytest.raises(decoding.UnreadableError, match="damaged"):
        list(found)
