"""What the tests of tables share: a table of the documents, and looking into it from outside."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ragdoll.corpus.reading import open_corpus
from ragdoll.embedding.static import StaticEncoder
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexResult, IndexSettings
from tests.conftest import Trained


@dataclass(frozen=True)
class Indexed:
    """A database with one table, ``documents``, and what it was made of."""

    database: Path
    docs: Path
    model: Path

    def at(self, database: Path) -> Indexed:
        """The same for another database, which is not made by this."""
        return replace(self, database=database)

    @property
    def options(self) -> list[object]:
        """The options that name the table and its model on the command line."""
        return ["--database", self.database, "--model", self.model]

    def index(self, *docs: Path, **settings: Any) -> IndexResult:
        """Index folders (or else the documents) once more."""
        corpus = open_corpus([str(path) for path in docs or [self.docs]])
        return index(corpus, IndexSettings(str(self.database), "documents", self.model, **settings))

    def arrow(self) -> pa.Table:
        """The whole table, read without ragdoll."""
        return self.connect().open_table("documents").to_arrow()

    def connect(self) -> Any:
        """The database as LanceDB gives it, which must be imported after ragdoll."""
        import lancedb

        return lancedb.connect(str(self.database))

    def rows(self) -> list[dict[str, Any]]:
        """Its rows, in the order of their ids."""
        return sorted(self.arrow().to_pylist(), key=lambda row: row["id"])

    def sources(self) -> set[str]:
        """The sources that have rows."""
        return {row["source"] for row in self.rows()}

    def check(self, *docs: Path) -> None:
        """Check that the rows are those of the documents as they are now, each in its place."""
        texts: dict[str, str] = {}
        for path in docs or [self.docs]:
            texts |= {document.source: document.text for document in open_corpus([str(path)])}
        rows = self.rows()
        assert {row["source"] for row in rows} == set(texts)
        for row in rows:
            assert row["text"] == texts[row["source"]][row["start"] : row["end"]]
        assert len({row["id"] for row in rows}) == len(rows)
        # As many texts are embedded by another way than few: the last bits may differ.
        np.testing.assert_allclose(
            [row["vector"] for row in rows],
            StaticEncoder(self.model).encode([row["text"] for row in rows]),
            atol=2e-6,
        )


@pytest.fixture
def indexed(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table of the documents."""
    table = Indexed(tmp_path / "database", docs, trained.model)
    table.index()
    return table


def snapshot(folder: Path) -> dict[str, str]:
    """Every file of a folder, by the hash of its content."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }
