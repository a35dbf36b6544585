"""Passages as rows of a table: their ids and columns, and tables of texts in memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from ragdoll.corpus.context import context_of, joined, place_of, words_of
from ragdoll.corpus.documents import LINE, Document
from ragdoll.corpus.formats.decoding import storable
from ragdoll.corpus.passages import Passage
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.analysis import analysis_of
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import (
    KEY_LENGTH,
    TableIdentity,
    TableState,
    schema,
    typed_columns,
)
from ragdoll.retrieval.storage.table import Table, vector_array

_HASH_LENGTH = 24

# Each connection to it is a database of its own.
_MEMORY = "memory://"


def root_key(root: str) -> str:
    """Return the key that a root gets when it is first indexed, in hexadecimal."""
    return hashlib.sha256(os.fsencode(root)).hexdigest()[:KEY_LENGTH]


def identified(passages: Iterable[Passage], key: str) -> list[Passage]:
    """Give the passages of one document their ids under a root, lines in a file, and context.

    An id hashes source, text, context and, where a document repeats them, the occurrence. It does
    not hash offsets, so that an edit changes the ids only of the passages that it touches.
    """
    occurrences: dict[str, int] = {}
    result: list[Passage] = []
    line, counted = 1, 0
    for passage in passages:
        document = passage.document
        context = context_of(passage)
        whole = joined(passage.text, context)
        occurrence = occurrences[whole] = occurrences.get(whole, -1) + 1
        content = f"{document.source}\0{whole}\0{occurrence}".encode("utf-8", "surrogatepass")
        if document.whole_file:
            line += document.text.count("\n", counted, passage.start)
            counted = passage.start
        name = key + hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
        at = line if document.whole_file else None
        result.append(replace(passage, id=name, line=at, context=context))
    return result


def metadata_of(passage: Passage) -> str:
    """Write the metadata of a passage as the table stores it: one JSON object."""
    metadata = {**place_of(passage), **passage.document.metadata}
    if passage.line is not None:
        metadata[LINE] = passage.line
    return storable(json.dumps(metadata, ensure_ascii=False, sort_keys=True, default=str))


def record_batch(
    passages: Sequence[Passage],
    tokens: Sequence[str | None],
    vectors: Vectors,
    layout: pa.Schema,
    declared: Mapping[str, str],
) -> pa.RecordBatch:
    """Return passages as rows, with the tokens and the vector that the model gives each.

    ``declared`` are the table's typed columns.
    """
    metadata = [metadata_of(passage) for passage in passages]
    columns = {
        "id": [passage.id for passage in passages],
        "source": [passage.document.source for passage in passages],
        "title": [passage.document.title for passage in passages],
        "text": [passage.text for passage in passages],
        "start": [passage.start for passage in passages],
        "end": [passage.end for passage in passages],
        "metadata": metadata,
    }
    words = [words_of(passage) for passage in passages]
    return pa.record_batch(
        [
            *(pa.array(values, layout.field(name).type) for name, values in columns.items()),
            *typed_columns(metadata, declared),
            pa.array(words, pa.string()),
            pa.array(tokens, pa.string()),
            vector_array(vectors),
        ],
        schema=layout,
    )


def memory_table(texts: Mapping[str, str], model: TableModel) -> Table:
    """Make a table in memory of texts by their ids, with a full-text index.

    It needs no room on a disk, and a process that is killed leaves nothing of it behind.
    """
    identity = TableIdentity(
        fingerprint=model.identity.fingerprint,
        dimension=model.identity.dimension,
        metric=model.identity.metric,
        normalize=model.identity.normalize,
        max_length=model.identity.max_length,
        chunk_size=0,
        model="",
    )
    passages = [
        Passage(Document(text, source=name), 0, len(text), id=name) for name, text in texts.items()
    ]
    contents = list(texts.values())
    tokens = model.tokens(contents)
    analysis = analysis_of(contents, "auto", len(contents))
    state = TableState(model="", database=_MEMORY, analysis=analysis)
    batch = record_batch(passages, tokens, model.encode(contents), schema(identity, state), {})
    table = Database(_MEMORY).build("documents", identity, state, [batch])
    table.index_text(analysis)
    return table
