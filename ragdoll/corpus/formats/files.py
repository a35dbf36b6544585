"""Which files are read, and how each is: from a path to the texts of its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ragdoll.corpus.formats import decoding, office
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError, shown, whole
from ragdoll.corpus.formats.markdown import first_heading, front_matter
from ragdoll.corpus.formats.records import Record, read_json, read_json_lines
from ragdoll.corpus.formats.tables import read_csv, read_parquet, read_tsv
from ragdoll.errors import first_line

MARKDOWN = frozenset({".md", ".markdown"})
_LANGUAGES = """
    bash c cc cjs clj cljs cpp cs cxx dart el erl ex exs f f90 f95 fs go groovy h hh hpp hrl hs hxx
    java jl js jsx kt kts lisp lua m mjs ml mli mm nim pas php pl pm proto ps1 py pyi pyx r rb rs
    scala scm sh sql svelte swift tcl ts tsx vb vue zig zsh
"""
CODE = frozenset(f".{suffix}" for suffix in _LANGUAGES.split())
PLAIN = MARKDOWN | CODE | {".txt", ".text", ".rst", ".adoc", ".asciidoc", ".org", ".tex"}
HTML = frozenset({".html", ".htm", ".xhtml"})
_RECORDS: dict[str, Callable[[Path, str], Iterator[Record | UnreadableError]]] = {
    ".csv": read_csv,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": read_parquet,
    ".tsv": read_tsv,
}
SUPPORTED = PLAIN | HTML | office.SUFFIXES | frozenset(_RECORDS)
FAMILIES = (
    "text, Markdown, reStructuredText, AsciiDoc, Org, LaTeX, HTML, JSON, JSON lines, CSV, TSV, "
    "Parquet, source code, and with the extra 'documents' PDF, Word, PowerPoint and Excel"
)


def read(path: Path, text_key: str) -> Iterator[Record | UnreadableError]:
    """Yield the records of a file; a record that cannot be read is yielded as its error.

    Raises:
        UnreadableError: the file as a whole, or the rest of it, cannot be read.
    """
    try:
        before = _state(path)
        records = _RECORDS.get(path.suffix.lower())
        if records:
            yield from records(path, text_key)
            if _state(path) != before:
                yield UnreadError("changed while it was read; some of its records may be missing")
        else:
            record = _document(path)
            if _state(path) != before:
                raise UnreadError("changed while it was read")
            yield record
    except OSError as error:
        raise UnreadError(error.strerror or first_line(error)) from error


def _document(path: Path) -> Record:
    """Read a file that is one document."""
    suffix = path.suffix.lower()
    if suffix in office.SUFFIXES:
        return office.read_office(path)
    if suffix in HTML:
        # It imports libraries that nothing else needs.
        from ragdoll.corpus.formats.html import read_html

        return read_html(path)
    text = decoding.decode(decoding.contents(path))
    if not text.strip():
        raise UnreadableError("empty")
    if suffix not in MARKDOWN:
        return Record(name=None, title=shown(path.name), text=text)
    # It stays in the text, so that lines are the file's lines and its words are found.
    fields = front_matter(text)
    title = fields.pop("title", None)
    named = whole(title.strip()) if isinstance(title, str) else ""
    return Record(
        name=None,
        title=named or first_heading(text) or shown(path.name),
        text=text,
        metadata=fields,
    )


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
