"""An index: a table of passages with the model that embedded them, to fill and to search."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Document
from ragdoll.embedding.identity import ModelIdentity
from ragdoll.embedding.static import Encoder
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import ModelError, ModelMismatchError
from ragdoll.retrieval.answers import (
    Hit,
    Searchable,
    SearchOptions,
    StoredDocument,
    StoredPassage,
)
from ragdoll.retrieval.model import TableModel, checked, folders, model_of
from ragdoll.retrieval.reading.filters import of_source, quoted
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.reading.stored import documents, passages
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.lance import stamp
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.target import (
    IndexResult,
    Target,
    database_of,
    settings_of_table,
    table_of,
)
from ragdoll.settings import (
    EngineSettings,
    IndexSettings,
    Settings,
    TrainSettings,
)
from ragdoll.streams import Report, silent

# Seconds after which a table and a model that do not fit together are opened again: another process
# may be renaming their folders to exchange both.
_WAITS = (0.0, 0.1)


class Index(Searchable):
    """A table of a LanceDB database that knows its model: documents in, answers out.

    ``create`` and ``open`` make one. A search sees what other processes have written into a local
    table, a new model included. Several threads may search. Start processes by
    ``spawn`` or ``forkserver``: LanceDB may end one that is forked after the first search. The
    table stores the model's fingerprint, dimension and metric, and refuses any other model.

    >>> index = Index.create("database", model="model")
    >>> documents = ["A lock guards a resource.", {"id": "t", "text": "Set a timer."}]
    >>> index.update(documents).added
    2
    >>> [hit.source for hit in index.search("timer", k=1)]
    ['t']
    """

    def __init__(
        self,
        target: Target,
        overwrite: bool,
        model: str | Path | Encoder | None,
        warm: bool = False,
    ) -> None:
        """Wrap a table that is there or yet to be made; use ``create`` or ``open``."""
        self._target = target
        self._warm = warm
        self._overwrite = overwrite
        self._model = model
        self._searcher: Searcher | None = None
        self._stamp: tuple[int, int] | None = None

    @classmethod
    def create(
        cls,
        database: str | Path | None = None,
        *,
        table: str | None = None,
        model: str | Path | Encoder | None = None,
        settings: IndexSettings | None = None,
        overwrite: bool = False,
    ) -> Index:
        """Name a table to fill; the first ``update`` makes it if it does not exist.

        ``database`` is a folder or a URI, ``model`` a model folder, a hub id in the local cache or
        an encoder; None leaves each to the settings. Without a model there, it is the one that
        ``train`` writes by default, or else the table's own. Other settings that are left out are
        those of the table, if there is one. With ``overwrite`` the first ``update`` builds the
        table anew, and readers see the old one until it is complete.

        Raises:
            ModelError: the model cannot be read.
            TableError: the table is damaged, or another tool's.
        """
        settings = _named(settings, database, table)
        made = table_of(settings, may_be_damaged=overwrite)
        if made is not None:
            every = Settings(index=settings).completed(settings_of_table(made), "the table")
            settings = every.index
        if model is None:
            trained = TrainSettings().output
            own = next(folders(made), None) if made and not Path(trained).is_dir() else None
            model = settings.model or own or trained
        return cls(Target(settings, TableModel(model)), overwrite, model)

    @classmethod
    def open(
        cls,
        database: str | Path | None = None,
        *,
        table: str | None = None,
        model: str | Path | Encoder | None = None,
        settings: IndexSettings | None = None,
        warm: bool = False,
    ) -> Index:
        """Open an existing table with its own model.

        ``model`` is the place where that model is now, if it was moved, or the encoder, if the
        table was made with one that has no folder. ``warm`` loads rows and model at the first
        search, as a process that answers many queries wants it.

        Raises:
            TableError: there is no such database or table, or it is damaged or not ragdoll's.
            ModelMismatchError: the model is gone, or is another one than the table's.
            ModelError: the model cannot be read.
        """
        settings = _named(settings, database, table)
        before = stamp(database_of(settings), settings.table)
        opened, its_model = _opened(settings, model)
        its = opened.identity
        settings = replace(
            settings, metric=its.metric, chunk_size=its.chunk_size, metadata=its.columns
        )
        index = cls(Target(settings, its_model), False, model, warm)
        if not warm:
            index._searcher, index._stamp = Searcher(opened, its_model), before
        return index

    @property
    def model(self) -> ModelIdentity:
        """The identity of the model."""
        return self._target.model.identity

    @property
    def roots(self) -> dict[str, str]:
        """The places that the documents came from, by the keys that ids of passages begin with."""
        return {key: root.path for key, root in self._table.roots().items()}

    def __len__(self) -> int:
        """Count the passages."""
        return self._table.count()

    def update(
        self,
        documents: Corpus | Iterable[str | Mapping[str, Any] | Document],
        *,
        dry_run: bool = False,
        prune: bool = False,
        engine: EngineSettings | None = None,
        report: Report = silent,
    ) -> IndexResult:
        """Bring the table up to date with documents; only new and changed passages are embedded.

        A corpus holds all documents of its places: the table's other documents of these places are
        removed, except those that could not be read this time. Strings, mappings and ``Document``
        objects are added or replaced, and other documents stay. ``prune`` also removes the
        documents of places that are gone, and allows a corpus without documents. ``dry_run`` counts
        and writes nothing. ``engine`` may name a cluster, whose workers must see model and database
        in the same places; None works in this process.

        Raises:
            ModelMismatchError: the table was made with another model.
            TableError: it was made with another metric or passage size or by another tool, or
                cannot be written.
            UsageError: the name of the table or of a column is not allowed, or passages are longer
                than the model reads.
            CorpusError: there are no documents.
            EngineError: the cluster cannot be used, or its workers fail.
        """
        # Here, because searching needs none of it, and it takes longer to load than a search takes.
        from ragdoll.corpus.reading import as_corpus
        from ragdoll.retrieval.writing.index import write
        from ragdoll.retrieval.writing.roots import as_before

        corpus = as_corpus(documents)
        made = table_of(self._target.settings, may_be_damaged=self._overwrite)
        if made is not None:
            corpus = as_before(corpus, made)
        result = write(corpus, self._target, self._overwrite, dry_run, report, prune, engine)
        if not dry_run:
            self._overwrite, self._searcher = False, None
        return result

    def passage(self, identifier: str) -> StoredPassage | None:
        """Return a passage by its id; None if the table has none of this id.

        Raises:
            TableError: the table cannot be read.
        """
        found = passages(self._search, [f"id = {quoted(identifier)}"], 1)
        return found[0] if found else None

    def documents(self, source: str, most: int = 10_000, offset: int = 0) -> list[StoredDocument]:
        """Return the documents of a source, or of a glob as ``search`` takes it.

        A file of records has several, and so have roots with files of the same name. ``most``
        limits the passages that are read, and ``offset`` is the first of them: the last document
        may go on behind them.

        Raises:
            TableError: the table cannot be read.
        """
        conditions = [f"source = {quoted(source)}"]
        if not self._table.rows_where(conditions, ["start"], 1).num_rows:
            conditions = [of_source(self._table, source)]
        return list(documents(passages(self._search, conditions, most, offset)))

    def sources(self, glob: str = "**", most: int = 1000) -> list[str]:
        """Return the first ``most`` sources, in order, that match a glob as ``search`` takes it.

        Raises:
            UsageError: the glob is empty.
            TableError: the table cannot be read.
        """
        SearchOptions(source=glob)  # which checks it
        return self._table.sources_where(of_source(self._table, glob), most)

    def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Return the vectors of texts by the table's model, and the number of their tokens.

        The vectors are float32, of shape ``(len(texts), dimension)``.

        Raises:
            ModelError: the model cannot be read.
        """
        model = self._search.model
        return model.encode(list(texts)), sum(model.count_tokens(list(texts)))

    def _found(self, query: str, options: SearchOptions) -> list[Hit]:
        (hits,) = self._each_found([query], options)
        return hits

    async def _afound(self, query: str, options: SearchOptions) -> list[Hit]:
        return await asyncio.to_thread(self._found, query, options)

    def _each_found(self, queries: Sequence[str], options: SearchOptions) -> Iterator[list[Hit]]:
        return self._search.search_many(queries, options)

    @property
    def _table(self) -> Table:
        return self._search.table

    @property
    def _search(self) -> Searcher:
        """A searcher of the table as it is now: another process may have written it."""
        settings = self._target.settings
        now = stamp(database_of(settings), settings.table)
        if self._searcher is None or now != self._stamp:
            self._searcher, self._stamp = Searcher(*self._reopened(), self._warm), now
        return self._searcher

    def _reopened(self) -> tuple[Table, TableModel]:
        """Open the table anew, and its model if that is another one by now."""
        settings = self._target.settings
        table, model = _table_of(settings), self._target.model
        try:
            return table, checked(model, table)
        except ModelMismatchError:
            if self._searcher is None:
                raise
        table, model = _opened(settings, self._model)
        self._target = replace(self._target, model=model)
        return table, model


def _named(
    settings: IndexSettings | None, database: str | Path | None, table: str | None
) -> IndexSettings:
    """Return settings with the database and the table that a call names, None for the settings'."""
    settings = settings or IndexSettings()
    if database is not None:
        settings = replace(settings, database=str(database))
    return settings if table is None else replace(settings, table=table)


def _opened(
    settings: IndexSettings, model: str | Path | Encoder | None
) -> tuple[Table, TableModel]:
    """Open a table and its model; if they do not fit together, try again after a while."""
    for seconds in _WAITS:
        with suppress(ModelError, ModelMismatchError):
            table = _table_of(settings)
            return table, model_of(table, model)
        time.sleep(seconds)
    table = _table_of(settings)
    return table, model_of(table, model)


def _table_of(settings: IndexSettings) -> Table:
    return Database(database_of(settings), to_search=True).open(settings.table)
