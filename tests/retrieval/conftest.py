"""Shared by the tests of tables: a table of the documents, and ways to look into it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ragdoll.corpus.context import context_of, with_context
from ragdoll.corpus.documents import BETWEEN, Document
from ragdoll.corpus.passages import Passage
from ragdoll.embedding.static import StaticModel
from ragdoll.retrieval.answers import Hit
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.target import IndexResult
from tests.closeness import assert_alike
from tests.conftest import Trained
from tests.making import index, index_settings, open_corpus


@dataclass(frozen=True)
class Indexed:
    """A database with one table, ``documents``, and what it was made of."""

    database: Path
    docs: Path
    model: Path

    @classmethod
    def made(cls, database: Path, docs: Path, model: Path) -> Indexed:
        """Index documents into a new database."""
        table = cls(database, docs, model)
        table.index()
        return table

    def at(self, database: Path) -> Indexed:
        """Return the same for another database, which is not made by this."""
        return replace(self, database=database)

    @property
    def options(self) -> list[object]:
        """The options that name the table and its model on the command line."""
        return ["--database", self.database, "--model", self.model]

    def index(self, *docs: Path, **settings: Any) -> IndexResult:
        """Index folders, or else the documents, once more."""
        run = {key: settings.pop(key) for key in ("overwrite", "dry_run") if key in settings}
        corpus = open_corpus([str(path) for path in docs or [self.docs]])
        return index(
            corpus, index_settings(self.database, "documents", self.model, **settings), **run
        )

    def open(self, to_search: bool = False) -> Table:
        """Open the table as readers do."""
        return Database(str(self.database), to_search=to_search).open("documents")

    def searcher(self) -> Searcher:
        """Return a searcher of the table's own model."""
        return Index.open(self.database)._search

    def search(self, query: str, k: int = 10, **options: Any) -> list[Hit]:
        """Search the table."""
        return Index.open(self.database).search(query, k, **options)

    def arrow(self) -> pa.Table:
        """Read the table without ragdoll."""
        return self.connect().open_table("documents").to_arrow()

    def connect(self) -> Any:
        """Open the database by LanceDB, which must be imported after ragdoll."""
        import lancedb

        return lancedb.connect(str(self.database))

    def rows(self) -> list[dict[str, Any]]:
        """Return its rows, in the order of their ids."""
        return sorted(self.arrow().to_pylist(), key=lambda row: row["id"])

    def sources(self) -> set[str]:
        """Return the sources that have rows."""
        return {row["source"] for row in self.rows()}

    def check(self, *docs: Path) -> None:
        """Check that the rows are those of the documents as they are now, each in its place."""
        documents: dict[str, Document] = {}
        for path in docs or [self.docs]:
            documents |= {document.source: document for document in open_corpus([str(path)])}
        rows = self.rows()
        assert {row["source"] for row in rows} == set(documents)
        passages = []
        for row in rows:
            headings = filter(None, json.loads(row["metadata"]).get("section", "").split(BETWEEN))
            document = documents[row["source"]]
            passage = Passage(document, row["start"], row["end"], headings=tuple(headings))
            assert row["text"] == passage.text
            passages.append(with_context(replace(passage, context=context_of(passage))))
        assert len({row["id"] for row in rows}) == len(rows)
        embedded = StaticModel.load(self.model).encode(passages)
        assert_alike([row["vector"] for row in rows], embedded)


@pytest.fixture
def indexed(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table of the documents."""
    return Indexed.made(tmp_path / "database", docs, trained.model)


@pytest.fixture
def movable(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table whose model may be moved or changed."""
    model = Path(shutil.copytree(trained.model, tmp_path / "model"))
    return Indexed.made(tmp_path / "database", docs, model)


def snapshot(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a folder."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
