"""Parquet files as documents, a row each. The process behind the wall runs this."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.parquet import FileMetaData, ParquetFile

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.records import record_from
from ragdoll.corpus.formats.tables import check_columns

_MOST_ROWS = 128
# Bytes of the rows that are read at once, as far as the footer tells.
_MOST_BYTES = 32 * 2**20
# With a buffer, a column is read piece by piece; without one, all of a row group at once.
_READ_BUFFER = 2**20


def read_parquet(path: Path, text_key: str) -> Iterator[Document | UnreadableError]:
    """Yield the rows of a Parquet file."""
    number = 0
    with path.open("rb") as file, open_parquet(file) as table:
        check_columns(table.schema_arrow.names, text_key)
        rows = _rows_at_once(table.metadata)
        for batch in table.iter_batches(rows, use_threads=False):
            values = [_values(column) for column in batch.columns]
            for row in zip(*values, strict=True):
                number += 1
                fields = dict(zip(batch.schema.names, row, strict=True))
                try:
                    yield record_from(fields, text_key, name=str(number))
                except UnreadableError as error:
                    yield UnreadableError(f"row {number}: {error}")
    if not number:
        raise UnreadableError("empty")


def open_parquet(file: Any) -> ParquetFile:
    """Open a Parquet file so that its rows are read piece by piece."""
    return ParquetFile(file, buffer_size=_READ_BUFFER, pre_buffer=False)


def _rows_at_once(footer: FileMetaData) -> int:
    groups = map(footer.row_group, range(footer.num_row_groups))
    size = sum(group.total_byte_size for group in groups) / max(1, footer.num_rows)
    return max(1, min(_MOST_ROWS, int(_MOST_BYTES / max(1, size))))


def _values(column: pa.Array) -> list[Any]:
    """Return a column as Python's values; None for one that Python has no value for."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        values = [_value(item) for item in column]
    return values


def _value(item: pa.Scalar) -> Any:
    try:
        return item.as_py()
    except (ValueError, OverflowError):
        return None
