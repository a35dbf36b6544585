"""LanceDB for reading alone: its compiled engine, without the Python package around it.

``import lancedb`` loads clients of services and models of their requests: two seconds, most of the
time that one query takes. The engine, which the package wraps, loads in a few hundredths of one.
It is no public interface. So it is used only of the versions that the tests have seen, and only
for reading; ``connect`` gives None for others, and the public interface does the same.

The classes here have the names and arguments of LanceDB's synchronous interface.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragdoll.retrieval.storage.lance import absolute

_VERSIONS = frozenset({"0.40.0"})
_NAME = "lancedb._lancedb"


def is_there() -> bool:
    """Load the engine, and say whether it can be used."""
    return _engine() is not None


def connect(uri: str) -> Connection | None:
    """Open a database for reading; None where LanceDB must be imported for that."""
    engine = _engine()
    if engine is None:
        return None
    # URI, key, region, two hosts, consistency, client, storage, session: most are a service's.
    # A folder absolute, since the engine takes any name that begins with "db" for a service.
    return Connection(_run(lambda: engine.connect(absolute(uri), *[None] * 8)))


class Tables(NamedTuple):
    """The names of a database's tables."""

    tables: list[str]


class Connection:
    """A database."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def list_tables(self) -> Tables:
        """The names of all tables."""
        return Tables(_run(self._inner.list_tables)["tables"])

    def open_table(self, name: str) -> OpenTable:
        """Open a table as it is now."""
        return OpenTable(_run(lambda: self._inner.open_table(name)))


class OpenTable:
    """A table, as it was when it was opened or at the version that was checked out."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.schema: pa.Schema = _run(inner.schema)

    @property
    def version(self) -> int:
        """The number of the version that is read."""
        return int(_run(self._inner.version))

    def checkout(self, version: int) -> None:
        """Read an older version from now on."""
        _run(lambda: self._inner.checkout(version))
        self.schema = _run(self._inner.schema)

    def count_rows(self) -> int:
        """The number of rows."""
        return int(_run(lambda: self._inner.count_rows(None)))

    def search(
        self,
        query: npt.NDArray[np.float32] | str | None = None,
        vector_column_name: str = "vector",
        query_type: str = "vector",
        fts_columns: str = "text",
    ) -> Search:
        """Search by a vector, by words (``fts``), or for all rows."""
        inner = self._inner.query()
        if query is None:
            return Search(inner)
        if query_type == "fts":
            return Search(inner.nearest_to_text({"query": query, "columns": [fts_columns]}))
        vector = np.ascontiguousarray(query, dtype=np.float32)
        # ``pa.array`` would import pandas, where that is installed.
        numbers = pa.Array.from_buffers(pa.float32(), len(vector), [None, pa.py_buffer(vector)])
        inner = inner.nearest_to(numbers)
        inner.column(vector_column_name)
        return Search(inner)


class Search:
    """A search, which is made by ``to_arrow``; the other methods say how."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Callable[..., Search]:
        """What the engine is told under the same name: a limit, a condition, a metric."""
        setting = getattr(self._inner, name)

        def told(*arguments: Any) -> Search:
            setting(*arguments)
            return self

        return told

    def select(self, columns: Sequence[str]) -> Search:
        """Find only some columns."""
        self._inner.select_columns(list(columns))
        return self

    def with_row_id(self, wanted: bool) -> Search:
        """Find LanceDB's own id of each row too, as ``_rowid``."""
        if wanted:
            self._inner.with_row_id()
        return self

    def explain_plan(self) -> str:
        """Plan the search without making it."""
        return str(_run(lambda: self._inner.explain_plan(False)))

    def to_arrow(self) -> pa.Table:
        """Search."""
        return _run(self._found)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Search; the answers arrive one batch at a time."""
        stream = _run(lambda: self._inner.execute(None, None))
        with suppress(StopAsyncIteration):
            while True:
                yield _run(stream.__anext__)

    async def _found(self) -> pa.Table:
        stream = await self._inner.execute(None, None)
        batches = [batch async for batch in stream]
        return pa.Table.from_batches(batches, stream.schema)


@cache
def _engine() -> Any:
    """The compiled engine; None where it is another version's, or not where it was."""
    try:
        if importlib.metadata.version("lancedb") not in _VERSIONS:
            return None
        if _NAME in sys.modules:
            return sys.modules[_NAME]
        package = importlib.util.find_spec("lancedb")
        places = package.submodule_search_locations if package else None
        spec = PathFinder.find_spec(_NAME, places) if places else None
        if spec is None or spec.loader is None:
            return None
        engine = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(engine)
    except (ImportError, OSError):
        return None
    # It can be loaded once a process: what imports LanceDB later finds it here.
    sys.modules[_NAME] = engine
    return engine


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, so that callers may have theirs."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ragdoll-engine", daemon=True).start()
    return loop


def _run(call: Callable[[], Any]) -> Any:
    """Make a call of the engine, which must be made in an event loop, and wait for it."""

    async def made() -> Any:
        return await call()

    task: Coroutine[Any, Any, Any] = made()
    return asyncio.run_coroutine_threadsafe(task, _loop()).result()
