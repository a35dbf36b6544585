"""Word and PowerPoint files as documents in Markdown. The process behind the wall runs this."""

from __future__ import annotations

from pathlib import Path

from markitdown import StreamInfo
from markitdown.converters import DocxConverter, PptxConverter

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall.archives import check_office, word_extras
from ragdoll.corpus.formats.markdown import converted, first_heading

# One format's converter each: not the class that guesses formats and knows addresses.
_CONVERTERS = {".docx": DocxConverter, ".pptx": PptxConverter}

# For the text to stay as it is, as markup does for HTML.
_OPTIONS = {
    "escape_asterisks": False,
    "escape_underscores": False,
    "strip": ["a", "b", "em", "i", "img", "strong"],
    "table_infer_header": True,
}


def read_office(path: Path) -> Document:
    """Read a file as Markdown, titled by its first heading; pictures have no text.

    Heads and feet of pages and comments stand behind the text.

    Raises:
        UnreadableError: the file is encrypted, or there is no text.
    """
    check_office(path)
    suffix = path.suffix.lower()
    with path.open("rb") as file:
        markdown = _CONVERTERS[suffix]().convert(file, StreamInfo(extension=suffix), **_OPTIONS)
    return converted(
        f"{markdown.markdown}\n\n{word_extras(path) if suffix == '.docx' else ''}",
        path,
        title=first_heading,
    )
