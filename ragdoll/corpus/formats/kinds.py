"""The kinds of files that are read, and how the name of a file tells its kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ragdoll.corpus.formats.decoding import COMPRESSED, is_encoding, is_text
from ragdoll.corpus.structure import Markup
from ragdoll.errors import UsageError
from ragdoll.settings import READING, CorpusSettings

# The languages of markup whose headings are known.
MARKUP: dict[str, Markup] = {
    **dict.fromkeys((".markdown", ".md", ".mdown", ".mdx", ".mkd", ".qmd", ".rmd"), "markdown"),
    **dict.fromkeys((".adoc", ".asciidoc"), "asciidoc"),
    **dict.fromkeys((".py", ".pyi", ".pyx"), "python"),
    ".org": "org",
    ".rst": "rst",
    ".tex": "latex",
}
_LANGUAGES = """
    bash bat c cc cjs clj cljs cmake cpp cs cxx dart el erl ex exs f f90 f95 fs go gradle graphql
    groovy h hh hpp hrl hs hxx java jl js jsx kt kts lisp lua m mjs mk ml mli mm nim pas php pl pm
    proto ps1 r rb rs scala scm sh sql svelte swift tcl tf ts tsx vb vue zig zsh
"""
CODE = frozenset(f".{suffix}" for suffix in _LANGUAGES.split())
# Texts whose lines each say something.
LINES = frozenset(
    (".cfg", ".cnf", ".conf", ".ini", ".log", ".properties", ".toml", ".yaml", ".yml")
)
SUBTITLES = frozenset((".srt", ".vtt"))
# Man pages are told by their section, such as .1 or .3p.
MAN = ".man"
_SECTION = re.compile(r"\.[1-9][a-z]{0,4}")
# A name like README or Dockerfile, which has no suffix.
_CAPITALISED = re.compile(r"[A-Z][A-Za-z_-]*")
# The usual documents and files of a project, in another language or of another version, and logs
# of days before.
_VARIANT = re.compile(
    r"(?:AUTHORS|CHANGE(?:LOG|S)|CONTRIBUTING|COPYING|HISTORY|INSTALL|LICEN[CS]E|NEWS|README|TODO"
    r"|Containerfile|Dockerfile|Makefile)[._-].+"
)
_ROTATED = re.compile(r".*\.log[._-]\d[\dT:._-]*")
_TEXTS = frozenset((".bib", ".diff", ".ics", ".patch", ".po", ".texi", ".texinfo", ".text", ".txt"))
PLAIN = CODE | LINES | MARKUP.keys() | SUBTITLES | _TEXTS | {MAN}
HTML = frozenset({".html", ".htm", ".xhtml"})

# The formats that need an extra, and their readers behind the wall; and those that need none.
EXTRA = "documents"
_CONVERTERS = {
    **dict.fromkeys((".docm", ".docx", ".dotx"), "word"),
    **dict.fromkeys((".pptm", ".pptx"), "slides"),
    **dict.fromkeys((".xlsm", ".xlsx"), "workbook"),
    ".pdf": "pdf",
}
CONVERTED = frozenset(_CONVERTERS)
BEHIND_WALL = {
    **_CONVERTERS,
    **dict.fromkeys(HTML, "html"),
    **dict.fromkeys((".odp", ".ods", ".odt"), "opendocument"),
    ".eml": "message",
    ".epub": "book",
    ".ipynb": "notebook",
}

# The formats that hold records. Those that are no text are never compressed from without.
_TEXT_RECORDS = {
    **{name: name for name in ("csv", "json", "jsonl", "ndjson", "tsv")},
    "jsonlines": "jsonl",
    "tab": "tsv",
}
BINARY_RECORDS = frozenset((".mbox", ".parquet"))
RECORDS = {
    **{suffix: suffix[1:] for suffix in BINARY_RECORDS},
    **{
        f".{name}{outer}": _TEXT_RECORDS[name]
        for name in _TEXT_RECORDS
        for outer in ("", *COMPRESSED)
    },
}
# The formats that are read from a compressed file, besides the records.
_INFLATED = PLAIN | HTML | {".eml", ".ipynb", ".mbox"}
SUPPORTED = PLAIN | frozenset(BEHIND_WALL) | frozenset(RECORDS)
FAMILIES = (
    "text, Markdown, reStructuredText, AsciiDoc, Org, LaTeX, HTML, JSON, JSON lines, CSV, TSV, "
    "man pages, source code, notebooks, mail, these also compressed, Parquet, EPUB, OpenDocument, "
    "and with the extra 'documents' PDF, Word, PowerPoint and Excel"
)


# The reason for leaving out code that was made small for machines.
MINIFIED = "minified"


@dataclass(frozen=True, slots=True)
class Manner:
    """How files are read: the settings of ``[corpus]`` by the same names.

    ``text_key`` names the text in records, ``encoding`` is that of text which is not UTF-8, or
    ``auto``. Files whose names match one of ``include`` are read as text. ``formats`` are pairs of
    a suffix and the format that files with it have, as ``.xyz=md``. ``hidden`` reads hidden files,
    ``generated`` what programs made, and ``outputs`` what the cells of notebooks printed. Without
    ``ignore_files``, ``.gitignore`` and ``.ragdollignore`` leave nothing out.
    """

    text_key: str = "text"
    encoding: str = "auto"
    ignore_files: bool = True
    include: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    hidden: bool = False
    generated: bool = False
    outputs: bool = True

    @classmethod
    def of(cls, settings: CorpusSettings) -> Manner:
        """Return how settings let files be read."""
        return cls().as_told({name: getattr(settings, name) for name in READING})

    def as_told(self, told: Mapping[str, Any]) -> Manner:
        """Return the same but for what ``told`` says: a file, which may say anything."""
        values: dict[str, Any] = {}
        for name, default in asdict(self).items():
            value = told.get(name)
            if isinstance(default, tuple) and isinstance(value, list | tuple):
                values[name] = tuple(one for one in value if isinstance(one, str))
            elif isinstance(value, type(default)):
                values[name] = value
        if not is_encoding(values.get("encoding", "auto")):
            del values["encoding"]
        return replace(self, **values)

    def format_of(self, path: Path) -> str:
        """Return the suffix that tells how a file is read; its own where it is not known."""
        name = path.name
        for told in self.formats:
            suffix, _, kind = told.partition("=")
            if name.lower().endswith(suffix.lower()):
                return f".{kind.lower().removeprefix('.')}"
        found = format_of(path)
        if found not in SUPPORTED and any(fnmatchcase(name, glob) for glob in self.include):
            return ".txt"
        return found

    def reads(self, path: Path) -> bool:
        """Tell whether a file has a format that can be read, or no suffix and a text in it."""
        kind = self.format_of(path)
        return kind in SUPPORTED or (not kind and path.is_file() and is_text(path))


def format_of(path: Path) -> str:
    """Return the ending that tells how a file is read; both endings of compressed records."""
    # By hand: the properties of Path would take longer than opening the file.
    name = path.name
    stem, dot, ending = name.lstrip(".").rpartition(".")
    suffix = f".{ending.lower()}" if dot and ending else ""
    if suffix in COMPRESSED:
        inner = format_of(Path(stem))
        return (
            inner + suffix if inner + suffix in RECORDS else inner if inner in _INFLATED else suffix
        )
    if _SECTION.fullmatch(suffix):
        return MAN
    if suffix in SUPPORTED:
        return suffix
    if _ROTATED.fullmatch(name):
        return ".log"
    is_known = _VARIANT.fullmatch(name) or (not suffix and _CAPITALISED.fullmatch(name))
    return ".txt" if is_known else suffix


def check_formats(told: Iterable[str]) -> None:
    """Check what a user says of suffixes.

    Raises:
        UsageError: it is not of the form ``.SUFFIX=FORMAT``, or the format is not known.
    """
    for pair in told:
        suffix, separator, kind = pair.partition("=")
        if not (suffix.startswith(".") and separator and kind):
            raise UsageError(
                f"'{pair}' does not say the format of a suffix.",
                hint="Say it as .xyz=txt, with the suffix of a format that ragdoll reads.",
            )
        kind = f".{kind.lower().removeprefix('.')}"
        if kind not in SUPPORTED or kind.endswith(tuple(COMPRESSED)):
            raise UsageError(
                f"The format '{kind[1:]}' is not known.",
                hint="Formats are named by their suffixes, such as txt, md, rst, html or jsonl.",
            )
