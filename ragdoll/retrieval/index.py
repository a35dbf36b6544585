"""Documents into a table: only what is new or changed is embedded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ragdoll.corpus.documents import Corpus, Document, Skipped, why_empty
from ragdoll.corpus.formats import FAMILIES
from ragdoll.corpus.passages import cut
from ragdoll.corpus.seen import Seen
from ragdoll.embedding.identity import Metric, ModelIdentity, identify
from ragdoll.embedding.static import StaticEncoder
from ragdoll.errors import CorpusError, ModelMismatchError, TableError, UsageError
from ragdoll.progress import Report, silent
from ragdoll.retrieval.lock import only_writer
from ragdoll.retrieval.rows import Row, record_batch, root_key, rows_of
from ragdoll.retrieval.table import Database, Table, Vectors, check_name
from ragdoll.retrieval.table_metadata import TableIdentity, TableState, schema

# Documents read, compared and written together.
_BATCH = 1000

# Left-out files that a table remembers for each root; its metadata is to stay small.
_MAX_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where a table is and what it is made with.

    ``metric`` None is the model's own; ``chunk_size`` is the tokens of a passage at most.
    ``model_moves_to`` is where the model will be found once the table is whole (None: it stays).
    """

    database: str
    table: str
    model: Path
    metric: Metric | None = None
    chunk_size: int = 256
    model_moves_to: Path | None = None


@dataclass(slots=True)
class IndexResult:
    """What a run did, or with ``dry_run`` would do. The first four counts are of documents."""

    database: str
    table: str
    model: Path
    dimension: int
    metric: Metric
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    documents: int = 0
    chunks: int = 0
    chunks_embedded: int = 0
    new_chunks: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    rebuilt: bool = False
    seconds: float = 0.0


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
        ModelMismatchError: the table was made with another model.
        TableError: it was made with another metric or passage size or by another tool, or cannot be
            written.
        UsageError: the table has a name that no table can have, or passages are to be longer than
            the model reads.
        CorpusError: the corpus has no documents.
    """
    started = time.perf_counter()
    identity = table_identity(identify(settings.model), settings)
    if identity.max_length is not None and settings.chunk_size > identity.max_length:
        raise UsageError(
            f"Passages of {settings.chunk_size} tokens are more than the model reads, "
            f"which is {identity.max_length}.",
            hint=f"Give --chunk-size {identity.max_length} or less.",
        )
    result = IndexResult(
        database=settings.database,
        table=settings.table,
        model=settings.model,
        dimension=identity.dimension,
        metric=identity.metric,
    )
    check_name(settings.table)
    builder = _Builder(corpus, settings, result, report)
    if dry_run and "://" not in settings.database and not Path(settings.database).exists():
        builder.count()
    else:
        with nullcontext() if dry_run else only_writer(settings.database, settings.table):
            database = Database(settings.database, create=not dry_run)
            if overwrite:
                database.refuse_foreign(settings.table)
            table = None if overwrite else database.find(settings.table)
            if table is not None:
                _refuse_other(table, identity)
                builder.update(table, dry_run)
            elif dry_run:
                builder.count()
            else:
                builder.build(database, identity)
    result.seconds = time.perf_counter() - started
    return result


class _Builder:
    """One run over a corpus."""

    def __init__(
        self,
        corpus: Corpus,
        settings: IndexSettings,
        result: IndexResult,
        report: Report,
    ) -> None:
        self._corpus = corpus
        self._settings = settings
        self._result = result
        self._report = report
        self._documents: dict[str, int] = dict.fromkeys(corpus.roots, 0)

    @cached_property
    def _encoder(self) -> StaticEncoder:
        """The model, loaded when the first passage is cut: a run with nothing to do needs none."""
        return StaticEncoder(self._settings.model)

    def count(self) -> None:
        """Count what a table built anew would hold."""
        for batch in self._batches():
            self._result.added += len(batch)
            self._result.chunks += sum(len(rows) for _, rows in batch)
        self._result.documents = self._result.added
        self._result.chunks_embedded = self._result.chunks
        self._result.skipped = self._corpus.skipped

    def build(self, database: Database, identity: TableIdentity) -> None:
        """Write the whole table in one commit, then its full-text index."""
        result = self._result
        state = TableState(
            model=_absolute(self._settings.model), database=_absolute(self._settings.database)
        )
        layout = schema(identity, state)
        signatures = self._signatures()

        def written() -> Iterator[pa.RecordBatch]:
            for batch in self._batches():
                rows = [row for _, found in batch for row in found]
                result.added += len(batch)
                result.chunks += len(rows)
                self._report("chunks", result.chunks, None)
                yield record_batch(rows, self._encode(rows), layout)

        table = database.build(self._settings.table, identity, state, written())
        result.rebuilt = True
        result.documents, result.chunks_embedded = result.added, result.chunks
        self._report("building the full-text index", 0, None)
        table.index_text()
        result.skipped = self._corpus.skipped
        roots = {root_key(root): self._record(root, signatures) for root in self._documents}
        table.write_state(replace(state, roots=roots))

    def update(self, table: Table, dry_run: bool) -> None:
        """Compare the corpus with the table and write the difference."""
        result = self._result
        signatures = self._signatures()
        keys = {root: key for key, root in self._known_roots(table).items()}
        roots = {
            key: {**root, "path": self._present_path(root["path"], table)}
            for key, root in table.state.roots.items()
        }
        result.chunks = table.count()
        if all(
            signatures[root] and root in keys and roots[keys[root]]["signature"] == signatures[root]
            for root in self._documents
        ):
            same = [roots[keys[root]] for root in self._documents]
            result.unchanged = sum(root["documents"] for root in same)
            result.skipped = [Skipped(*item) for root in same for item in root["skipped"]]
        else:
            self._write_difference(table, keys, dry_run)
            result.skipped = self._corpus.skipped
        for root in self._documents:
            if root in self._corpus.skipped_by_root:
                roots[keys[root]] = self._record(root, signatures)
            roots[keys[root]]["path"] = root
        state = TableState(
            model=_absolute(self._settings.model),
            database=_absolute(self._settings.database),
            roots=roots,
            new_chunks=table.state.new_chunks + result.chunks_embedded,
        )
        result.documents = sum(root["documents"] for root in roots.values())
        result.new_chunks = state.new_chunks
        if dry_run:
            return
        if not table.has_text_index():
            self._report("building the full-text index", 0, None)
            table.index_text()
        if result.added or result.changed or result.removed:
            self._report("updating the full-text index", 0, None)
            table.tidy()
        if state != table.state:
            table.write_state(state)

    def _write_difference(self, table: Table, keys: dict[str, str], dry_run: bool) -> None:
        result = self._result
        seen: dict[str, Seen] = {}
        for root in self._documents:
            seen[keys.setdefault(root, root_key(root))] = Seen()
        for batch in self._batches(keys):
            for key in dict.fromkeys(keys[document.root] for document, _ in batch):
                part = [(doc, rows) for doc, rows in batch if keys[doc.root] == key]
                for document, _ in part:
                    seen[key].add(document.source)
                self._write_batch(table, key, part, dry_run)
        for root in self._documents:
            key, unread = keys[root], self._corpus.readings[root].unread
            # What is new even now was not in the corpus.
            missing = [source for source in table.sources(key) if seen[key].add(source)]
            gone = [source for source in missing if not _is_of(source, unread)]
            self._documents[root] += len(missing) - len(gone)
            result.removed += len(gone)
            for start in range(0, len(gone), _BATCH):
                part_gone = gone[start : start + _BATCH]
                result.chunks -= table.rows_of(part_gone, key, ["id"]).num_rows
                if not dry_run:
                    table.remove_sources(part_gone, key)

    def _write_batch(
        self, table: Table, key: str, batch: Sequence[tuple[Document, list[Row]]], dry_run: bool
    ) -> None:
        """Compare documents of one root with their rows in the table; write those that differ."""
        result = self._result
        columns = ["id", "source", "title", "start", "end", "metadata"]
        before: dict[str, dict[str, tuple[object, ...]]] = {}
        for row in table.rows_of([doc.source for doc, _ in batch], key, columns).to_pylist():
            facts = (row["title"], row["start"], row["end"], row["metadata"])
            before.setdefault(row["source"], {})[row["id"]] = facts
        written: list[Row] = []
        sources: list[str] = []
        for document, rows in batch:
            now = {row.id: (row.title, row.start, row.end, row.metadata) for row in rows}
            old = before.get(document.source)
            if old == now or (old is None and not now):
                result.unchanged += 1
                continue
            result.added += old is None
            result.changed += old is not None
            written.extend(rows)
            sources.append(document.source)
            result.chunks += len(now) - len(old or {})
        if not sources:
            return
        known = {identifier for rows in before.values() for identifier in rows}
        fresh = [row for row in written if row.id not in known]
        result.chunks_embedded += len(fresh)
        if dry_run:
            return
        vectors = table.vectors_of([row.id for row in written if row.id in known])
        vectors.update(zip((row.id for row in fresh), self._encode(fresh), strict=True))
        dimension = table.identity.dimension
        matrix = np.array([vectors[row.id] for row in written], np.float32).reshape(-1, dimension)
        layout = schema(table.identity, table.state)
        table.replace_sources(
            pa.Table.from_batches([record_batch(written, matrix, layout)]), sources, key
        )

    def _batches(
        self, keys: dict[str, str] | None = None
    ) -> Iterator[list[tuple[Document, list[Row]]]]:
        """Yield documents with their rows, some at a time.

        Raises:
            CorpusError: the corpus has none, which is taken for a mistake, not for an empty table.
        """
        stream = iter(self._corpus)
        total = 0
        while batch := list(islice(stream, _BATCH)):
            total += len(batch)
            self._report("documents", total, None)
            cuts = []
            self._encoder.prepare(document.text for document in batch)
            for document in batch:
                self._documents[document.root] += 1
                key = keys[document.root] if keys else root_key(document.root)
                passages = cut(document, self._settings.chunk_size, self._encoder.count_tokens)
                cuts.append((document, rows_of(passages, key)))
            yield cuts
        if not total:
            raise CorpusError(
                f"No documents in {', '.join(self._corpus.roots)}; nothing was changed."
                + why_empty(self._corpus.skipped),
                hint=f"ragdoll reads {FAMILIES}; datasets and python:PACKAGE as well.",
            )

    def _encode(self, rows: Sequence[Row]) -> Vectors:
        return self._encoder.encode([row.text for row in rows])

    def _signatures(self) -> dict[str, str | None]:
        """Each source's signature, taken before it is read, so that a later change shows."""
        return {source.root: source.signature() for source in self._corpus.sources}

    def _record(self, root: str, signatures: dict[str, str | None]) -> dict[str, Any]:
        """What the table remembers of a root that was just read."""
        reading = self._corpus.readings[root]
        skipped = reading.skipped
        few = len(skipped) <= _MAX_REMEMBERED
        return {
            "path": root,
            # Without a signature the root is read again, and what is left out is named again.
            "signature": signatures[root] if few and not reading.unread else None,
            "documents": self._documents[root],
            "skipped": [[item.path, item.reason] for item in skipped] if few else [],
        }

    def _known_roots(self, table: Table) -> dict[str, str]:
        """Map the table's root keys to the roots of this corpus that they stand for.

        A root is known by its path, or by its place relative to a database that moved with it.
        """
        found: dict[str, str] = {}
        for key, root in table.state.roots.items():
            for known in (root["path"], self._moved_path(root["path"], table)):
                if known in self._documents and known not in found.values():
                    found[key] = known
                    break
        return found

    def _moved_path(self, path: str, table: Table) -> str:
        """Where a root is if it was moved together with the database."""
        if not table.database.is_local or not os.path.isabs(path):  # noqa: PTH117
            return path
        relative = os.path.relpath(path, table.state.database)
        return os.path.normpath(Path(_absolute(self._settings.database)) / relative)

    def _present_path(self, path: str, table: Table) -> str:
        moved = self._moved_path(path, table)
        return moved if not Path(path).exists() and Path(moved).exists() else path


def table_identity(model: ModelIdentity, settings: IndexSettings) -> TableIdentity:
    """The identity of a table made with a model by these settings."""
    return TableIdentity(
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        metric=settings.metric or model.metric,
        normalize=model.normalize,
        max_length=model.max_length,
        chunk_size=settings.chunk_size,
        model=_absolute(settings.model_moves_to or settings.model),
    )


def differing(table: Table, wanted: TableIdentity) -> list[str]:
    """Name, with both values, the settings of a table that are not as wanted."""
    names = ("fingerprint", "dimension", "metric", "normalize", "max_length", "chunk_size")
    values = [(name, getattr(table.identity, name), getattr(wanted, name)) for name in names]
    return [
        f"{name} was {str(before)[:12]}, now {str(now)[:12]}"
        for name, before, now in values
        if before != now
    ]


def _refuse_other(table: Table, wanted: TableIdentity) -> None:
    """Refuse to mix what another model or another setting would put into a table."""
    hint = "Rebuild the table with --overwrite, or write to another one by --table."
    there = table.identity
    if there.fingerprint != wanted.fingerprint:
        raise ModelMismatchError(
            f"{table.place} was made with the model {table.state.model} "
            f"(fingerprint {there.fingerprint[:12]}), not with {wanted.model} "
            f"({wanted.fingerprint[:12]}).",
            hint=hint,
        )
    different = differing(table, wanted)
    if different:
        raise TableError(f"{table.place} has other settings: {'; '.join(different)}.", hint=hint)


def _is_of(source: str, paths: Iterable[str]) -> bool:
    """Whether a source is one of these files, a record of one, or in one of these folders."""
    return any(
        path in (".", source) or source.startswith((f"{path}#", f"{path}/")) for path in paths
    )


def _absolute(path: str | Path) -> str:
    """An absolute path, links left as they are; a URI stays what it is."""
    return str(path) if "://" in str(path) else os.path.abspath(path)  # noqa: PTH100
