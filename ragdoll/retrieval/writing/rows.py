"""Passages as rows of the table: their ids, and their columns.

BM25 over texts that are in no table, as ragdoll's tables have it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ragdoll.corpus.documents import LINE
from ragdoll.corpus.formats.decoding import whole
from ragdoll.corpus.passages import Passage
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import (
    COLUMNS,
    TableIdentity,
    TableState,
    schema,
    typed_columns,
)
from ragdoll.retrieval.storage.table import Table, vector_array

# Ids begin with the key of their root, so that the rows of a root are a range of ids.
_KEY_LENGTH = 8
_HASH_LENGTH = 24


@dataclass(frozen=True, slots=True)
class Row:
    """One passage, as the table stores it but for its vector."""

    id: str
    source: str
    title: str
    text: str
    start: int
    end: int
    metadata: str


def root_key(root: str) -> str:
    """The key that a root gets when it is first indexed, in hexadecimal."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:_KEY_LENGTH]


def rows_of(passages: Iterator[Passage], key: str) -> list[Row]:
    """Passages of one document as rows under a root.

    An id hashes source, text and, where a document says the same again, the occurrence; not the
    offsets, so that an edit changes the ids only of the passages that it touches.
    """
    occurrences: dict[str, int] = {}
    rows = []
    for passage in passages:
        document, text = passage.document, passage.text
        occurrence = occurrences[text] = occurrences.get(text, -1) + 1
        content = f"{document.source}\0{text}\0{occurrence}".encode("utf-8", "surrogatepass")
        metadata = dict(document.metadata)
        if document.whole_file:
            metadata[LINE] = document.text.count("\n", 0, passage.start) + 1
        rows.append(
            Row(
                id=key + hashlib.sha256(content).hexdigest()[:_HASH_LENGTH],
                source=document.source,
                title=document.title,
                text=text,
                start=passage.start,
                end=passage.end,
                metadata=whole(
                    json.dumps(metadata, ensure_ascii=False, sort_keys=True, default=str)
                ),
            )
        )
    return rows


def record_batch(
    rows: Sequence[Row], vectors: Vectors, layout: pa.Schema, declared: Mapping[str, str]
) -> pa.RecordBatch:
    """Rows with their vectors as the table stores them; ``declared`` are its typed columns."""
    columns = [
        pa.array([getattr(row, name) for row in rows], type=layout.field(name).type)
        for name in COLUMNS
    ]
    columns += typed_columns([row.metadata for row in rows], declared)
    return pa.record_batch([*columns, vector_array(vectors)], schema=layout)


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
