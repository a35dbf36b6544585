"""Tables: files of rows with named columns, of which one holds the text."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, BinaryIO

from ragdoll.corpus import decoding
from ragdoll.corpus.decoding import UnreadableError
from ragdoll.corpus.records import Record, record_from
from ragdoll.errors import first_line

if TYPE_CHECKING:
    import pyarrow as pa

# So few that a batch of long texts stays small.
_BATCH_ROWS = 128
# Without it, all of a column that is stored in one piece would be read at once.
_READ_BUFFER = 2**20


def read_csv(path: Path, text_key: str) -> Iterator[Record | UnreadableError]:
    """Yield the rows of a table separated by commas, or by what spreadsheets write instead."""
    return _read_separated(path, text_key, separators=",;\t")


def read_tsv(path: Path, text_key: str) -> Iterator[Record | UnreadableError]:
    """Yield the rows of a table separated by tabs."""
    return _read_separated(path, text_key, separators="\t")


def read_parquet(path: Path, text_key: str) -> Iterator[Record | UnreadableError]:
    """Yield the rows of a Parquet file, read a piece at a time."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    number = 0
    with path.open("rb") as file:
        try:
            table = ParquetFile(file, buffer_size=_READ_BUFFER, pre_buffer=False)
            _check_columns(table.schema_arrow.names, text_key)
            for batch in table.iter_batches(batch_size=_BATCH_ROWS):
                values = [_values(column) for column in batch.columns]
                for row in zip(*values, strict=True):
                    number += 1
                    fields = dict(zip(batch.schema.names, row, strict=True))
                    try:
                        yield record_from(fields, text_key, name=str(number))
                    except UnreadableError as error:
                        yield UnreadableError(f"row {number}: {error}")
        except (pa.ArrowException, OSError, ValueError) as error:
            raise UnreadableError(f"damaged, or not Parquet: {first_line(error)}") from error
    if not number:
        raise UnreadableError("empty")


def _read_separated(
    path: Path, text_key: str, separators: str
) -> Iterator[Record | UnreadableError]:
    with decoding.opened(path) as file:
        lines = _Lines(file)
        rows = _rows(lines, _separator(file, text_key, separators))
        header = next(rows, UnreadableError("empty"))
        if isinstance(header, UnreadableError):
            raise header
        columns = [name.strip() for name in header]
        _check_columns(columns, text_key)
        number = 0
        for number, row in enumerate(rows, start=1):
            try:
                yield record_from(_fields(row, columns, text_key), text_key, name=str(number))
            except UnreadableError as error:  # noqa: PERF203  (a row, not the file)
                yield UnreadableError(f"line {lines.row}: {error}")
    if not number:
        raise UnreadableError("empty")


def _rows(lines: _Lines, separator: str) -> Iterator[list[str] | UnreadableError]:
    """The rows that are not blank; one that cannot be read is yielded as its error."""
    # A limit of the whole process; the standard one is far below the length of a document.
    csv.field_size_limit(decoding.MAX_BYTES)
    # Strict, since otherwise a quote that is never closed swallows rows without a word.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        lines.problem, lines.row = None, lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "field limit" in str(error):
                # What follows may be the rest of this field.
                yield UnreadableError(f"{decoding.TOO_LARGE}; nothing after it is read")
                return
            yield UnreadableError(str(error))
            continue
        if lines.problem:
            yield lines.problem
        elif row:
            yield row


def _separator(file: BinaryIO, text_key: str, separators: str) -> str:
    """The separator by which the first line has the column with the text."""
    start = file.tell()
    first = file.readline(2**16).decode("utf-8", "replace")
    file.seek(start)
    for separator in separators:
        if text_key in (name.strip(' "\r\n') for name in first.split(separator)):
            return separator
    return separators[0]


class _Lines:
    """The lines of a file; ``problem`` is set where one cannot be read, and stays until unset.

    Such a line is given as far as it goes, so that the rows after it keep their form. ``number`` is
    that of the latest line, ``row`` that of the line where the latest row begins.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = self.row = 0
        self.problem: UnreadableError | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.number += 1
        try:
            line = decoding.next_line(self._file)
        except UnreadableError as error:
            self.problem = error
            return "\n"
        if not line:
            raise StopIteration
        try:
            return decoding.decode(line)
        except UnreadableError as error:
            self.problem = error
            return line.decode("utf-8", "replace").replace("\0", "")


def _fields(
    row: list[str] | UnreadableError, columns: Sequence[str], text_key: str
) -> dict[str, Any]:
    """A row by the names of its columns; a row may be short, and what is empty is left out."""
    if isinstance(row, UnreadableError):
        raise row
    if len(row) > len(columns):
        raise UnreadableError(f"{len(row)} fields, where the header has {len(columns)}")
    fields = {name: value for name, value in zip(columns, row, strict=False) if name and value}
    return {text_key: "", **fields}


def _check_columns(columns: Sequence[str], text_key: str) -> None:
    if text_key not in columns:
        names = shorten(", ".join(columns), 200, placeholder=" …")
        raise UnreadableError(f"no column '{text_key}'; it has {names}")


def _values(column: pa.Array) -> list[Any]:
    """A column as Python's values; None for one that Python has no value for (a nanosecond)."""
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
