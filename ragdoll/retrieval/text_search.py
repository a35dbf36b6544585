"""BM25 over texts that are in no table, as ragdoll's tables have it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ragdoll.retrieval.database import Database
from ragdoll.retrieval.rows import Row, record_batch
from ragdoll.retrieval.table import Table
from ragdoll.retrieval.table_metadata import TableIdentity, TableState, schema

# Each connection to it is a database of its own.
_MEMORY = "memory://"


def text_table(texts: Mapping[str, str]) -> Table:
    """Make a table of texts in memory, by their ids, with a full-text index.

    Its vectors mean nothing. It needs no room on a disk, and a process that is killed leaves none
    of it behind.
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
    state = TableState(model="", database=_MEMORY)
    rows = [Row(name, name, "", text, 0, 0, "") for name, text in texts.items()]
    batch = record_batch(rows, np.ones((len(rows), 1), np.float32), schema(identity, state), {})
    table = Database(_MEMORY).build("documents", identity, state, [batch])
    table.index_text()
    return table
