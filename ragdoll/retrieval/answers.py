"""What a search is asked and what it answers, wherever the table is: here, or behind a service.

A client of a service needs no more than this. So nothing here imports what reads a table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from ragdoll.corpus.documents import BETWEEN, line_of, page_of, section_of
from ragdoll.settings import Mode, QuerySettings, checked, refuse_weight, settings

if TYPE_CHECKING:
    from ragdoll.embedding.identity import ModelIdentity
    from ragdoll.embedding.vectors import Vectors

# Characters between two passages, at most: a damaged table may name any number.
_MOST_BLANK = 100_000


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; ``Searchable.search`` says what the fields mean.

    Raises:
        UsageError: a value is out of range, or has no meaning in the mode.
    """

    k: int = 10
    mode: Mode = "hybrid"
    alpha: float | None = None
    where: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        checked(self.k, settings()["query.top_k"], name="k")
        # Making these settings checks them.
        alpha: Any = "auto" if self.alpha is None else self.alpha
        QuerySettings(mode=self.mode, alpha=alpha, where=self.where, source=self.source)
        refuse_weight(self.alpha, self.mode)


class Placed:
    """A passage whose metadata says where it stands."""

    __slots__ = ()
    start: int
    end: int
    metadata: dict[str, Any]

    @property
    def line(self) -> int | None:
        """The line of the file where the passage begins; None where no line is known."""
        return line_of(self.metadata)

    @property
    def page(self) -> int | None:
        """The page of the file where the passage begins, from 1; None where it has none."""
        return page_of(self.metadata)

    @property
    def section(self) -> str:
        """The headings that the passage stands under, from the outermost; empty without any."""
        return section_of(self.metadata)


class Copy(NamedTuple):
    """Another place of the same text; see ``Hit`` for what the fields mean."""

    id: str
    source: str
    root: str = ""
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Hit(Placed):
    """One answer to a query; ``score`` orders the answers, higher is better.

    ``vector_score`` is the similarity by the table's metric, ``text_score`` is BM25, and
    ``token_score`` the share of the query that the tokens of the passage cover, from 0 to 1. Each
    is None if the mode makes no such search; ``vector_score`` and ``token_score`` also if no word
    of the query is known. In the mode ``hybrid`` ``score`` is from 0 to 1, and a passage that the
    search by words did not find has the BM25 score 0. ``start`` and ``end`` are offsets into the
    document's text. ``metadata`` holds the fields of the document, and where the passage begins:
    ``source_line``, ``page``, ``section``. ``root`` is the place that ``source`` is unique in, and
    ``path`` the file; None where the document is in none. ``copies`` are other places of the same
    text.

    >>> index = Index.create("database", model="model")
    >>> record = {"id": "timers", "text": "Set a timer.", "year": 2020}
    >>> index.update([record]).added
    1
    >>> (hit,) = index.search("timer", k=1)
    >>> hit.rank, hit.source, hit.text, hit.metadata
    (1, 'timers', 'Set a timer.', {'year': 2020})
    """

    rank: int
    score: float
    id: str
    source: str
    title: str
    start: int
    end: int
    text: str
    vector_score: float | None
    text_score: float | None
    metadata: dict[str, Any]
    token_score: float | None = None
    root: str = ""
    path: str | None = None
    copies: Sequence[Copy] = ()

    def record(self) -> dict[str, Any]:
        """Return the hit in JSON values, with scores to six digits."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["copies"] = [copy._asdict() for copy in self.copies]
        rounded = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in values.items()
        }
        return {**rounded, "line": self.line, "page": self.page, "section": self.section}


def headings_of(hit: Hit) -> tuple[str, str]:
    """Return the title of a hit and the section below it, as they are shown beside its source.

    A file without a title of its own has its name for one, which the source says.
    """
    is_name = f"/{hit.source}".endswith(f"/{hit.title}")
    below = hit.section.removeprefix(hit.title).removeprefix(BETWEEN)
    return "" if is_name else hit.title, below


@dataclass(frozen=True, slots=True)
class StoredPassage(Placed):
    """A passage of a table; its fields are those of a ``Hit``.

    >>> index = Index.create("database", model="model")
    >>> index.update([{"id": "timers", "text": "Set a timer."}]).added
    1
    >>> (hit,) = index.search("timer", k=1)
    >>> index.passage(hit.id).text
    'Set a timer.'
    """

    id: str
    source: str
    title: str
    start: int
    end: int
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    root: str = ""
    path: str | None = None


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document of a table: its passages in their order.

    >>> index = Index.create("database", model="model")
    >>> index.update([{"id": "timers", "text": "Set a timer."}]).added
    1
    >>> (document,) = index.documents("timers")
    >>> document.text
    'Set a timer.'
    """

    source: str
    title: str
    root: str
    path: str | None
    passages: list[StoredPassage]

    @property
    def text(self) -> str:
        """The text; a table keeps the extent of what stood between passages, and no characters."""
        stretches = [stretch_of(passage, passage.text) for passage in self.passages]
        pairs = zip(blanks(stretches), self.passages, strict=True)
        return "".join(blank + passage.text for blank, passage in pairs)


class Stretch(NamedTuple):
    """Where a passage stands: its offsets, its first line, and the line breaks within it."""

    start: int
    end: int
    line: int | None
    page: int | None
    breaks: int
    has_wide_breaks: bool


def stretch_of(place: Placed, text: str) -> Stretch:
    """Return where a passage of a text stands."""
    return Stretch(place.start, place.end, place.line, place.page, text.count("\n"), "\r\n" in text)


def blanks(stretches: Sequence[Stretch]) -> Iterator[str]:
    """Yield the whitespace before each of a document's passages; before the first is none.

    Where each passage has its own line, lines tell the line breaks in it, and offsets the rest.
    """
    has_lines = all(one.line is not None for one in stretches) and all(
        (one.line or 0) + one.breaks <= (other.line or 0) for one, other in pairwise(stretches)
    )
    line_break = "\r\n" if any(one.has_wide_breaks for one in stretches) else "\n"
    yield from [""] * bool(stretches)
    for before, stretch in pairwise(stretches):
        gap = min(max(0, stretch.start - before.end), _MOST_BLANK)
        if has_lines:
            breaks = (stretch.line or 0) - (before.line or 0) - before.breaks
            breaks = min(breaks, gap // len(line_break))
            yield line_break * breaks + " " * (gap - breaks * len(line_break))
        else:
            yield "\n" * min(gap, 2)


class Searchable(ABC):
    """A table that can be searched: an ``Index`` here, or a ``Client`` of a service."""

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Return the best ``k`` passages for a query, best first; none for an empty query.

        ``mode`` is ``vector`` (by meaning), ``text`` (by words, BM25) or ``hybrid`` (by both, and
        by how much of the query the tokens of a passage cover). ``alpha`` is the weight of the
        vector in a hybrid search, from 0 to 1; None chooses it for each query. ``where`` is a
        condition in SQL on the table's columns, ``source`` a glob as in ignore files.

        ``where`` knows the columns ``id``, ``source``, ``title``, ``text``, ``start``, ``end`` and
        ``metadata`` (a JSON string), and those that ``IndexSettings.metadata`` makes of fields of
        records and of front matter; a value that is not of its column's type is null, and
        ``array_has(tags, 'python')`` asks for one of a list. BM25 cuts words by the rules of
        Unicode and stems those of the table's language, which is that of its texts or of
        ``IndexSettings.language``. Identifiers count whole and by their parts.

        A query without a word that the model knows has no vector: ``vector`` finds nothing then,
        and ``hybrid`` searches by words alone.

        Raises:
            UsageError: ``where`` is no condition that this table can check, or another parameter is
                out of range.
            TableError: the table cannot be read.
            ModelMismatchError: the table was made with another model.
            ServiceError: the service of a client cannot be reached, or cannot answer.
        """
        return self._found(query, SearchOptions(k, mode, alpha, where, source))

    async def asearch(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Search as ``search`` does; other tasks go on meanwhile."""
        return await self._afound(query, SearchOptions(k, mode, alpha, where, source))

    def search_many(
        self,
        queries: Sequence[str],
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> Iterator[list[Hit]]:
        """Answer several queries together and yield the answers to each; see ``search``."""
        if isinstance(queries, str):
            raise TypeError(f"search_many takes a list of queries, not the query {queries!r} alone")
        return self._each_found(list(queries), SearchOptions(k, mode, alpha, where, source))

    @property
    @abstractmethod
    def model(self) -> ModelIdentity:
        """The identity of the model."""

    @property
    @abstractmethod
    def roots(self) -> dict[str, str]:
        """The places that the documents came from, by the keys that ids of passages begin with."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the passages."""

    @abstractmethod
    def passage(self, identifier: str) -> StoredPassage | None:
        """Return a passage by its id; None if the table has none of this id."""

    @abstractmethod
    def documents(self, source: str, most: int = 10_000, offset: int = 0) -> list[StoredDocument]:
        """Return the documents of a source, or of a glob as ``search`` takes it."""

    @abstractmethod
    def sources(self, glob: str = "**", most: int = 1000) -> list[str]:
        """Return the first ``most`` sources, in order, that match a glob as ``search`` takes it."""

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Return the vectors of texts by the table's model, and the number of their tokens."""

    @abstractmethod
    def _found(self, query: str, options: SearchOptions) -> list[Hit]: ...

    @abstractmethod
    async def _afound(self, query: str, options: SearchOptions) -> list[Hit]: ...

    @abstractmethod
    def _each_found(
        self, queries: Sequence[str], options: SearchOptions
    ) -> Iterator[list[Hit]]: ...
