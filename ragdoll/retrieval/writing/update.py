"""A table brought up to date with a corpus: only passages that are new or changed are embedded.

A table remembers its roots, the places that its documents came from, as they were when it last
read them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ragdoll.corpus.documents import Reading, Skipped
from ragdoll.corpus.names import Seen
from ragdoll.corpus.passages import Passage
from ragdoll.corpus.sources.given import GIVEN
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.storage.lance import absolute
from ragdoll.retrieval.storage.schema import Root, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import Batch, BatchReader
from ragdoll.retrieval.writing.rows import metadata_of, record_batch, root_key
from ragdoll.retrieval.writing.target import IndexResult

# Skipped files that a table remembers for each root, at most; its metadata is to stay small.
_MAX_REMEMBERED = 200

# Sources that are removed together.
_REMOVED = 1000

Facts = tuple[object, ...]
"""The title, offsets and metadata of a row."""


class Update:
    """One update of a table; with ``dry_run`` everything is counted and nothing written."""

    def __init__(
        self, table: Table, reader: BatchReader, result: IndexResult, dry_run: bool
    ) -> None:
        self._table = table
        self._reader = reader
        self._corpus = reader.corpus
        self._result = result
        self._dry_run = dry_run

    def run(self, signatures: Mapping[str, str | None]) -> dict[str, Root]:
        """Write the difference, and return the roots that the table is to remember, by their keys.

        ``signatures`` are the sources' own, by their roots, taken before they are read.
        """
        result, paths = self._result, self._corpus.roots
        keys = known_roots(self._table, paths)
        roots = _present_roots(self._table)
        known = [roots[keys[path]] for path in paths if path in keys]
        result.chunks = self._table.count()
        if len(known) == len(paths) and all(
            root.signature is not None and root.signature == signatures[path]
            for root, path in zip(known, paths, strict=True)
        ):
            for root in known:
                result.unchanged += root.documents
                result.skipped += [
                    Skipped(path, reason, root=root.path) for path, reason in root.skipped
                ]
        else:
            keys |= {path: root_key(path) for path in paths if path not in keys}
            kept = self._write_difference(keys)
            result.skipped = self._corpus.skipped
            for path, reading in self._corpus.readings.items():
                documents = self._reader.documents[path] + kept[path]
                roots[keys[path]] = root_after(reading, signatures[path], documents)
        for path in paths:
            roots[keys[path]] = replace(roots[keys[path]], path=path)
        result.documents = sum(root.documents for root in roots.values())
        return roots

    def _write_difference(self, keys: Mapping[str, str]) -> dict[str, int]:
        """Write new and changed documents, and remove those that are gone.

        Return the number of documents of each root that are kept although they were not read.
        """
        seen = {root: Seen() for root in self._corpus.roots}
        for batch in self._reader.read(keys.__getitem__):
            for root, part in _by_root(batch):
                for document, _ in part:
                    seen[root].add(document.source)
                self._write_batch(part, keys[root])
        return {root: self._remove_gone(root, key, seen[root]) for root, key in keys.items()}

    def _write_batch(self, batch: Batch, key: str) -> None:
        """Compare documents of one root with their rows in the table; write those that differ."""
        result = self._result
        before = self._rows_before([document.source for document, _ in batch], key)
        written: list[Passage] = []
        sources: list[str] = []
        for document, passages in batch:
            now = {
                one.id: (document.title, one.start, one.end, metadata_of(one)) for one in passages
            }
            old = before.get(document.source)
            if old == now or (old is None and not now):
                result.unchanged += 1
                continue
            result.added += old is None
            result.changed += old is not None
            written.extend(passages)
            sources.append(document.source)
            result.chunks += len(now) - len(old or {})
        known = {identifier for rows in before.values() for identifier in rows}
        result.chunks_embedded += sum(passage.id not in known for passage in written)
        if sources and not self._dry_run:
            layout = schema(self._table.identity, self._table.state)
            tokens, vectors = self._embedded(written, known)
            rows = record_batch(written, tokens, vectors, layout, self._table.identity.columns)
            self._table.replace_sources(pa.Table.from_batches([rows]), sources, key)

    def _rows_before(self, sources: list[str], key: str) -> dict[str, dict[str, Facts]]:
        """Return the facts of some sources' rows: by source, then by the id of the row."""
        columns = ["id", "source", "title", "start", "end", "metadata"]
        before: dict[str, dict[str, Facts]] = {}
        for row in self._table.rows_of(sources, key, columns).to_pylist():
            facts = (row["title"], row["start"], row["end"], row["metadata"])
            before.setdefault(row["source"], {})[row["id"]] = facts
        return before

    def _embedded(
        self, passages: list[Passage], known: set[str]
    ) -> tuple[list[str | None], Vectors]:
        """Return the tokens and vectors of passages: the table's own, else the model's."""
        fresh = [passage for passage in passages if passage.id not in known]
        texts = [passage.text for passage in fresh]
        model, dimension = self._reader.model, self._table.identity.dimension
        parts = self._table.embedded([one.id for one in passages if one.id in known])
        if fresh:
            embedded = zip(model.tokens(texts), model.encode(texts), strict=True)
            parts.update(zip((passage.id for passage in fresh), embedded, strict=True))
        vectors = [parts[one.id][1] for one in passages]
        return [parts[one.id][0] for one in passages], np.array(vectors, np.float32).reshape(
            -1, dimension
        )

    def _remove_gone(self, root: str, key: str, seen: Seen) -> int:
        """Remove the documents of a root that are gone; count those that are not, but not seen."""
        unread = self._corpus.readings[root].unread
        # A source that is new to ``seen`` is in the table and not in the corpus.
        missing = [source for source in self._table.sources(key) if seen.add(source)]
        # A program gives only some documents of the root GIVEN: the others stay.
        gone = [source for source in missing if root != GIVEN and not _is_part(source, unread)]
        self._result.removed += len(gone)
        for start in range(0, len(gone), _REMOVED):
            part = gone[start : start + _REMOVED]
            self._result.chunks -= self._table.rows_of(part, key, ["id"]).num_rows
            if not self._dry_run:
                self._table.remove_sources(part, key)
        return len(missing) - len(gone)


def root_after(reading: Reading, signature: str | None, documents: int) -> Root:
    """Return the root that a table is to remember after a reading.

    ``signature`` is the source's own from before the reading. ``documents`` is the number of
    documents that the table has of the source.
    """
    skipped = reading.skipped
    few = len(skipped) <= _MAX_REMEMBERED
    return Root(
        path=reading.root,
        # Without a signature the next run reads the place again, and names what it leaves out.
        signature=signature if few and not reading.unread else None,
        documents=documents,
        skipped=[[item.path, item.reason] for item in skipped] if few else [],
    )


def known_roots(table: Table, paths: Iterable[str]) -> dict[str, str]:
    """Map those of some roots that the table has to their keys in it.

    A root is known by its path, or by its place relative to a database that moved with it.
    """
    named = set(paths)
    keys: dict[str, str] = {}
    for key, root in table.state.roots.items():
        for path in (root.path, _moved(root.path, table)):
            if path in named and path not in keys:
                keys[path] = key
                break
    return keys


def unknown_roots(table: Table, paths: Iterable[str]) -> list[str]:
    """Return the paths of the table's roots that are not among some roots."""
    known = set(known_roots(table, paths).values())
    return [root.path for key, root in table.state.roots.items() if key not in known]


def _present_roots(table: Table) -> dict[str, Root]:
    """Return the table's roots by their keys, each with the path where it is now."""
    roots = dict(table.state.roots)
    for key, root in roots.items():
        moved = _moved(root.path, table)
        if not Path(root.path).exists() and Path(moved).exists():
            roots[key] = replace(root, path=moved)
    return roots


def _moved(path: str, table: Table) -> str:
    """Return where a root is if it was moved together with the database."""
    if not table.is_local or not os.path.isabs(path):  # noqa: PTH117
        return path
    relative = os.path.relpath(path, table.state.database)
    return os.path.normpath(Path(absolute(table.uri)) / relative)


def _by_root(batch: Batch) -> Iterator[tuple[str, Batch]]:
    for root in dict.fromkeys(document.root for document, _ in batch):
        yield root, [(document, passages) for document, passages in batch if document.root == root]


def _is_part(source: str, paths: Iterable[str]) -> bool:
    """Tell whether a source is one of these files, a record of one, or in one of these folders."""
    return any(
        path in (".", source) or source.startswith((f"{path}#", f"{path}/")) for path in paths
    )
