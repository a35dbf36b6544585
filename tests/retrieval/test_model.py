"""The model of a table: where it is found, and which one is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragdoll.embedding.identity import identify
from ragdoll.errors import ModelError, ModelMismatchError
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.model import TableModel, model_of
from tests.conftest import Trained
from tests.retrieval.conftest import Indexed


def short_fingerprint(model: Path) -> str:
    return identify(model).fingerprint[:12]


def test_a_table_finds_its_own_model(movable: Indexed) -> None:
    table = movable.open()
    identity = model_of(table).identity
    assert identity.path == movable.model
    assert identity.fingerprint == table.identity.fingerprint == identify(movable.model).fingerprint


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_a_model_that_is_gone_is_named_and_can_be_given(movable: Indexed, mode: str) -> None:
    moved = movable.model.rename(movable.model.with_name("elsewhere"))
    with pytest.raises(ModelMismatchError) as caught:
        movable.search("loop", mode=mode)
    assert str(movable.model) in caught.value.message
    assert "`model`" in str(caught.value.hint)
    assert Index.open(movable.database, model=moved).search("loop")


def test_another_model_is_refused_with_both_fingerprints(movable: Indexed) -> None:
    other = movable.model / "distillate"
    both = {short_fingerprint(movable.model), short_fingerprint(other)}
    assert len(both) == 2
    for attempt in (
        lambda: Index.open(movable.database, model=other),
        lambda: model_of(movable.open(), other),
        lambda: replace(movable, model=other).index(),
    ):
        with pytest.raises(ModelMismatchError) as caught:
            attempt()
        assert all(fingerprint in caught.value.message for fingerprint in both)
        assert "overwrite=True" in str(caught.value.hint)


def test_what_is_no_model_is_refused_in_its_place(movable: Indexed) -> None:
    for place in (str(movable.docs), "nowhere"):
        with pytest.raises(ModelError) as caught:
            Index.open(movable.database, model=place)
        assert place in caught.value.message


def test_a_model_that_was_replaced_in_its_place_is_refused(movable: Indexed) -> None:
    was = short_fingerprint(movable.model)
    shutil.copy(movable.model / "distillate/model.safetensors", movable.model)
    now = short_fingerprint(movable.model)
    assert was != now
    with pytest.raises(ModelMismatchError) as caught:
        movable.search("loop")
    for part in (was, now, str(movable.model)):
        assert part in caught.value.message


def test_a_model_that_is_damaged_is_not_said_to_be_gone(movable: Indexed) -> None:
    weights = movable.model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError) as caught:
        movable.search("loop")
    assert str(weights) in caught.value.message


def test_a_model_that_moved_together_with_the_database_is_found(
    tmp_path: Path, docs: Path, trained: Trained
) -> None:
    shutil.copytree(trained.model, tmp_path / "before/model")
    Indexed(tmp_path / "before/database", docs, tmp_path / "before/model").index()
    (tmp_path / "before").rename(tmp_path / "after")
    index = Index.open(tmp_path / "after/database")
    assert index.model.path == tmp_path / "after/model"
    assert index.search("loop")


def test_a_relative_model_is_found_from_another_folder(
    docs: Path, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained.model, "model")
    table = Indexed(Path("database"), docs, Path("model"))
    table.index()
    database = table.database.resolve()
    monkeypatch.chdir(tmp_path)
    assert Index.open(database).search("loop")


def test_a_model_is_loaded_when_it_is_first_needed(trained: Trained, tmp_path: Path) -> None:
    model = Path(shutil.copytree(trained.model, tmp_path / "model"))
    first, second = TableModel(model), TableModel(str(model))
    assert first.encode(["a lock"]).shape == (1, first.identity.dimension)
    shutil.rmtree(model)
    assert first.encode(["a lock"]).any()
    with pytest.raises(ModelError):
        second.encode(["a lock"])


def test_a_model_and_a_table_that_are_being_exchanged_are_opened_again(
    movable: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = movable.model.rename(movable.model.with_name("elsewhere"))
    monkeypatch.setattr("time.sleep", lambda seconds: moved.rename(movable.model))
    assert Index.open(movable.database).search("loop")
