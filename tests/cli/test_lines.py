"""Lines are read as they come: together where many wait, at once where one does."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.cli.commands import query as module
from ragdoll.cli.commands.query import waiting_lines


@pytest.fixture
def pipe() -> Iterator[tuple[int, Iterator[list[str]]]]:
    read, write = os.pipe()
    with os.fdopen(read, encoding="utf-8") as stream:
        yield write, waiting_lines(stream)


def test_a_line_is_there_before_the_next_is_written(
    pipe: tuple[int, Iterator[list[str]]],
) -> None:
    write, lines = pipe
    for line in ("one", "two"):
        os.write(write, f"{line}\n".encode())
        assert next(lines) == [line]
    os.write(write, b"three\nfour\nfi")
    assert next(lines) == ["three", "four"]
    os.write(write, b"ve\nsix")
    assert next(lines) == ["five"]
    os.close(write)
    assert list(lines) == [["six"]]


def test_a_character_may_arrive_in_parts(pipe: tuple[int, Iterator[list[str]]]) -> None:
    write, lines = pipe
    first, second = "ü\n".encode()[:1], "ü\r\n".encode()[1:]
    os.write(write, b"fl")
    os.write(write, first)
    os.write(write, second)
    os.close(write)
    assert [line for some in lines for line in some] == ["flü"]


@pytest.mark.parametrize("count", [0, 1, 50_000])
def test_no_line_is_lost(count: int) -> None:
    expected = [f"query {number}" for number in range(count)]
    for end in ("", "\n"):
        content = ("\n".join(expected) + end if expected else "").encode()
        stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")
        assert [line for some in waiting_lines(stream) for line in some] == expected


@given(
    text=st.lists(st.sampled_from(["a", "é", "\n", "\r\n", "\r", "\u2028"])).map("".join),
    size=st.integers(1, 5),
)
def test_the_lines_are_the_same_however_few_bytes_are_there_at_a_time(text: str, size: int) -> None:
    stream = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BYTES", size)
        found = [line for some in waiting_lines(stream) for line in some]
    expected = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    assert found == (expected if text else [])


def test_bytes_that_are_no_text_are_replaced() -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"a\xffb\n"), encoding="utf-8")
    assert list(waiting_lines(stream)) == [["a\ufffdb"]]


def test_a_stream_without_bytes_is_read_line_by_line() -> None:
    assert [line.strip() for (line,) in waiting_lines(io.StringIO("a\nb\n"))] == ["a", "b"]
