"""Parquet files that anyone may have made, read in pieces of bounded size.

A page of a few kilobytes can unpack to two gigabytes, and a value that is stored once can be in any
number of rows. What each page unpacks to stands before it, so it is known before it is read.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.thrift import read_struct

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

# So many bytes a page may have unpacked, and more for each byte of its column in the file.
_FOR_A_BYTE = 64
# Bytes that the rows which are read at once may take, unless it is one row.
HELD = 256 * 2**20
# Of a value within a list, whose length is stored in next to nothing.
_LIST_ITEM = 8
# Without it, all of a column that is stored in one piece would be read at once.
_READ_BUFFER = 2**20

_DELTA_BYTE_ARRAY = 7
# By the type of a page the number of the field for it, and in that the one of its encoding.
_HEADERS: Mapping[Any, tuple[int, int]] = {0: (5, 2), 2: (7, 2), 3: (8, 4)}
# Far more bytes than a page's header has, and a footer of thousands of columns.
_MAX_HEADER = 1 << 16
_MAX_FOOTER = 1 << 24


class _Page(NamedTuple):
    """What the header of a page states: bytes unpacked and packed, values, and its encoding."""

    unpacked: int
    packed: int
    values: int
    encoding: int


class _Column(NamedTuple):
    """Where the pages of a column of a row group lie."""

    start: int
    end: int


def opened(file: BinaryIO) -> ParquetFile:
    """Open a Parquet file.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: it is none.
    """
    from pyarrow.parquet import ParquetFile

    return ParquetFile(file, buffer_size=_READ_BUFFER, pre_buffer=False)


def batches(
    table: ParquetFile, file: BinaryIO, rows: int, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open Parquet file, so many at once, or fewer where they may be large.

    ``columns`` None are all.

    Raises:
        UnreadableError: a page unpacks to far more than it is.
        pyarrow.ArrowException, OSError, ValueError: the file is damaged.
    """
    for group, places in enumerate(_groups(file)):
        at_once = _rows_at_once(table, file, places, columns)
        yield from table.iter_batches(min(rows, at_once), row_groups=[group], columns=columns)


def pieces(file: BinaryIO, rows: int, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of a Parquet file, so many rows at once, or what has the bytes to be held.

    Raises:
        UnreadableError, pyarrow.ArrowException, OSError, ValueError: as ``batches``.
    """
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    for batch in batches(opened(file), file, rows, columns):
        while batch.num_rows:
            taken = batch.slice(0, rows - sum(one.num_rows for one in held))
            batch = batch.slice(taken.num_rows)  # noqa: PLW2901
            held.append(taken)
            is_full = sum(one.num_rows for one in held) == rows
            if is_full or sum(one.nbytes for one in held) > HELD:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)


def _groups(file: BinaryIO) -> Iterator[list[_Column]]:
    """The columns of each row group, by the footer; none of one without rows, where none is read.

    Raises:
        ValueError: the footer is damaged.
    """
    size = file.seek(-8, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    if length > min(size, _MAX_FOOTER):
        raise ValueError("the footer is damaged")
    file.seek(size - length)
    try:
        footer = read_struct(io.BytesIO(file.read(length)))
        for group in footer[4]:
            yield [_column(chunk[3], size) for chunk in group[1]] if group[3] else []
    except (AttributeError, LookupError, TypeError) as error:
        raise ValueError("the footer is damaged") from error


def _column(facts: Mapping[int, Any], size: int) -> _Column:
    start, dictionary = facts[9], facts.get(11) or 0
    if 0 < dictionary < start:
        start = dictionary
    end = start + facts[7]
    if not 0 <= start <= end <= size:
        raise ValueError("a column ends behind the file")
    return _Column(start, end)


def _rows_at_once(
    table: ParquetFile, file: BinaryIO, places: Sequence[_Column], columns: Sequence[str] | None
) -> int:
    """How many rows of a row group may be read at once, if their values are as large as they can.

    Raises:
        UnreadableError, ValueError: as ``batches``.
    """
    if len(places) not in (0, len(table.schema)):
        raise ValueError("the footer is damaged")
    everything = all_packed = row = largest = 0
    for number, place in enumerate(places):
        column = table.schema.column(number)
        if columns is not None and column.path.partition(".")[0] not in columns:
            continue
        pages = list(_pages(file, place))
        is_list = column.max_repetition_level > 0
        # There a value begins as the one before it, which may be of another page.
        grows = any(page.encoding == _DELTA_BYTE_ARRAY for page in pages)
        sizes = [max(page.unpacked, _LIST_ITEM * page.values * is_list) for page in pages]
        size = sum(sizes) if is_list or grows else max(sizes, default=0)
        packed = sum(page.packed for page in pages)
        if size > max(decoding.MAX_BYTES, _FOR_A_BYTE * packed):
            raise decoding.UnreadableError(
                f"the column '{column.path}' unpacks to far more than it is"
            )
        everything, all_packed = everything + size, all_packed + packed
        # The rows of a list have no more than its pages; other values may be in any number of them.
        value = 0 if is_list else size
        row, largest = row + value, max(largest, value)
    most = max(HELD, _FOR_A_BYTE * all_packed)
    if everything > most:
        raise decoding.UnreadableError("its columns unpack to far more than they are")
    return max(1, min(HELD // max(largest, 1), most // max(row, 1)))


def _pages(file: BinaryIO, column: _Column) -> Iterator[_Page]:
    """The pages of a column of a row group, from its first to its last.

    Raises:
        ValueError: a header is damaged, or a page ends behind the column.
    """
    place = column.start
    while place < column.end:
        file.seek(place)
        start = io.BytesIO(file.read(_MAX_HEADER))
        fields = read_struct(start)
        place_of_header, place_of_encoding = _HEADERS.get(fields.get(1), (0, 0))
        found = fields.get(place_of_header)
        header: dict[int, Any] = found if isinstance(found, dict) else {}
        facts = (fields.get(2), fields.get(3), header.get(1), header.get(place_of_encoding))
        unpacked, packed, values, encoding = (
            fact if isinstance(fact, int) and fact >= 0 else 0 for fact in facts
        )
        place += start.tell() + packed
        if place > column.end:
            raise ValueError("a page ends behind its column")
        yield _Page(unpacked, packed, values, encoding)
