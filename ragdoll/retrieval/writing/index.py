"""Documents into a table: a new one as a whole, or one that is there brought up to date."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from ragdoll.corpus.documents import Corpus
from ragdoll.embedding.identity import identify
from ragdoll.errors import TableError
from ragdoll.retrieval.storage.database import Database, check_name, only_writer
from ragdoll.retrieval.storage.lance import absolute, is_local
from ragdoll.retrieval.storage.schema import TableIdentity, TableState, check_columns, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import BatchReader
from ragdoll.retrieval.writing.job import (
    IndexResult,
    IndexSettings,
    refuse_long_passages,
    refuse_other,
    table_identity,
)
from ragdoll.retrieval.writing.rows import record_batch, root_key
from ragdoll.retrieval.writing.update import Update, record_of, unknown_roots
from ragdoll.retrieval.writing.upkeep import build_indexes, is_due, remove_leftovers
from ragdoll.retrieval.writing.weight import weigh
from ragdoll.streams import Report, silent

logger = logging.getLogger(__name__)


def index(
    corpus: Corpus,
    settings: IndexSettings,
    overwrite: bool = False,
    dry_run: bool = False,
    report: Report = silent,
) -> IndexResult:
    """Bring a table up to date with a corpus.

    Sources under the corpus's roots that are no longer there are removed, but not what could not be
    read this time; other roots of the table are left alone. ``overwrite`` builds the table anew;
    readers keep the old one until it is whole.

    Raises:
        ModelError: the model cannot be read.
        ModelMismatchError: the table was made with another model.
        TableError: it was made with another metric or passage size or by another tool, or cannot be
            written.
        UsageError: the table or a column has a name that none can have, or passages are to be
            longer than the model reads.
        CorpusError: the corpus has no documents.
    """
    started = time.perf_counter()
    model = identify(settings.model)
    identity = table_identity(model, settings)
    refuse_long_passages(identity)
    check_name(settings.table)
    check_columns(settings.columns)
    result = IndexResult(
        database=settings.database,
        table=settings.table,
        model=settings.model,
        dimension=identity.dimension,
        metric=identity.metric,
    )
    reader = BatchReader(corpus, model, settings.chunk_size, report)
    job = _Job(reader, settings, result, report)
    if dry_run and is_local(settings.database) and not Path(settings.database).exists():
        job.count()
    else:
        with nullcontext() if dry_run else only_writer(settings.database, settings.table):
            if not dry_run:
                remove_leftovers(settings.database, settings.table)
            database = Database(settings.database, create=not dry_run)
            if overwrite:
                database.refuse_foreign(settings.table)
            table = None if overwrite else _table_to_update(database, corpus, identity, settings)
            if table is not None:
                job.update(table, dry_run)
            elif dry_run:
                job.count()
            else:
                job.build(database, identity)
    result.seconds = time.perf_counter() - started
    return result


def _table_to_update(
    database: Database, corpus: Corpus, identity: TableIdentity, settings: IndexSettings
) -> Table | None:
    """The table, if it can take what the settings would put into it; None where one is to be built.

    That is also where it has lost its files, and all its documents are in the corpus.

    Raises:
        ModelMismatchError: it was made with another model.
        TableError: it was made with another metric or passage size or by another tool, or has lost
            documents that are not in the corpus.
    """
    table = database.find(settings.table)
    if table is None:
        return None
    refuse_other(table, identity)
    if not table.has_lost_files():
        return table
    others = unknown_roots(table, corpus.roots)
    if others:
        raise TableError(
            f"{table.place} has lost files, and not all of its documents are given: it has some of "
            f"{', '.join(others)} too.",
            hint="Build it anew from all that it is to hold: ragdoll index DOCS … --overwrite",
        )
    logger.warning("%s has lost files; it is built anew.", table.place)
    return None


class _Job:
    """One run over a corpus."""

    def __init__(
        self, reader: BatchReader, settings: IndexSettings, result: IndexResult, report: Report
    ) -> None:
        self._reader = reader
        self._corpus = reader.corpus
        self._settings = settings
        self._result = result
        self._report = report

    def count(self) -> None:
        """Count what a table built anew would hold."""
        result = self._result
        for batch in self._reader.read(root_key):
            result.added += len(batch)
            result.chunks += sum(len(rows) for _, rows in batch)
        result.documents, result.chunks_embedded = result.added, result.chunks
        result.skipped = self._corpus.skipped

    def build(self, database: Database, identity: TableIdentity) -> None:
        """Write all rows in one commit, then the full-text index; then readers come to see it."""
        result = self._result
        signatures = self._signatures()
        name = self._settings.table
        unfinished = replace(
            self._state(), whole=False, previous=database.version_for_readers(name)
        )
        rows = self._rows(schema(identity, unfinished))
        table = database.build(name, identity, unfinished, rows)
        result.rebuilt = True
        result.documents, result.chunks_embedded = result.added, result.chunks
        result.skipped = self._corpus.skipped
        state = self._finished(table, self._state())
        roots = {
            root_key(root): record_of(
                root, signatures[root], self._reader.documents[root], self._corpus.readings[root]
            )
            for root in self._corpus.roots
        }
        table.write_state(replace(state, roots=roots, tidied=table.version))
        if unfinished.previous is not None:
            table.tidy()
        table.refuse_loss()

    def update(self, table: Table, dry_run: bool) -> None:
        """Compare the corpus with the table and write the difference."""
        result = self._result
        roots = Update(table, self._reader, result, dry_run).run(self._signatures())
        result.new_chunks = table.state.new_chunks + result.chunks_embedded
        if dry_run:
            return
        before, now = table.state, self._state()
        state = replace(
            before,
            model=now.model,
            database=now.database,
            roots=roots,
            new_chunks=result.new_chunks,
            whole=True,
            previous=None,
        )
        state = self._finished(table, state)
        due = is_due(table)
        if due:
            state = replace(state, tidied=table.version)
        if state != before:
            table.write_state(state)
        if due:
            self._report("compacting the table", 0, None)
            table.tidy()
        if state != before:
            table.refuse_loss()

    def _finished(self, table: Table, state: TableState) -> TableState:
        """Build the indexes that the table lacks; meanwhile weigh words and meaning."""
        with ThreadPoolExecutor(1, "ragdoll-weigh") as thread:
            weighing = thread.submit(weigh, table, state, self._reader.embed)
            indexed = build_indexes(table, state, self._report)
            return replace(indexed, weight=weighing.result())

    def _rows(self, layout: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows of the whole corpus, counted as they pass."""
        result = self._result
        for batch in self._reader.read(root_key):
            rows = [row for _, found in batch for row in found]
            result.added += len(batch)
            result.chunks += len(rows)
            yield record_batch(rows, self._reader.encode(rows), layout, self._settings.columns)

    def _state(self) -> TableState:
        return TableState(
            model=absolute(self._settings.model), database=absolute(self._settings.database)
        )

    def _signatures(self) -> Mapping[str, str | None]:
        """Each source's signature, taken before it is read, so that a later change shows."""
        return {source.root: source.signature() for source in self._corpus.sources}
