"""Documents, the sources that they come from, and an account of what a source left out."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ragdoll.corpus.structure import Markup


@dataclass(frozen=True, slots=True)
class Document:
    """One text to learn from or to search.

    ``text`` is embedded and searched; a record's title stands at its beginning. ``source`` is
    unique within ``root``: a POSIX path relative to it, with ``#record`` behind it where a file
    holds several documents. A reader of a format leaves ``root`` empty, and ``source`` has only the
    record's own name, empty where the file is one document. ``metadata`` holds JSON values.
    ``whole_file`` says that the text is the file as it is, so that its lines are the file's lines.
    ``markup`` is the language that marks its headings, and ``pages`` are the offsets where its
    pages begin; empty where it has none.

    >>> Document("Set a timer.", source="timers.txt").metadata
    {}
    """

    text: str
    title: str = ""
    source: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    root: str = ""
    whole_file: bool = False
    markup: Markup = ""
    pages: Sequence[int] = ()


# The keys in a passage's metadata for where it stands: the line of the file, the page, the section.
LINE = "source_line"
PAGE = "page"
SECTION = "section"
# Between the headings of a section.
BETWEEN = " › "


def line_of(metadata: Mapping[str, Any]) -> int | None:
    """Return the line of the file that metadata names; None where no line is known."""
    line = metadata.get(LINE)
    return line if isinstance(line, int) else None


def page_of(metadata: Mapping[str, Any]) -> int | None:
    """Return the page that metadata names, from 1; None where no page is known."""
    page = metadata.get(PAGE)
    return page if isinstance(page, int) else None


def section_of(metadata: Mapping[str, Any]) -> str:
    """Return the section that metadata names, by its headings; empty where none is known."""
    section = metadata.get(SECTION)
    return section if isinstance(section, str) else ""


# The most skipped files and records of a source that are named. Further ones are only counted, by
# their reasons, and beyond this number of reasons together.
_MAX_NAMED = 10_000
_MAX_REASONS = 100
_OTHER_REASONS = "other reasons"

# The number of skipped items that the message about an empty corpus names.
_FIRST_REASONS = 3

# A file within a text, as an address: in base64, whose lines may be cut, as a drawing, or escaped.
_DATA = re.compile(
    r"(data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.=-]+)*,)"
    r"(?:(?:<|%3c)svg(?:(?!data:).){,65535}?(?:<|%3c)/svg(?:>|%3e)"
    r"|[\w+/=%.~!*-]{60,}(?:(?:\s+[\w+/=-]{60,})+(?:\s+[\w+/=-]++(?! ))?)?)",
    re.ASCII | re.DOTALL | re.IGNORECASE,
)

_PLACE = re.compile(r"(?:line|record|row) \d+(?=: )")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or record that a corpus left out, or of which there is something to note.

    ``reason`` begins with the place in the file, if there is one. An item without a path stands for
    ``count`` items of the same reason that are not named. ``root`` is that of the source, to which
    the path is relative; empty where it is not known.

    >>> Skipped("log.jsonl", "line 3: not JSON").place
    'line 3'
    """

    path: str
    reason: str
    count: int = 1
    root: str = ""

    @property
    def place(self) -> str:
        """The place in the file, such as ``line 12``; empty where the whole file was left out."""
        match = _PLACE.match(self.reason)
        return match.group() if match else ""

    @property
    def kind(self) -> str:
        """The reason without the place."""
        return self.reason[len(self.place) :].removeprefix(": ")


@dataclass(slots=True)
class _Account:
    """Files and records with reasons: the first are named, the others only counted."""

    named: list[Skipped] = field(default_factory=list)
    unnamed: Counter[str] = field(default_factory=Counter)

    def add(self, item: Skipped) -> None:
        if len(self.named) < _MAX_NAMED:
            self.named.append(item)
        else:
            is_known = item.kind in self.unnamed or len(self.unnamed) < _MAX_REASONS
            self.unnamed[item.kind if is_known else _OTHER_REASONS] += 1

    @property
    def count(self) -> int:
        """The number of items."""
        return len(self.named) + sum(self.unnamed.values())

    def items(self, root: str) -> list[Skipped]:
        """Return the items in the order of the reading, then those that are only counted."""
        counted = (Skipped("", kind, count, root) for kind, count in self.unnamed.items())
        return [*self.named, *counted]


@dataclass(slots=True)
class Reading:
    """The account of one reading of a source, which has this ``root``.

    ``done`` is the part of ``Source.size()`` that has been read; ``documents`` is the number of
    documents yielded. ``unread`` has the paths of files that could not be read this time, or not to
    their end: a disk failed, or a file changed meanwhile. Their documents may still be there.

    ``kept`` has the files that were passed over as known, each with the number of its documents.
    ``stamps`` has size, times and number of documents of the others, by which they are known the
    next time, except where there was something to say of a file.
    """

    root: str = ""
    done: int = 0
    documents: int = 0
    unread: set[str] = field(default_factory=set)
    kept: dict[str, int] = field(default_factory=dict)
    stamps: dict[str, list[int]] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    _left_out: _Account = field(default_factory=_Account)
    _noted: _Account = field(default_factory=_Account)

    def skip(self, path: str, reason: str, unread: bool = False) -> None:
        """Note that a file or record is left out; ``unread``: another reading may succeed."""
        if unread:
            self.unread.add(path)
        self._left_out.add(Skipped(path, reason, root=self.root))

    def note(self, path: str, what: str) -> None:
        """Note what is to be known of a file that is read."""
        self._noted.add(Skipped(path, what, root=self.root))

    def said(self) -> int:
        """Count the items that were left out and the notes on others, so far."""
        return self._left_out.count + self._noted.count

    @property
    def skipped(self) -> list[Skipped]:
        """The items left out, in the order of the reading, then those that are only counted."""
        return self._left_out.items(self.root)

    @property
    def notes(self) -> list[Skipped]:
        """What was noted, in the same order."""
        return self._noted.items(self.root)


class Source(Protocol):
    """A place that documents come from."""

    @property
    def root(self) -> str:
        """The identity of the place: an absolute path, or a scheme such as ``python:stdlib``."""
        ...

    @property
    def told(self) -> Mapping[str, Any]:
        """How to read the place, as far as its root does not say it, in JSON; see ``reopened``."""
        return {}

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Yield the documents in a stable order; note in ``reading`` what is left out."""
        ...

    def is_gone(self, _name: str, /) -> bool:
        """Tell, of a document that was read before and not this time, whether it is gone."""
        return True

    def size(self) -> int | None:
        """Return the number of bytes to read; None where it cannot be known beforehand."""
        ...

    def signature(self) -> str | None:
        """Summarise the present content without reading it; None where that is impossible."""
        ...


@dataclass(slots=True)
class Corpus:
    """Documents of one or more sources, read as a stream, any number of times.

    ``description`` says how the places were named, for the provenance of features and models.
    ``left_out`` are the settings of reading that nobody gave, which an index that has read the
    places before keeps. ``readings`` has the account of each source in the latest reading, by its
    root.

    >>> corpus = read("docs")
    >>> sorted(document.source for document in corpus)[:2]
    ['events.txt', 'futures.txt']
    """

    sources: list[Source]
    description: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    readings: dict[str, Reading] = field(default_factory=dict, init=False)
    _ended: bool = field(default=False, init=False)
    _sizes: list[int | None] = field(default_factory=list, init=False)

    @property
    def documents(self) -> int:
        """The number of documents that the latest reading has yielded."""
        return sum(reading.documents for reading in self.readings.values())

    @property
    def skipped(self) -> list[Skipped]:
        """The items that the latest reading left out of all sources."""
        return [item for items in self.skipped_by_root.values() for item in items]

    @property
    def notes(self) -> list[Skipped]:
        """What the latest reading noted of files that it read."""
        return [item for reading in self.readings.values() for item in reading.notes]

    @property
    def skipped_by_root(self) -> dict[str, list[Skipped]]:
        """The items left out, by the roots of the sources; empty before the first reading."""
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
                yield _without_data(document)
        self._ended = True

    def share_read(self) -> float | None:
        """Return the share of the corpus that has been read, from 0 to 1; None if not known.

        The first call in a reading looks up the size of every file.
        """
        if self._ended:
            return 1.0
        total = self.size()
        if total is None:
            return None
        done = sum(reading.done for reading in self.readings.values())
        return min(1.0, done / total) if total else 0.0

    def size(self) -> int | None:
        """Return the number of bytes to read; None where a source does not know."""
        self._sizes = self._sizes or [source.size() for source in self.sources]
        return None if None in self._sizes else sum(size or 0 for size in self._sizes)

    def signature(self) -> str | None:
        """Combine the sources' signatures; None where a source has none."""
        signatures = [source.signature() for source in self.sources]
        if any(signature is None for signature in signatures):
            return None
        return " ".join(str(signature) for signature in signatures)


def _without_data(document: Document) -> Document:
    """Leave out files that are written within a text, but for the ends of their lines."""
    if document.pages:
        return document  # its pages begin where they do in the whole text
    text = _DATA.sub(lambda found: f"{found[1]}…{chr(10) * found[0].count(chr(10))}", document.text)
    return document if text == document.text else replace(document, text=text)


def count_skipped(items: Iterable[Skipped]) -> int:
    """Count the files and records that were left out, named or not."""
    return sum(item.count for item in items)


def why_empty(items: Sequence[Skipped]) -> str:
    """Say of a corpus without documents how much was left out, with the first reasons."""
    if not items:
        return ""
    first = "; ".join(f"{item.path}: {item.reason}" for item in items[:_FIRST_REASONS])
    more = "; …" * (len(items) > _FIRST_REASONS)
    return f" Left out: {count_skipped(items):,} ({first}{more})."
