"""``ragdoll inspect-model --database``: tables, and whether they agree with their models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ragdoll.embedding.identity import identify
from tests.conftest import Ragdoll, Trained
from tests.retrieval.conftest import Indexed


@pytest.fixture
def table(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table whose model may be moved or changed."""
    model = Path(shutil.copytree(trained.model, tmp_path / "model"))
    table = Indexed(tmp_path / "database", docs, model)
    table.index(metadata={"year": "integer"})
    return table


def test_a_table_and_its_model_agree(ragdoll: Ragdoll, table: Indexed) -> None:
    result = ragdoll("inspect-model", "--database", table.database, "--json")
    assert (result.status, result.err) == (0, "")
    assert (result.json["database"], result.json["agrees"]) == (str(table.database), True)
    (record,) = result.json["tables"]
    assert (record["agrees"], record["problem"], record["chunks"]) == (True, None, 4)
    assert set(record["checks"].values()) == {True}
    assert record["model"] == str(table.model)
    assert record["fingerprint"] == identify(table.model).fingerprint
    assert record["roots"] == [str(table.docs)]
    assert record["columns"] == {"year": "integer"}
    human = ragdoll("inspect-model", "--database", table.database)
    assert (human.status, human.err) == (0, "")
    assert "Table and model agree." in human.out
    assert "year (integer)" in human.out


def test_a_table_and_its_model_do_not_agree(ragdoll: Ragdoll, table: Indexed) -> None:
    table.model.rename(table.model.with_name("away"))
    result = ragdoll("inspect-model", "--database", table.database, "--json")
    assert (result.status, result.json["agrees"]) == (1, False)
    (record,) = result.json["tables"]
    assert str(table.model) in record["problem"]
    assert list(record["checks"].values()) == [False, None, None, None]
    human = ragdoll("inspect-model", "--database", table.database)
    assert human.status == 1
    assert "do not agree" in human.out
    assert "--model" in human.out


def test_every_table_is_inspected(ragdoll: Ragdoll, table: Indexed) -> None:
    ragdoll("index", table.docs, *table.options, "--table", "others")
    table.connect().create_table("foreign", pa.table({"text": ["a"]}))
    result = ragdoll("inspect-model", "--database", table.database, "--json")
    assert [one["table"] for one in result.json["tables"]] == ["documents", "foreign", "others"]
    assert [one["agrees"] for one in result.json["tables"]] == [True, False, True]
    assert (result.status, result.json["agrees"]) == (1, False)
    human = ragdoll("inspect-model", "--database", table.database)
    assert (human.status, human.err) == (1, "")
    assert human.out.count("Table and model agree.") == 2
    only = ragdoll("inspect-model", "--database", table.database, "--table", "others", "--json")
    assert [one["table"] for one in only.json["tables"]] == ["others"]


def test_what_is_not_there_is_an_error(ragdoll: Ragdoll, table: Indexed, tmp_path: Path) -> None:
    for options in (
        ["--database", tmp_path / "nowhere"],
        ["--database", table.docs],
        ["--database", table.database, "--table", "missing"],
    ):
        result = ragdoll("inspect-model", *options)
        assert (result.status, result.out) == (1, "")
        assert result.err.startswith("Error: ")
        assert len(result.err.splitlines()) == 2


def test_a_table_and_models_are_inspected_together(ragdoll: Ragdoll, table: Indexed) -> None:
    named = ["--database", table.database, "--table", "documents"]
    record = ragdoll("inspect-model", table.model, *named, "--json").json
    (one,), (model,) = record["tables"], record["models"]
    assert one["fingerprint"] == model["fingerprint"]
    assert one["table"] == "documents"


def test_the_language_of_a_table_is_told(ragdoll: Ragdoll, table: Indexed) -> None:
    def inspect(*options: object) -> Any:
        return ragdoll("inspect-model", "--database", table.database, *options)

    assert "stemmed as english (chosen by the texts)" in inspect().out
    table.index(metadata={"year": "integer"}, language="german")
    assert "stemmed as german (as set); the model's tokens, too" in inspect().out
    (record,) = inspect("--json").json["tables"]
    assert (record["language"], record["tokens_indexed"]) == ("german", True)
