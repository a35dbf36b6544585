"""BM25 over texts that are in no table, as ragdoll's tables have it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ragdoll.retrieval.database import Database
from ragdoll.retrieval.rows import Row, record_batch
from ragdoll.retrieval.table import Table
from ragdoll.retrieval.table_metadata import TableIdentity, TableState, schema


@contextmanager
def text_table(texts: Mapping[str, str]) -> Iterator[Table]:
    """A table of texts, by their ids, with a full-text index; gone afterwards.

    Its vectors mean nothing.
    """
    identity = TableIdentity(
        fingerprint="",
        dimension=1,
        metric="cosine",
        normalize=False,
        max_length=None,
        chunk_size=0,
        model="",
    )
    with tempfile.TemporaryDirectory(prefix="ragdoll-") as folder:
        state = TableState(model="", database=folder)
        rows = [Row(name, name, "", text, 0, 0, "") for name, text in texts.items()]
        batch = record_batch(rows, np.ones((len(rows), 1), np.float32), schema(identity, state), {})
        table = Database(folder, create=True).build("documents", identity, state, [batch])
        table.index_text()
        yield table
