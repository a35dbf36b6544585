"""Headers in Thrift's compact protocol, damaged and whole."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.formats.thrift import read_struct
from tests.corpus.reading import alarm


def varint(number: int) -> bytes:
    head = b""
    while number > 127:
        head += bytes([number & 127 | 128])
        number >>= 7
    return head + bytes([number])


def integer(number: int) -> bytes:
    return varint((number << 1) ^ (number >> 63))


@given(st.dictionaries(st.integers(1, 2**15 - 1), st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_read_by_the_numbers_of_their_fields(fields: dict[int, int]) -> None:
    content = b"".join(b"\x06" + integer(number) + integer(fields[number]) for number in fields)
    assert read_struct(BytesIO(content + b"\0")) == fields


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"\0", {}),
        (b"\x15\x02\x15\x04\0", {1: 1, 2: 2}),  # the second by its distance from the first
        (b"\x35\x02\0", {3: 1}),
        (b"\x11\x12\x15\x02\0", {1: None, 2: None, 3: 1}),  # booleans
        (b"\x18\x02ab\x15\x02\0", {1: None, 2: 1}),  # bytes
        (b"\x17" + bytes(8) + b"\x15\x02\0", {1: None, 2: 1}),  # a floating-point number
        (b"\x1c\x15\x02\0\x15\x04\0", {1: {1: 1}, 2: 2}),
        (b"\x19\x25\x02\x04\0", {1: [1, 2]}),
        (b"\x19\x21\x01\x02\x15\x02\0", {1: [None, None], 2: 1}),  # a list of booleans
        (b"\x19\xf5\x0f" + b"\x02" * 15 + b"\0", {1: [1] * 15}),
        (b"\x19\x1c\x15\x02\0\0", {1: [{1: 1}]}),
    ],
)
def test_all_kinds_of_fields_are_read(content: bytes, fields: dict[int, Any]) -> None:
    file = BytesIO(content + b"rest")
    assert read_struct(file) == fields
    assert file.read() == b"rest"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x15",
        b"\x15" + b"\xff" * 11,
        b"\x15" + b"\xff" * 11 + b"\x01\0",
        b"\x1f\0",
        b"\x15\x02\x05\x02\x04\0",  # the first field again
        b"\x15" + varint(2**32) + b"\0",  # more than 32 bits
        b"\x1c" * 5000,
        b"\x19" + b"\x19" * 5000,
        b"\x19\xf7" + varint(2**62),  # so many numbers, each of them passed over
        b"\x19\xf3" + varint(2**62),
    ],
)
def test_what_is_damaged_is_an_error_at_once(content: bytes) -> None:
    with alarm(5), pytest.raises(ValueError, match="header"):
        read_struct(BytesIO(content))


@given(st.binary())
def test_nothing_but_a_value_error_comes_of_any_bytes(content: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(read_struct(BytesIO(content)), dict)
