"""A table brought up to date with a corpus: only passages that are new or changed are embedded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ragdoll.corpus.context import with_context
from ragdoll.corpus.documents import Skipped, Source
from ragdoll.corpus.names import Seen
from ragdoll.corpus.passages import Passage
from ragdoll.corpus.sources.folder import FileSource, is_part
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import number_of
from ragdoll.retrieval.storage.schema import Root, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import Batch, BatchReader
from ragdoll.retrieval.writing.roots import (
    inner_roots,
    is_gone,
    known_roots,
    root_after,
)
from ragdoll.retrieval.writing.rows import metadata_of, record_batch, root_key
from ragdoll.retrieval.writing.target import IndexResult
from ragdoll.retrieval.writing.unchanged import is_kept, without_unchanged

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
        for batch in self._reader.read(keys.__getitem__):
            for root, part in _by_root(batch):
                for document, _ in part:
                    seen[root].add(document.source)
                self._write_batch(part, keys[root])
        for path, reading in self._corpus.readings.items():
            kept = sum(reading.kept.values())
            self._reader.documents[path] += kept
            self._result.unchanged += kept
        if not prune:
            self._refuse_empty(roots[key].documents for key in keys.values() if key in roots)
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

    def _refuse_empty(self, documents: Iterable[int]) -> None:
        """Check that some documents were read.

        Raises:
            CorpusError: there are none. A disk may be missing, so that none are removed unasked.
        """
        count = sum(documents)
        hint = f"`prune=True` removes what the table has of it: {number_of('document', count)}."
        self._reader.refuse_empty(hint if count else None)

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
        texts = [with_context(passage) for passage in fresh]
        model, dimension = self._reader.model, self._table.identity.dimension
        parts = self._table.embedded([one.id for one in passages if one.id in known])
        if fresh:
            embedded = zip(model.tokens(texts), model.encode(texts), strict=True)
            parts.update(zip((passage.id for passage in fresh), embedded, strict=True))
        vectors = [parts[one.id][1] for one in passages]
        return [parts[one.id][0] for one in passages], np.array(vectors, np.float32).reshape(
            -1, dimension
        )

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
        """Remove the documents of a root that are gone; count those that are not, but not seen."""
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


def _by_root(batch: Batch) -> Iterator[tuple[str, Batch]]:
    for root in dict.fromkeys(document.root for document, _ in batch):
        yield root, [(document, passages) for document, passages in batch if document.root == root]
