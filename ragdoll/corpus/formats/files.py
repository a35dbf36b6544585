"""The way from a file to its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from ragdoll.corpus import structure
from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.behind_wall import wall
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError, display_name, storable
from ragdoll.corpus.formats.kinds import (
    BEHIND_WALL,
    BINARY_RECORDS,
    CODE,
    CONVERTED,
    EXTRA,
    HTML,
    LINES,
    MAN,
    MARKUP,
    MINIFIED,
    RECORDS,
    SUBTITLES,
    Manner,
)
from ragdoll.corpus.formats.latex import with_letters
from ragdoll.corpus.formats.markdown import front_matter
from ragdoll.corpus.formats.records import read_json, read_json_lines
from ragdoll.corpus.formats.stripped import is_man_page, man_page, subtitles, without_colours
from ragdoll.corpus.formats.tables import read_csv, read_tsv
from ragdoll.errors import first_line
from ragdoll.extras import install_command, is_installed

_Records = Iterator[Document | UnreadableError]
_RECORDS: dict[str, Callable[[Path, str], _Records]] = {
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_json_lines,
    "mbox": lambda path, _: wall.documents("box", path),
    "ndjson": read_json_lines,
    "parquet": lambda path, text_key: wall.documents("parquet", path, text_key=text_key),
    "tsv": read_tsv,
}

# Code that has no fewer characters, and more than this in a line on average, was made by a program.
_LEAST_MINIFIED = 2000
_LONG_LINE = 400

# A format that looks like text, and is nothing to read.
_RTF = "{\\rtf"

# Parsed, a page takes some thirty times its size.
_MAX_HTML = 16 * 2**20


def read(
    path: Path, manner: Manner | None = None, note: Callable[[str], None] = lambda _: None
) -> Iterator[Document | UnreadableError]:
    """Yield the documents of a file; a record that cannot be read is yielded as its error.

    ``note`` is called with what is to be known of the file.

    Raises:
        UnreadableError: the file as a whole, or the rest of it, cannot be read.
    """
    manner = manner or Manner()
    kind = manner.format_of(path)
    try:
        before = _state(path)
        if kind not in RECORDS:
            document = _document(path, kind, manner, note)
            if _state(path) != before:
                raise UnreadError("changed while it was read")
            yield document
            return
        is_binary = kind in BINARY_RECORDS
        content = decoding.inflated(path) if is_binary else decoding.readable(path, manner.encoding)
        with content as (place, noted):
            if noted:
                note(noted)
            yield from _RECORDS[RECORDS[kind]](place, manner.text_key)
        if _state(path) != before:
            yield UnreadError("changed while it was read; some of its records may be missing")
    except OSError as error:
        raise UnreadError(error.strerror or first_line(error)) from error


def _document(path: Path, kind: str, manner: Manner, note: Callable[[str], None]) -> Document:
    """Read a file that is one document."""
    if kind in CONVERTED and not is_installed(EXTRA):
        # The same for every file, so that an account of many can name it once.
        raise UnreadableError(f"needs the extra {EXTRA}: {install_command(EXTRA)}")
    if reader := BEHIND_WALL.get(kind):
        most = _MAX_HTML if kind in HTML else decoding.MAX_BYTES
        decoding.check_size(path, most)
        arguments = {} if manner.outputs or kind != ".ipynb" else {"outputs": False}
        with ExitStack() as stack:
            place, cut_off = stack.enter_context(decoding.inflated(path))
            decoding.check_size(place, most)
            noted = None
            if kind in HTML:
                told = decoding.declared(place) if manner.encoding == "auto" else manner.encoding
                place, noted = stack.enter_context(decoding.in_utf8(place, told))
            for what in filter(None, (cut_off, noted)):
                note(what)
            return wall.document(reader, place, **arguments)
    return _text(path, kind, manner, note)


def _text(path: Path, kind: str, manner: Manner, note: Callable[[str], None]) -> Document:
    """Read a file that is one text."""
    text, noted = decoding.text_of(path, manner.encoding)
    if noted:
        note(noted)
    text, title, markup = _shown(without_colours(text), kind)
    if not text.strip():
        raise UnreadableError("empty")
    # Front matter stays in the text, so that lines are the file's lines and it can be searched.
    fields, mistake = front_matter(text) if markup == "markdown" else ({}, None)
    if mistake:
        note(mistake)
    stated = fields.pop("title", None)
    if isinstance(stated, int | float) and not isinstance(stated, bool):
        stated = str(stated)
    title = storable(stated.strip()) if isinstance(stated, str) else title
    has_headings = markup not in structure.CODE and kind not in LINES | SUBTITLES
    found = structure.structure_of(text, markup).title if has_headings and not title else None
    title = title or found or display_name(path.name)
    return Document(text, title=title, metadata=fields, whole_file=True, markup=markup)


def _shown(text: str, kind: str) -> tuple[str, str | None, structure.Markup]:
    """Return what a text shows to a reader, line by line, the title of a man page, and its markup.

    Raises:
        UnreadableError: the text is not for readers.
    """
    if "\n" not in text:
        text = text.replace("\r", "\n")
    markup = MARKUP.get(kind, "code" if kind in CODE else "")
    if kind in SUBTITLES:
        return subtitles(text), None, markup
    if kind == MAN and is_man_page(text):
        return *man_page(text), "markdown"
    if text.startswith(_RTF):
        raise UnreadableError("in the format RTF; save it as text")
    if kind in CODE and _is_minified(text):
        raise UnreadableError(MINIFIED)
    return with_letters(text) if markup == "latex" else text, None, markup


def _is_minified(code: str) -> bool:
    """Tell whether code was made small for machines: by lines that nobody writes."""
    return len(code) >= _LEAST_MINIFIED and len(code) > _LONG_LINE * (code.count("\n") + 1)


def _state(path: Path) -> tuple[int, int]:
    """Return size and modification time, which tell that a file has changed."""
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
