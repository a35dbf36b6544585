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
from ragdoll.retrieval.storage.table import Table, Terms
from tests.retrieval.conftest import Indexed

CONDITION = "source LIKE '%.md'"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def both(indexed: Indexed) -> tuple[Table, Table]:
    """The same table, opened by the engine and by the public interface."""
    by_engine, public = indexed.open(to_search=True), indexed.open()
    assert isinstance(by_engine._inner, engine.OpenTable)
    assert not isinstance(public._inner, engine.OpenTable)
    return by_engine, public


@pytest.mark.parametrize(
    "read",
    [
        lambda table: table.nearest(np.linspace(-1, 1, 32, dtype=np.float32), 3),
        lambda table: table.nearest(np.linspace(-1, 1, 32, dtype=np.float64), 3, [CONDITION]),
        lambda table: table.rows_at(
            table.nearest(np.linspace(-1, 1, 32, dtype=np.float32), 3)[0], COLUMNS
        ),
        lambda table: table.matching(Terms("event loop"), 3),
        lambda table: table.rows_at(
            table.matching(Terms("event loop"), 3)[0], [*COLUMNS, "vector"]
        ),
        lambda table: table.matching(Terms('lock OR "reader"'), 3, [CONDITION]),
        lambda table: table.matching(Terms("nothing of the kind"), 3),
        lambda table: table.rows_at(np.array([2, 0, 3]), ["id", "vector"]),
        lambda table: table.rows_at(np.array([], np.uint64), COLUMNS)[0].num_rows,
        lambda table: table.ids_where([CONDITION]),
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
    before = indexed.open()
    (indexed.docs / "new.md").write_text("A semaphore.")
    indexed.index()
    table = indexed.open(to_search=True)
    assert table.count() == before.count() + 1
    table._inner.checkout(before.version)
    assert (table.count(), table.version) == (before.count(), before.version)


def test_the_installed_version_is_one_that_it_knows() -> None:
    """If this fails, run the tests with the new version in the list; keep it if they pass."""
    assert importlib.metadata.version("lancedb") in engine._VERSIONS


@pytest.fixture
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make it look like a process that has not loaded the engine yet."""
    load = engine._engine
    load.cache_clear()
    with monkeypatch.context() as patched:
        patched.delitem(sys.modules, engine._NAME, raising=False)
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
    indexed: Indexed,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[pytest.MonkeyPatch], None],
) -> None:
    with monkeypatch.context() as patched:
        change(patched)
        assert not engine.is_usable()
    monkeypatch.setattr(engine, "_engine", lambda: None)
    assert not isinstance(indexed.open(to_search=True)._inner, engine.OpenTable)
    assert indexed.search("event loop")


def run(code: str, *arguments: object) -> None:
    """Run code in a process of its own, which must print nothing."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_search_loads_little(indexed: Indexed) -> None:
    """A single query must not wait longer for imports than for its answer."""
    code = (
        "import sys, ragdoll\n"
        "hits = ragdoll.Index.open(sys.argv[1]).search('a lock', where='start = 0', source='*')\n"
        "assert hits\n"
        "loaded = [name for name in sys.modules if name.startswith(tuple(sys.argv[2:]))]\n"
        "assert loaded == ['lancedb._lancedb'], loaded\n"
    )
    rooms = ("corpus.formats", "corpus.sources", "corpus.reading", "retrieval.writing.index")
    run(code, indexed.database, "lancedb", "scipy", *(f"ragdoll.{room}" for room in rooms))


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
    run(code, indexed.database)


def test_a_service_is_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    uris: list[str] = []
    monkeypatch.setattr(engine, "connect", uris.append)
    monkeypatch.delenv("LANCEDB_API_KEY", raising=False)
    with pytest.raises(TableError, match="api_key"):
        Database("db://service", to_search=True)
    assert uris == []


def test_a_damaged_table_has_the_same_message(indexed: Indexed) -> None:
    for manifest in (indexed.database / "documents.lance" / "_versions").iterdir():
        manifest.write_bytes(b"no manifest")
    messages = []
    for to_search in (True, False):
        with pytest.raises(TableError) as caught:
            indexed.open(to_search)
        messages.append(caught.value.message)
    assert messages[0] == messages[1]
