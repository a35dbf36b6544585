"""The formats that are read, and the way from a file to its documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding, wall
from ragdoll.corpus.formats.decoding import UnreadableError, UnreadError, display_name, storable
from ragdoll.corpus.formats.markdown import front_matter
from ragdoll.corpus.formats.records import read_json, read_json_lines
from ragdoll.corpus.formats.tables import read_csv, read_tsv
from ragdoll.corpus.structure import Markup, structure_of
from ragdoll.errors import first_line
from ragdoll.extras import install_command, is_installed

# The languages of markup whose headings are known.
MARKUP: dict[str, Markup] = {
    **dict.fromkeys((".markdown", ".md", ".mdx", ".qmd", ".rmd"), "markdown"),
    **dict.fromkeys((".adoc", ".asciidoc"), "asciidoc"),
    **dict.fromkeys((".py", ".pyi", ".pyx"), "python"),
    ".org": "org",
    ".rst": "rst",
    ".tex": "latex",
}
_LANGUAGES = """
    bash c cc cjs clj cljs cpp cs cxx dart el erl ex exs f f90 f95 fs go groovy h hh hpp hrl hs hxx
    java jl js jsx kt kts lisp lua m mjs ml mli mm nim pas php pl pm proto ps1 py pyi pyx r rb rs
    scala scm sh sql svelte swift tcl ts tsx vb vue zig zsh
"""
CODE = frozenset(f".{suffix}" for suffix in _LANGUAGES.split())
PLAIN = CODE | MARKUP.keys() | {".txt", ".text"}
HTML = frozenset({".html", ".htm", ".xhtml"})

# The formats that need an extra, and their readers behind the wall.
EXTRA = "documents"
_CONVERTERS = {".docx": "office", ".pdf": "pdf", ".pptx": "office", ".xlsx": "workbook"}
CONVERTED = frozenset(_CONVERTERS)

_Records = Iterator[Document | UnreadableError]
_RECORDS: dict[str, Callable[[Path, str], _Records]] = {
    ".csv": read_csv,
    ".json": read_json,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".parquet": lambda path, text_key: wall.documents("parquet", path, text_key=text_key),
    ".tsv": read_tsv,
}
# Parquet is compressed within.
_RECORDS |= {
    inner + outer: reader
    for inner, reader in _RECORDS.items()
    for outer in decoding.COMPRESSED
    if inner != ".parquet"
}
SUPPORTED = PLAIN | HTML | CONVERTED | frozenset(_RECORDS)
FAMILIES = (
    "text, Markdown, reStructuredText, AsciiDoc, Org, LaTeX, HTML, JSON, JSON lines, CSV, TSV, "
    "these also compressed, Parquet, source code, and with the extra 'documents' PDF, Word, "
    "PowerPoint and Excel"
)

# Parsed, a page takes some thirty times its size.
_MAX_HTML = 16 * 2**20


def format_of(path: Path) -> str:
    """Return the ending that tells how a file is read; both endings of a compressed one."""
    both = "".join(path.suffixes[-2:]).lower()
    return both if both in _RECORDS else path.suffix.lower()


def read(
    path: Path,
    text_key: str,
    encoding: str = "auto",
    note: Callable[[str], None] = lambda _: None,
) -> Iterator[Document | UnreadableError]:
    """Yield the documents of a file; a record that cannot be read is yielded as its error.

    ``encoding`` is that of text which is not UTF-8, or ``auto``. ``note`` is called with what is to
    be known of the file.

    Raises:
        UnreadableError: the file as a whole, or the rest of it, cannot be read.
    """
    try:
        before = _state(path)
        records = _RECORDS.get(format_of(path))
        if records is None:
            document = _document(path, encoding, note)
            if _state(path) != before:
                raise UnreadError("changed while it was read")
            yield document
            return
        is_text = format_of(path) != ".parquet"
        with decoding.readable(path, encoding) if is_text else nullcontext((path, None)) as read:
            place, noted = read
            if noted:
                note(noted)
            yield from records(place, text_key)
        if _state(path) != before:
            yield UnreadError("changed while it was read; some of its records may be missing")
    except OSError as error:
        raise UnreadError(error.strerror or first_line(error)) from error


def _document(path: Path, encoding: str, note: Callable[[str], None]) -> Document:
    """Read a file that is one document."""
    suffix = path.suffix.lower()
    if suffix in CONVERTED and not is_installed(EXTRA):
        # The same for every file, so that an account of many can name it once.
        raise UnreadableError(f"needs the extra {EXTRA}: {install_command(EXTRA)}")
    if suffix in CONVERTED or suffix in HTML:
        decoding.check_size(path, _MAX_HTML if suffix in HTML else decoding.MAX_BYTES)
        if suffix in HTML and encoding != "auto":
            with decoding.readable(path, encoding) as (place, _):
                return wall.document("html", place)
        return wall.document(_CONVERTERS.get(suffix, "html"), path)
    text, noted = decoding.text_of(path, encoding)
    if noted:
        note(noted)
    if not text.strip():
        raise UnreadableError("empty")
    name = display_name(path.name)
    markup = MARKUP.get(suffix, "code" if suffix in CODE else "")
    found = structure_of(text, markup).title if markup else None
    if markup != "markdown":
        return Document(text, title=found or name, whole_file=True, markup=markup)
    # The front matter stays in the text, so that lines are the file's lines and it can be searched.
    fields, mistake = front_matter(text)
    if mistake:
        note(mistake)
    title = fields.pop("title", None)
    if isinstance(title, int | float) and not isinstance(title, bool):
        title = str(title)
    title = storable(title.strip()) if isinstance(title, str) else ""
    title = title or found or name
    return Document(text, title=title, metadata=fields, whole_file=True, markup=markup)


def _state(path: Path) -> tuple[int, int]:
    """Return size and modification time, which tell that a file has changed."""
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns
