"""Jupyter notebooks as documents in Markdown, cell by cell.

The process behind the wall runs this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.behind_wall.html import page_of
from ragdoll.corpus.formats.decoding import UnreadableError, guessed
from ragdoll.corpus.formats.markdown import converted, first_heading
from ragdoll.corpus.formats.records import parsed
from ragdoll.corpus.formats.stripped import without_colours

# Characters of what a cell printed: more is data.
_MAX_OUTPUT = 4000
# What stands for an object that has other forms.
_OBJECT = re.compile(r"<[\w.]+ object.*>")


def read_notebook(path: Path, outputs: bool = True) -> Document:
    """Read the text and the code of the cells, and with ``outputs`` what they printed.

    Raises:
        UnreadableError: the file is no notebook, or has no text.
    """
    try:
        content = parsed(guessed(path.read_bytes()))
        told = (content.get("metadata") or {}).get("language_info") or {}
        # The third version of the format has its cells in worksheets.
        sheets = content.get("worksheets", [content])
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        parts = [
            part
            for cell in cells
            for part in _parts(cell, str(told.get("name") or "python"), outputs)
        ]
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise UnreadableError("not a notebook") from error
    text = "\n\n".join(parts)
    return converted(text, path, title=first_heading)


def _parts(cell: dict[str, Any], language: str, outputs: bool) -> Iterator[str]:
    text = _joined(cell.get("source", cell.get("input")))
    kind = cell.get("cell_type")
    if not text.strip():
        return
    if kind != "code":
        yield f"{'#' * int(cell.get('level', 1))} {text}" if kind == "heading" else text
        return
    yield f"```{language}\n{text}\n```"
    for output in (cell.get("outputs") or []) if outputs else []:
        if printed := _output(output):
            yield printed


def _output(output: dict[str, Any]) -> str:
    """Return what a cell printed in Markdown; of several forms the one that says most."""
    if "ename" in output:
        lines = output.get("traceback") or [f"{output['ename']}: {output.get('evalue')}"]
        # What failed stands at the end.
        return _fenced(without_colours("\n".join(lines))[-_MAX_OUTPUT:])
    data = output.get("data") or output
    markdown, plain, html = (
        _joined(data.get(f"text/{kind}", data.get(name))).strip()
        for kind, name in (("markdown", "markdown"), ("plain", "text"), ("html", "html"))
    )
    if html and not markdown and (not plain or _OBJECT.fullmatch(plain)):
        with suppress(UnreadableError):
            markdown = page_of(html)[0]
    return markdown[:_MAX_OUTPUT] or _fenced(without_colours(plain)[:_MAX_OUTPUT])


def _fenced(text: str) -> str:
    return f"```\n{text}\n```" if text.strip() else ""


def _joined(lines: Any) -> str:
    return lines if isinstance(lines, str) else "".join(lines or ())
