"""The systems that answer the queries of a collection: static models, BM25, hybrids, the teacher.

Every system ranks the searched texts of the collection. A model reads a text only up to its own
limit of tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import Metric
from ragdoll.embedding.static import StaticModel
from ragdoll.embedding.vectors import Vectors, similarity, unit
from ragdoll.evaluation.collection import TestCollection
from ragdoll.evaluation.metrics import Run
from ragdoll.retrieval.reading.fusion import CANDIDATES, fuse
from ragdoll.retrieval.storage.schema import DEFAULT_ALPHA
from ragdoll.retrieval.writing.rows import text_table
from ragdoll.retrieval.writing.weight import Encode, choose_weight, sample_places
from ragdoll.settings import TeacherSettings
from ragdoll.streams import Report

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
    """The answers of a system and their cost; ``alpha`` is the weight of the vector in a hybrid."""

    name: str
    kind: Kind
    run: Run
    cost: Cost
    alpha: float | None = None

    @property
    def queries_per_second(self) -> float:
        """The number of queries answered in a second, all at once."""
        return len(self.run) / self.cost.seconds


@dataclass(frozen=True, slots=True)
class Similarities:
    """The similarities of all queries and documents, of shape (queries, documents)."""

    values: Vectors
    cost: Cost


def static_similarities(encoder: StaticModel, collection: TestCollection) -> Similarities:
    """Compare every query with every document by a static model."""
    size = _size_of_weights(encoder.identity.path)
    return _compare(encoder.encode, encoder.encode, encoder.identity.metric, collection, size)


def teacher_similarities(
    choice: TeacherSettings,
    trust_remote_code: bool,
    collection: TestCollection,
    report: Report,
) -> Similarities:
    """Compare every query with every document by the teacher's own sentence vectors."""
    from ragdoll.distillation.teacher.files import find_teacher
    from ragdoll.distillation.teacher.model import Side, Teacher

    teacher = Teacher(find_teacher(choice.model), choice.device, choice.dtype, trust_remote_code)
    sample = list(islice(collection.documents.values(), 256))
    teacher.settle_dtype(teacher.tokenize(sample), "sentence")
    budget = teacher.max_length * 32

    def encode(texts: Sequence[str], side: Side) -> Vectors:
        return teacher.encode(
            texts, "sentence", budget, lambda done: report("teacher", done, len(texts)), side
        )

    return _compare(
        partial(encode, side="document"),
        partial(encode, side="query"),
        teacher.files.metric,
        collection,
        _size_of_weights(teacher.files.path),
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


def text_run(collection: TestCollection, k: int = CANDIDATES) -> SystemRun:
    """Rank by BM25 alone, in a table made for that, as ragdoll's tables do."""
    started = time.perf_counter()
    table = text_table(collection.documents)
    rate = len(collection.documents) / (time.perf_counter() - started)
    run, seconds = {}, []
    for query, text in collection.queries.items():
        started = time.perf_counter()
        hits, scores = table.matching(text, max(CANDIDATES, k), ["id"])
        run[query] = dict(zip(hits["id"].to_pylist(), scores.tolist(), strict=True))
        seconds.append(time.perf_counter() - started)
    return SystemRun("BM25", "bm25", run, Cost(sum(seconds), median(seconds), rate))


def weight_of_table(encoder: StaticModel, collection: TestCollection) -> float:
    """Return the weight of the vector that a table of these documents and this model has."""
    texts = list(collection.documents.values())
    sample = [texts[place] for place in sample_places(len(texts))]
    return choose_weight(sample, encoder.encode, encoder.identity.metric).alpha


def hybrid_run(
    name: str,
    similarities: Similarities,
    bm25: SystemRun,
    collection: TestCollection,
    k: int = CANDIDATES,
    alpha: float = DEFAULT_ALPHA,
) -> SystemRun:
    """Fuse the best documents of both, as a search in the mode ``hybrid`` does."""
    started = time.perf_counter()
    ids = list(collection.documents)
    position = {document: number for number, document in enumerate(ids)}
    run: dict[str, dict[str, float]] = {}
    for query, row in zip(collection.queries, similarities.values, strict=True):
        matched = bm25.run[query]
        best = _best(row, max(CANDIDATES, k))
        candidates = list(dict.fromkeys([*best, *(position[document] for document in matched)]))
        text = np.array([matched.get(ids[i], 0.0) for i in candidates], dtype=np.float32)
        scores = fuse(row[candidates], text, alpha)
        run[query] = {ids[i]: float(s) for i, s in zip(candidates, scores, strict=True)}
    both = Cost(
        seconds=similarities.cost.seconds + bm25.cost.seconds,
        latency=similarities.cost.latency + bm25.cost.latency,
        bytes=similarities.cost.bytes,
    )
    return SystemRun(name, "hybrid", run, _with(both, started, len(run)), alpha)


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
