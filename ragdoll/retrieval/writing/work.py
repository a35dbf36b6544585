"""The work on a batch of documents: passages are cut, compared with the table and embedded.

It is done in this process, or on the workers of a cluster, which must see model and database in the
same places. What becomes of the table is decided elsewhere, by one process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ragdoll.corpus.context import with_context
from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import Passage, cut
from ragdoll.embedding.vectors import Vectors
from ragdoll.engine import workers
from ragdoll.errors import TableError
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.fragments import write_fragments
from ragdoll.retrieval.storage.lance import absolute
from ragdoll.retrieval.storage.schema import schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.rows import identified, metadata_of, record_batch
from ragdoll.retrieval.writing.target import Target
from ragdoll.settings import EngineSettings

Facts = tuple[object, ...]
"""The title, offsets and metadata of a row."""


@dataclass(slots=True)
class Change:
    """What documents change in a table.

    ``added``, ``changed`` and ``unchanged`` count documents. ``sources`` are those that get
    ``rows`` for all that they have. ``chunks`` is the number of passages that the table gains, or
    loses if it is below 0.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    chunks: int = 0
    chunks_embedded: int = 0
    sources: list[str] = field(default_factory=list)
    rows: pa.RecordBatch | None = None


@dataclass
class BatchWork:
    """A model at work for a table; ``table`` None opens it by its place when it is needed."""

    model: TableModel
    chunk_size: int
    columns: Mapping[str, str]
    uri: str
    name: str
    table: Table | None = None

    def count(self, documents: Sequence[Document], keys: Mapping[str, str]) -> int:
        """Count the passages of documents; ``keys`` has the keys of their roots."""
        return sum(len(passages) for _, passages in self._cut(documents, keys))

    def rows(
        self, documents: Sequence[Document], keys: Mapping[str, str], layout: pa.Schema
    ) -> pa.RecordBatch:
        """Return the rows of documents."""
        passages = [one for _, several in self._cut(documents, keys) for one in several]
        texts = [with_context(passage) for passage in passages]
        tokens, vectors = self.model.tokens(texts), self.model.encode(texts)
        return record_batch(passages, tokens, vectors, layout, self.columns)

    def fragments(
        self, documents: Sequence[Document], keys: Mapping[str, str], layout: pa.Schema
    ) -> tuple[int, list[str]]:
        """Write the rows of documents beside the table; return their number and the fragments."""
        rows = self.rows(documents, keys, layout)
        written = write_fragments(self.uri, self.name, rows) if rows.num_rows else []
        return rows.num_rows, written

    def change(self, documents: Sequence[Document], key: str, dry_run: bool) -> Change:
        """Compare documents of one root with their rows in the table, and embed what differs.

        ``dry_run`` embeds nothing.
        """
        change = Change()
        batch = list(self._cut(documents, dict.fromkeys((one.root for one in documents), key)))
        before = self._rows_before([document.source for document in documents], key)
        written: list[Passage] = []
        for document, passages in batch:
            now = {
                one.id: (document.title, one.start, one.end, metadata_of(one)) for one in passages
            }
            old = before.get(document.source)
            if old == now or (old is None and not now):
                change.unchanged += 1
                continue
            change.added += old is None
            change.changed += old is not None
            change.chunks += len(now) - len(old or {})
            written.extend(passages)
            change.sources.append(document.source)
        known = {identifier for rows in before.values() for identifier in rows}
        change.chunks_embedded = sum(passage.id not in known for passage in written)
        if change.sources and not dry_run:
            table = self._opened()
            layout = schema(table.identity, table.state)
            tokens, vectors = self._embedded(written, known)
            change.rows = record_batch(written, tokens, vectors, layout, table.identity.columns)
        return change

    def _cut(
        self, documents: Sequence[Document], keys: Mapping[str, str]
    ) -> Iterator[tuple[Document, list[Passage]]]:
        """Cut documents into passages of at most ``chunk_size`` tokens, with their ids."""
        counts = self.model.prepare([document.text for document in documents], self.chunk_size)
        for document, tokens in zip(documents, counts, strict=True):
            passages = cut(document, self.chunk_size, self.model.count_tokens, tokens)
            yield document, identified(passages, keys[document.root])

    def _rows_before(self, sources: list[str], key: str) -> dict[str, dict[str, Facts]]:
        """Return the facts of some sources' rows: by source, then by the id of the row."""
        columns = ["id", "source", "title", "start", "end", "metadata"]
        before: dict[str, dict[str, Facts]] = {}
        for row in self._opened().rows_of(sources, key, columns).to_pylist():
            facts = (row["title"], row["start"], row["end"], row["metadata"])
            before.setdefault(row["source"], {})[row["id"]] = facts
        return before

    def _embedded(
        self, passages: list[Passage], known: set[str]
    ) -> tuple[list[str | None], Vectors]:
        """Return the tokens and vectors of passages: the table's own, else the model's."""
        table = self._opened()
        fresh = [passage for passage in passages if passage.id not in known]
        texts = [with_context(passage) for passage in fresh]
        parts = table.embedded([one.id for one in passages if one.id in known])
        if fresh:
            embedded = zip(self.model.tokens(texts), self.model.encode(texts), strict=True)
            parts.update(zip((passage.id for passage in fresh), embedded, strict=True))
        vectors = np.array([parts[one.id][1] for one in passages], np.float32)
        return [parts[one.id][0] for one in passages], vectors.reshape(-1, table.identity.dimension)

    def _opened(self) -> Table:
        if self.table is None:
            self.table = Database(self.uri).find(self.name)
            if self.table is None:
                raise TableError(
                    f"A worker does not see the database {self.uri}.",
                    hint="It must be in the same place for all machines of the cluster.",
                )
        return self.table


@dataclass(frozen=True)
class Workshop:
    """Where batches are worked on: in this process, or by the workers of an engine."""

    target: Target
    engine: EngineSettings

    def map(
        self, method: str, tasks: Iterable[tuple[Any, ...]], table: Table | None = None
    ) -> Iterator[Any]:
        """Call a method of ``BatchWork`` with each task's arguments; yield the results in order."""
        target = self.target
        work = BatchWork(
            target.model,
            target.settings.chunk_size,
            target.identity.columns if table is None else table.identity.columns,
            absolute(target.database),
            target.settings.table,
        )
        if self.engine.is_local:
            yield from _called(replace(work, table=table), method, tasks)
            return
        work.model = work.model.unloaded()
        with workers(self.engine, lambda: work) as started:
            yield from started.map(method, tasks)


def _called(work: BatchWork, method: str, tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    for arguments in tasks:
        yield getattr(work, method)(*arguments)
