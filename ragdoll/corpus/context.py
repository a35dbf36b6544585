"""The context of a passage: words that it is found by, and that are not part of its text.

A passage in the middle of a text often does not name what it is about: the title does, or a heading
above, or the name of the file. Its words are indexed and embedded with the passage's own and never
shown. After Anthropic, "Introducing Contextual Retrieval" (2024), with the document's own words in
the place of a language model's.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ragdoll.corpus.documents import BETWEEN, PAGE, SECTION, Document
from ragdoll.corpus.formats.decoding import storable
from ragdoll.corpus.passages import Passage
from ragdoll.corpus.terms import searchable, undivided

# Characters. Beyond them the words of the passage would count for little beside those around it.
_MAX_CONTEXT = 400
# Of a longer value its first words.
_MAX_VALUE = 200
_MOST_VALUES = 1000
# The fields of a record, what they hold, and what that holds.
_LEVELS = 6


def context_of(passage: Passage) -> str:
    """Return a passage's context, a line for each part that its text lacks.

    The parts are the document's title, the headings of the sections that the passage begins in, the
    head of its table, and the names of the file and of its folders.
    """
    text = passage.text
    parts = dict.fromkeys(part for part in _parts(passage) if part and part not in text)
    return "\n".join(parts)[:_MAX_CONTEXT]


def with_context(passage: Passage) -> str:
    """Return the text of a passage with its context behind it, as it is embedded.

    Words that were divided at the end of a line are whole.
    """
    return joined(undivided(passage.text), passage.context)


def words_of(passage: Passage) -> str:
    """Return the same as the index over words reads it, with more that has no meaning for a vector.

    That is the whole name of the file; of a record its other fields, and the path of its file.
    """
    document, text = passage.document, joined(passage.text, passage.context)
    if _is_file(document):
        return searchable(f"{text}\n{document.source.rpartition('/')[2]}")
    if document.whole_file:
        return searchable(text)
    values = dict.fromkeys(islice(_short(document.metadata, _LEVELS), _MOST_VALUES))
    if document.root.startswith("/"):
        file = document.source.partition("#")[0]
        values |= dict.fromkeys((file, os.path.splitext(file)[0]))  # noqa: PTH122  (as below)
    return searchable("\n".join([text, *(value for value in values if value not in text)]))


def place_of(passage: Passage) -> dict[str, Any]:
    """Return the metadata that says on which page and in which section a passage stands."""
    facts = {PAGE: passage.page, SECTION: BETWEEN.join(passage.headings)}
    return {name: value for name, value in facts.items() if value}


def joined(text: str, context: str) -> str:
    """Put the context of a passage behind its text."""
    return f"{text}\n{context}" if context else text


def _parts(passage: Passage) -> Iterator[str]:
    document = passage.document
    folders, _, name = document.source.rpartition("/")
    is_file = _is_file(document)
    if not is_file or document.title != name:
        yield document.title
    yield from passage.headings
    yield passage.table_head
    if is_file:
        yield os.path.splitext(name)[0]  # noqa: PTH122  (much faster than a path's stem)
        yield from folders.split("/")


def _short(value: Any, levels: int) -> Iterator[str]:
    """Yield the values that somebody may search for, of lists and objects one by one."""
    if isinstance(value, dict | list):
        for item in (value.values() if isinstance(value, dict) else value) if levels else ():
            yield from _short(item, levels - 1)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        text = storable(str(value).strip())
        if text:
            yield text if len(text) <= _MAX_VALUE else text[:_MAX_VALUE].rsplit(None, 1)[0]


def _is_file(document: Document) -> bool:
    """Tell whether a document is a file, whose name tells something, and not a record of one."""
    return document.root.startswith("/") and "#" not in document.source
