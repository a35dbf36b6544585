"""Tables in CSV and TSV: rows with named columns, of which one holds the text."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, BinaryIO

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError
from ragdoll.corpus.formats.records import keys_of, record_from

_SAID_SEPARATOR = re.compile(rb'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)

# A field in quotes, with those inside doubled.
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_csv(path: Path, text_key: str) -> Iterator[Document | UnreadableError]:
    """Yield the rows of a table separated by commas, or by what spreadsheets write instead."""
    return _read_separated(path, text_key, separators=",;\t|")


def read_tsv(path: Path, text_key: str) -> Iterator[Document | UnreadableError]:
    """Yield the rows of a table separated by tabs, where a quote may be no more than text."""
    return _read_separated(path, text_key, separators="\t", quotes_are_text=True)


def _read_separated(
    path: Path, text_key: str, separators: str, *, quotes_are_text: bool = False
) -> Iterator[Document | UnreadableError]:
    with decoding.opened(path) as file:
        lines = _Lines(file)
        # Excel says the separator in a line of its own, and so hides it.
        start = file.tell()
        if said := _SAID_SEPARATOR.fullmatch(file.readline(2**16)):
            lines.number, separators = 1, said[1].decode()
        else:
            file.seek(start)
        rows = _rows(lines, _separator(file, text_key, separators), quotes_are_text)
        header = next(rows, UnreadableError("empty"))
        if isinstance(header, UnreadableError):
            raise header
        columns = _distinct([name.strip() for name in header])
        texts = check_columns(columns, text_key)
        number = 0
        for number, row in enumerate(rows, start=1):
            try:
                yield record_from(_fields(row, columns, texts), text_key, name=str(number))
            except UnreadableError as error:
                yield type(error)(f"line {lines.row}: {error}")
    if not number:
        raise UnreadableError("empty")


def _rows(
    lines: _Lines, separator: str, quotes_are_text: bool
) -> Iterator[list[str] | UnreadableError]:
    """Yield the rows that are not blank; one that cannot be read is yielded as its error.

    A quote that is never closed costs the line where it stands: the lines that it takes with it
    are read again, each as a row. Where quotes may be text it costs nothing.
    """
    # A limit of the whole process; the standard one is far below the length of a document.
    csv.field_size_limit(decoding.MAX_BYTES)
    # Strict, since otherwise a quote that is never closed swallows rows without a word.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    width = 0  # the number of columns, once the header is read
    alone = 0  # lines before the one of this number are rows by themselves
    while True:
        lines.begin_row()
        is_alone = lines.row < alone
        row: list[str] | UnreadableError
        try:
            if is_alone:
                row = _row_of(next(lines), separator, width, quotes_are_text)
            else:
                row = next(reader)
            again = _has_swallowed(row, lines, separator, width, quotes_are_text)
        except StopIteration:
            return
        except (csv.Error, UnreadableError) as error:
            is_large = "field limit" in str(error)
            if is_large and width < 2:
                # What follows may be the rest of this field; no number of fields would tell.
                yield UnreadError(f"{decoding.TOO_LARGE}; nothing after it is read")
                return
            row = UnreadableError(decoding.TOO_LARGE if is_large else str(error))
            again = lines.number > lines.row or quotes_are_text
        if again and not is_alone:
            alone = max(lines.number, lines.row + 1)
            lines.back_to_row()
        elif lines.problem:
            yield lines.problem
        elif row:
            if width == 1 and isinstance(row, list):
                row = [separator.join(row)]  # the only column is a text, which needs no quotes
            width = width or (len(row) if isinstance(row, list) else 0)
            yield row


def _row_of(line: str, separator: str, width: int, quotes_are_text: bool) -> list[str]:
    """Read a line as a row; where quotes may be text, only those around a whole field are none.

    Raises:
        csv.Error: a quote is out of place.
        UnreadableError: the row has another number of fields than the header.
    """
    try:
        row = next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error:
        if not quotes_are_text:
            raise
        fields = line.rstrip("\r\n").split(separator)
        row = [
            field[1:-1].replace('""', '"') if _QUOTED.fullmatch(field) else field
            for field in fields
        ]
    if row and width > 1 and len(row) != width:
        raise UnreadableError(f"{len(row)} fields, where the header has {width}")
    return row


def _has_swallowed(
    row: list[str], lines: _Lines, separator: str, width: int, quotes_are_text: bool
) -> bool:
    """Tell whether a row of several lines looks like several rows between two quotes of text."""
    if not width or lines.number == lines.row:
        return False
    if len(row) > width or (quotes_are_text and len(row) < width):
        return True
    # A table of few columns has texts of several lines that look the same by chance.
    return (quotes_are_text or len(row) < width) and _are_rows(row, separator, width)


def _are_rows(row: list[str], separator: str, width: int) -> bool:
    """Tell whether a field of several lines has as many separators as rows in its place."""
    missing = width - len(row)
    return width > 1 and any(
        "\n" in field and field.count(separator) == field.count("\n") * (width - 1) + missing
        for field in row
    )


def _separator(file: BinaryIO, text_key: str, separators: str) -> str:
    """Return the separator by which the first line has the column with the text."""
    start = file.tell()
    first = file.readline(2**16).decode("utf-8", "replace")
    file.seek(start)
    for separator in separators:
        names = [name.strip(' "\r\n') for name in first.split(separator)]
        if set(keys_of(names, text_key)) & set(names):
            return separator
    return separators[0]


class _Lines:
    """The lines of a file, from which rows are read.

    A line that cannot be decoded sets ``problem`` until the next row begins, and is returned as far
    as it can be, so that the rows after it keep their form. ``number`` is that of the latest line,
    ``row`` that of the line where the latest row begins.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._place = 0  # of the row
        self.number = self.row = 0
        self.problem: UnreadableError | None = None

    def begin_row(self) -> None:
        """Note that the next line begins a row."""
        self.problem, self.row, self._place = None, self.number + 1, self._file.tell()

    def back_to_row(self) -> None:
        """Return to the first line of the latest row."""
        self._file.seek(self._place)
        self.number = self.row - 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises:
            csv.Error: the row already has more bytes than one may have.
        """
        if self.number >= self.row and self._file.tell() - self._place > decoding.MAX_BYTES:
            raise csv.Error("the row is larger than the field limit")
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


def _distinct(columns: Sequence[str]) -> list[str]:
    """Number the names that a column before has, too."""
    seen: Counter[str] = Counter()
    names = []
    for name in columns:
        seen[name] += 1
        names.append(f"{name} {seen[name]}" if name and seen[name] > 1 else name)
    return names


def _fields(
    row: list[str] | UnreadableError, columns: Sequence[str], texts: Sequence[str]
) -> dict[str, Any]:
    """Return a row by the names of its columns; a row may be short, and empty values are left out.

    Raises:
        UnreadableError: the row is an error, or has more fields than there are columns.
    """
    if isinstance(row, UnreadableError):
        raise row
    if len(row) > len(columns):
        raise UnreadableError(f"{len(row)} fields, where the header has {len(columns)}")
    fields = {name: value for name, value in zip(columns, row, strict=False) if name and value}
    return {**dict.fromkeys(texts, ""), **fields}


def check_columns(columns: Sequence[str], text_key: str) -> list[str]:
    """Check that a table has a column of the text, and return all of them; see ``keys_of``.

    Raises:
        UnreadableError: it has not.
    """
    keys = keys_of(columns, text_key)
    if not keys:
        names = shorten(", ".join(columns), 200, placeholder=" …")
        raise UnreadableError(f"no column '{text_key}'; it has {names}")
    return keys
