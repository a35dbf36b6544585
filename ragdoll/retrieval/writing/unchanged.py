"""The files that a table has read, so that an update reads only those that have changed.

What is remembered lies beside the table. It holds for one version of the table alone: whatever else
wrote to the table, or ended in the middle, makes the next update read everything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Source
from ragdoll.corpus.names import files_of
from ragdoll.corpus.sources.folder import FileSource
from ragdoll.files import atomic_write
from ragdoll.retrieval.storage.table import Table

_VERSION = 1


def without_unchanged(corpus: Corpus, table: Table, keys: Mapping[str, str]) -> Corpus:
    """Return a corpus that passes over the files that the table has as they are.

    ``keys`` are those of the roots that the table knows.
    """
    roots = _remembered(table)
    sources: list[Source] = []
    for source in corpus.sources:
        known = roots.get(keys.get(source.root, ""))
        if isinstance(source, FileSource) and known and known[0] == source.how():
            source = replace(source, known=known[1])  # noqa: PLW2901
        sources.append(source)
    return replace(corpus, sources=sources)


def remember(table: Table, corpus: Corpus, keys: Mapping[str, str]) -> None:
    """Remember the files that were read for a table, which is at its latest version.

    Of a table on a server nothing is remembered.
    """
    if not table.is_local:
        return
    roots = _remembered(table, any_version=True)
    for source in corpus.sources:
        reading = corpus.readings.get(source.root)
        if isinstance(source, FileSource) and reading is not None:
            how, files = source.how(), dict(reading.stamps)
            files |= {name: source.known[name] for name in reading.kept}
            before = roots.get(keys[source.root])
            if before and before[0] == how and not source.is_whole:
                # Of a root of which only a part was read, the other files are as they were.
                files = before[1] | files
            roots[keys[source.root]] = (how, files)
    content = {"version": _VERSION, "table": table.latest_version(), "roots": roots}
    with atomic_write(_place(table)) as aside:
        aside.write_text(json.dumps(content))


def is_kept(name: str, kept: Mapping[str, int]) -> bool:
    """Tell whether a document is one of the files that were passed over, or a record of one."""
    return bool(kept) and any(file in kept for file in files_of(name))


def _place(table: Table) -> Path:
    return Path(table.uri) / f".{table.name}.ragdoll-files"


def _remembered(
    table: Table, any_version: bool = False
) -> dict[str, tuple[str, dict[str, list[int]]]]:
    """Return how each root was read, and its files; nothing where that is not certain."""
    if not table.is_local:
        return {}
    try:
        content: Any = json.loads(_place(table).read_bytes())
        if content["version"] != _VERSION:
            return {}
        if not any_version and content["table"] != table.version:
            return {}
        return {
            str(key): (str(how), {str(name): _stamp(stamp) for name, stamp in files.items()})
            for key, (how, files) in content["roots"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _stamp(written: Any) -> list[int]:
    size, changed, created, documents = map(int, written)
    return [size, changed, created, documents]
