"""Word and PowerPoint files as documents in Markdown. The process behind the wall runs this."""

from __future__ import annotations

from pathlib import Path

from markitdown import DocumentConverter, StreamInfo
from markitdown.converters import DocxConverter, PptxConverter

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall.archives import check_office, word_extras
from ragdoll.corpus.formats.markdown import converted, first_heading

# For the text to stay as it is, as markup does for HTML.
_OPTIONS = {
    "escape_asterisks": False,
    "escape_underscores": False,
    "strip": ["a", "b", "em", "i", "img", "strong"],
    "table_infer_header": True,
}


def read_word(path: Path) -> Document:
    """Read a text as Markdown, titled by its first heading; pictures have no text.

    Heads and feet of pages and comments stand behind the text.

    Raises:
        UnreadableError: the file is encrypted, or there is no text.
    """
    text = _converted(path, DocxConverter(), ".docx")
    return converted(f"{text}\n\n{word_extras(path)}", path, title=first_heading)


def read_slides(path: Path) -> Document:
    """Read a presentation as Markdown, titled by its first heading; pictures have no text.

    Raises:
        UnreadableError: the file is encrypted, or there is no text.
    """
    return converted(_converted(path, PptxConverter(), ".pptx"), path, title=first_heading)


def _converted(path: Path, converter: DocumentConverter, suffix: str) -> str:
    """Convert a file by one format's converter: not by the class that guesses formats."""
    check_office(path)
    with path.open("rb") as file:
        return str(converter.convert(file, StreamInfo(extension=suffix), **_OPTIONS).markdown)
