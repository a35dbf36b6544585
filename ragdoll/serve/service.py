"""What the service does, whichever way it is asked: search, read documents, embed texts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal, NamedTuple, TypeVar

from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import RagdollError, UsageError
from ragdoll.retrieval.answers import Hit, SearchOptions, StoredDocument, StoredPassage
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.database import Database, NoTableError
from ragdoll.retrieval.storage.lance import is_local, stamp
from ragdoll.retrieval.writing.target import database_of
from ragdoll.serve.batches import Batches
from ragdoll.settings import IndexSettings

MAX_QUERY = 8192
"""Characters of a query, at most."""

MAX_WAITING = 256
"""Requests that wait for a table, at most."""

Read = TypeVar("Read")


class _Call(NamedTuple):
    """Another request to the thread of a table: a method of it, by its name."""

    method: Literal["passage", "documents", "sources", "facts", "embed", "reading"]


class Served:
    """One table: its index belongs to a thread, in which all that reads it is done."""

    def __init__(self, settings: IndexSettings, name: str) -> None:
        """Open a table.

        Raises:
            RagdollError: as ``Index.open``.
        """
        self.name = name
        self._index = Index.open(settings=settings, table=name, warm=True)
        self._batches = Batches(self._answer, MAX_WAITING)

    async def search(self, query: str, options: SearchOptions) -> list[Hit]:
        """Search as ``Index.search`` does; queries with the same options are answered together."""
        found: list[Hit] = await self._batches.ask(options, query)
        return found

    async def passage(self, identifier: str) -> StoredPassage | None:
        """Return a passage by its id; None if there is none."""
        found: StoredPassage | None = await self._batches.ask(_Call("passage"), (identifier,))
        return found

    async def documents(self, source: str, most: int, offset: int = 0) -> list[StoredDocument]:
        """Return documents as ``Index.documents`` does."""
        asked = (source, most, offset)
        found: list[StoredDocument] = await self._batches.ask(_Call("documents"), asked)
        return found

    async def sources(self, glob: str, most: int) -> list[str]:
        """Return sources as ``Index.sources`` does."""
        found: list[str] = await self._batches.ask(_Call("sources"), (glob, most))
        return found

    async def reading(self, read: Callable[[Searcher], Read]) -> Read:
        """Return what a function reads of the table."""
        found: Read = await self._batches.ask(_Call("reading"), (read,))
        return found

    async def facts(self) -> dict[str, Any]:
        """Return what there is to say of the table."""
        facts: dict[str, Any] = await self._batches.ask(_Call("facts"), ())
        return facts

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Return the vectors of texts, and the number of their tokens."""
        embedded: tuple[Vectors, int] = await self._batches.ask(_Call("embed"), (texts,))
        return embedded

    async def warm(self) -> None:
        """Load rows and model, so that the first search need not."""
        await self.search("warm", SearchOptions(1))

    def close(self) -> None:
        """Let the thread end."""
        self._batches.stop()

    def _answer(self, kind: SearchOptions | _Call, items: list[Any]) -> list[Any]:
        index = self._index
        if isinstance(kind, SearchOptions):
            return list(index._search.search_many(items, kind))  # noqa: SLF001  (as below)
        methods: dict[str, Callable[..., Any]] = {
            "passage": index.passage,
            "documents": index.documents,
            "sources": index.sources,
            "facts": self._facts,
            "embed": index.embed,
            "reading": lambda read: read(index._search),  # noqa: SLF001  (as for the facts)
        }
        return [methods[kind.method](*item) for item in items]

    def _facts(self) -> dict[str, Any]:
        table = self._index._table  # noqa: SLF001  (the state of a table is no part of the face)
        identity, state, roots = table.identity, table.state, table.roots()
        model = self._index.model
        return {
            "table": self.name,
            "passages": table.count(),
            "documents": sum(root.documents for root in state.roots.values()),
            "roots": [root.path for root in roots.values()],
            "root_keys": list(roots),
            "columns": table.columns,
            "language": state.analysis.language,
            "model": state.model,
            "fingerprint": identity.fingerprint,
            "dimension": identity.dimension,
            "metric": identity.metric,
            "chunk_size": identity.chunk_size,
            "version": table.version,
            "identity": {**asdict(model), "path": model.path and str(model.path)},
        }


class Service:
    """The tables of a database, each opened when it is first asked for."""

    def __init__(
        self, settings: IndexSettings, names: Sequence[str] | None = None, max_top_k: int = 100
    ) -> None:
        """Name the tables to serve; None stands for all, the first being that of the settings."""
        self.settings = settings
        self.max_top_k = max_top_k
        self.started = time.time()
        self.default = names[0] if names else settings.table
        self._allowed = tuple(dict.fromkeys(names)) if names else None
        self._is_loaded = False
        self._served: dict[str, Served] = {}
        self._opening = threading.Lock()

    def open(self) -> None:
        """Open the tables that were named, so that what is wrong with them is said at once.

        Raises:
            RagdollError: a table is not there, or does not fit its model.
        """
        for name in self._allowed or (self.default,):
            self._open(name)

    async def load(self) -> None:
        """Load rows and models; the service is ready after that.

        Raises:
            RagdollError: as ``open``.
        """
        for name in self._allowed or (self.default,):
            await (await self.table(name)).warm()
        self._is_loaded = True

    @property
    def state(self) -> Literal["loading", "ready", "gone"]:
        """Whether the first table can be searched; that one on a server is gone is not seen."""
        database = database_of(self.settings)
        if is_local(database) and stamp(database, self.default) is None:
            return "gone"
        return "ready" if self._is_loaded else "loading"

    async def names(self) -> list[str]:
        """Return the names of the tables that are served.

        Raises:
            TableError: the database cannot be read.
        """
        return await asyncio.to_thread(self._names)

    async def facts(
        self, names: Sequence[str]
    ) -> AsyncIterator[tuple[str, dict[str, Any] | RagdollError]]:
        """Yield for each table what there is to say of it, or what is wrong with it."""
        for name in names:
            facts: dict[str, Any] | RagdollError
            try:
                facts = await (await self.table(name)).facts()
            except RagdollError as error:
                facts = error
            yield name, facts

    async def table(self, name: str | None = None) -> Served:
        """Return a table by its name, None or nothing for the first.

        Raises:
            NoTableError: there is no such table, or it is not served.
            RagdollError: it cannot be opened.
        """
        name = name or self.default
        if name in self._served:
            return self._served[name]
        return await asyncio.to_thread(self._open, name)

    def close(self) -> None:
        """Let the threads end."""
        for served in self._served.values():
            served.close()

    def _names(self) -> list[str]:
        there = Database(database_of(self.settings)).tables()
        return [name for name in self._allowed or there if name in there]

    def _open(self, name: str) -> Served:
        with self._opening:
            if name not in self._served:
                is_known = self._allowed is None or name in self._allowed
                if name != self.default and (not is_known or name not in self._names()):
                    raise NoTableError(
                        f"No table '{name}' is served.",
                        hint=f"There is: {', '.join(self._names()) or 'none'}.",
                    )
                self._served[name] = Served(self.settings, name)
            return self._served[name]


def check_query(query: str) -> None:
    """Check that a query can be answered.

    Raises:
        UsageError: it is empty or too long.
    """
    if not query.strip():
        raise UsageError("The query is empty.")
    if len(query) > MAX_QUERY:
        raise UsageError(
            f"The query has {len(query):,} characters; {MAX_QUERY:,} are allowed.",
            hint="Ask a shorter question.",
        )
