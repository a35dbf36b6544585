"""Searching a table: by vector, by words, or by both and the tokens that they share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from ragdoll.corpus.documents import line_of, page_of, section_of
from ragdoll.corpus.terms import searchable
from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.vectors import ONE_THREAD, Vectors, similarity
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.reading.filters import conditions
from ragdoll.retrieval.reading.fusion import CANDIDATES, Scores, fuse
from ragdoll.retrieval.reading.late_interaction import TokenIds, TokenLists, coverage
from ragdoll.retrieval.reading.legs import Candidates, MemoryLegs, TableLegs
from ragdoll.retrieval.reading.phrases import holding, phrases_of
from ragdoll.retrieval.storage.schema import COLUMNS, KEY_LENGTH
from ragdoll.retrieval.storage.table import Table, Terms

Mode = Literal["hybrid", "vector", "text"]

# Rows to look at beside those that are wanted, at least, since some may be copies of others.
_COPIES = 20

# Copies of a text that a hit names, at most.
_MAX_COPIES = 20

# From this number of queries on, loading the rows costs less time than it saves.
_SEVERAL = 8


class Copy(NamedTuple):
    """Another place of the same text; see ``Hit`` for what the fields mean."""

    id: str
    source: str
    root: str = ""
    path: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
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

    def record(self) -> dict[str, Any]:
        """Return the hit in JSON values, with scores to six digits."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["copies"] = [copy._asdict() for copy in self.copies]
        rounded = {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in values.items()
        }
        return {**rounded, "line": self.line, "page": self.page, "section": self.section}


class Searcher:
    """Answers queries over one table with the table's own model."""

    def __init__(
        self, table: Table, model: TableModel, warm: bool = False, joins_copies: bool = True
    ) -> None:
        """Prepare to search; with ``warm`` the rows are loaded at once, for many queries.

        ``joins_copies`` makes one hit of passages of the same text.
        """
        self._joins_copies = joins_copies
        self.table = table
        self.model = model
        self._roots = table.roots()
        self._in_memory: MemoryLegs | None = None
        self._conditions: tuple[Any, list[str]] = ((None, None), [])
        self._answered = 0
        self._is_warm = warm
        if warm:
            self._legs(_SEVERAL, [])

    def search_many(
        self,
        queries: Sequence[str],
        k: int,
        mode: Mode = "hybrid",
        alpha: float | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> Iterator[list[Hit]]:
        """Answer queries together and yield the answers to each; see ``Index.search``.

        After several queries the table's rows are kept in memory, unless they are too many. Each
        query without conditions then takes a fraction of the time.
        """
        conditions = self._conditions_of(where, source)
        legs = self._legs(len(queries), conditions)
        answers: Iterator[list[Hit]]
        language = self.table.state.analysis.language
        phrases = [phrases_of(query, language) if mode != "vector" else [] for query in queries]
        if any(phrases):
            answers = (
                self._with_phrases(legs, conditions, query, asked, k, mode, alpha)
                if asked
                else next(self._answers(legs, [query], k, mode, alpha))
                for query, asked in zip(queries, phrases, strict=True)
            )
        else:
            answers = self._answers(legs, queries, k, mode, alpha)
        # Loading what limits threads takes longer than a few searches gain by it.
        is_small = len(queries) < _SEVERAL or self._is_warm
        if is_small and self._answered >= _SEVERAL:
            with ONE_THREAD:
                answers = iter(list(answers))
        yield from answers

    def _answers(
        self,
        legs: TableLegs | MemoryLegs,
        queries: Sequence[str],
        k: int,
        mode: Mode,
        alpha: float | None,
    ) -> Iterator[list[Hit]]:
        tokens = self._tokens(queries, mode)
        terms = [Terms(searchable(text), its) for text, its in zip(queries, tokens, strict=True)]
        if mode == "text":
            # Copies of a text take no places of others.
            limits = [self._with_copies(k)] * len(terms)
            for matched in legs.matching(terms, limits, alone=True):
                yield self._by_text(matched, k)
            return
        vectors = self.model.encode(queries)
        known = [bool(vector.any()) for vector in vectors]
        if mode == "vector":
            near = legs.nearest(vectors[known], self._with_copies(k), alone=True)
            yield from (self._by_vector(next(near), k) if is_known else [] for is_known in known)
            return
        wide = max(CANDIDATES, k)
        near = legs.nearest(vectors[known], wide, alone=False)
        limits = [wide if is_known else self._with_copies(k) for is_known in known]
        matching = legs.matching(terms, limits, alone=False)
        # LanceDB answers both legs at the same time.
        with ThreadPoolExecutor(1) as other:
            for query, vector, is_known in zip(terms, vectors, known, strict=True):
                nearest = other.submit(next, near) if is_known else None
                matched = next(matching)
                if nearest is None:
                    yield self._by_text(matched, k)
                else:
                    yield self._by_all(query, vector, nearest.result(), matched, k, alpha)

    def _with_phrases(
        self,
        legs: TableLegs | MemoryLegs,
        conditions: Sequence[str],
        query: str,
        phrases: Sequence[str],
        k: int,
        mode: Mode,
        alpha: float | None,
    ) -> list[Hit]:
        """Answer a query with the passages that have its phrases first, then with others."""
        met = [*conditions, *holding(phrases)]
        first = next(self._answers(TableLegs(self.table, met), [query], k, mode, alpha))
        if len(first) < k:
            # Of words that no index knows, BM25 finds none.
            known = {hit.id for hit in first}
            rows = self.table.rows_where(met, COLUMNS, k).to_pylist()
            rows = [row for row in rows if row["id"] not in known][: k - len(first)]
            first += self._by_text(Candidates([], rows, np.zeros(len(rows), np.float32)), k)
        others = next(self._answers(legs, [query], k, mode, alpha))
        known = {hit.id for hit in first}
        others = [hit for hit in others if hit.id not in known][: k - len(first)]
        if not first:
            return others
        best = max([0.0, *(hit.score for hit in others)])
        if mode == "hybrid":
            # Scores stay between 0 and 1.
            first = [replace(hit, score=(1 + hit.score) / 2) for hit in first]
            others = [replace(hit, score=hit.score / 2) for hit in others]
        else:
            first = [replace(hit, score=best + hit.score) for hit in first]
        return [replace(hit, rank=rank) for rank, hit in enumerate([*first, *others], 1)]

    def _tokens(self, queries: Sequence[str], mode: Mode) -> Sequence[str | None]:
        """Return the tokens of queries, where the mode needs them; that loads the model."""
        if mode == "hybrid" or (mode == "text" and self.table.state.analysis.tokens):
            return self.model.tokens(queries)
        return [None] * len(queries)

    def _by_all(
        self,
        query: Terms,
        vector: Vectors,
        near: Candidates,
        matched: Candidates,
        k: int,
        alpha: float | None,
    ) -> list[Hit]:
        """Score the candidates of both legs by all three, and return the best."""
        places = {key: (matched, number) for number, key in enumerate(matched.keys)}
        for number, key in enumerate(near.keys):
            places.setdefault(key, (near, number))
        candidates = list(places.values())
        bm25 = np.zeros(len(candidates), np.float32)
        bm25[: len(matched.keys)] = matched.scores
        vectors = np.array([leg.vectors[number] for leg, number in candidates], np.float32)
        metric = self.table.identity.metric
        scores = Scores(
            similarity=similarity(vector[None], vectors.reshape(-1, len(vector)), metric)[0],
            bm25=bm25,
            coverage=self._coverage(query, [leg.tokens[number] for leg, number in candidates]),
        )
        score = fuse(scores, vector, vectors, metric, alpha)
        order = np.argsort(-score, kind="stable")
        rows = (leg.rows[number] for leg, number in (candidates[place] for place in order))
        by = [None if of is None else of[order] for of in scores]
        return self._hits(rows, score[order], by[0], by[1], by[2], k)

    def _coverage(self, query: Terms, passages: Sequence[TokenIds]) -> Vectors | None:
        if not query.tokens:
            return None
        return coverage(TokenLists([query.tokens])[0], passages, self.model)

    def _conditions_of(self, where: str | None, source: str | None) -> list[str]:
        """Return the conditions of filters; those of the last call are not checked again."""
        filters = (where, source)
        if filters != self._conditions[0]:
            self._conditions = (filters, conditions(self.table, where, source))
        return self._conditions[1]

    def _legs(self, queries: int, conditions: list[str]) -> TableLegs | MemoryLegs:
        before, self._answered = self._answered, self._answered + queries
        if before < _SEVERAL <= self._answered:
            self._in_memory = MemoryLegs.load(self.table)
        if conditions or self._in_memory is None:
            return TableLegs(self.table, conditions)
        return self._in_memory

    def _by_vector(self, near: Candidates, k: int) -> list[Hit]:
        return self._hits(near.rows, near.scores, near.scores, None, None, k)

    def _by_text(self, matched: Candidates, k: int) -> list[Hit]:
        return self._hits(matched.rows, matched.scores, None, matched.scores, None, k)

    def _hits(
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
            text = row["text"] if self._joins_copies else None
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

    def _with_copies(self, k: int) -> int:
        """Return how many rows to look at for ``k`` different ones: copies are seldom many."""
        return k + max(k, _COPIES) if self._joins_copies else k

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
            file = f"{root.path}/{facts['source'].partition('#')[0]}"
        elif os.path.isabs(root.path):  # noqa: PTH117
            file = root.path.partition("#")[0]
        return {**facts, "root": root.path, "path": file}


def _fields(metadata: str) -> dict[str, Any]:
    """Read the metadata of a row; none if another tool wrote something else into the table."""
    try:
        fields = parse_json(metadata.encode())
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
