"""Searches that are restricted by conditions and by sources."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.errors import UsageError
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.reading.filters import conditions, quoted, source_pattern
from ragdoll.retrieval.writing import upkeep
from tests.conftest import Trained
from tests.retrieval.conftest import Indexed
from tests.retrieval.test_schema import COLUMNS, RECORDS, write_records


def refusal(where: str) -> str:
    """Return the reason for which a condition is refused before any table is looked at."""
    table = SimpleNamespace(columns=[], identity=SimpleNamespace(columns={}))
    with pytest.raises(UsageError) as caught:
        conditions(table, where, None)  # type: ignore[arg-type]
    return caught.value.message.partition("' cannot be used: ")[2].removesuffix(".")


@pytest.fixture
def table(trained: Trained, tmp_path: Path) -> Indexed:
    """A table of JSON, CSV and Markdown with declared fields, in some folders."""
    docs = tmp_path / "docs"
    (docs / "guide/deep").mkdir(parents=True)
    table = Indexed(tmp_path / "database", docs, trained.model)
    write_records(table, RECORDS)
    (docs / "b.csv").write_text("id,text,year,open\nx,A lock of CSV.,2001,false\n")
    (docs / "guide/intro.md").write_text("---\nyear: 2010\nday: 2010-02-03\n---\nA lock of prose.")
    (docs / "guide/deep/more.md").write_text("A lock that is deep.")
    table.index(metadata=COLUMNS)
    return table


@pytest.fixture
def find(table: Indexed) -> Callable[..., set[str]]:
    """Return the sources that all three modes find."""

    def run(where: str | None = None, source: str | None = None) -> set[str]:
        index = Index.open(table.database)
        found = [
            {hit.source for hit in index.search("a lock", mode=mode, where=where, source=source)}
            for mode in ("hybrid", "vector", "text")
        ]
        assert found[0] == found[1] == found[2]
        return found[0]

    return run


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
        ("lower(author) IN('ada o''neil') AND(year)=1999", {"a.jsonl#a"}),
        ("regexp_like(lower(author), 'ADA', 'i') AND NOT(cast(year as string)='')", {"a.jsonl#a"}),
        ("cast(price as decimal(10, 2)) > 1", {"a.jsonl#b"}),
    ],
)
def test_a_condition_restricts_what_is_found(
    find: Callable[..., set[str]], where: str, sources: set[str]
) -> None:
    assert find(where) == sources


def test_a_condition_and_a_source_must_both_be_met(find: Callable[..., set[str]]) -> None:
    assert find("year > 1", "a.jsonl") == {"a.jsonl#a", "a.jsonl#b"}
    # A condition cannot widen what is around it.
    assert find("year = 1999 OR year > 1", "*.csv") == {"b.csv#x"}


def test_a_condition_holds_with_an_approximate_index_too(
    table: Indexed, find: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "VECTOR_INDEX_ROWS", 4)
    monkeypatch.setattr(upkeep, "_ROWS_PER_PARTITION", 2)
    table.index(metadata=COLUMNS, overwrite=True)
    assert find("year >= 2010") == {"a.jsonl#b", "guide/intro.md"}


@pytest.mark.parametrize(
    "where",
    [
        *("yaer > 2000", "year >", "year > 2000 foo", "year > 2000; DROP TABLE documents"),
        *("1=1) OR (1=1", "1=1 /* ( */ ) OR (1=1", "1=1 -- (\n) OR (1=1", "year > 'x'", "year"),
        *("count(*) > 1", "author = 'Ada", "repeat('x', 999999999) = text", " "),
    ],
)
def test_what_is_no_condition_is_refused(find: Callable[..., set[str]], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(where)
    assert where in caught.value.message
    assert ".rs" not in caught.value.message, "it names a line of somebody's source"
    assert all(name in str(caught.value.hint) for name in ("source", *COLUMNS))


def test_a_date_in_quotes_is_refused_with_the_form_that_works(
    find: Callable[..., set[str]],
) -> None:
    with pytest.raises(UsageError) as caught:
        find("day > '2010-01-01'")
    assert "date '2024-01-31'" in str(caught.value.hint)
    assert "guide/intro.md" in find("day > date '2010-01-01'")


@pytest.mark.parametrize("link", ["+1", " IS NULL", "::int", " LIKE source", " BETWEEN 1 AND 2"])
def test_a_chain_that_would_exhaust_the_stack_is_refused(
    find: Callable[..., set[str]], link: str
) -> None:
    with pytest.raises(UsageError) as caught:
        find(f"year{link * 1000} > 2")
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize(
    "function",
    [
        *("repeat", "array_repeat", "list_repeat", "array_resize", "list_resize"),
        *("lpad", "rpad", "range", "generate_series"),
        *("replace", "regexp_replace", "translate", "concat", "levenshtein", "public.repeat"),
    ],
)
@pytest.mark.parametrize("form", ["{}(", "{} \n(", '"{}"(', "`{}` (", "'it''s' = {}("])
def test_a_function_that_may_take_all_memory_or_time_is_known_however_it_is_written(
    function: str, form: str
) -> None:
    for name in (function, function.upper()):
        quoted_name = name if form[0] not in '"`' else name.rpartition(".")[2]
        reason = refusal(f"{form.format(quoted_name)}text, 9) = text")
        assert reason.startswith(f"{quoted_name} is none of the functions")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("length(text || text) > 1", "|| "),
        ("regexp_like(text, text)", "in quotes"),
        ("regexp_like(lower(text), lower('a'))", "in quotes"),
        ("regexp_like(text, 'a') OR REGEXP_MATCH (text, \"text\") IS NULL", "in quotes"),
    ],
)
def test_what_costs_more_than_reading_the_texts_is_refused(where: str, said: str) -> None:
    assert said in refusal(where)


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
    assert "comment" in refusal(where)


def test_the_name_of_a_function_in_a_value_is_no_call(find: Callable[..., set[str]]) -> None:
    where = "text <> 'repeat(x)' AND text <> '-- /* lpad('"
    assert find(where) == find("year > 0 OR year IS NULL")


def test_a_list_of_many_values_is_a_condition(find: Callable[..., set[str]]) -> None:
    years = ", ".join(map(str, range(1000, 3000)))
    assert find(f"year IN ({years})") == find("year > 0")


@pytest.mark.parametrize(
    ("where", "said"),
    [("year / 0 = 1", "Divide by zero"), ("cast(text as int) = 1", "Cannot cast")],
)
@pytest.mark.parametrize("warm", [False, True])
def test_a_condition_that_cannot_be_computed_for_a_row_is_refused(
    table: Indexed, where: str, said: str, warm: bool
) -> None:
    with pytest.raises(UsageError) as caught:
        Index.open(table.database, warm=warm).search("a lock", where=where)
    assert f"The filter '{where}' cannot be used" in caught.value.message
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert ".rs:" not in caught.value.message


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
    assert find(source=glob) == sources


NAMES = st.text(alphabet="ab.*?[](){}+|^$\\'\"é #", min_size=1, max_size=6)


@given(name=NAMES)
def test_a_name_without_wildcards_matches_itself_alone(name: str) -> None:
    plain = name.replace("*", "x").replace("?", "y")
    pattern = re.compile(source_pattern(plain))
    assert pattern.search(plain)
    assert pattern.search(f"folder/{plain}#record")
    assert not pattern.search(f"{plain}z")


@pytest.mark.parametrize(
    ("glob", "found", "others"),
    [
        ("[Pp]lan.md", ["plan.md", "in/Plan.md", "[Pp]lan.md"], ["xlan.md"]),
        ("note[1].md", ["note1.md", "note[1].md"], ["note2.md"]),
        (r"note\[1\].md", ["note[1].md"], ["note1.md"]),
        ("[!a]b.md", ["cb.md"], ["ab.md", "/b.md"]),
        ("[a-c].md", ["b.md"], ["d.md", "-.md"]),
        ("[z-a]", ["[z-a]"], ["z"]),
        ("a[b", ["a[b"], ["ab"]),
        ("caf\u00e9.md", ["cafe\u0301.md", "caf\u00e9.md"], ["cafe.md"]),
        ("cafe\u0301.md", ["cafe\u0301.md", "caf\u00e9.md"], ["cafe.md"]),
    ],
)
def test_choices_and_names_of_other_systems(glob: str, found: list[str], others: list[str]) -> None:
    pattern = re.compile(source_pattern(glob))
    assert [name for name in [*found, *others] if pattern.search(name)] == found


@given(glob=st.text(alphabet="ab*?.", min_size=1, max_size=6), name=st.text("ab.", max_size=6))
def test_within_a_name_wildcards_are_those_of_the_shell(glob: str, name: str) -> None:
    expected = fnmatch.fnmatchcase(name, glob)
    assert bool(re.search(source_pattern(glob), name)) == expected


@given(text=st.text(max_size=8))
def test_a_literal_is_that_of_lancedb(text: str) -> None:
    from lancedb.expr import lit

    assert quoted(text) == lit(text).to_sql()
