"""What a corpus yields: documents, and an account of what it left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Document:
    """One text to learn from or to search.

    ``source`` is unique within ``root``: a POSIX path relative to it, with ``#record`` behind it
    where a file holds several documents. ``text`` is what is embedded and searched; a record's
    title stands at its beginning. ``metadata`` holds JSON values. ``whole_file`` says that the text
    is a file as it is, so that its lines are the file's lines.
    """

    root: str
    source: str
    title: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    whole_file: bool = False


# In a document's or a passage's metadata: the line of the source file where it stands.
LINE = "source_line"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something a corpus left out: its path (or record) and the reason."""

    path: str
    reason: str


class UniqueNames:
    """Keeps what has the same name apart, by numbering all but the first: ``a``, ``a~2`` …."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        """Return the name, or where it is taken the next that is free."""
        unique = name
        while unique in self._taken:
            self._counts[name] = self._counts.get(name, 1) + 1
            unique = f"{name}~{self._counts[name]}"
        self._taken.add(unique)
        return unique


class Source(Protocol):
    """One place that documents come from."""

    @property
    def root(self) -> str:
        """Identifies the place: an absolute path, or a scheme such as ``python:stdlib``."""
        ...

    def documents(self, skipped: list[Skipped]) -> Iterator[Document]:
        """Yield the documents in a stable order; append what is left out to ``skipped``."""
        ...

    def signature(self) -> str | None:
        """Summarise the present content cheaply, without reading it; None where that cannot be."""
        ...


@dataclass(slots=True)
class Corpus:
    """Documents of one or more sources, read as a stream, any number of times.

    ``skipped_by_root`` is the account of the latest reading.
    """

    sources: list[Source]
    skipped_by_root: dict[str, list[Skipped]] = field(default_factory=dict)

    @property
    def skipped(self) -> list[Skipped]:
        """What the latest reading left out, of all sources."""
        return [item for items in self.skipped_by_root.values() for item in items]

    @property
    def roots(self) -> list[str]:
        """The root of each source."""
        return [source.root for source in self.sources]

    def __iter__(self) -> Iterator[Document]:
        self.skipped_by_root = {source.root: [] for source in self.sources}
        for source in self.sources:
            yield from source.documents(self.skipped_by_root[source.root])

    def signature(self) -> str | None:
        """Combine the sources' signatures; None where one of them has none."""
        signatures = [source.signature() for source in self.sources]
        if any(signature is None for signature in signatures):
            return None
        return " ".join(str(signature) for signature in signatures)
