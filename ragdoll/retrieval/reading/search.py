"""Searching a table: by vector, by words, or by both and the tokens that they share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ragdoll.corpus.terms import searchable, undivided
from ragdoll.embedding.vectors import ONE_THREAD, Vectors, similarity
from ragdoll.retrieval.answers import Hit, SearchOptions
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.reading.filters import conditions, evaluating
from ragdoll.retrieval.reading.fusion import CANDIDATES, Scores, fuse
from ragdoll.retrieval.reading.hits import HitMaker
from ragdoll.retrieval.reading.late_interaction import (
    Interaction,
    TokenIds,
    TokenLists,
    interaction,
)
from ragdoll.retrieval.reading.legs import Found, Legs, MemoryLegs, TableLegs
from ragdoll.retrieval.reading.phrases import holding, phrases_of
from ragdoll.retrieval.storage.schema import COLUMNS
from ragdoll.retrieval.storage.table import Table, Terms
from ragdoll.settings import Mode

# Rows to look at beside those that are wanted, at least, since some may be copies of others.
_COPIES = 20

# From this number of queries on, loading the rows costs less time than it saves.
_SEVERAL = 8


class Searcher:
    """Answers queries over one table with the table's own model."""

    def __init__(
        self, table: Table, model: TableModel, warm: bool = False, joins_copies: bool = True
    ) -> None:
        """Prepare to search; with ``warm`` the rows are loaded at once, for many queries.

        ``joins_copies`` makes one hit of passages of the same text.
        """
        self.table = table
        self.model = model
        self._maker = HitMaker(table.roots(), joins_copies)
        self._in_memory: MemoryLegs | None = None
        self._conditions: tuple[Any, list[str]] = ((None, None), [])
        self._answered = 0
        self._is_warm = warm
        if warm:
            self._legs(_SEVERAL, [])

    def search_many(self, queries: Sequence[str], options: SearchOptions) -> Iterator[list[Hit]]:
        """Answer queries together and yield the answers to each; see ``Searchable.search``.

        After several queries the table's rows are kept in memory, unless they are too many. Each
        query then takes a fraction of the time.
        """
        with evaluating(self.table, options.where):
            yield from self._search_many(queries, options)

    def _search_many(self, queries: Sequence[str], options: SearchOptions) -> Iterator[list[Hit]]:
        conditions = self._conditions_of(options)
        legs = self._legs(len(queries), conditions)
        answers: Iterator[list[Hit]]
        language = self.table.state.analysis.language
        has_phrases = options.mode != "vector"
        phrases = [phrases_of(query, language) if has_phrases else [] for query in queries]
        if any(phrases):
            answers = (
                self._with_phrases(legs, conditions, query, its, options)
                if its
                else next(self._answers(legs, [query], options))
                for query, its in zip(queries, phrases, strict=True)
            )
        else:
            answers = self._answers(legs, queries, options)
        # Loading what limits threads takes longer than a few searches gain by it.
        is_small = len(queries) < _SEVERAL or self._is_warm
        if is_small and self._answered >= _SEVERAL:
            with ONE_THREAD:
                answers = iter(list(answers))
        yield from answers

    def _answers(
        self, legs: Legs, queries: Sequence[str], options: SearchOptions
    ) -> Iterator[list[Hit]]:
        k, mode = options.k, options.mode
        whole = [undivided(query) for query in queries]
        tokens = self._tokens(whole, mode)
        words = [searchable(query, is_query=True) for query in queries]
        terms = [Terms(its, of_model) for its, of_model in zip(words, tokens, strict=True)]
        if mode == "text":
            # Copies of a text take no places of others.
            limits = [self._with_copies(k)] * len(terms)
            for matched in legs.matching(terms, limits):
                yield self._by_text(legs, matched, k)
            return
        vectors = self.model.encode(whole)
        known = [bool(vector.any()) for vector in vectors]
        if mode == "vector":
            near = legs.nearest(vectors[known], self._with_copies(k))
            for is_known in known:
                yield self._by_vector(legs, next(near), k) if is_known else []
            return
        wide = max(CANDIDATES, k)
        limits = [wide if is_known else self._with_copies(k) for is_known in known]
        matching = legs.matching(terms, limits)
        near = legs.nearest(vectors[known], wide)
        for query, vector, is_known in zip(terms, vectors, known, strict=True):
            if is_known:
                nearest = next(near)
                yield self._by_all(legs, query, vector, nearest, next(matching), options)
            else:
                yield self._by_text(legs, next(matching), k)

    def facts(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that a hit takes from a row; see ``HitMaker.facts``."""
        return self._maker.facts(row)

    def _with_phrases(
        self,
        legs: Legs,
        conditions: Sequence[str],
        query: str,
        phrases: Sequence[str],
        options: SearchOptions,
    ) -> list[Hit]:
        """Answer a query with the passages that have its phrases first, then with others."""
        k = options.k
        met = [*conditions, *holding(phrases)]
        first = next(self._answers(TableLegs(self.table, met), [query], options))
        if len(first) < k:
            # Of words that no index knows, BM25 finds none.
            known = {hit.id for hit in first}
            rows = self.table.rows_where(met, COLUMNS, k).to_pylist()
            rows = [row for row in rows if row["id"] not in known][: k - len(first)]
            none = np.zeros(len(rows), np.float32)
            first += self._maker.hits(rows, none, None, none, None, k)
        others = next(self._answers(legs, [query], options))
        known = {hit.id for hit in first}
        others = [hit for hit in others if hit.id not in known][: k - len(first)]
        if not first:
            return others
        best = max([0.0, *(hit.score for hit in others)])
        if options.mode == "hybrid":
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
        legs: Legs,
        query: Terms,
        vector: Vectors,
        near: Found,
        matched: Found,
        options: SearchOptions,
    ) -> list[Hit]:
        """Score the rows that either leg found by all three, and return the best."""
        added = near.keys[~np.isin(near.keys, matched.keys)]
        keys = np.concatenate([matched.keys, added])
        tokens, vectors = legs.parts(keys)
        metric = self.table.identity.metric
        by_tokens = self._interaction(query, tokens)
        scores = Scores(
            similarity=similarity(vector[None], vectors, metric)[0],
            bm25=np.concatenate([matched.scores, np.zeros(len(added), np.float32)]),
            coverage=by_tokens and by_tokens.coverage,
            proximity=by_tokens and by_tokens.proximity,
        )
        score = fuse(scores, vector, vectors, metric, options.alpha)
        order = np.argsort(-score, kind="stable")
        by = [None if of is None else of[order] for of in scores]
        rows = legs.rows(keys[order])
        return self._maker.hits(rows, score[order], by[0], by[1], by[2], options.k)

    def _interaction(self, query: Terms, passages: Sequence[TokenIds]) -> Interaction | None:
        if not query.tokens:
            return None
        return interaction(TokenLists([query.tokens])[0], passages, self.model)

    def _conditions_of(self, options: SearchOptions) -> list[str]:
        """Return the conditions of filters; those of the last call are not checked again."""
        filters = (options.where, options.source)
        if filters != self._conditions[0]:
            self._conditions = (filters, conditions(self.table, *filters))
        return self._conditions[1]

    def _legs(self, queries: int, conditions: list[str]) -> Legs:
        before, self._answered = self._answered, self._answered + queries
        if before < _SEVERAL <= self._answered:
            self._in_memory = MemoryLegs.load(self.table)
        if self._in_memory is None:
            return TableLegs(self.table, conditions)
        return self._in_memory.where(conditions)

    def _by_vector(self, legs: Legs, near: Found, k: int) -> list[Hit]:
        return self._maker.hits(legs.rows(near.keys), near.scores, near.scores, None, None, k)

    def _by_text(self, legs: Legs, matched: Found, k: int) -> list[Hit]:
        rows, scores = legs.rows(matched.keys), matched.scores
        return self._maker.hits(rows, scores, None, scores, None, k)

    def _with_copies(self, k: int) -> int:
        """Return how many rows to look at for ``k`` different ones: copies are seldom many."""
        return k + max(k, _COPIES) if self._maker.joins_copies else k
