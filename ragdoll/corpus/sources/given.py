"""Documents that a program holds: strings, mappings and ``Document`` objects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ragdoll.corpus.documents import Document, Reading, Source
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.records import record_from
from ragdoll.corpus.names import Seen

# The root of all documents that are given.
GIVEN = "given:"

_TEXT_KEY = "text"


@dataclass(frozen=True, slots=True)
class GivenSource(Source):
    """Documents as a program gives them; an iterator among them can be read once only.

    A mapping has its text under ``text``, perhaps a ``title`` and an ``id``; its other fields are
    metadata. A document without an id or a source is named by a hash of its text, so that the same
    text is the same document.
    """

    items: Iterable[str | Mapping[str, Any] | Document]

    @property
    def root(self) -> str:
        """The same for all documents that are given."""
        return GIVEN

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Yield the documents in order; one without text is left out."""
        seen = Seen()
        for number, item in enumerate(self.items, start=1):
            try:
                document = _document(item)
            except UnreadableError as error:
                reading.skip(f"document {number}", str(error))
                continue
            name = document.source or hashlib.sha256(document.text.encode()).hexdigest()[:16]
            if seen.add(name):
                yield replace(document, root=GIVEN, source=name)
            else:
                reading.skip(name, "given twice")

    def is_gone(self, _name: str, /) -> bool:
        """False: a program gives only some of its documents."""
        return False

    def size(self) -> int | None:
        """None: the documents are not counted before they are read."""
        return None

    def signature(self) -> str | None:
        """None: only reading the documents tells whether they are the same."""
        return None


def _document(item: str | Mapping[str, Any] | Document) -> Document:
    """Make a document.

    Raises:
        UnreadableError: it has no text.
        TypeError: it is of another type.
    """
    if isinstance(item, str):
        item = {_TEXT_KEY: item}
    if isinstance(item, Mapping):
        return record_from(dict(item), _TEXT_KEY, name="")
    if not isinstance(item, Document):
        raise TypeError(f"A document is a str, a mapping or a Document, not {type(item).__name__}.")
    if not item.text.strip():
        raise UnreadableError("empty")
    return item
