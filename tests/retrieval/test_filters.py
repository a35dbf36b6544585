"""Fields of metadata as typed columns, and searches that are restricted by them."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.errors import UsageError
from ragdoll.retrieval.reading.filters import conditions, quoted, source_pattern
from ragdoll.retrieval.storage.schema import TYPES, typed
from ragdoll.retrieval.writing import upkeep
from tests.conftest import Ragdoll, Trained
from tests.retrieval.conftest import Indexed

CONFIG = """
[index.metadata]
year = "integer"
price = "number"
author = "string"
open = "boolean"
day = "date"
"""
RECORDS = [
    {"_id": "a", "text": "A lock of old.", "year": 1999, "author": "Ada O'Neil", "open": True},
    {"_id": "b", "text": "A lock of now.", "year": 2024, "price": 2.5, "day": "2024-05-06T07:08"},
    {"_id": "c", "text": "A lock of never.", "year": "late", "tags": ["x"]},
]


def refusal(where: str) -> str:
    """Why a condition is refused before any table is asked."""
    with pytest.raises(UsageError) as caught:
        conditions(SimpleNamespace(columns=[]), where, None)  # type: ignore[arg-type]
    return caught.value.message.partition("' cannot be used: ")[2].removesuffix(".")


@pytest.fixture
def table(ragdoll: Ragdoll, trained: Trained, tmp_path: Path) -> Indexed:
    """A table of JSON, CSV and Markdown with declared fields."""
    Path("ragdoll.toml").write_text(CONFIG)
    docs = tmp_path / "docs"
    (docs / "guide/deep").mkdir(parents=True)
    (docs / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    (docs / "b.csv").write_text("id,text,year,open\nx,A lock of CSV.,2001,false\n")
    (docs / "guide/intro.md").write_text("---\nyear: 2010\nday: 2010-02-03\n---\nA lock of prose.")
    (docs / "guide/deep/more.md").write_text("A lock that is deep.")
    table = Indexed(tmp_path / "database", docs, trained.model)
    assert ragdoll("index", docs, *table.options).status == 0
    return table


@pytest.fixture
def find(ragdoll: Ragdoll, table: Indexed) -> Callable[..., set[str]]:
    """The sources that all three modes find under the given options."""

    def run(*options: object) -> set[str]:
        found = []
        for mode in ("hybrid", "vector", "text"):
            command = ("query", "a lock", "--database", table.database, "--mode", mode, "--json")
            result = ragdoll(*command, *options)
            assert (result.status, result.err) == (0, "")
            found.append({hit["source"] for hit in result.json["hits"]})
        assert found[0] == found[1] == found[2]
        return found[0]

    return run


def test_declared_fields_are_typed_columns(table: Indexed) -> None:
    schema = table.arrow().schema
    assert schema.names[7:-1] == ["year", "price", "author", "open", "day"]
    assert [schema.field(n).type for n in schema.names[7:-1]] == [
        *(pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.date32())
    ]
    rows = {row["source"]: row for row in table.rows()}
    assert rows["a.jsonl#a"]["author"] == "Ada O'Neil"
    assert rows["a.jsonl#b"]["day"] == dt.date(2024, 5, 6)
    assert rows["a.jsonl#c"]["year"] is None
    assert json.loads(rows["a.jsonl#c"]["metadata"])["year"] == "late"
    assert (rows["b.csv#x"]["year"], rows["b.csv#x"]["open"]) == (2001, False)
    assert (rows["guide/intro.md"]["year"], rows["guide/intro.md"]["author"]) == (2010, None)


def test_a_changed_field_is_written(ragdoll: Ragdoll, table: Indexed) -> None:
    changed = [{**RECORDS[0], "year": 2000}, *RECORDS[1:]]
    (table.docs / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
    record = ragdoll("index", table.docs, *table.options, "--json").json
    assert (record["changed"], record["chunks_embedded"]) == (1, 0)
    assert {row["source"]: row["year"] for row in table.rows()}["a.jsonl#a"] == 2000


def test_other_fields_need_another_table(ragdoll: Ragdoll, table: Indexed) -> None:
    Path("ragdoll.toml").write_text('[index.metadata]\nyear = "number"\n')
    command = ["index", table.docs, *table.options]
    result = ragdoll(*command)
    assert result.status == 1
    assert "columns were year (integer), price (number)" in result.err
    assert "now year (number)" in result.err
    assert "--overwrite" in result.err
    assert ragdoll(*command, "--overwrite").status == 0
    assert "author" not in table.arrow().schema.names


def test_inspecting_a_table_names_its_columns(ragdoll: Ragdoll, table: Indexed) -> None:
    command = ("inspect-model", "--database", table.database)
    assert "year (integer), price (number)" in ragdoll(*command).out
    assert ragdoll(*command, "--json").json["tables"][0]["columns"]["day"] == "date"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("year = 'int'", "the unknown type 'int'"),
        ("source = 'string'", "the name of another column"),
        ("Vector = 'string'", "the name of another column"),
        ("y = 'string'\nY = 'string'", "the name of another column"),
        ("'a b' = 'string'", "cannot be the name of a column"),
        ("'' = 'string'", "cannot be the name of a column"),
        ("year = 3", "index.metadata must be a section of strings"),
    ],
)
def test_fields_that_cannot_be_columns_are_refused(
    ragdoll: Ragdoll, trained: Trained, docs: Path, field: str, words: str
) -> None:
    Path("ragdoll.toml").write_text(f"[index.metadata]\n{field}\n")
    result = ragdoll("index", docs, "--model", trained.model)
    assert (result.status, result.out) == (2, "")
    assert words in result.err
    assert not Path(".ragdoll").exists()


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("7", "integer", 7),
        (7.0, "integer", 7),
        (7.5, "integer", None),
        (True, "integer", None),
        (2**63, "integer", None),
        (str(2**63 - 1), "integer", 2**63 - 1),
        (float("inf"), "integer", None),
        (" 2.5 ", "number", 2.5),
        ("nan", "number", None),
        (3, "string", "3"),
        (True, "string", "true"),
        (["x"], "string", None),
        ("TRUE", "boolean", True),
        (1, "boolean", None),
        ("2020-02-30", "date", None),
        ("2020-02-28 10:00", "date", dt.date(2020, 2, 28)),
        (20200228, "date", None),
    ],
)
def test_values_are_read_as_the_declared_type(value: object, kind: str, expected: object) -> None:
    assert typed(value, kind) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(value=JSON, kind=st.sampled_from(sorted(TYPES)))
def test_any_value_fits_its_column(value: Any, kind: str) -> None:
    assert len(pa.array([typed(value, kind)], type=TYPES[kind])) == 1


# Conditions


@pytest.mark.parametrize(
    ("where", "sources"),
    [
        ("year >= 2010", {"a.jsonl#b", "guide/intro.md"}),
        ("year = 1999 OR source LIKE '%.csv#%'", {"a.jsonl#a", "b.csv#x"}),
        ("author = 'Ada O''Neil'", {"a.jsonl#a"}),
        ("open", {"a.jsonl#a"}),
        ("day > date '2010-01-01' AND NOT year = 2024", {"guide/intro.md"}),
        ("price IS NOT NULL", {"a.jsonl#b"}),
        ("(year > 3000) OR author = ')'", set()),
    ],
)
def test_a_condition_restricts_what_is_found(
    find: Callable[..., set[str]], where: str, sources: set[str]
) -> None:
    assert find("--where", where) == sources


def test_a_condition_and_a_source_must_both_be_met(find: Callable[..., set[str]]) -> None:
    assert find("--where", "year > 1", "--source", "a.jsonl") == {"a.jsonl#a", "a.jsonl#b"}
    # A condition cannot widen what is around it.
    assert find("--where", "year = 1999 OR year > 1", "--source", "*.csv") == {"b.csv#x"}


def test_a_condition_holds_with_an_approximate_index_too(
    ragdoll: Ragdoll,
    table: Indexed,
    find: Callable[..., set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "VECTOR_INDEX_ROWS", 4)
    monkeypatch.setattr(upkeep, "_ROWS_PER_PARTITION", 2)
    assert ragdoll("index", table.docs, *table.options, "--overwrite").status == 0
    assert find("--where", "year >= 2010") == {"a.jsonl#b", "guide/intro.md"}


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("yaer > 2000", "No field named yaer"),
        ("year >", "Expected: an expression"),
        ("year > 2000 foo", "found: foo"),
        ("year > 2000; DROP TABLE documents", "found: ;"),
        ("1=1) OR (1=1", "a bracket too many"),
        ("1=1 /* ( */ ) OR (1=1", "it has a comment"),
        ("1=1 -- (\n) OR (1=1", "it has a comment"),
        ("year > 'x'", 'Received literal Utf8("x")'),
        ("year", "boolean"),
        ("count(*) > 1", "Not supported"),
        ("author = 'Ada", "Unterminated string"),
        ("", "must not be empty"),
        (" ", ""),
    ],
)
def test_what_is_no_condition_is_refused_in_two_lines(
    ragdoll: Ragdoll, table: Indexed, where: str, words: str
) -> None:
    result = ragdoll("query", "a lock", "--database", table.database, "--where", where)
    assert (result.status, result.out) == (2, "")
    assert words in result.err
    assert ".rs" not in result.err, "it names a line of somebody's source"
    assert len(result.err.splitlines()) <= 2
    assert not where.strip() or "Columns are id, source, title" in result.err
    assert not where.strip() or "[index.metadata] makes more" in result.err


@pytest.mark.parametrize("link", ["+1", " IS NULL", "::int", " LIKE source", " BETWEEN 1 AND 2"])
def test_a_chain_that_would_exhaust_the_stack_is_refused(
    ragdoll: Ragdoll, table: Indexed, link: str
) -> None:
    where = f"year{link * 1000} > 2"
    result = ragdoll("query", "a lock", "--database", table.database, "--where", where)
    assert (result.status, result.out) == (2, "")
    assert "more than 400 words and signs; compare with many values by IN" in result.err
    assert len(result.err) < 1000


def test_what_makes_values_of_any_size_is_refused(ragdoll: Ragdoll, table: Indexed) -> None:
    where = "repeat('x', 999999999) = text"
    result = ragdoll("query", "a lock", "--database", table.database, "--where", where)
    assert (result.status, result.out) == (2, "")
    assert "repeat makes values of any size" in result.err


@pytest.mark.parametrize(
    "function",
    [
        *("repeat", "array_repeat", "list_repeat", "array_resize", "list_resize"),
        *("lpad", "rpad", "range", "generate_series"),
    ],
)
@pytest.mark.parametrize("form", ["{}(", "{} \n(", '"{}"(', "`{}` (", "'it''s' = {}("])
def test_such_a_function_is_known_however_it_is_written(function: str, form: str) -> None:
    for name in (function, function.upper()):
        assert refusal(f"{form.format(name)}text, 9) = text") == f"{name} makes values of any size"


@pytest.mark.parametrize(
    "where",
    [
        "repeat/**/('x', 9) = text",
        "repeat--\n('x', 9) = text",
        "/* ' */ 1=1) OR (1=1 /* ' */",
        "-- '\n repeat('x', 9) = text -- '",
    ],
)
def test_a_comment_hides_nothing(where: str) -> None:
    assert refusal(where) == "it has a comment"


def test_the_name_of_a_function_in_a_value_is_no_call(
    find: Callable[..., set[str]], table: Indexed
) -> None:
    where = "text <> 'repeat(x)' AND text <> '-- /* lpad('"
    assert find("--where", where) == find("--where", "year > 0 OR year IS NULL")


def test_a_list_of_many_values_is_a_condition(
    find: Callable[..., set[str]], table: Indexed
) -> None:
    years = ", ".join(map(str, range(1000, 3000)))
    assert find("--where", f"year IN ({years})") == find("--where", "year > 0")


def test_a_condition_that_fails_at_work_is_one_line(ragdoll: Ragdoll, table: Indexed) -> None:
    result = ragdoll("query", "lock", "--database", table.database, "--where", "year / 0 = 1")
    assert (result.status, result.out) == (1, "")
    assert "Divide by zero" in result.err
    assert ".rs:" not in result.err


# Sources


@pytest.mark.parametrize(
    ("glob", "sources"),
    [
        ("*.md", {"guide/intro.md", "guide/deep/more.md"}),
        ("guide", {"guide/intro.md", "guide/deep/more.md"}),
        ("guide/", {"guide/intro.md", "guide/deep/more.md"}),
        ("guide/*.md", {"guide/intro.md"}),
        ("guide/**/*.md", {"guide/intro.md", "guide/deep/more.md"}),
        ("**/more.md", {"guide/deep/more.md"}),
        ("deep", {"guide/deep/more.md"}),
        ("?.csv", {"b.csv#x"}),
        ("a.jsonl#b", {"a.jsonl#b"}),
        ("it's.md", set()),
        ("a.json", set()),
    ],
)
def test_a_glob_names_files_and_folders(
    find: Callable[..., set[str]], glob: str, sources: set[str]
) -> None:
    assert find("--source", glob) == sources


NAMES = st.text(alphabet="ab.*?[](){}+|^$\\'\"é #", min_size=1, max_size=6)


@given(name=NAMES)
def test_a_name_without_wildcards_matches_itself_alone(name: str) -> None:
    plain = name.replace("*", "x").replace("?", "y")
    pattern = re.compile(source_pattern(plain))
    assert pattern.search(plain)
    assert pattern.search(f"folder/{plain}#record")
    assert not pattern.search(f"{plain}z")


@given(glob=st.text(alphabet="ab*?.", min_size=1, max_size=6), name=st.text("ab.", max_size=6))
def test_within_a_name_wildcards_are_those_of_the_shell(glob: str, name: str) -> None:
    expected = fnmatch.fnmatchcase(name, glob)
    assert bool(re.search(source_pattern(glob), name)) == expected


@given(text=st.text(max_size=8))
def test_a_literal_is_closed_by_its_own_quote_alone(text: str) -> None:
    literal = quoted(text)
    assert (literal[0], literal[-1]) == ("'", "'")
    assert literal[1:-1].replace("''", "") == text.replace("'", "")
