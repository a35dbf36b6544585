"""LanceDB's engine alone: it reads what the public interface reads, and gives way to it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdoll.errors import TableError
from ragdoll.retrieval.storage import engine
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import COLUMNS
from ragdoll.retrieval.storage.table import Table
from tests.conftest import Ragdoll
from tests.retrieval.conftest import Indexed

CONDITION = "source LIKE '%.md'"


@pytest.fixture
def both(indexed: Indexed) -> tuple[Table, Table]:
    """The same table, opened by the engine and by the public interface."""
    place = str(indexed.database)
    by_engine, public = (
        Database(place, to_search=flag).open("documents") for flag in (True, False)
    )
    assert isinstance(by_engine._inner, engine.OpenTable)
    assert not isinstance(public._inner, engine.OpenTable)
    return by_engine, public


@pytest.mark.parametrize(
    "read",
    [
        lambda table: table.nearest(np.linspace(-1, 1, 32, dtype=np.float32), 3),
        lambda table: table.nearest(np.linspace(-1, 1, 32, dtype=np.float64), 3, [CONDITION]),
        lambda table: table.matching("event loop", 3, [*COLUMNS, "vector"]),
        lambda table: table.matching('lock OR "reader"', 3, ["id"], [CONDITION]),
        lambda table: table.matching("nothing of the kind", 3, ["id"]),
        lambda table: table.matching_ids("event loop", 3),
        lambda table: table.all_rows(["id", "vector"], 1 << 20),
        lambda table: table.all_rows(["id", "vector"], 1),
        lambda table: (table.count(), table.version, table._inner.schema.metadata),
    ],
)
def test_it_reads_what_the_public_interface_reads(
    both: tuple[Table, Table], read: Callable[[Table], Any]
) -> None:
    by_engine, public = map(read, both)
    np.testing.assert_equal(by_engine, public)


@pytest.mark.parametrize("read", [lambda t: t.check_condition("sauce = 1"), lambda t: t.version])
def test_its_errors_are_those_of_the_public_interface(
    both: tuple[Table, Table], read: Callable[[Table], Any]
) -> None:
    def outcome(table: Table) -> Any:
        try:
            return read(table)
        except TableError as error:
            return error.message

    by_engine, public = map(outcome, both)
    assert by_engine == public


def test_a_folder_with_the_name_of_a_service_is_a_folder(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed.database.rename(indexed.database.parent / "db")
    monkeypatch.chdir(indexed.database.parent)
    assert Database("db", to_search=True).open("documents").count() > 0


def test_an_older_version_is_read_when_it_is_checked_out(indexed: Indexed) -> None:
    before = Database(str(indexed.database)).open("documents")
    (indexed.docs / "new.md").write_text("A semaphore.")
    indexed.index()
    table = Database(str(indexed.database), to_search=True).open("documents")
    assert table.count() == before.count() + 1
    table._inner.checkout(before.version)
    assert (table.count(), table.version) == (before.count(), before.version)


def test_the_installed_version_is_one_that_it_knows() -> None:
    """Where this fails: run the tests with the new version in the list; keep it if they pass."""
    assert importlib.metadata.version("lancedb") in engine._VERSIONS


@pytest.fixture
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has not loaded the engine yet."""
    load = engine._engine
    load.cache_clear()
    monkeypatch.delitem(sys.modules, engine._NAME, raising=False)
    yield
    load.cache_clear()


def other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.41.0")


def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda *arguments: None)


def will_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(spec: Any) -> Any:
        raise ImportError("another interpreter's")

    monkeypatch.setattr(importlib.util, "module_from_spec", fails)


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("change", [other_version, elsewhere, will_not_load])
def test_otherwise_the_public_interface_is_used(
    ragdoll: Ragdoll,
    indexed: Indexed,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    with monkeypatch.context() as patched:
        change(patched)
        assert engine.connect(str(indexed.database)) is None
    monkeypatch.setattr(engine, "_engine", lambda: None)
    table = Database(str(indexed.database), to_search=True).open("documents")
    assert not isinstance(table._inner, engine.OpenTable)
    assert ragdoll("query", "event loop", "--database", indexed.database, "--json").status == 0


def test_lancedb_can_be_imported_after_it(indexed: Indexed) -> None:
    code = (
        "import sys\n"
        "from ragdoll.retrieval.storage.database import Database\n"
        "rows = Database(sys.argv[1], to_search=True).open('documents').count()\n"
        "assert 'lancedb' not in sys.modules\n"
        "import lancedb\n"
        "table = lancedb.connect(sys.argv[1]).open_table('documents')\n"
        "assert table.count_rows() == rows == len(table.search().limit(99).to_list())\n"
        "from lancedb import _lancedb\n"
        "assert _lancedb is sys.modules['lancedb._lancedb']\n"
    )
    command = [sys.executable, "-c", code, str(indexed.database)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_service_is_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(engine, "connect", asked.append)
    monkeypatch.delenv("LANCEDB_API_KEY", raising=False)
    with pytest.raises(TableError, match="api_key"):
        Database("db://service", to_search=True)
    assert asked == []


def test_a_damaged_table_is_told_as_ever(indexed: Indexed, tmp_path: Path) -> None:
    for manifest in (indexed.database / "documents.lance" / "_versions").iterdir():
        manifest.write_bytes(b"no manifest")
    messages = []
    for to_search in (True, False):
        with pytest.raises(TableError) as caught:
            Database(str(indexed.database), to_search=to_search).open("documents")
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
