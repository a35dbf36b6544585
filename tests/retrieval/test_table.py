"""A table and its model belong together; what does not is refused, in words that help."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ragdoll.embedding.identity import identify
from ragdoll.errors import ModelMismatchError, TableError
from ragdoll.retrieval.reading.inspection import inspect_table, model_of
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.lance import translated
from tests.conftest import Ragdoll, Result, Trained
from tests.retrieval.conftest import Indexed, snapshot


@pytest.fixture
def movable(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table whose model may be moved or changed."""
    model = Path(shutil.copytree(trained.model, tmp_path / "model"))
    table = Indexed(tmp_path / "database", docs, model)
    table.index()
    return table


def short_fingerprint(model: Path) -> str:
    return identify(model).fingerprint[:12]


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
    """Change what a schema says of how its table was made."""
    content = {**json.loads(schema.metadata[b"ragdoll"]), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    return with_fixed(schema, json.dumps(kept).encode())


def changing(schema: pa.Schema, **changes: Any) -> pa.Schema:
    """Change what a schema says of where model and roots are."""
    content = {**json.loads(schema.field("vector").metadata[b"ragdoll"]), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    return with_changing(schema, json.dumps(kept).encode())


def is_refused(result: Result, *words: str) -> None:
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) <= 2
    assert "Unexpected" not in result.err
    for word in words:
        assert word in result.err


# What cannot be opened


@pytest.mark.parametrize("command", [["query", "loop"], ["inspect-model"]], ids=lambda c: c[0])
def test_a_missing_database_is_said_and_not_created(
    ragdoll: Ragdoll, tmp_path: Path, command: list[str]
) -> None:
    missing = tmp_path / "nowhere"
    is_refused(
        ragdoll(*command, "--database", missing), f"No database at {missing}", "ragdoll index DOCS"
    )
    assert not missing.exists()


@pytest.mark.parametrize("command", [["query", "loop"], ["inspect-model"]], ids=lambda c: c[0])
def test_a_missing_table_is_said_with_those_that_are_there(
    ragdoll: Ragdoll, indexed: Indexed, command: list[str]
) -> None:
    ragdoll("index", indexed.docs, *indexed.options, "--table", "others")
    is_refused(
        ragdoll(*command, "--database", indexed.database, "--table", "missing"),
        "No table 'missing'",
        "it has documents, others.",
        "--table",
    )


def test_a_folder_without_tables_is_said_to_have_none(ragdoll: Ragdoll, tmp_path: Path) -> None:
    is_refused(
        ragdoll("query", "loop", "--database", tmp_path), f"database {tmp_path}: it has none."
    )
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_database(ragdoll: Ragdoll, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    is_refused(ragdoll("query", "loop", "--database", tmp_path / "file"), "is a file")


FOREIGN = {
    "with vectors": {"vector": pa.array([[0.0] * 32], pa.list_(pa.float32(), 32))},
    "without vectors": {"text": pa.array(["a"])},
}


@pytest.mark.parametrize("columns", FOREIGN.values(), ids=FOREIGN)
def test_a_table_that_ragdoll_did_not_make_is_left_alone(
    ragdoll: Ragdoll, indexed: Indexed, columns: dict[str, pa.Array]
) -> None:
    indexed.connect().create_table("foreign", pa.table(columns))
    before = snapshot(indexed.database / "foreign.lance")
    named = ["--database", indexed.database, "--table", "foreign"]
    is_refused(ragdoll("query", "loop", *named), "was not made by ragdoll", "--table")
    is_refused(ragdoll("inspect-model", *named), "was not made by ragdoll")
    is_refused(ragdoll("index", indexed.docs, *indexed.options, *named), "was not made by ragdoll")
    assert snapshot(indexed.database / "foreign.lance") == before


DAMAGES: dict[str, tuple[Callable[[pa.Schema], pa.Schema], str]] = {
    "newer format": (lambda s: fixed(s, version=2), "format version 2"),
    "no format": (lambda s: fixed(s, version=None), "damaged metadata"),
    "identity cut short": (lambda s: with_fixed(s, b'{"version": 1,'), "damaged metadata"),
    "identity that is a list": (lambda s: with_fixed(s, b"[1]"), "damaged metadata"),
    "no fingerprint": (lambda s: fixed(s, fingerprint=None), "damaged metadata"),
    "fingerprint that is a number": (lambda s: fixed(s, fingerprint=5), "damaged"),
    "other dimension": (lambda s: fixed(s, dimension=64), "dimension is 64"),
    "unknown metric": (lambda s: fixed(s, metric="manhattan"), "damaged"),
    "more than is known": (lambda s: fixed(s, colour="red"), "damaged metadata"),
    "no state": (
        lambda s: s.set(s.get_field_index("vector"), s.field("vector").remove_metadata()),
        "damaged metadata",
    ),
    "state nested too deeply": (lambda s: with_changing(s, b"[" * 10**5), "damaged metadata"),
    "state cut short": (lambda s: with_changing(s, b'{"model":'), "damaged metadata"),
    "state that is a list": (lambda s: with_changing(s, b"[1]"), "damaged metadata"),
    "no model": (lambda s: changing(s, model=None), "damaged metadata"),
    "model that is a number": (lambda s: changing(s, model=5), "damaged metadata"),
    "whole or not unknown": (lambda s: changing(s, whole="yes"), "damaged metadata"),
    "roots that are a list": (lambda s: changing(s, roots=["docs"]), "damaged metadata"),
    "root without a path": (lambda s: changing(s, roots={"ab": {}}), "damaged metadata"),
}


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_metadata_is_said_to_be_damaged(
    ragdoll: Ragdoll, indexed: Indexed, damage: Callable[[pa.Schema], pa.Schema], words: str
) -> None:
    rewrite(indexed, damage(indexed.arrow().schema))
    is_refused(ragdoll("query", "loop", "--database", indexed.database), words, "--overwrite")
    is_refused(ragdoll("index", indexed.docs, *indexed.options), words, "--overwrite")
    assert ragdoll("index", indexed.docs, *indexed.options, "--overwrite").status == 0
    assert ragdoll("query", "loop", "--database", indexed.database).status == 0


def test_damaged_data_is_one_line_of_error(ragdoll: Ragdoll, indexed: Indexed) -> None:
    for file in (indexed.database / "documents.lance/data").iterdir():
        file.write_bytes(b"not lance")
    is_refused(ragdoll("query", "loop", "--database", indexed.database), "table 'documents'")


# The model of a table


def test_a_table_finds_its_own_model(movable: Indexed) -> None:
    table = Database(str(movable.database)).open("documents")
    assert model_of(table).path == movable.model
    assert table.identity.fingerprint == identify(movable.model).fingerprint


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_a_model_that_is_gone_is_named_and_the_hint_says_how_to_give_it(
    ragdoll: Ragdoll, movable: Indexed, mode: str
) -> None:
    moved = movable.model.rename(movable.model.with_name("elsewhere"))
    query = ["query", "loop", "--database", movable.database, "--mode", mode]
    is_refused(ragdoll(*query), f"gone from {movable.model}", "--model")
    assert ragdoll(*query, "--model", moved, "--json").json["hits"]


def test_another_model_is_refused_with_both_fingerprints(
    ragdoll: Ragdoll, movable: Indexed
) -> None:
    other = movable.model / "distillate"
    both = short_fingerprint(movable.model), short_fingerprint(other)
    assert both[0] != both[1]
    query = ["query", "loop", "--database", movable.database]
    is_refused(ragdoll(*query, "--model", other), *both, "--model", "--overwrite")
    is_refused(ragdoll("index", movable.docs, *movable.options, "--model", other), *both)


def test_what_is_no_model_is_refused_in_its_place(ragdoll: Ragdoll, movable: Indexed) -> None:
    query = ["query", "loop", "--database", movable.database]
    is_refused(ragdoll(*query, "--model", movable.docs), "is no model")
    is_refused(ragdoll(*query, "--model", "nowhere"), "No model folder at nowhere")


def test_a_model_that_was_replaced_in_its_place_is_refused(
    ragdoll: Ragdoll, movable: Indexed
) -> None:
    was = short_fingerprint(movable.model)
    other = movable.model / "distillate/model.safetensors"
    (movable.model / "model.safetensors").write_bytes(other.read_bytes())
    now = short_fingerprint(movable.model)
    assert was != now
    for mode in ("hybrid", "vector", "text"):
        result = ragdoll("query", "loop", "--database", movable.database, "--mode", mode)
        is_refused(result, was, now, str(movable.model))


def test_a_model_that_is_damaged_is_not_said_to_be_gone(ragdoll: Ragdoll, movable: Indexed) -> None:
    weights = movable.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    result = ragdoll("query", "loop", "--database", movable.database)
    is_refused(result, "model.safetensors")
    assert "gone" not in result.err


def test_indexing_with_a_moved_model_writes_its_new_place_down(
    ragdoll: Ragdoll, movable: Indexed
) -> None:
    moved = replace(movable, model=movable.model.rename(movable.model.with_name("elsewhere")))
    record = ragdoll("index", moved.docs, *moved.options, "--json").json
    assert (record["unchanged"], record["chunks_embedded"]) == (4, 0)
    assert ragdoll("query", "loop", "--database", moved.database, "--json").json["hits"]
    table = Database(str(moved.database)).open("documents")
    assert (table.state.model, table.identity.model) == (str(moved.model), str(movable.model))


def test_a_dry_run_does_not_write_the_new_place_down(ragdoll: Ragdoll, movable: Indexed) -> None:
    moved = replace(movable, model=movable.model.rename(movable.model.with_name("elsewhere")))
    assert ragdoll("index", moved.docs, *moved.options, "--dry-run").status == 0
    assert ragdoll("query", "loop", "--database", moved.database).status == 1


def test_a_model_that_moved_together_with_the_database_is_found(
    ragdoll: Ragdoll, tmp_path: Path, docs: Path, trained: Trained
) -> None:
    shutil.copytree(trained.model, tmp_path / "before/model")
    Indexed(tmp_path / "before/database", docs, tmp_path / "before/model").index()
    (tmp_path / "before").rename(tmp_path / "after")
    record = ragdoll("inspect-model", "--database", tmp_path / "after/database", "--json").json
    (table,) = record["tables"]
    assert (record["agrees"], table["model"]) == (True, str(tmp_path / "after/model"))
    assert ragdoll("query", "loop", "--database", tmp_path / "after/database").status == 0


def test_a_relative_model_is_found_from_another_folder(
    ragdoll: Ragdoll, docs: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.model, "model")
    assert ragdoll("index", docs, "--model", "model", "--database", "database").status == 0
    database = Path("database").resolve()
    monkeypatch.chdir(tmp_path)
    assert ragdoll("query", "loop", "--database", database).status == 0


# Inspecting a table


def test_a_table_and_its_model_agree(ragdoll: Ragdoll, movable: Indexed) -> None:
    result = ragdoll("inspect-model", "--database", movable.database, "--json")
    assert (result.status, result.err) == (0, "")
    assert (result.json["database"], result.json["agrees"]) == (str(movable.database), True)
    (record,) = result.json["tables"]
    assert (record["agrees"], record["problem"], record["chunks"]) == (True, None, 4)
    assert set(record["checks"].values()) == {True}
    assert record["model"] == str(movable.model)
    assert record["fingerprint"] == identify(movable.model).fingerprint
    assert record["roots"] == [str(movable.docs)]
    human = ragdoll("inspect-model", "--database", movable.database)
    assert (human.status, human.err) == (0, "")
    assert "Table and model agree." in human.out


@pytest.mark.parametrize(
    ("change", "words", "checks"),
    [
        pytest.param(
            lambda model: model.rename(model.with_name("away")),
            "is gone",
            [False, None, None, None],
            id="gone",
        ),
        pytest.param(
            lambda model: shutil.copy(model / "distillate/model.safetensors", model),
            "has the fingerprint",
            [True, False, True, True],
            id="replaced",
        ),
        pytest.param(
            lambda model: (model / "config.json").write_text("{"),
            "not valid JSON",
            [True, None, None, None],
            id="damaged",
        ),
        pytest.param(
            lambda model: (model / "ragdoll.json").write_text('{"metric": "dot"}'),
            "was made for dot",
            [True, True, True, False],
            id="another metric",
        ),
    ],
)
def test_a_table_and_its_model_do_not_agree(
    ragdoll: Ragdoll,
    movable: Indexed,
    change: Callable[[Path], object],
    words: str,
    checks: list[bool | None],
) -> None:
    change(movable.model)
    result = ragdoll("inspect-model", "--database", movable.database, "--json")
    assert (result.status, result.json["agrees"]) == (1, False)
    (record,) = result.json["tables"]
    assert words in record["problem"]
    assert list(record["checks"].values()) == checks
    human = ragdoll("inspect-model", "--database", movable.database)
    assert human.status == 1
    assert "do not agree" in human.out
    assert words in human.out


def test_every_table_is_inspected(ragdoll: Ragdoll, movable: Indexed) -> None:
    ragdoll("index", movable.docs, *movable.options, "--table", "others")
    result = ragdoll("inspect-model", "--database", movable.database, "--json")
    assert [table["table"] for table in result.json["tables"]] == ["documents", "others"]
    assert (result.status, result.json["agrees"]) == (0, True)
    movable.connect().create_table("foreign", pa.table({"text": ["a"]}))
    result = ragdoll("inspect-model", "--database", movable.database, "--json")
    assert [table["agrees"] for table in result.json["tables"]] == [True, False, True]
    assert (result.status, result.json["agrees"]) == (1, False)
    human = ragdoll("inspect-model", "--database", movable.database)
    assert (human.status, human.err) == (1, "")
    assert human.out.count("Table and model agree.") == 2
    assert "was not made by ragdoll" in human.out
    only = ragdoll("inspect-model", "--database", movable.database, "--table", "others", "--json")
    assert [table["table"] for table in only.json["tables"]] == ["others"]


def test_a_database_without_tables_cannot_be_inspected(ragdoll: Ragdoll, tmp_path: Path) -> None:
    is_refused(ragdoll("inspect-model", "--database", tmp_path), "has no tables")


def test_a_table_and_models_are_inspected_together(ragdoll: Ragdoll, movable: Indexed) -> None:
    named = ["--database", movable.database, "--table", "documents"]
    record = ragdoll("inspect-model", movable.model, *named, "--json").json
    (table,), (model,) = record["tables"], record["models"]
    assert table["fingerprint"] == model["fingerprint"]
    assert table["table"] == "documents"


def test_the_library_raises_what_the_command_line_prints(movable: Indexed) -> None:
    database = str(movable.database)
    assert inspect_table(database, "documents").agrees
    with pytest.raises(TableError, match="No table 'x'"):
        inspect_table(database, "x")
    with pytest.raises(ModelMismatchError, match="was made with the model"):
        model_of(Database(database).open("documents"), movable.model / "distillate")


def test_rows_that_anyone_wrote_are_shown(ragdoll: Ragdoll, movable: Indexed) -> None:
    rows = movable.arrow()
    for metadata in (None, "[1]", "{", "[" * 10**5, '{"a": NaN}'):
        changed = rows
        for name, value in (("metadata", metadata), ("title", None), ("text", None)):
            column = pa.array([value] * len(rows), pa.string())
            changed = changed.set_column(rows.column_names.index(name), name, column)
        movable.connect().create_table("documents", changed.cast(rows.schema), mode="overwrite")
        options = ("--database", movable.database, "--mode", "vector")
        assert ragdoll("query", "loop", *options).status == 0
        assert ragdoll("query", "loop", *options, "--json").json["hits"][0]["metadata"] == {}


def test_a_panic_of_the_engine_is_one_line() -> None:
    class PanicError(Exception):
        """As the engine's own, which is none of the usual kinds."""

    def panic() -> None:
        raise PanicError("not yet\nimplemented")

    with pytest.raises(TableError, match=r"here: not yet$"):
        translated(panic, "here")


def test_an_error_is_one_line_of_bounded_length(ragdoll: Ragdoll, movable: Indexed) -> None:
    where = "x\nError: forged" + "y" * 10_000
    result = ragdoll("query", "loop", "--database", movable.database, "--where", where)
    assert result.status == 2
    assert "\nError: forged" not in result.err
    assert len(result.err) < 5000
