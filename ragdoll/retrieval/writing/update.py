"""The roots of a table: where its documents came from, and what was found there the last time.

A table brought up to date with a corpus: only what is new or changed is embedded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ragdoll.corpus.documents import Reading, Skipped
from ragdoll.corpus.names import Seen
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.storage.lance import absolute
from ragdoll.retrieval.storage.schema import schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import Batch, BatchReader
from ragdoll.retrieval.writing.job import IndexResult
from ragdoll.retrieval.writing.rows import Row, record_batch, root_key

# Left-out files that a table remembers for each root; its metadata is to stay small.
_MAX_REMEMBERED = 200

RootRecord = dict[str, Any]
"""What a table remembers of a root; see ``TableState``."""


def record_of(root: str, signature: str | None, documents: int, reading: Reading) -> RootRecord:
    """What a table is to remember of a root that was just read; ``signature`` from before that."""
    skipped = reading.skipped
    few = len(skipped) <= _MAX_REMEMBERED
    return {
        "path": root,
        # Without a signature the root is read again, and what is left out is named again.
        "signature": signature if few and not reading.unread else None,
        "documents": documents,
        "skipped": [[item.path, item.reason] for item in skipped] if few else [],
    }


def known_roots(table: Table, roots: Iterable[str]) -> dict[str, str]:
    """Map those of a corpus's roots that the table has to their keys in it.

    A root is known by its path, or by its place relative to a database that moved with it.
    """
    wanted = set(roots)
    found: dict[str, str] = {}
    for key, record in table.state.roots.items():
        for path in (record["path"], _moved(record["path"], table)):
            if path in wanted and path not in found:
                found[path] = key
                break
    return found


def unknown_roots(table: Table, roots: Iterable[str]) -> list[str]:
    """The paths of the table's roots that are not a corpus's."""
    known = set(known_roots(table, roots).values())
    return [record["path"] for key, record in table.state.roots.items() if key not in known]


def present_records(table: Table) -> dict[str, RootRecord]:
    """The table's roots by their keys, each with the path where it is now."""
    return {
        key: {**record, "path": _present(record["path"], table)}
        for key, record in table.state.roots.items()
    }


def is_unchanged(record: Mapping[str, Any] | None, signature: str | None) -> bool:
    """Whether a root is known to hold what it held when the table read it."""
    return record is not None and signature is not None and record["signature"] == signature


def _moved(path: str, table: Table) -> str:
    """Where a root is if it was moved together with the database."""
    if not table.is_local or not os.path.isabs(path):  # noqa: PTH117
        return path
    relative = os.path.relpath(path, table.state.database)
    return os.path.normpath(Path(absolute(table.uri)) / relative)


def _present(path: str, table: Table) -> str:
    moved = _moved(path, table)
    return moved if not Path(path).exists() and Path(moved).exists() else path


# Sources that are removed together.
_REMOVED = 1000


class Update:
    """One run over a table. With ``dry_run`` everything is counted and nothing written."""

    def __init__(
        self, table: Table, reader: BatchReader, result: IndexResult, dry_run: bool
    ) -> None:
        self._table = table
        self._reader = reader
        self._result = result
        self._dry_run = dry_run
        self._corpus = reader.corpus

    def run(self, signatures: Mapping[str, str | None]) -> dict[str, dict[str, object]]:
        """Write the difference, and return what the table is to remember of its roots.

        ``signatures`` are the sources' own, taken before they are read.
        """
        table, result = self._table, self._result
        keys = known_roots(table, self._corpus.roots)
        records = present_records(table)
        result.chunks = table.count()
        known = [records.get(keys.get(root, "")) for root in self._corpus.roots]
        if all(
            is_unchanged(record, signatures[root])
            for root, record in zip(self._corpus.roots, known, strict=True)
        ):
            for record in filter(None, known):
                result.unchanged += record["documents"]
                result.skipped += [
                    Skipped(path, reason, root=record["path"]) for path, reason in record["skipped"]
                ]
        else:
            keys |= {root: root_key(root) for root in self._corpus.roots if root not in keys}
            kept = self._write_difference(keys)
            result.skipped = self._corpus.skipped
            for root, reading in self._corpus.readings.items():
                documents = self._reader.documents[root] + kept[root]
                records[keys[root]] = record_of(root, signatures[root], documents, reading)
        for root in self._corpus.roots:
            records[keys[root]]["path"] = root
        result.documents = sum(record["documents"] for record in records.values())
        return records

    def _write_difference(self, keys: Mapping[str, str]) -> dict[str, int]:
        """Write what is new, changed or gone.

        Returns how many documents of each root are kept although they could not be read this time.
        """
        seen = {root: Seen() for root in self._corpus.roots}
        for batch in self._reader.read(keys.__getitem__):
            for root, part in _by_root(batch):
                for document, _ in part:
                    seen[root].add(document.source)
                self._write_batch(part, keys[root])
        return {root: self._remove_gone(root, key, seen[root]) for root, key in keys.items()}

    def _remove_gone(self, root: str, key: str, seen: Seen) -> int:
        unread = self._corpus.readings[root].unread
        # A source that was not seen until now is not in the corpus.
        missing = [source for source in self._table.sources(key) if seen.add(source)]
        gone = [source for source in missing if not _is_of(source, unread)]
        self._result.removed += len(gone)
        for start in range(0, len(gone), _REMOVED):
            part = gone[start : start + _REMOVED]
            self._result.chunks -= self._table.rows_of(part, key, ["id"]).num_rows
            if not self._dry_run:
                self._table.remove_sources(part, key)
        return len(missing) - len(gone)

    def _write_batch(self, batch: Batch, key: str) -> None:
        """Compare documents of one root with their rows in the table; write those that differ."""
        result = self._result
        before = self._rows_before([document.source for document, _ in batch], key)
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
        known = {identifier for rows in before.values() for identifier in rows}
        result.chunks_embedded += sum(row.id not in known for row in written)
        if sources and not self._dry_run:
            layout = schema(self._table.identity, self._table.state)
            rows = record_batch(
                written, self._vectors(written, known), layout, self._table.identity.columns
            )
            self._table.replace_sources(pa.Table.from_batches([rows]), sources, key)

    def _rows_before(
        self, sources: list[str], key: str
    ) -> dict[str, dict[str, tuple[object, ...]]]:
        """What the table has of some sources: by source, then by the id of the row."""
        columns = ["id", "source", "title", "start", "end", "metadata"]
        before: dict[str, dict[str, tuple[object, ...]]] = {}
        for row in self._table.rows_of(sources, key, columns).to_pylist():
            facts = (row["title"], row["start"], row["end"], row["metadata"])
            before.setdefault(row["source"], {})[row["id"]] = facts
        return before

    def _vectors(self, rows: list[Row], known: set[str]) -> Vectors:
        """The vectors of rows: from the table where it has them, else from the model."""
        fresh = [row for row in rows if row.id not in known]
        vectors = self._table.vectors_of([row.id for row in rows if row.id in known])
        vectors.update(zip((row.id for row in fresh), self._reader.encode(fresh), strict=True))
        dimension = self._table.identity.dimension
        return np.array([vectors[row.id] for row in rows], np.float32).reshape(-1, dimension)


def _by_root(batch: Batch) -> Iterator[tuple[str, Batch]]:
    for root in dict.fromkeys(document.root for document, _ in batch):
        yield root, [(document, rows) for document, rows in batch if document.root == root]


def _is_of(source: str, paths: Iterable[str]) -> bool:
    """Whether a source is one of these files, a record of one, or in one of these folders."""
    return any(
        path in (".", source) or source.startswith((f"{path}#", f"{path}/")) for path in paths
    )
