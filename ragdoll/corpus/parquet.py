"""Parquet files that anyone may have made, read in pieces of bounded size.

A page of a few kilobytes can unpack to two gigabytes, and a value that is stored once can be in any
number of rows. What each page unpacks to stands before it, so it is known before it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from ragdoll.corpus import decoding

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

# What a page's header is made of: Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)
_MAX_DEPTH = 8
_DELTA_BYTE_ARRAY = 7


class _Page(NamedTuple):
    """What the header of a page states: bytes unpacked and packed, values, and its encoding."""

    unpacked: int
    packed: int
    values: int
    encoding: int


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
    for group in range(table.num_row_groups):
        largest = _largest_value(table, file, group, columns)
        at_once = max(1, min(rows, HELD // max(largest, 1)))
        yield from table.iter_batches(at_once, row_groups=[group], columns=columns)


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


def _largest_value(
    table: ParquetFile, file: BinaryIO, group: int, columns: Sequence[str] | None
) -> int:
    """The bytes that a value of a row group can have at the most."""
    largest = 0
    footer = table.metadata.row_group(group)
    # Without rows nothing is read, and there need be no pages.
    for number in range(footer.num_columns if footer.num_rows else 0):
        column = footer.column(number)
        if columns is not None and column.path_in_schema.partition(".")[0] not in columns:
            continue
        pages = list(_pages(file, column))
        is_list = table.schema.column(number).max_repetition_level > 0
        # There a value begins as the one before it, which may be of another page.
        grows = any(page.encoding == _DELTA_BYTE_ARRAY for page in pages)
        sizes = [max(page.unpacked, _LIST_ITEM * page.values * is_list) for page in pages]
        size = sum(sizes) if is_list or grows else max(sizes, default=0)
        packed = sum(page.packed for page in pages)
        if size > max(decoding.MAX_BYTES, _FOR_A_BYTE * packed):
            raise decoding.UnreadableError(
                f"the column '{column.path_in_schema}' unpacks to far more than it is"
            )
        # The rows of a list have no more than its pages.
        largest = max(largest, 0 if is_list else size)
    return largest


def _pages(file: BinaryIO, column: Any) -> Iterator[_Page]:
    """The pages of a column of a row group, from its first to its last.

    Raises:
        ValueError: a header is damaged.
    """
    place = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < place:
        place = column.dictionary_page_offset
    end = place + column.total_compressed_size
    while place < end:
        file.seek(place)
        fields = _struct(file, 0)
        kinds = (fields.get(number) for number in (5, 7, 8))
        header: dict[int, Any] = next((kind for kind in kinds if isinstance(kind, dict)), {})
        facts = (fields.get(2), fields.get(3), header.get(1), header.get(4 if 8 in fields else 2))
        unpacked, packed, values, encoding = (
            fact if isinstance(fact, int) and fact >= 0 else 0 for fact in facts
        )
        yield _Page(unpacked, packed, values, encoding)
        place = file.tell() + packed


def _struct(file: BinaryIO, depth: int) -> dict[int, Any]:
    """The fields of a structure by their numbers; those that no one asks for are None."""
    if depth > _MAX_DEPTH:
        raise ValueError("a page's header is damaged")
    fields: dict[int, Any] = {}
    number = 0
    while head := _byte(file):
        number = number + (head >> 4) if head >> 4 else _integer(file)
        fields[number] = _value(file, head & 15, depth)
    return fields


def _value(file: BinaryIO, kind: int, depth: int) -> Any:
    if kind in _INTEGERS:
        return _integer(file)
    if kind == _STRUCT:
        return _struct(file, depth + 1)
    if kind in (_LIST, _SET):
        head = _byte(file)
        for _ in range(head >> 4 if head >> 4 < 15 else _varint(file)):
            _value(file, head & 15, depth + 1)
    elif kind in (_BINARY, _DOUBLE, _BYTE):
        file.seek({_DOUBLE: 8, _BYTE: 1}.get(kind) or _varint(file), 1)
    elif kind not in (_TRUE, _FALSE):
        raise ValueError("a page's header is damaged")
    return None


def _byte(file: BinaryIO) -> int:
    byte = file.read(1)
    if not byte:
        raise ValueError("a page's header is cut off")
    return byte[0]


def _varint(file: BinaryIO) -> int:
    number = shift = 0
    while shift < 64:
        byte = _byte(file)
        number |= (byte & 127) << shift
        if byte < 128:
            return number
        shift += 7
    raise ValueError("a page's header is damaged")


def _integer(file: BinaryIO) -> int:
    number = _varint(file)
    return (number >> 1) ^ -(number & 1)
