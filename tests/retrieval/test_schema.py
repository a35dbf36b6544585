"""The facts that a table carries, which may be damaged, and fields of metadata as columns."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval.storage.schema import TYPES, check_columns, typed, typed_columns
from tests.conftest import Trained
from tests.retrieval.conftest import Indexed

# Damaged facts


def rewrite(table: Indexed, schema: pa.Schema) -> None:
    """Put the same rows under another schema."""
    rows = table.arrow()
    columns = [rows[name] for name in schema.names]
    table.connect().create_table(
        "documents", pa.Table.from_arrays(columns, schema=schema), mode="overwrite"
    )


def with_fixed(schema: pa.Schema, content: bytes) -> pa.Schema:
    return schema.with_metadata({"ragdoll": content})


def with_changing(schema: pa.Schema, content: bytes) -> pa.Schema:
    field = schema.field("vector").with_metadata({"ragdoll": content})
    return schema.set(schema.get_field_index("vector"), field)


def fixed(schema: pa.Schema, **changes: Any) -> pa.Schema:
    """Change the facts that never change; None removes one."""
    content = {**json.loads(schema.metadata[b"ragdoll"]), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    return with_fixed(schema, json.dumps(kept).encode())


def changing(schema: pa.Schema, **changes: Any) -> pa.Schema:
    """Change the facts that may change; None removes one."""
    content = {**json.loads(schema.field("vector").metadata[b"ragdoll"]), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    return with_changing(schema, json.dumps(kept).encode())


ANALYSIS = {"language": "english", "tokens": False, "rows": 1}
ROOT = {"path": "docs", "signature": None, "documents": 1, "skipped": []}
DAMAGES: dict[str, Callable[[pa.Schema], pa.Schema]] = {
    "newer format": lambda s: fixed(s, version=3),
    "no format": lambda s: fixed(s, version=None),
    "identity cut short": lambda s: with_fixed(s, b'{"version": 2,'),
    "identity that is a list": lambda s: with_fixed(s, b"[1]"),
    "no fingerprint": lambda s: fixed(s, fingerprint=None),
    "fingerprint that is a number": lambda s: fixed(s, fingerprint=5),
    "other dimension": lambda s: fixed(s, dimension=64),
    "unknown metric": lambda s: fixed(s, metric="manhattan"),
    "unknown type of a column": lambda s: fixed(s, columns={"year": "int"}),
    "more than is known": lambda s: fixed(s, colour="red"),
    "no state": lambda s: s.set(s.get_field_index("vector"), s.field("vector").remove_metadata()),
    "state nested too deeply": lambda s: with_changing(s, b"[" * 10**5),
    "state cut short": lambda s: with_changing(s, b'{"model":'),
    "state that is a list": lambda s: with_changing(s, b"[1]"),
    "no model": lambda s: changing(s, model=None),
    "model that is a number": lambda s: changing(s, model=5),
    "complete or not unknown": lambda s: changing(s, whole="yes"),
    "roots that are a list": lambda s: changing(s, roots=["docs"]),
    "root without a path": lambda s: changing(s, roots={"ab": {}}),
    "root of another type": lambda s: changing(s, roots={"ab": {**ROOT, "documents": "1"}}),
    "no language of ours": lambda s: changing(s, analysis={**ANALYSIS, "language": "klingon"}),
    "language that is a number": lambda s: changing(s, analysis={**ANALYSIS, "language": 5}),
    "analysis of more than is known": lambda s: changing(s, analysis={**ANALYSIS, "beta": 1}),
    "analysis that is a list": lambda s: changing(s, analysis=["english"]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_facts_are_refused_until_the_table_is_overwritten(
    indexed: Indexed, damage: Callable[[pa.Schema], pa.Schema]
) -> None:
    rewrite(indexed, damage(indexed.arrow().schema))
    for attempt in (indexed.open, indexed.index):
        with pytest.raises(TableError) as caught:
            attempt()
        assert str(indexed.database) in caught.value.message
        assert "overwrite=True" in str(caught.value.hint)
    indexed.index(overwrite=True)
    assert indexed.search("loop")


# Columns


COLUMNS = {
    "year": "integer",
    "price": "number",
    "author": "string",
    "open": "boolean",
    "day": "date",
}
RECORDS: list[dict[str, Any]] = [
    {"_id": "a", "text": "A lock of old.", "year": 1999, "author": "Ada O'Neil", "open": True},
    {"_id": "b", "text": "A lock of now.", "year": 2024, "price": 2.5, "day": "2024-05-06T07:08"},
    {"_id": "c", "text": "A lock of never.", "year": "late", "tags": ["x"]},
]


def write_records(table: Indexed, records: list[dict[str, Any]]) -> None:
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (table.docs / "a.jsonl").write_text(lines)


@pytest.fixture
def table(trained: Trained, tmp_path: Path) -> Indexed:
    """A table of JSON, CSV and Markdown with declared fields."""
    docs = tmp_path / "docs"
    docs.mkdir()
    table = Indexed(tmp_path / "database", docs, trained.model)
    write_records(table, RECORDS)
    (docs / "b.csv").write_text("id,text,year,open\nx,A lock of CSV.,2001,false\n")
    (docs / "intro.md").write_text("---\nyear: 2010\nday: 2010-02-03\n---\nA lock of prose.")
    table.index(metadata=COLUMNS)
    return table


def test_declared_fields_are_typed_columns(table: Indexed) -> None:
    schema = table.arrow().schema
    assert schema.names[7:-3] == list(COLUMNS)
    assert [schema.field(n).type for n in COLUMNS] == [
        *(pa.int64(), pa.float64(), pa.string(), pa.bool_(), pa.date32())
    ]
    rows = {row["source"]: row for row in table.rows()}
    assert rows["a.jsonl#a"]["author"] == "Ada O'Neil"
    assert rows["a.jsonl#b"]["day"] == dt.date(2024, 5, 6)
    assert rows["a.jsonl#c"]["year"] is None
    assert json.loads(rows["a.jsonl#c"]["metadata"])["year"] == "late"
    assert (rows["b.csv#x"]["year"], rows["b.csv#x"]["open"]) == (2001, False)
    assert (rows["intro.md"]["year"], rows["intro.md"]["author"]) == (2010, None)
    identity = table.open().identity
    assert identity.columns == COLUMNS


def test_a_changed_field_is_written(table: Indexed) -> None:
    write_records(table, [{**RECORDS[0], "year": 2000}, *RECORDS[1:]])
    result = table.index(metadata=COLUMNS)
    assert (result.changed, result.chunks_embedded) == (1, 0)
    assert {row["source"]: row["year"] for row in table.rows()}["a.jsonl#a"] == 2000


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ({"year": "int"}, "'int'"),
        ({"source": "string"}, "'source'"),
        ({"Vector": "string"}, "'Vector'"),
        ({"y": "string", "Y": "string"}, "'Y'"),
        ({"a b": "string"}, "'a b'"),
        ({"": "string"}, "''"),
    ],
)
def test_fields_that_cannot_be_columns_are_refused(
    trained: Trained, docs: Path, tmp_path: Path, declared: dict[str, str], value: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_columns(declared)
    assert value in caught.value.message
    table = Indexed(tmp_path / "database", docs, trained.model)
    with pytest.raises(UsageError):
        table.index(metadata=declared)
    assert not table.database.exists()


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
        (["x", 2, None, {}], "string", "x, 2"),
        ([], "string", None),
        (["x", 2, None], "list", ["x", "2"]),
        ("x", "list", ["x"]),
        ("x, y z,,", "list", ["x", "y z"]),
        ("TRUE", "boolean", True),
        (1, "boolean", None),
        ("2020-02-30", "date", None),
        ("2020-02-28 10:00", "date", dt.date(2020, 2, 28)),
        (20200228, "date", None),
    ],
)
def test_values_are_read_as_the_declared_type(value: object, kind: str, expected: object) -> None:
    assert typed(value, kind) == expected


@pytest.mark.parametrize("name", ["last-modified", "last_modified"])
def test_a_column_takes_a_field_whose_name_has_hyphens(name: str) -> None:
    (column,) = typed_columns([json.dumps({name: "2024-05-06"}), ""], {"last_modified": "date"})
    assert column.to_pylist() == [dt.date(2024, 5, 6), None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(value=JSON, kind=st.sampled_from(sorted(TYPES)))
def test_any_value_fits_its_column(value: Any, kind: str) -> None:
    assert len(pa.array([typed(value, kind)], type=TYPES[kind])) == 1
