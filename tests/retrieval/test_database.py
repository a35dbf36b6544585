"""Databases: what can be opened, and that nothing outside of a table's folder is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ragdoll.errors import TableError
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.reading.inspection import inspect_table
from ragdoll.retrieval.storage.database import Database, refuse_links
from tests.making import index, index_settings, open_corpus
from tests.retrieval.conftest import Indexed, snapshot

FOREIGN = {
    "with vectors": {"vector": pa.array([[0.0] * 32], pa.list_(pa.float32(), 32))},
    "without vectors": {"text": pa.array(["a"])},
}


def refused(attempt: Callable[[], object], *values: object) -> None:
    """Check that an attempt is refused with these values in its message."""
    with pytest.raises(TableError) as caught:
        attempt()
    for value in values:
        assert str(value) in caught.value.message
    assert caught.value.hint is None or "\n" not in caught.value.hint


@pytest.mark.parametrize("to_search", [False, True])
def test_a_missing_database_is_not_created(tmp_path: Path, to_search: bool) -> None:
    missing = tmp_path / "nowhere"
    refused(lambda: Database(str(missing), to_search=to_search), missing)
    assert not missing.exists()


def test_a_missing_table_is_named_with_those_that_are_there(indexed: Indexed) -> None:
    index(open_corpus([indexed.docs]), index_settings(indexed.database, "others", indexed.model))
    refused(lambda: Index.open(indexed.database, table="missing"), "'missing'", "documents, others")


def test_a_folder_without_tables_stays_as_it_is(tmp_path: Path) -> None:
    refused(lambda: Index.open(tmp_path), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(lambda: Index.open(tmp_path / "file"), tmp_path / "file")


@pytest.mark.parametrize("columns", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_table_that_ragdoll_did_not_make_is_left_alone(
    indexed: Indexed, columns: dict[str, pa.Array], overwrite: bool
) -> None:
    indexed.connect().create_table("foreign", pa.table(columns))
    before = snapshot(indexed.database / "foreign.lance")
    settings = index_settings(indexed.database, "foreign", indexed.model)
    for attempt in (
        lambda: Index.open(indexed.database, table="foreign"),
        lambda: inspect_table(str(indexed.database), "foreign"),
        lambda: index(open_corpus([indexed.docs]), settings, overwrite),
    ):
        refused(attempt, indexed.database, "'foreign'")
    assert snapshot(indexed.database / "foreign.lance") == before


def test_a_database_may_be_named_as_a_file_uri(indexed: Indexed, tmp_path: Path) -> None:
    uri = f"file://{tmp_path / 'other'}"
    refused(lambda: Index.open(uri), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    Index.create(uri, model=indexed.model).update(["A lock."])
    assert Index.open(tmp_path / "other").search("a lock")


# Links


@pytest.mark.parametrize("linked", ["", "data", "_indices", "_versions"])
def test_a_table_with_links_is_neither_searched_nor_written(
    indexed: Indexed, tmp_path: Path, linked: str
) -> None:
    place = indexed.database / "documents.lance" / linked
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    (elsewhere / ".tmp-mine").write_text("mine")
    for attempt in (
        lambda: indexed.search("a timer"),
        indexed.index,
        lambda: indexed.index(overwrite=True),
    ):
        refused(attempt, str(place).removesuffix("/"))
    assert (elsewhere / ".tmp-mine").exists()


@pytest.mark.parametrize("folder", ["data", "_versions"])
def test_a_file_that_is_a_link_is_refused(tmp_path: Path, folder: str) -> None:
    link = tmp_path / "t.lance" / folder / "a"
    link.parent.mkdir(parents=True)
    link.symlink_to(__file__)
    refused(lambda: refuse_links(str(tmp_path), "t"), link)


@pytest.mark.parametrize("name", [".documents.lock", ".documents.lock.pid"])
def test_no_lock_is_written_through_a_link(indexed: Indexed, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (indexed.database / name).unlink(missing_ok=True)
    (indexed.database / name).symlink_to(victim)
    refused(indexed.index, indexed.database / name)
    assert victim.read_text() == "mine"
