"""Settings that a command leaves out: taken from the records of the model and the table."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdoll.errors import CorpusError
from ragdoll.settings import READING

if TYPE_CHECKING:
    from ragdoll.config import Config
    from ragdoll.corpus.documents import Corpus
    from ragdoll.corpus.sources.folder import FileSource
    from ragdoll.retrieval.storage.table import Table


def of_model(config: Config) -> Config:
    """Fill settings with those that the model was made with, or the features if there is none."""
    from ragdoll.distillation.model.told import settings_of

    told = settings_of(Path(config.train.output), config.featurize.output)
    return config.filled(told, "the model")


def of_table(config: Config, may_be_damaged: bool = False) -> tuple[Config, Table | None]:
    """Fill settings with those that the table was made with; return the table, too.

    A table that ``may_be_damaged`` is none where it cannot be opened.
    """
    from ragdoll.retrieval.writing.target import table_of

    table = table_of(config.index, may_be_damaged)
    if table is None:
        return config, None
    identity, analysis = table.identity, table.state.analysis
    told: dict[str, Any] = {
        "index.chunk_size": identity.chunk_size,
        "index.metric": identity.metric,
        "index.metadata": dict(identity.columns),
        # Without a number of rows nobody chose the language but the user.
        "index.language": "auto" if analysis.rows else analysis.language,
    }
    return config.filled(told, "the table"), table


def with_model(config: Config, table: Table | None) -> Config:
    """Fill the model with the table's own, where none is named and train wrote none."""
    from ragdoll.retrieval.model import folders

    its_model = next(folders(table), None) if table else None
    if its_model is None or Path(config.train.output).is_dir():
        return config
    return config.filled({"index.model": str(its_model)}, "the table")


def documents(config: Config, table: Table | None, prune: bool = False) -> Corpus:
    """Open the places that are named, or else those that the table knows.

    Raises:
        CorpusError: a place is not there. With ``prune`` one that the table knows may be gone.
    """
    from ragdoll.corpus.documents import Corpus
    from ragdoll.corpus.reading import read
    from ragdoll.retrieval.writing.roots import all_again, as_before, is_gone

    names = config.index.docs or config.corpus.path
    again = all_again(table) if table and not names else None
    if table and again and (again.sources or any(map(is_gone, table.roots().values()))):
        return again
    if table is None or not names:
        return read(*names or [], settings=config.corpus)
    lost = {name: _lost(name, table) for name in names}
    gone = [name for name in names if lost[name]]
    if gone and not prune:
        raise CorpusError(
            f"No file or folder at {gone[0]}.", hint="`prune` removes what the table has of it."
        )
    there = [name for name in names if name not in gone]
    corpus = read(*there, settings=config.corpus) if there else Corpus([])
    corpus = Corpus([*corpus.sources, *chain(*lost.values())], corpus.description)
    keys = [key for key in READING if not config.is_given(f"corpus.{key}")]
    return as_before(corpus, table, keys)


def _lost(name: str, table: Table) -> list[FileSource]:
    """Return the table's roots that hold documents of a path that is not there; else none.

    Nothing of them is read; what their files tell is which documents are gone.
    """
    from ragdoll.corpus.sources.folder import FileSource, is_part

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
