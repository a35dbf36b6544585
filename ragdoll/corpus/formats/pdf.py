"""PDF files as documents. The process behind the wall runs this.

Not by markitdown, which runs words together wherever it takes a page for a form.
"""

from __future__ import annotations

from pathlib import Path

from pdfminer.high_level import extract_text

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.markdown import converted


def read_pdf(path: Path) -> Document:
    """Read the text of the pages, one after another; scanned pages have none.

    Raises:
        UnreadableError: there is no text.
    """
    with path.open("rb") as file:
        return converted(extract_text(file).replace("\f", "\n\n"), path)
