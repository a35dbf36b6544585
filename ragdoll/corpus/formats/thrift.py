"""Structures in Thrift's compact protocol, of which the headers of Parquet are made.

pyarrow ends the process at some damaged ones, before an exception could tell of them.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_BITS = {4: 16, 5: 32, 6: 64}
_MAX_DEPTH = 12


def read_struct(file: BytesIO, depth: int = 0) -> dict[int, Any]:
    """The fields of the structure that begins here, by their numbers.

    Integers, structures and lists are as they are; all else is None. What can be read in two ways
    is damaged, for another reader might take the other.

    Raises:
        ValueError: it is damaged.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("a header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while head := _byte(file):
        number = number + (head >> 4) if head >> 4 else _integer(file, 16)
        if number in fields:
            raise ValueError("a header is damaged")
        fields[number] = _value(file, head & 15, depth)
    return fields


def _value(file: BytesIO, kind: int, depth: int) -> Any:
    if kind in _BITS:
        return _integer(file, _BITS[kind])
    if kind == _STRUCT:
        return read_struct(file, depth + 1)
    if kind in (_LIST, _SET):
        return _items(file, depth + 1)
    if kind in (_BINARY, _DOUBLE, _BYTE):
        file.seek({_DOUBLE: 8, _BYTE: 1}.get(kind) or _varint(file), 1)
    elif kind not in (_TRUE, _FALSE):
        raise ValueError("a header is damaged")
    return None


def _items(file: BytesIO, depth: int) -> list[Any]:
    if depth > _MAX_DEPTH:
        raise ValueError("a header is nested too deeply")
    head = _byte(file)
    count = head >> 4 if head >> 4 < 15 else _varint(file)
    if count > len(file.getbuffer()) - file.tell():
        raise ValueError("a header is cut off")
    items = []
    for _ in range(count):
        if head & 15 in (_TRUE, _FALSE):
            _byte(file)  # which a list has for each, and a structure has not
        items.append(_value(file, head & 15, depth))
    return items


def _byte(file: BytesIO) -> int:
    byte = file.read(1)
    if not byte:
        raise ValueError("a header is cut off")
    return byte[0]


def _varint(file: BytesIO) -> int:
    number = shift = 0
    while shift < 64:
        byte = _byte(file)
        number |= (byte & 127) << shift
        if byte < 128:
            return number
        shift += 7
    raise ValueError("a header is damaged")


def _integer(file: BytesIO, bits: int) -> int:
    number = _varint(file)
    if number >> bits:
        raise ValueError("a header is damaged")
    return (number >> 1) ^ -(number & 1)
