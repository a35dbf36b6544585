"""Hits: what a search answers, made of the rows that it found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from ragdoll.corpus.documents import BETWEEN, line_of, page_of, section_of
from ragdoll.corpus.names import files_of
from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.storage.schema import KEY_LENGTH, Root

# Copies of a text that a hit names, at most.
_MAX_COPIES = 20


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


class HitMaker:
    """Makes hits of the rows of a table, whose ``roots`` say where files are now."""

    def __init__(self, roots: Mapping[str, Root], joins_copies: bool = True) -> None:
        """Prepare; ``joins_copies`` makes one hit of rows of the same text."""
        self.joins_copies = joins_copies
        self._roots = roots

    def hits(
        self,
        rows: Iterable[Mapping[str, Any]],
        scores: Vectors,
        by_vector: Vectors | None,
        by_text: Vectors | None,
        by_tokens: Vectors | None,
        k: int,
    ) -> list[Hit]:
        """Make hits of the best ``k`` rows; rows of the same text are one."""
        groups: dict[Any, list[int]] = {}
        read: list[Mapping[str, Any]] = []
        for number, row in enumerate(rows):
            text = row["text"] if self.joins_copies else None
            content = " ".join(text.split()) if text else number
            if content not in groups and len(groups) == k:
                break  # Reading the texts of all candidates would take longer than the search.
            groups.setdefault(content, []).append(number)
            read.append(row)
        return [
            Hit(
                rank=rank,
                score=float(scores[number]),
                vector_score=None if by_vector is None else float(by_vector[number]),
                text_score=None if by_text is None else float(by_text[number]),
                token_score=None if by_tokens is None else float(by_tokens[number]),
                copies=[self._copy(read[other]) for other in others[:_MAX_COPIES]],
                **self.facts(read[number]),
            )
            for rank, (number, *others) in enumerate(groups.values(), 1)
        ]

    def _copy(self, row: Mapping[str, Any]) -> Copy:
        facts = self.facts(row)
        line = line_of(facts["metadata"])
        return Copy(facts["id"], facts["source"], facts.get("root", ""), facts.get("path"), line)

    def facts(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a row says, with its root and the path of its file as the table knows them.

        The table may be another tool's work: any value may be missing.
        """
        facts = {name: row[name] or "" for name in ("id", "source", "title", "text")}
        facts |= {name: row[name] or 0 for name in ("start", "end")}
        facts["metadata"] = _fields(row["metadata"] or "{}")
        root = self._roots.get(facts["id"][:KEY_LENGTH])
        if root is None:
            return facts
        file = None
        if "parts" in root.told:
            file = _file(root.path, facts["source"])
        elif os.path.isabs(root.path):  # noqa: PTH117
            file = root.path.partition("#")[0]
        return {**facts, "root": root.path, "path": file}


def _file(folder: str, source: str) -> str:
    """Return the path of a source's file, whose own name may have a ``#``, too."""
    paths = [f"{folder}/{name}" for name in files_of(source)]
    if len(paths) == 1:
        return paths[0]
    # Not Path.is_file, which raises for a record whose id is too long for a file name.
    return next((path for path in paths if os.path.isfile(path)), paths[0])  # noqa: PTH113


def headings_of(hit: Hit) -> tuple[str, str]:
    """Return the title of a hit and the section below it, as they are shown beside its source.

    A file without a title of its own has its name for one, which the source says.
    """
    is_name = f"/{hit.source}".endswith(f"/{hit.title}")
    below = hit.section.removeprefix(hit.title).removeprefix(BETWEEN)
    return "" if is_name else hit.title, below


def _fields(metadata: str) -> dict[str, Any]:
    """Read the metadata of a row; none if another tool wrote something else into the table."""
    try:
        fields = parse_json(metadata.encode())
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
