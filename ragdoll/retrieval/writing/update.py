"""A table brought up to date with a corpus: only passages that are new or changed are embedded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from ragdoll.corpus.documents import Document, Skipped, Source
from ragdoll.corpus.names import Seen
from ragdoll.corpus.sources.folder import FileSource, is_part
from ragdoll.errors import number_of
from ragdoll.retrieval.storage.schema import Root
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import BatchReader
from ragdoll.retrieval.writing.roots import (
    inner_roots,
    is_gone,
    known_roots,
    root_after,
)
from ragdoll.retrieval.writing.rows import root_key
from ragdoll.retrieval.writing.target import IndexResult
from ragdoll.retrieval.writing.unchanged import is_kept, without_unchanged
from ragdoll.retrieval.writing.work import Change, Workshop

# Sources that are removed together.
_REMOVED = 1000


class Update:
    """One update of a table; with ``dry_run`` everything is counted and nothing written."""

    def __init__(
        self,
        table: Table,
        reader: BatchReader,
        workshop: Workshop,
        result: IndexResult,
        dry_run: bool,
    ) -> None:
        self._table = table
        self._workshop = workshop
        self._reader = reader
        self._corpus = reader.corpus
        self._result = result
        self._dry_run = dry_run

    def run(self, signatures: Mapping[str, str | None], prune: bool) -> dict[str, Root]:
        """Write the difference, and return the roots that the table is to remember, by their keys.

        ``signatures`` are the sources' own, by their roots, taken before they are read. ``prune``
        removes the roots that are gone, and takes a corpus without documents for what it says.
        """
        result, paths = self._result, self._corpus.roots
        keys = known_roots(self._table, paths)
        roots = self._table.roots()
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
            self._write_difference(keys, signatures, roots, prune)
        for path in paths:
            roots[keys[path]] = replace(roots[keys[path]], path=path)
        self._drop_gone(roots, set(keys.values()), prune)
        result.documents = sum(root.documents for root in roots.values())
        return roots

    def _write_difference(
        self,
        keys: Mapping[str, str],
        signatures: Mapping[str, str | None],
        roots: dict[str, Root],
        prune: bool,
    ) -> None:
        """Write new and changed documents, remove those that are gone, and note it in ``roots``.

        A root within another that was read now belongs to that one.
        """
        seen = {root: Seen() for root in self._corpus.roots}
        self._corpus = self._reader.corpus = without_unchanged(self._corpus, self._table, keys)
        handed_out: deque[str] = deque()
        tasks = self._tasks(keys, seen, handed_out)
        for change in self._workshop.map("change", tasks, self._table):
            self._write(change, handed_out.popleft())
        for path, reading in self._corpus.readings.items():
            kept = sum(reading.kept.values())
            self._reader.documents[path] += kept
            self._result.unchanged += kept
        if not prune:
            self._refuse_empty(keys, roots)
        self._result.skipped, self._result.notes = self._corpus.skipped, self._corpus.notes
        for source in self._corpus.sources:
            path, key = source.root, keys[source.root]
            for inner, folder in inner_roots(roots, source).items():
                if inner not in keys.values():
                    self._take_over(inner, folder, roots, seen[path], path)
            kept = self._remove_gone(source, key, seen[path])
            roots[key] = root_after(
                self._corpus.readings[path],
                source,
                signatures[path],
                self._reader.documents[path] + kept,
                roots.get(key),
            )

    def _refuse_empty(self, keys: Mapping[str, str], roots: Mapping[str, Root]) -> None:
        """Check that some documents were read.

        Raises:
            CorpusError: there are none. A disk may be missing, so that none are removed unasked.
        """
        if any(self._reader.documents.values()):
            return
        count = sum(
            roots[key].documents
            if not isinstance(source, FileSource) or source.is_whole
            else sum(is_part(name, source.parts) for name in self._table.sources(key))
            for source in self._corpus.sources
            if (key := keys[source.root]) in roots
        )
        hint = f"`prune=True` removes what the table has of it: {number_of('document', count)}."
        self._reader.refuse_empty(hint if count else None)

    def _tasks(
        self, keys: Mapping[str, str], seen: Mapping[str, Seen], handed_out: deque[str]
    ) -> Iterator[tuple[list[Document], str, bool]]:
        """Yield the documents of each batch by their root, with its key in the table."""
        for batch in self._reader.read():
            for root in dict.fromkeys(document.root for document in batch):
                documents = [document for document in batch if document.root == root]
                for document in documents:
                    seen[root].add(document.source)
                handed_out.append(keys[root])
                yield documents, keys[root], self._dry_run

    def _write(self, change: Change, key: str) -> None:
        """Write what documents of one root change, and count it."""
        result = self._result
        result.added += change.added
        result.changed += change.changed
        result.unchanged += change.unchanged
        result.chunks += change.chunks
        result.chunks_embedded += change.chunks_embedded
        if change.rows is not None:
            rows = pa.Table.from_batches([change.rows])
            self._table.replace_sources(rows, change.sources, key)

    def _take_over(
        self, key: str, folder: str, roots: dict[str, Root], seen: Seen, path: str
    ) -> None:
        """Remove the documents of a root that were now read as those of ``folder`` in ``path``."""
        root, kept = roots[key], self._corpus.readings[path].kept
        alone = FileSource(Path(root.path), parts=())
        gone = [
            name
            for name in dict.fromkeys(self._table.sources(key))
            if not seen.add(f"{folder}/{name}")
            or is_kept(f"{folder}/{name}", kept)
            or alone.is_gone(name)
        ]
        self._remove(gone, key)
        if len(gone) == root.documents:
            del roots[key]
        else:
            roots[key] = replace(root, documents=root.documents - len(gone), signature=None)

    def _remove_gone(self, source: Source, key: str, seen: Seen) -> int:
        """Remove a root's documents that are gone; count those kept that this run did not read."""
        reading = self._corpus.readings[source.root]
        # A name that is new to ``seen`` is in the table and was not read.
        missing = [
            name
            for name in self._table.sources(key)
            if seen.add(name) and not is_kept(name, reading.kept)
        ]
        unread = reading.unread
        gone = [name for name in missing if source.is_gone(name) and not is_part(name, unread)]
        self._remove(gone, key)
        return len(missing) - len(gone)

    def _drop_gone(self, roots: dict[str, Root], read: set[str], prune: bool) -> None:
        """Remove the roots that are gone, or note them."""
        for key in [key for key, root in roots.items() if key not in read and is_gone(root)]:
            if prune:
                self._remove(list(dict.fromkeys(self._table.sources(key))), key)
                del roots[key]
            else:
                self._result.gone.append(roots[key].path)

    def _remove(self, names: Sequence[str], key: str) -> None:
        """Remove documents of a root."""
        self._result.removed += len(names)
        for start in range(0, len(names), _REMOVED):
            part = names[start : start + _REMOVED]
            self._result.chunks -= self._table.rows_of(part, key, ["id"]).num_rows
            if not self._dry_run:
                self._table.remove_sources(part, key)
