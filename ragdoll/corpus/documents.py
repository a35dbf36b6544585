"""What a corpus yields: documents, and an account of what it left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


# Left-out files and records of a source that are named; beyond these they are counted by their
# reasons, and beyond so many reasons together.
_MAX_NAMED = 10_000
_MAX_REASONS = 100
_OTHER_REASONS = "other reasons"

# What is said of a corpus that has no document names so many.
_FIRST_REASONS = 3

_PLACE = re.compile(r"(?:line|record|row) \d+(?=: )")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something a corpus left out: the path, and the reason with its place in the file, if any.

    One without a path stands for ``count`` of the same reason that are not named. ``root`` is that
    of the source, to which a path is relative; empty where it is not known.
    """

    path: str
    reason: str
    count: int = 1
    root: str = ""

    @property
    def place(self) -> str:
        """Where in the file it is, such as ``line 12``; empty where it is the file as a whole."""
        match = _PLACE.match(self.reason)
        return match.group() if match else ""

    @property
    def kind(self) -> str:
        """The reason without the place."""
        return self.reason[len(self.place) :].removeprefix(": ")


@dataclass(slots=True)
class Reading:
    """The account of one reading of a source, which has this ``root``.

    ``done`` is how much of ``Source.size()`` has been read; ``documents`` counts what it yielded.
    ``unread`` has the paths of what could not be read this time, or not to its end: a disk that
    failed, a file that changed meanwhile. What they held may be there still.
    """

    root: str = ""
    done: int = 0
    documents: int = 0
    unread: set[str] = field(default_factory=set)
    _named: list[Skipped] = field(default_factory=list)
    _unnamed: Counter[str] = field(default_factory=Counter)

    def skip(self, path: str, reason: str, unread: bool = False) -> None:
        """Note that a file or record is left out; ``unread`` where that may be for this time."""
        item = Skipped(path, reason, root=self.root)
        if unread:
            self.unread.add(path)
        if len(self._named) < _MAX_NAMED:
            self._named.append(item)
        else:
            is_known = item.kind in self._unnamed or len(self._unnamed) < _MAX_REASONS
            self._unnamed[item.kind if is_known else _OTHER_REASONS] += 1

    @property
    def skipped(self) -> list[Skipped]:
        """What was left out, in the order of the reading; after it what is only counted."""
        return [
            *self._named,
            *(Skipped("", kind, count, self.root) for kind, count in self._unnamed.items()),
        ]


class Source(Protocol):
    """One place that documents come from."""

    @property
    def root(self) -> str:
        """Identifies the place: an absolute path, or a scheme such as ``python:stdlib``."""
        ...

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Yield the documents in a stable order; note what is left out, and how far it has read."""
        ...

    def size(self) -> int | None:
        """How many bytes there are to read; None where that cannot be known before."""
        ...

    def signature(self) -> str | None:
        """Summarise the present content cheaply, without reading it; None where that cannot be."""
        ...


@dataclass(slots=True)
class Corpus:
    """Documents of one or more sources, read as a stream, any number of times.

    ``readings`` has the accounts of the latest reading, by the roots of the sources.
    """

    sources: list[Source]
    readings: dict[str, Reading] = field(default_factory=dict, init=False)
    _ended: bool = field(default=False, init=False)
    _sizes: list[int | None] = field(default_factory=list, init=False)

    @property
    def documents(self) -> int:
        """How many documents the latest reading has yielded."""
        return sum(reading.documents for reading in self.readings.values())

    @property
    def skipped(self) -> list[Skipped]:
        """What the latest reading left out, of all sources."""
        return [item for items in self.skipped_by_root.values() for item in items]

    @property
    def skipped_by_root(self) -> dict[str, list[Skipped]]:
        """The same, by the roots of the sources; empty before the first reading."""
        return {root: reading.skipped for root, reading in self.readings.items()}

    @property
    def roots(self) -> list[str]:
        """The root of each source."""
        return [source.root for source in self.sources]

    def __iter__(self) -> Iterator[Document]:
        self.readings = {source.root: Reading(source.root) for source in self.sources}
        self._ended, self._sizes = False, []
        for source in self.sources:
            reading = self.readings[source.root]
            for document in source.documents(reading):
                reading.documents += 1
                yield document
        self._ended = True

    def share_read(self) -> float | None:
        """How much of the corpus the latest reading has read, from 0 to 1; None if not known.

        The first call in a reading looks at all files once more, for their sizes.
        """
        if self._ended:
            return 1.0
        self._sizes = self._sizes or [source.size() for source in self.sources]
        if None in self._sizes:
            return None
        total = sum(size or 0 for size in self._sizes)
        done = sum(reading.done for reading in self.readings.values())
        return min(1.0, done / total) if total else 0.0

    def signature(self) -> str | None:
        """Combine the sources' signatures; None where one of them has none."""
        signatures = [source.signature() for source in self.sources]
        if any(signature is None for signature in signatures):
            return None
        return " ".join(str(signature) for signature in signatures)


def left_out(items: Iterable[Skipped]) -> int:
    """How many files and records were left out, named or not."""
    return sum(item.count for item in items)


def why_empty(items: Sequence[Skipped]) -> str:
    """What to say of a corpus without documents: how much was left out, and the first reasons."""
    if not items:
        return ""
    first = "; ".join(f"{item.path}: {item.reason}" for item in items[:_FIRST_REASONS])
    more = "; …" * (len(items) > _FIRST_REASONS)
    return f" Left out: {left_out(items):,} ({first}{more})."
