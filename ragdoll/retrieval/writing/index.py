"""Documents into a table: a new one is built, an existing one is brought up to date."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragdoll.corpus.documents import Corpus, Document
from ragdoll.errors import TableError
from ragdoll.retrieval.storage.database import Database, check_name, only_writer
from ragdoll.retrieval.storage.fragments import commit_fragments
from ragdoll.retrieval.storage.lance import absolute, is_local
from ragdoll.retrieval.storage.schema import TableState, check_columns, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import BatchReader
from ragdoll.retrieval.writing.roots import placed, root_after, unread_roots
from ragdoll.retrieval.writing.rows import root_key
from ragdoll.retrieval.writing.target import (
    IndexResult,
    Target,
    refuse_long_passages,
    refuse_other,
)
from ragdoll.retrieval.writing.unchanged import remember
from ragdoll.retrieval.writing.update import Update
from ragdoll.retrieval.writing.upkeep import build_indexes, is_due, remove_leftovers
from ragdoll.retrieval.writing.work import Workshop
from ragdoll.settings import EngineSettings
from ragdoll.streams import Report, silent

logger = logging.getLogger(__name__)


def write(
    corpus: Corpus,
    target: Target,
    overwrite: bool = False,
    dry_run: bool = False,
    report: Report = silent,
    prune: bool = False,
    engine: EngineSettings | None = None,
) -> IndexResult:
    """Bring a table up to date with a corpus; see ``Index.update``.

    ``overwrite`` builds the table anew; readers keep the old one until the new one is complete.
    """
    started = time.perf_counter()
    settings, identity = target.settings, target.identity
    refuse_long_passages(identity)
    check_name(settings.table)
    check_columns(settings.metadata)
    result = IndexResult(
        database=target.database,
        table=settings.table,
        model=str(target.model.identity.path or "an encoder"),
        dimension=identity.dimension,
        metric=identity.metric,
        roots=corpus.roots,
    )

    workshop = Workshop(target, engine or EngineSettings())

    def run(corpus: Corpus) -> _Run:
        reader = BatchReader(
            corpus, target.settings.metadata, report, for_workers=not workshop.engine.is_local
        )
        return _Run(reader, workshop, result, report)

    if dry_run and is_local(target.database) and not Path(target.database).exists():
        run(corpus).count()
    else:
        with nullcontext() if dry_run else only_writer(target.database, settings.table):
            if not dry_run:
                remove_leftovers(target.database, settings.table)
            database = Database(target.database, create=not dry_run)
            if overwrite:
                database.refuse_foreign(settings.table)
            table = None if overwrite else _table_to_update(database, corpus, target)
            if table is not None:
                corpus = placed(corpus, table)
                result.roots = corpus.roots
                run(corpus).update(table, dry_run, prune)
            elif dry_run:
                run(corpus).count()
            else:
                run(corpus).build(database)
    result.seconds = time.perf_counter() - started
    return result


def _table_to_update(database: Database, corpus: Corpus, target: Target) -> Table | None:
    """Return the table if it can be brought up to date, or None if it is to be built.

    It is also built if it has lost its files and all its documents are in the corpus.

    Raises:
        ModelMismatchError: it was made with another model.
        TableError: it was made with another metric or passage size or by another tool, or has lost
            documents that are not in the corpus.
    """
    table = database.find(target.settings.table)
    if table is None:
        return None
    refuse_other(table, target)
    if not table.has_lost_files():
        return table
    others = unread_roots(table, corpus)
    if others:
        raise TableError(
            f"{table.place} has lost files, and not all of its documents are here: others are from "
            f"{', '.join(others)}.",
            hint="Build it anew from all documents that it is to hold: "
            "`Index.create(..., overwrite=True)`.",
        )
    logger.warning("%s has lost files; it is built anew.", table.place)
    return None


class _Run:
    """One run over a corpus."""

    def __init__(
        self, reader: BatchReader, workshop: Workshop, result: IndexResult, report: Report
    ) -> None:
        self._reader = reader
        self._corpus = reader.corpus
        self._workshop = workshop
        self._target = workshop.target
        self._result = result
        self._report = report

    def count(self) -> None:
        """Count what a table built anew would hold."""
        keys = dict.fromkeys(self._corpus.roots, "")
        for passages in self._workshop.map("count", ((batch, keys) for batch in self._new())):
            self._result.chunks += passages
        self._counted()

    def build(self, database: Database) -> None:
        """Write all rows in one commit, then the full-text index; then let readers see them."""
        name = self._target.settings.table
        signatures = self._signatures()
        unfinished = replace(self._state(), whole=False)
        with suppress(TableError):
            unfinished.previous = database.open(name).version
        table = self._built(database, name, unfinished)
        self._result.rebuilt = True
        state = self._finished(table, self._state())
        documents, readings = self._reader.documents, self._corpus.readings
        roots = {
            root_key(root): root_after(readings[root], one, signatures[root], documents[root])
            for one in self._corpus.sources
            for root in (one.root,)
        }
        table.write_state(replace(state, roots=roots, tidied=table.version))
        if unfinished.previous is not None:
            table.tidy()
        remember(table, self._corpus, {root.path: key for key, root in roots.items()})

    def update(self, table: Table, dry_run: bool, prune: bool) -> None:
        """Compare the corpus with the table and write the difference."""
        result = self._result
        update = Update(table, self._reader, self._workshop, result, dry_run)
        roots = update.run(self._signatures(), prune)
        result.new_chunks = table.state.new_chunks + result.chunks_embedded
        if dry_run:
            return
        before, now = table.state, self._state()
        now = replace(before, model=now.model, database=now.database, roots=roots)
        state = replace(now, new_chunks=result.new_chunks, whole=True, previous=None)
        state = self._finished(table, state)
        due = is_due(table)
        if due:
            state = replace(state, tidied=table.version)
        if state != before:
            table.write_state(state)
        if due:
            self._report("compacting the table", 0, None)
            table.tidy()
        corpus = self._reader.corpus
        if corpus.readings or due or state != before:
            remember(table, corpus, {root.path: key for key, root in roots.items()})

    def _built(self, database: Database, name: str, unfinished: TableState) -> Table:
        """Write the rows of all documents in one commit."""
        identity = self._target.identity
        layout = schema(identity, unfinished)
        keys = {root: root_key(root) for root in self._corpus.roots}
        tasks = ((batch, keys, layout) for batch in self._new())
        if self._workshop.engine.is_local:
            return database.build(name, identity, unfinished, self._rows(tasks))
        # A corpus without documents must leave no empty table.
        first = list(islice(tasks, 1))
        self._reader.refuse_empty()
        table = database.build(name, identity, unfinished, [])
        fragments: list[str] = []
        for passages, written in self._workshop.map("fragments", chain(first, tasks)):
            self._result.chunks += passages
            fragments += written
        self._counted()
        if fragments:
            commit_fragments(table, fragments)
            self._report("compacting the table", 0, None)
            table.tidy()
        return table

    def _rows(self, tasks: Iterator[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all documents."""
        for rows in self._workshop.map("rows", tasks):
            self._result.chunks += rows.num_rows
            yield rows
        self._counted()

    def _finished(self, table: Table, state: TableState) -> TableState:
        """Build the indexes that the table lacks."""
        return build_indexes(table, state, self._target.settings.language, self._report)

    def _new(self) -> Iterator[list[Document]]:
        """Yield the batches of all documents, and count all of them as new."""
        for batch in self._reader.read():
            self._result.added += len(batch)
            yield batch

    def _counted(self) -> None:
        """Put into the result what is known once all documents were read."""
        result = self._result
        self._reader.refuse_empty()
        result.documents, result.chunks_embedded = result.added, result.chunks
        result.skipped, result.notes = self._corpus.skipped, self._corpus.notes

    def _state(self) -> TableState:
        path = self._target.model.identity.path
        return TableState(
            model=absolute(path) if path else "", database=absolute(self._target.database)
        )

    def _signatures(self) -> Mapping[str, str | None]:
        """Return each source's signature, taken before it is read, so that a later change shows."""
        return {source.root: source.signature() for source in self._corpus.sources}
