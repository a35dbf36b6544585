"""The roots of a table: the places that its documents came from, and where these are now.

A file belongs to one root. What lies in a root is read as a part of it, however it was named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Reading, Source
from ragdoll.corpus.reading import read, reopened
from ragdoll.corpus.sources.folder import FileSource, innermost, is_part, joined, outermost
from ragdoll.errors import CorpusError, TableError
from ragdoll.retrieval.storage.schema import Root
from ragdoll.retrieval.storage.table import Table
from ragdoll.settings import CorpusSettings

# Skipped files that a table remembers for each root, at most; its metadata is to stay small.
_MAX_REMEMBERED = 200


def root_after(
    reading: Reading,
    source: Source,
    signature: str | None,
    documents: int,
    before: Root | None = None,
) -> Root:
    """Return the root that a table is to remember after a reading of a source.

    ``signature`` is the source's own from before the reading. ``documents`` is the number of
    documents that the table has of the source. ``before`` is what the table remembers so far.
    """
    skipped = reading.skipped
    few = len(skipped) <= _MAX_REMEMBERED
    return Root(
        path=reading.root,
        # Without a signature the next run reads the place again, and names what it leaves out.
        signature=signature if few and not reading.unread else None,
        documents=documents,
        skipped=[[item.path, item.reason] for item in skipped] if few else [],
        told=_told(source, before),
    )


def known_roots(table: Table, paths: Iterable[str]) -> dict[str, str]:
    """Return the keys of the table's roots that are among some paths, by these paths.

    A path is that of the root, or where it is now if it moved together with the database.
    """
    named = set(paths)
    keys: dict[str, str] = {}
    for key, root in table.state.roots.items():
        for path in (root.path, table.moved(root.path)):
            if path in named and path not in keys:
                keys[path] = key
                break
    return keys


def is_gone(root: Root) -> bool:
    """Tell whether a root is a file or folder of this machine that is not there."""
    places = (root.path, root.path.partition("#")[0])  # a dataset's folder has its split behind it
    return os.path.isabs(root.path) and not any(map(os.path.lexists, places))  # noqa: PTH117


def placed(corpus: Corpus, table: Table) -> Corpus:
    """Return the corpus with each file and folder under the root of the table that it lies in."""
    folders = {path for root in table.roots().values() if (path := Path(root.path)).is_dir()}
    read = outermost(
        source.path / part
        for source in corpus.sources
        if isinstance(source, FileSource)
        for part in source.parts
        if (source.path / part).is_dir()
    )
    sources: list[Source] = []
    for source in corpus.sources:
        if not isinstance(source, FileSource) or not source.parts:
            sources.append(source)
            continue
        for path in (source.path / part for part in source.parts):
            around = innermost(path, read) or path.parent
            root = innermost(around, folders) or source.path
            sources.append(replace(source, path=root, parts=(path.relative_to(root).as_posix(),)))
    return replace(corpus, sources=joined(sources))


def inner_roots(roots: Mapping[str, Root], source: Source) -> dict[str, str]:
    """Return the keys of the roots that lie in what a source reads, and their paths in its root."""
    if not isinstance(source, FileSource):
        return {}
    inner: dict[str, str] = {}
    for key, root in roots.items():
        path = Path(root.path)
        if root.path != source.root and path.is_relative_to(source.path):
            name = path.relative_to(source.path).as_posix()
            if is_part(name, source.parts):
                inner[key] = name
    return inner


def unread_roots(table: Table, corpus: Corpus) -> list[str]:
    """Return the paths of the roots that the corpus reads only in part, or not at all."""
    return [root.path for root in _others(table, corpus)]


def with_others(corpus: Corpus, table: Table) -> Corpus:
    """Return a corpus of all that a table is to hold: of its other roots, too.

    Raises:
        TableError: another root cannot be read again.
    """
    corpus = placed(corpus, table)
    others = _others(table, corpus)
    sources = [_again(root, table) for root in others]
    lost = [root.path for root, source in zip(others, sources, strict=True) if source is None]
    if lost:
        raise TableError(
            f"{table.place} also holds documents of {', '.join(lost)}, which cannot be read again.",
            hint="Name all places that the table is to hold, and give up the others by "
            "`overwrite=True`.",
        )
    several = [*corpus.sources, *(source for source in sources if source)]
    return replace(corpus, sources=joined(several))


def all_again(table: Table) -> Corpus:
    """Open all of a table's roots again that can be, as they were read before."""
    sources = [_again(root, table) for root in table.roots().values()]
    found = [source for source in sources if source is not None]
    return Corpus(found, {"path": [source.root for source in found]})


def documents_of(
    names: Sequence[str], settings: CorpusSettings, table: Table | None, prune: bool = False
) -> Corpus:
    """Open the places that are named, or else those of the settings or those that a table knows.

    Raises:
        CorpusError: a place is not there. With ``prune`` one that the table knows may be gone.
        UsageError: no place is named, and none is known.
    """
    names = names or settings.path or []
    again = all_again(table) if table and not names else None
    if table and again and (again.sources or any(map(is_gone, table.roots().values()))):
        return again
    if table is None or not names:
        return read(*names, settings=settings)
    lost = {name: _lost(name, table) for name in names}
    gone = [name for name in names if lost[name]]
    if gone and not prune:
        raise CorpusError(
            f"No file or folder at {gone[0]}.", hint="`prune` removes what the table has of it."
        )
    there = [name for name in names if name not in gone]
    corpus = read(*there, settings=settings) if there else Corpus([])
    corpus = replace(corpus, sources=[*corpus.sources, *chain(*lost.values())])
    return as_before(corpus, table)


def _lost(name: str, table: Table) -> list[FileSource]:
    """Return sources for the roots that had documents of a path, if nothing is there any more.

    They read nothing: a look at their files tells which documents are gone.
    """
    path = Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111 (any name)
    if os.path.lexists(path):
        return []
    found = []
    for key, root in table.roots().items():
        folder = Path(root.path)
        is_lost = folder.is_relative_to(path)
        if not is_lost and path.is_relative_to(folder):
            part = path.relative_to(folder).as_posix()
            is_lost = any(is_part(source, [part]) for source in table.sources(key))
        if is_lost:
            found.append(FileSource(folder, parts=()))
    return found


def as_before(corpus: Corpus, table: Table) -> Corpus:
    """Read the table's roots with their stored options, where the corpus left options out."""
    told = {root.path: root.told for root in table.roots().values()}
    sources: list[Source] = []
    for source in placed(corpus, table).sources:
        before = told.get(source.root, {})
        same = {key: before[key] for key in corpus.left_out if key in before}
        if isinstance(source, FileSource):
            sources.append(source.read_as(same))
            continue
        same = {key: value for key, value in same.items() if key in source.told}
        sources.append(replace(source, **same) if is_dataclass(source) else source)
    return replace(corpus, sources=sources)


def _again(root: Root, table: Table) -> Source | None:
    """Open a root again; None where that is impossible, or the table is on a server.

    Others may write there, and could name any file of this machine to be sent to them.
    """
    return reopened(root.path, root.told) if table.is_local else None


def _others(table: Table, corpus: Corpus) -> list[Root]:
    """Return the roots of the table that the corpus reads only in part, or not at all."""
    whole = {
        source.root
        for source in corpus.sources
        if not isinstance(source, FileSource) or source.is_whole
    }
    known = set(known_roots(table, whole).values())
    return [root for key, root in table.roots().items() if key not in known]


def _told(source: Source, before: Root | None) -> dict[str, Any]:
    """Return what to remember of how a source was read, with the parts that were read before."""
    told = dict(source.told)
    if isinstance(source, FileSource):
        earlier = source.present(before.told.get("parts", ())) if before else []
        parts = list(dict.fromkeys((*earlier, *source.parts)))
        told["parts"] = parts if len(parts) <= _MAX_REMEMBERED else []
    return told
