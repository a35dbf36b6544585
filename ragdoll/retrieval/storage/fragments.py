"""Fragments of a table: rows that several processes write, and one commits.

LanceDB has no call for this. The library pylance has, and reads and writes the same tables; its
version must go with LanceDB's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

import pyarrow as pa

from ragdoll.retrieval.storage.lance import place, translated
from ragdoll.retrieval.storage.table import Table


def write_fragments(uri: str, name: str, rows: pa.RecordBatch) -> list[str]:
    """Write rows into the folder of a table; return what describes their fragments.

    They are no part of the table before they are committed.

    Raises:
        TableError: they cannot be written.
    """
    from lance.fragment import write_fragments as write

    table = pa.Table.from_batches([rows])
    written = translated(
        lambda: write(table, _dataset(uri, name), mode="append", schema=rows.schema),
        place(uri, name),
    )
    return [json.dumps(fragment.to_json()) for fragment in written]


def commit_fragments(table: Table, fragments: Iterable[str]) -> None:
    """Add fragments to a table in one commit.

    Raises:
        TableError: another process has written the table meanwhile, or it cannot be written.
    """
    from lance import FragmentMetadata, LanceDataset, LanceOperation

    known = [FragmentMetadata.from_json(fragment) for fragment in fragments]
    commit: Any = partial(
        LanceDataset.commit,
        _dataset(table.uri, table.name),
        LanceOperation.Append(known),
        read_version=table.version,
    )
    translated(commit, table.place)
    table.latest_version()


def _dataset(uri: str, name: str) -> str:
    return f"{uri.rstrip('/')}/{name}.lance"
