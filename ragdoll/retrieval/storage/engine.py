"""LanceDB for reading alone: its compiled engine, without the Python package around it.

``import lancedb`` loads clients of services and models of their requests. That takes two seconds,
most of the time of one query; the engine, which the package wraps, loads in a few hundredths of a
second. The engine is no public interface. So it is used only for reading, and only in the versions
that the tests have seen. With other versions ``is_usable`` says no, and callers go through the
package.

The classes here have the names and arguments of LanceDB's synchronous interface.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
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


def is_usable() -> bool:
    """Load the engine, and tell whether it can be used."""
    return _engine() is not None


def connect(uri: str) -> Connection:
    """Open a database for reading."""
    # URI, key, region, two hosts, consistency, client, storage, session: most are a service's.
    # A folder absolute, since the engine takes any name that begins with "db" for a service.
    return Connection(_run(lambda: _engine().connect(absolute(uri), *[None] * 8)))


class Tables(NamedTuple):
    """The names of a database's tables."""

    tables: list[str]


class MatchQuery(NamedTuple):
    """A query for the words of a text in a column, by LanceDB's names and with its defaults."""

    query: str
    column: str
    boost: float = 1.0
    fuzziness: int = 0
    max_expansions: int = 50
    operator: str = "OR"
    prefix_length: int = 0
    document_granularity: None = None


class BooleanQuery(NamedTuple):
    """Several queries, each with its part in the answer; the scores are added."""

    queries: list[tuple[str, MatchQuery]]


class Connection:
    """A database."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def list_tables(self) -> Tables:
        """Return the names of all tables."""
        return Tables(_run(self._inner.list_tables)["tables"])

    def open_table(self, name: str) -> OpenTable:
        """Open a table at its latest version."""
        return OpenTable(_run(lambda: self._inner.open_table(name)))


class OpenTable:
    """A table at the version at which it was opened, or that was checked out."""

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
        """Count the rows."""
        return int(_run(lambda: self._inner.count_rows(None)))

    def search(
        self,
        query: npt.NDArray[np.float32] | MatchQuery | BooleanQuery | None = None,
        vector_column_name: str = "vector",
        query_type: str = "vector",
    ) -> Search:
        """Search by a vector, by words (``fts``), or for all rows."""
        inner = self._inner.query()
        if query is None:
            return Search(inner)
        if query_type == "fts":
            return Search(inner.nearest_to_text({"query": query, "columns": None}))
        vector = np.ascontiguousarray(query, dtype=np.float32)
        # ``pa.array`` would import pandas, if it is installed.
        numbers = pa.Array.from_buffers(pa.float32(), len(vector), [None, pa.py_buffer(vector)])
        inner = inner.nearest_to(numbers)
        inner.column(vector_column_name)
        return Search(inner)

    def take_row_ids(self, ids: Sequence[int]) -> Search:
        """Name rows by the engine's own ids; they come in the order of the table."""
        return Search(self._inner.take_row_ids(list(ids)))


class Search:
    """A search, which ``to_arrow`` and ``to_batches`` make; the other methods set how."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Callable[..., Search]:
        """Return the engine's setting of this name: a limit, a condition, a metric."""
        setting = getattr(self._inner, name)

        def set_and_go_on(*arguments: Any) -> Search:
            setting(*arguments)
            return self

        return set_and_go_on

    def select(self, columns: Sequence[str]) -> Search:
        """Restrict the answers to some columns."""
        self._inner.select_columns(list(columns))
        return self

    def with_row_id(self, with_row_id: bool = True) -> Search:
        """Add the column ``_rowid``, LanceDB's own id of each row, to the answers."""
        if with_row_id:
            self._inner.with_row_id()
        return self

    def explain_plan(self) -> str:
        """Plan the search without making it."""
        return str(_run(lambda: self._inner.explain_plan(False)))

    def to_arrow(self) -> pa.Table:
        """Search, and return the answers."""
        return _run(self._all_answers)

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """Search, and yield the answers as they arrive."""
        stream = _run(lambda: self._inner.execute(None, None))
        with suppress(StopAsyncIteration):
            while True:
                yield _run(stream.__anext__)

    async def _all_answers(self) -> pa.Table:
        stream = await self._inner.execute(None, None)
        batches = [batch async for batch in stream]
        return pa.Table.from_batches(batches, stream.schema)


@cache
def _engine() -> Any:
    """Load the compiled engine; return None if its version is not known, or it is not found."""
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
    # A process can load it only once: a later import of LanceDB finds it here.
    sys.modules[_NAME] = engine
    return engine


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Start an event loop in a thread of its own, so that callers may have theirs."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="ragdoll-engine", daemon=True).start()
    return loop


if hasattr(os, "register_at_fork"):
    # The thread of the loop is not in the child. The engine resets its own threads by itself.
    os.register_at_fork(after_in_child=_loop.cache_clear)


def _run(call: Callable[[], Any]) -> Any:
    """Make a call of the engine, which must be made in an event loop, and wait for it."""

    async def made() -> Any:
        return await call()

    return asyncio.run_coroutine_threadsafe(made(), _loop()).result()
