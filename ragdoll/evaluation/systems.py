"""The systems that answer the queries of a collection: static models, BM25, hybrids, the teacher.

Every system ranks the searched texts of the collection. A model reads a text only up to its own
limit of tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import open_folder, read_json
from ragdoll.embedding.identity import Metric, ModelIdentity
from ragdoll.embedding.static import StaticModel
from ragdoll.embedding.vectors import Vectors, similarity, unit
from ragdoll.errors import TeacherError
from ragdoll.evaluation.collection import TestCollection
from ragdoll.evaluation.metrics import Run
from ragdoll.retrieval.answers import Hit, SearchOptions
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.reading.fusion import CANDIDATES
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.writing.rows import memory_table
from ragdoll.settings import TeacherSettings
from ragdoll.streams import Report

if TYPE_CHECKING:
    from ragdoll.distillation.teacher.files import TeacherFiles

Encode = Callable[[Sequence[str]], Vectors]
Kind = Literal["distillate", "model", "bm25", "hybrid", "teacher"]

# Queries that are also answered one by one, to time them.
_TIMED_ALONE = 30


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a system.

    ``seconds`` is the time for all queries at once, ``latency`` the seconds for one query alone
    (the median of some). ``documents_per_second`` is the rate of embedding the documents, or for
    BM25 of indexing them. ``bytes`` is the size of the model's weights, 0 for BM25.
    """

    seconds: float
    latency: float = 0.0
    documents_per_second: float | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class SystemRun:
    """The answers of a system and their cost.

    ``alpha`` is the weight of the vector in a hybrid, None where each query has its own.
    ``covered`` is the share of the query that the tokens of each answer of a hybrid cover.
    """

    name: str
    kind: Kind
    run: Run
    cost: Cost
    alpha: float | None = None
    covered: Run = field(default_factory=dict)

    @property
    def queries_per_second(self) -> float:
        """The number of queries answered in a second, all at once."""
        return len(self.run) / self.cost.seconds


@dataclass(frozen=True, slots=True)
class SearchedTable:
    """A table in memory of a collection's documents; ``bytes`` is the size of the model's weights.

    ``seconds`` is the time that it took to make the table, vectors and indexes included.
    """

    searcher: Searcher
    seconds: float
    bytes: int = 0

    @classmethod
    def make(cls, collection: TestCollection, model: StaticModel | None = None) -> SearchedTable:
        """Index the documents as a table does, with a model or for BM25 alone.

        Raises:
            TableError: LanceDB cannot index the documents.
        """
        started = time.perf_counter()
        of_table = TableModel(model or _NoModel())
        table = memory_table(collection.documents, of_table)
        seconds = time.perf_counter() - started
        searcher = Searcher(table, of_table, joins_copies=False)
        return cls(searcher, seconds, _size_of_weights(of_table.identity.path))


class _NoModel:
    """An encoder for a table that is only searched by words: its vectors mean nothing."""

    identity = ModelIdentity(fingerprint="none", dimension=1)

    def encode(self, texts: list[str]) -> Vectors:
        return np.ones((len(texts), 1), np.float32)


@dataclass(frozen=True, slots=True)
class Similarities:
    """The similarities of all queries and documents, of shape (queries, documents)."""

    values: Vectors
    cost: Cost


def static_similarities(encoder: StaticModel, collection: TestCollection) -> Similarities:
    """Compare every query with every document by a static model."""
    size = _size_of_weights(encoder.identity.path)
    return _compare(encoder.encode, encoder.encode, encoder.identity.metric, collection, size)


def comparable_teacher(name: str) -> TeacherFiles:
    """Find a teacher whose vectors can be compared as it was made for.

    Raises:
        TeacherError: the teacher cannot be found, or compares vectors by their Manhattan distance.
    """
    from ragdoll.distillation.teacher.files import find_teacher

    files = find_teacher(name)
    settings = read_json(files.path / "config_sentence_transformers.json")
    if settings.get("similarity_fn_name") == "manhattan":
        raise TeacherError(
            f"{name} compares vectors by 'manhattan'; a teacher can only be evaluated by cosine, "
            "dot or euclidean."
        )
    return files


def teacher_similarities(
    files: TeacherFiles,
    choice: TeacherSettings,
    trust_remote_code: bool,
    collection: TestCollection,
    report: Report,
) -> Similarities:
    """Compare every query with every document by the teacher's own sentence vectors."""
    from ragdoll.distillation.teacher.model import Side, Teacher

    teacher = Teacher(files, choice.device, choice.dtype, trust_remote_code)
    sample = list(islice(collection.documents.values(), 256))
    teacher.settle_dtype(teacher.tokenize(sample), "sentence")
    budget = min(teacher.max_length, 512) * 32

    def encode(texts: Sequence[str], side: Side) -> Vectors:
        return teacher.encode(
            texts, "sentence", budget, lambda done: report("teacher", done, len(texts)), side
        )

    return _compare(
        partial(encode, side="document"),
        partial(encode, side="query"),
        files.metric,
        collection,
        _size_of_weights(files.path),
    )


def vector_run(
    name: str, kind: Kind, similarities: Similarities, collection: TestCollection, k: int
) -> SystemRun:
    """Rank by similarity alone."""
    started = time.perf_counter()
    ids = list(collection.documents)
    run = {
        query: {ids[i]: float(row[i]) for i in _best(row, k)}
        for query, row in zip(collection.queries, similarities.values, strict=True)
    }
    return SystemRun(name, kind, run, _with(similarities.cost, started, len(run)))


def search_run(
    name: str,
    kind: Kind,
    searched: SearchedTable,
    collection: TestCollection,
    k: int = CANDIDATES,
    alpha: float | None = None,
) -> SystemRun:
    """Search as ``query`` does: a hybrid in the mode ``hybrid``, or BM25 in the mode ``text``."""
    options = SearchOptions(k, "hybrid" if kind == "hybrid" else "text", alpha)
    texts = list(collection.queries.values())

    def search(texts: Sequence[str]) -> tuple[list[list[Hit]], float]:
        started = time.perf_counter()
        answers = list(searched.searcher.search_many(texts, options))
        return answers, time.perf_counter() - started

    answers, seconds = search(texts)
    alone = median(search([text])[1] for text in texts[:_TIMED_ALONE])
    is_hybrid = kind == "hybrid"
    cost = Cost(
        seconds,
        alone,
        None if is_hybrid else len(collection.documents) / searched.seconds,
        searched.bytes if is_hybrid else 0,
    )
    run: dict[str, dict[str, float]] = {}
    covered: dict[str, dict[str, float]] = {}
    for query, hits in zip(collection.queries, answers, strict=True):
        run[query] = {hit.source: hit.score for hit in hits}
        covered[query] = {
            hit.source: hit.token_score for hit in hits if hit.token_score is not None
        }
    return SystemRun(name, kind, run, cost, alpha, covered)


def _size_of_weights(model: Path | None) -> int:
    return sum(file.stat().st_size for file in open_folder(model).weights) if model else 0


def _with(cost: Cost, started: float, queries: int) -> Cost:
    """Add the time that ranking took, from ``started`` until now."""
    seconds = time.perf_counter() - started
    latency = cost.latency + seconds / queries
    return replace(cost, seconds=cost.seconds + seconds, latency=latency)


def _compare(
    encode_documents: Encode,
    encode_queries: Encode,
    metric: Metric,
    collection: TestCollection,
    size: int,
) -> Similarities:
    texts = list(collection.queries.values())
    started = time.perf_counter()
    documents = encode_documents(list(collection.documents.values()))
    rate = len(documents) / (time.perf_counter() - started)
    if metric == "cosine":  # scaled once, as in an index, and not for every query
        documents = unit(documents)

    def compared(texts: list[str]) -> tuple[Vectors, float]:
        started = time.perf_counter()
        queries = encode_queries(texts)
        if metric == "cosine":
            queries = unit(queries)
        values = similarity(queries, documents, "l2" if metric == "l2" else "dot")
        return values, time.perf_counter() - started

    values, seconds = compared(texts)
    alone = median(compared([text])[1] for text in texts[:_TIMED_ALONE])
    return Similarities(values, Cost(seconds, alone, rate, size))


def _best(row: Vectors, k: int) -> npt.NDArray[Any]:
    """Return the positions of the ``k`` highest values, and of any that tie with the last one."""
    if k >= len(row):
        return np.arange(len(row))
    return np.flatnonzero(row >= np.partition(row, -k)[-k])
