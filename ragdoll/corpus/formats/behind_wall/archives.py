"""Books and office files that are archives of XML: EPUB, OpenDocument, and parts of Word files.

The process behind the wall runs this.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from lxml import etree

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.behind_wall.html import page_of
from ragdoll.corpus.formats.decoding import UnreadableError, guessed
from ragdoll.corpus.formats.markdown import converted, first_heading, row_of

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)

_FORMULA_ALONE = re.compile(rb"</f>(?:<v>\s*</v>|<v\s*/>)?\s*</c>")

# What Office writes before 2007, and around a file that it encrypts.
_OLD = b"\xd0\xcf\x11\xe0"

# The names of elements without their namespaces.
_LINES = frozenset(("p", "h"))
_LEFT_OUT = frozenset(("tracked-changes", "note-citation", "desc", "forms"))
# Those that part words, and those whose text stands behind the paragraph.
_PARTING = _LINES | {"br", "cr", "frame", "line-break", "s", "tab"}
_BEHIND = frozenset(("annotation", "note"))
# A book has nothing beside its text: what it puts aside are notes and boxes.
_ASIDE = re.compile(r"(?<=<)(/?)aside\b")

# Of a table. A file may say that it repeats one as often as it likes.
_MAX_CELLS = 1_000_000
_TOO_MANY_CELLS = f"a table of more than {_MAX_CELLS:,} cells; split it"
# More are more than there may be.
_MAX_DIGITS = 9


def read_book(path: Path) -> Document:
    """Read the chapters of an EPUB, in the order of its spine.

    Raises:
        UnreadableError: the file is no EPUB, is encrypted, or has no text.
    """
    with _opened(path) as archive:
        container = _xml(archive, "META-INF/container.xml")
        package_name = next(
            (str(one.get("full-path")) for one in _named(container, "rootfile")), ""
        )
        package = _xml(archive, package_name)
        places = {one.get("id"): str(one.get("href")) for one in _named(package, "item")}
        names = set(archive.namelist())
        chapters = []
        for one in _named(package, "itemref"):
            place = unquote(places.get(one.get("idref"), "").partition("#")[0])
            name = posixpath.normpath(posixpath.join(posixpath.dirname(package_name), place))
            if name in names:
                page = _ASIDE.sub(r"\1div", guessed(_content(archive, name)))
                chapters.append(page_of(page)[0])
        title = next((_text(one) for one in _named(package, "title")), "")
    return converted("\n\n".join(filter(None, chapters)), path, title=lambda _: title or None)


def read_open_document(path: Path) -> Document:
    """Read the text of an OpenDocument file: a text, a presentation, or sheets with their names.

    Notes and comments stand behind the paragraph or the table that they belong to.

    Raises:
        UnreadableError: the file is no such file, is encrypted, has too many cells, or no text.
    """
    with _opened(path) as archive:
        root = _xml(archive, "content.xml")
    text = "\n".join(line for body in _named(root, "body")[:1] for line in _lines(body))
    if _named(root, "spreadsheet"):
        return converted(text, path)
    return converted(text, path, title=first_heading)


def word_extras(path: Path) -> str:
    """Return what stands around the text of a Word file: heads and feet of pages, comments."""
    with _opened(path) as archive:
        names = sorted(archive.namelist())
        parts: dict[str, None] = {}
        for kind in ("header", "footer", "comments"):
            for name in names:
                if name.startswith(f"word/{kind}") and name.endswith(".xml"):
                    paragraphs = map(_text, _named(_xml(archive, name), "p"))
                    parts |= dict.fromkeys(filter(None, paragraphs))
    return "\n\n".join(parts)


def sheet_comments(path: Path) -> list[str]:
    """Return the comments on the cells of a workbook, each behind the name of its cell."""
    with _opened(path) as archive:
        found = []
        for name in sorted(archive.namelist()):
            if name.startswith("xl/") and "comments" in name.lower() and name.endswith(".xml"):
                root = _xml(archive, name)
                comments = [*_named(root, "comment"), *_named(root, "threadedComment")]
                found += [f"{one.get('ref')}: {_text(one)}" for one in comments]
    return list(dict.fromkeys(found))


def has_formulas_alone(path: Path) -> bool:
    """Tell whether a workbook has a formula without a result."""
    with _opened(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        return any(_FORMULA_ALONE.search(_content(archive, name)) for name in sheets)


def check_office(path: Path) -> None:
    """Check that a file of Office is not of the form that no library here reads.

    Raises:
        UnreadableError: it is encrypted, or in the old binary format.
    """
    with path.open("rb") as file:
        if file.read(len(_OLD)) == _OLD:
            raise UnreadableError("needs a password, or is in the old binary format")


def _opened(path: Path) -> ZipFile:
    check_office(path)
    try:
        return ZipFile(path)
    except BadZipFile as error:
        raise UnreadableError("damaged, or no such file") from error


def _content(archive: ZipFile, name: str) -> bytes:
    """Read a part of an archive.

    Raises:
        UnreadableError: it is missing, encrypted or too large.
    """
    try:
        with archive.open(name) as file:
            content = file.read(decoding.MAX_BYTES + 1)
    except (KeyError, RuntimeError, BadZipFile) as error:
        reason = "needs a password" if isinstance(error, RuntimeError) else "a part is missing"
        raise UnreadableError(reason) from error
    if len(content) > decoding.MAX_BYTES:
        raise UnreadableError(decoding.TOO_LARGE)
    return content


def _xml(archive: ZipFile, name: str) -> etree._Element:
    root = etree.fromstring(_content(archive, name), _PARSER)
    if root is None:
        raise UnreadableError("a part of it is no XML")
    return root


def _named(root: etree._Element, name: str) -> list[etree._Element]:
    """Return the elements of a name in any namespace."""
    return [one for one in root.iter(etree.Element) if etree.QName(one).localname == name]


def _attribute(element: etree._Element, name: str) -> str:
    """Return an attribute in any namespace; empty where it is missing."""
    return next((str(value) for key, value in element.items() if key.endswith(f"}}{name}")), "")


def _text(element: etree._Element, behind: list[etree._Element] | None = None) -> str:
    """Return the text of an element in one line; put what is to stand behind it into ``behind``."""
    pieces: list[str | None] = []
    walk = etree.iterwalk(element, events=("start", "end", "comment", "pi"))
    for event, one in walk:
        name = etree.QName(one).localname if isinstance(one.tag, str) else ""
        if event == "start" and name in _BEHIND and behind is not None:
            behind.append(one)
            walk.skip_subtree()
        elif event == "start":
            pieces += [" " if name in _PARTING else "", one.text]
        elif one is not element:
            pieces += [" " if name in _PARTING else "", one.tail]
    return " ".join("".join(filter(None, pieces)).split())


def _lines(body: etree._Element) -> Iterator[str]:
    """Yield the lines of an OpenDocument text in Markdown, with blank ones between paragraphs."""
    waiting = [body]
    while waiting:
        one = waiting.pop()
        if not isinstance(one.tag, str):
            continue
        name = etree.QName(one).localname
        behind: list[etree._Element] = []
        if name in _LEFT_OUT:
            continue
        if name in _LINES:
            level = _attribute(one, "outline-level")
            if text := _text(one, behind):
                mark = "#" * min(int(level) if level.isdigit() else 1, 6)
                yield f"{mark} {text}" if name == "h" else text
                yield ""
        elif name == "table":
            yield from _table(one, behind)
            yield ""
        else:
            behind = list(one)
        waiting += reversed(behind)


def _table(table: etree._Element, behind: list[etree._Element]) -> Iterator[str]:
    """Yield the lines of a table, below its name where it is a sheet.

    Raises:
        UnreadableError: it has too many cells.
    """
    parent = table.getparent()
    if parent is not None and etree.QName(parent).localname == "spreadsheet":
        yield f"## {_attribute(table, 'name')}"
    cells = width = 0
    for row in _rows(table, behind):
        cells += len(row)
        line, width = row_of(row, width)
        if cells > _MAX_CELLS:
            raise UnreadableError(_TOO_MANY_CELLS)
        if line:
            yield line


def _rows(table: etree._Element, behind: list[etree._Element]) -> Iterator[list[str]]:
    """Yield the cells of each row, those that are repeated as often as they are.

    Raises:
        UnreadableError: a row has too many.
    """
    waiting = [table]
    while waiting:
        one = waiting.pop()
        if not isinstance(one.tag, str):
            continue
        if etree.QName(one).localname != "table-row":
            waiting += reversed(one)
            continue
        row: list[str] = []
        empty = 0
        for cell in one.iterchildren(etree.Element):
            said = _attribute(cell, "number-columns-repeated")
            times = int(said[:_MAX_DIGITS]) if said.isdecimal() else 1
            text = _text(cell, behind)
            if text and len(row) + empty + times > _MAX_CELLS:
                raise UnreadableError(_TOO_MANY_CELLS)
            if text:
                row += [""] * empty + [text] * times
            empty = 0 if text else empty + times
        yield row
