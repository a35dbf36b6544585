"""PDF files as documents. The process behind the wall runs this.

Not by markitdown, which runs words together wherever it takes a page for a form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO, StringIO
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from pdfminer.converter import TextConverter
from pdfminer.layout import LAParams
from pdfminer.pdfdocument import PDFDocument, PDFPasswordIncorrect
from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
from pdfminer.pdfpage import PDFPage
from pdfminer.pdfparser import PDFParser
from pdfminer.pdftypes import PDFObjRef, resolve1
from pdfminer.psexceptions import PSException
from pdfminer.utils import decode_text

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError, display_name, storable
from ragdoll.corpus.formats.markdown import without_noise

# What programs write for a title that nobody gave: some the name of a file.
_NO_TITLE = re.compile(
    r"(?:untitled|unknown|unspecified|document\d*|(?:Microsoft \w+ - .*|\S*)\.\w{2,4})?",
    re.IGNORECASE,
)

# An end for a file that has lost its own: its pages are then looked for.
_END = b"\nendstream\nendobj\n99999999 0 obj\n<< /Type /Catalog >>\nendobj\n"
_END += b"trailer\n<< /Root 99999999 0 R >>\n"

# Annotations that are no remarks.
_NO_REMARKS = frozenset(("Link", "Popup", "Widget"))

# Fields in fields, at most.
_MAX_DEPTH = 20


def read_pdf(path: Path) -> Document:
    """Read the text of the pages, one after another, each with remarks and filled-in forms.

    Of a file that is cut off those pages are read that are there. Scanned pages have no text. The
    title is the one that the file states.

    Raises:
        UnreadableError: the file needs a password, or there is no text.
    """
    with path.open("rb") as file:
        document = _opened(file)
        title = _title(document)
        values: dict[int, list[str]] = {}
        numbers = _pages(document)
        for number, value in (*_values(document, numbers), *_remarks(document)):
            values.setdefault(number, []).append(value)
        fonts = PDFResourceManager()
        pages = [without_noise(_text(page, fonts)) for page in PDFPage.create_pages(document)]
    for number, filled_in in values.items():
        pages[number] = "\n".join(filter(None, [pages[number], *filled_in]))
    # Two line feeds between pages, so that a paragraph ends with its page.
    starts = list(accumulate((len(page) + 2 for page in pages), initial=0))[: len(pages)]
    text = "\n\n".join(pages).rstrip()
    if not text.strip():
        raise UnreadableError("no text in it")
    return Document(text, title=title or display_name(path.name), pages=starts)


def _opened(file: BinaryIO) -> PDFDocument:
    """Open a file; one that is cut off with an end of ours.

    Raises:
        UnreadableError: the file needs a password.
    """
    try:
        return PDFDocument(PDFParser(file))
    except PDFPasswordIncorrect as error:
        raise UnreadableError("needs a password") from error
    except PSException:
        file.seek(0)
        content = file.read()
        document = PDFDocument(PDFParser(BytesIO(content + _END)))
        if not any(True for _ in PDFPage.create_pages(document)):
            raise
        return document


class _Upright(TextConverter):  # type: ignore[misc]
    """Writes the text of a page that stands upright, and notes by how much other text is turned."""

    def __init__(self, resources: PDFResourceManager) -> None:
        self.written = StringIO()
        self.turns: set[int] = set()
        super().__init__(resources, self.written, laparams=LAParams())

    def render_char(self, matrix: tuple[float, ...], *rest: Any) -> float:
        """Place a character, unless it is turned; return how far it goes."""
        advance = float(super().render_char(matrix, *rest))
        along, up = matrix[:2]
        if along < abs(up) or along < 0:
            self.turns.add((90 if up > 0 else 270) if abs(up) >= abs(along) else 180)
            self.cur_item._objs.pop()  # noqa: SLF001  (nothing else takes it back)
        return advance


def _text(page: PDFPage, fonts: PDFResourceManager) -> str:
    """Return the text of a page, that which is turned behind the rest."""
    upright = _drawn(page, fonts)
    texts = [upright]
    rotation = page.rotate
    for turn in sorted(upright.turns):
        page.rotate = (rotation + turn) % 360
        texts.append(_drawn(page, fonts))
    return "\n".join(text.written.getvalue() for text in texts).replace("\f", "")


def _drawn(page: PDFPage, fonts: PDFResourceManager) -> _Upright:
    upright = _Upright(fonts)
    PDFPageInterpreter(fonts, upright).process_page(page)
    return upright


def _title(document: PDFDocument) -> str:
    """Return the title that a file states; empty where that is none."""
    for info in document.info:
        title = _string(resolve1(info.get("Title")))
        if not _NO_TITLE.fullmatch(title):
            return title
    return ""


def _pages(document: PDFDocument) -> dict[int, int]:
    """Return the numbers of pages, from 0, by their objects and those of the fields on them."""
    numbers: dict[int, int] = {}
    for number, page in enumerate(PDFPage.create_pages(document)):
        fields = (one.objid for one in _list(page.annots) if isinstance(one, PDFObjRef))
        numbers |= dict.fromkeys((page.pageid, *fields), number)
    return numbers


def _remarks(document: PDFDocument) -> Iterator[tuple[int, str]]:
    """Yield notes, boxes of text and remarks on marked text, with their pages."""
    for number, page in enumerate(PDFPage.create_pages(document)):
        for one in map(resolve1, _list(page.annots)):
            if not isinstance(one, dict) or _string(resolve1(one.get("Subtype"))) in _NO_REMARKS:
                continue
            if remark := _string(resolve1(one.get("Contents"))):
                yield number, remark


def _values(document: PDFDocument, pages: dict[int, int]) -> Iterator[tuple[int, str]]:
    """Yield the values of a form's fields, each behind the name of its field, with their pages.

    The page is the last, -1, where none has the field.
    """
    form = resolve1(document.catalog.get("AcroForm"))
    fields = _list(form.get("Fields")) if isinstance(form, dict) else []
    waiting = [(one, "", 0) for one in reversed(fields)]
    while waiting:
        reference, above, depth = waiting.pop()
        field: Any = resolve1(reference)
        if not isinstance(field, dict):
            continue
        name = _string(resolve1(field.get("TU")) or resolve1(field.get("T"))) or above
        kids = _list(field.get("Kids"))
        if depth < _MAX_DEPTH:
            waiting += [(kid, name, depth + 1) for kid in reversed(kids)]
        stated = resolve1(field.get("V"))
        values = map(_string, map(resolve1, stated if isinstance(stated, list) else [stated]))
        if value := ", ".join(one for one in values if one and one != "Off"):
            places = (getattr(one, "objid", 0) for one in (field.get("P"), reference, *kids))
            page = next((pages[place] for place in places if place in pages), -1)
            yield page, f"{name}: {value}" if name else value


def _list(value: Any) -> list[Any]:
    """Return a list of a PDF; empty for another value."""
    resolved = resolve1(value)
    return resolved if isinstance(resolved, list) else []


def _string(value: Any) -> str:
    """Return a string of a PDF as text; empty for another value."""
    if isinstance(value, bytes):
        return storable(" ".join(decode_text(value).split()))
    name = getattr(value, "name", "")
    return name if isinstance(name, str) else ""
