"""Facts about tables, and whether each agrees with its model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ragdoll.embedding.identity import identify
from ragdoll.errors import ModelError, ModelMismatchError, RagdollError, TableError
from ragdoll.retrieval.reading.inspection import inspect_table, inspect_tables
from tests.making import index, index_settings, open_corpus
from tests.retrieval.conftest import Indexed


def test_a_table_and_its_model_agree(movable: Indexed) -> None:
    (facts,) = inspect_tables(str(movable.database))
    assert facts == inspect_table(str(movable.database), "documents")
    assert (facts.agrees, facts.problem, facts.chunks) == (True, None, 4)
    assert set(facts.checks.values()) == {True}
    assert facts.model == identify(movable.model)
    assert facts.identity is not None
    assert facts.identity.fingerprint == identify(movable.model).fingerprint


@pytest.mark.parametrize(
    ("change", "error", "checks"),
    [
        pytest.param(
            lambda model: model.rename(model.with_name("away")),
            ModelMismatchError,
            [False, None, None, None],
            id="gone",
        ),
        pytest.param(
            lambda model: shutil.copy(model / "distillate/model.safetensors", model),
            ModelMismatchError,
            [True, False, True, True],
            id="replaced",
        ),
        pytest.param(
            lambda model: (model / "config.json").write_text("{"),
            ModelError,
            [True, None, None, None],
            id="damaged",
        ),
        pytest.param(
            lambda model: (model / "ragdoll.json").write_text('{"metric": "dot"}'),
            TableError,
            [True, True, True, False],
            id="another metric",
        ),
    ],
)
def test_a_table_and_its_model_do_not_agree(
    movable: Indexed,
    change: Callable[[Path], object],
    error: type[RagdollError],
    checks: list[bool | None],
) -> None:
    change(movable.model)
    facts = inspect_table(str(movable.database), "documents")
    assert not facts.agrees
    assert type(facts.problem) is error
    assert str(movable.model) in str(facts.problem)
    assert list(facts.checks.values()) == checks
    assert (facts.model is not None) == (checks[1] is True)


def test_every_table_is_inspected(movable: Indexed) -> None:
    settings = index_settings(movable.database, "others", movable.model)
    index(open_corpus([movable.docs]), settings)
    movable.connect().create_table("foreign", pa.table({"text": ["a"]}))
    facts = inspect_tables(str(movable.database))
    assert [(one.table, one.agrees) for one in facts] == [
        ("documents", True),
        ("foreign", False),
        ("others", True),
    ]
    assert (facts[1].identity, facts[1].chunks) == (None, None)
    assert set(facts[1].checks.values()) == {None}


def test_what_is_not_there_cannot_be_inspected(movable: Indexed, tmp_path: Path) -> None:
    with pytest.raises(TableError):
        inspect_table(str(movable.database), "missing")
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        with pytest.raises(TableError) as caught:
            inspect_tables(str(tmp_path / folder))
        assert str(tmp_path / folder) in caught.value.message
