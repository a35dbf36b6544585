"""Books and office files that are archives of XML: EPUB, OpenDocument, and parts of Word files.

The process behind the wall runs this.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

from lxml import etree

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats import decoding
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.html import page_of
from ragdoll.corpus.formats.markdown import converted, first_heading

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, huge_tree=False)

_FORMULA_ALONE = re.compile(rb"</f>(?:<v>\s*</v>|<v\s*/>)?\s*</c>")

# The names of elements without their namespaces.
_LINES = frozenset(("p", "h"))
_LEFT_OUT = frozenset(("annotation", "tracked-changes", "note-citation", "desc", "forms"))


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
            place = places.get(one.get("idref"))
            name = posixpath.join(posixpath.dirname(package_name), unquote(place or ""))
            if place and name in names:
                chapters.append(page_of(decoding.decode(_content(archive, name)))[0])
        title = next((_text(one) for one in _named(package, "title")), "")
    return converted("\n\n".join(filter(None, chapters)), path, title=lambda _: title or None)


def read_open_document(path: Path) -> Document:
    """Read the text of an OpenDocument file: a text, a presentation, or the rows of its sheets.

    Raises:
        UnreadableError: the file is no such file, is encrypted, or has no text.
    """
    with _opened(path) as archive:
        body = next(iter(_named(_xml(archive, "content.xml"), "body")), None)
    lines = list(_lines(body)) if body is not None else []
    return converted("\n".join(lines), path, title=first_heading)


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


def _opened(path: Path) -> ZipFile:
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


def _text(element: etree._Element) -> str:
    return " ".join("".join(cast("list[str]", list(element.itertext()))).split())


def _lines(element: etree._Element) -> Iterator[str]:
    """Yield the lines of an OpenDocument text in Markdown, with blank ones between paragraphs."""
    waiting = [element]
    while waiting:
        one = waiting.pop()
        if not isinstance(one.tag, str):
            continue
        name = etree.QName(one).localname
        if name in _LEFT_OUT:
            continue
        if name in _LINES:
            levels = [value for key, value in one.items() if key.endswith("}outline-level")]
            level = int(levels[0]) if levels and str(levels[0]).isdigit() else 1
            if text := _text(one):
                yield f"{'#' * min(level, 6)} {text}" if name == "h" else text
                yield ""
        elif name == "table-row":
            cells = [_text(cell) for cell in one if isinstance(cell.tag, str)]
            if any(cells):
                yield f"| {' | '.join(cells).rstrip(' |')} |"
        else:
            waiting += reversed(list(one))
