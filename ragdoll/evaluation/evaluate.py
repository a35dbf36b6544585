"""Systems side by side on one collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ragdoll.embedding.static import StaticEncoder
from ragdoll.errors import UsageError
from ragdoll.evaluation.collection import TestCollection
from ragdoll.evaluation.metrics import measure, paired_randomization
from ragdoll.evaluation.systems import (
    Kind,
    Similarities,
    SystemRun,
    TeacherChoice,
    hybrid_run,
    search_text,
    static_similarities,
    teacher_similarities,
    vector_run,
    weight_of_table,
)
from ragdoll.streams import Report, silent

Mode = Literal["all", "vector", "text", "hybrid"]


@dataclass(frozen=True, slots=True)
class SystemScore:
    """One line of the comparison; means over the queries.

    ``p_value`` compares nDCG with the first line's by a paired randomization test; it is None for
    the first line itself. ``queries_per_second`` is of all queries at once, ``latency`` the seconds
    that one takes alone. ``documents_per_second`` is None for a hybrid, ``bytes`` 0 for BM25.
    ``alpha`` is the weight of the vector in a hybrid, None for the others.
    """

    name: str
    kind: Kind
    ndcg: float
    recall: float
    mrr: float
    p_value: float | None
    queries_per_second: float
    latency: float
    documents_per_second: float | None
    bytes: int
    alpha: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A comparison. ``k`` is the cut-off of all measures, ``notes`` are the collection's."""

    dataset: str
    documents: int
    passages: int
    queries: int
    k: int
    seed: int
    systems: list[SystemScore]
    notes: tuple[str, ...] = ()


def check_systems(models: Sequence[Path], teacher: TeacherChoice | None, mode: Mode) -> None:
    """Check that ``mode`` has what it needs, before anything is read.

    Raises:
        MissingExtraError: a teacher is given and the training extra is not installed.
        UsageError: the mode needs a model and none is given, or has no use for the teacher.
    """
    if teacher and mode not in {"all", "vector"}:
        raise UsageError(
            f"A teacher has no place in the mode '{mode}'.", hint="Give --mode vector or all."
        )
    if teacher:
        from ragdoll.distillation.teacher.files import require_training_extra

        require_training_extra("Evaluating a teacher")
    if not models and mode != "text" and not teacher:
        raise UsageError(
            "No model to evaluate.", hint="Train one: ragdoll run DOCS, or name one by --model."
        )


def evaluate(
    collection: TestCollection,
    models: Sequence[Path],
    teacher: TeacherChoice | None = None,
    mode: Mode = "all",
    k: int = 10,
    seed: int = 0,
    alpha: float | None = None,
    report: Report = silent,
) -> Evaluation:
    """Score the systems that ``mode`` names on a collection; see ``run_systems``.

    Raises:
        RagdollError: as ``run_systems`` does.
    """
    runs = run_systems(collection, models, teacher, mode, k, alpha, report)
    return Evaluation(
        dataset=collection.name,
        documents=collection.size,
        passages=len(collection.documents),
        queries=len(collection.queries),
        k=k,
        seed=seed,
        systems=_scores(runs, collection, k, seed),
        notes=collection.notes,
    )


def run_systems(
    collection: TestCollection,
    models: Sequence[Path],
    teacher: TeacherChoice | None,
    mode: Mode,
    k: int,
    alpha: float | None,
    report: Report,
) -> list[SystemRun]:
    """Let the systems that ``mode`` names find at least ``k`` texts for every query.

    ``vector``: each model, its distillate where the model folder has one, and the teacher if given;
    ``text``: BM25; ``hybrid``: each model with BM25, ``alpha`` being the weight of the vector, None
    the one that a table of these documents would have; ``all``: all of these.

    Raises:
        ModelError: a model cannot be read.
        TeacherError: the teacher cannot be had.
        TableError: LanceDB cannot index the documents.
        MissingExtraError: a teacher is given and the training extra is not installed.
        UsageError: the mode needs a model and none is given, or has no use for the teacher.
    """
    check_systems(models, teacher, mode)
    bm25 = None
    if mode != "vector":
        report("BM25", 0, None)
        bm25 = search_text(collection, k)
    runs: list[SystemRun] = []
    hybrids: list[SystemRun] = []
    names = told_apart(models)
    for number, path in enumerate(models if mode != "text" else []):
        report("models", number, len(models))
        name = names[number] if len(models) > 1 else None
        encoder = StaticEncoder(path)
        similar = static_similarities(encoder, collection)
        if mode != "hybrid":
            runs.extend(_vector_runs(path, name, similar, collection, k))
        if bm25:
            title = f"{name or path.name} + BM25"
            weight = weight_of_table(encoder, collection) if alpha is None else alpha
            hybrids.append(hybrid_run(title, similar, bm25, collection, k, weight))
    if bm25 and mode in {"all", "text"}:
        runs.append(bm25.run(collection))
    runs.extend(hybrids)
    if teacher:
        similar = teacher_similarities(teacher, collection, report)
        runs.append(vector_run(teacher.name, "teacher", similar, collection, k))
    return runs


def told_apart(paths: Sequence[Path]) -> list[str]:
    """Names for folders: of each path as many of its last parts as tell all of them apart."""
    for length in range(1, max((len(path.parts) for path in paths), default=0)):
        names = [Path(*path.parts[-length:]).as_posix() for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _vector_runs(
    path: Path, name: str | None, similar: Similarities, collection: TestCollection, k: int
) -> list[SystemRun]:
    """Run a model, and before it its distillate where it has one, by their vectors alone.

    ``name`` tells the model from others; None where it is the only one.
    """
    runs = []
    distillate = path / "distillate"
    if distillate.is_dir():
        title = f"{name}, distillate" if name else "distillate"
        before = static_similarities(StaticEncoder(distillate), collection)
        runs.append(vector_run(title, "distillate", before, collection, k))
    return [*runs, vector_run(name or path.name, "model", similar, collection, k)]


def _scores(
    runs: list[SystemRun], collection: TestCollection, k: int, seed: int
) -> list[SystemScore]:
    qrels = collection.qrels
    values = [
        measure({q: collection.by_document(found) for q, found in run.run.items()}, qrels, k)
        for run in runs
    ]
    return [
        SystemScore(
            name=run.name,
            kind=run.kind,
            ndcg=sum(value["ndcg"]) / len(qrels),
            recall=sum(value["recall"]) / len(qrels),
            mrr=sum(value["mrr"]) / len(qrels),
            p_value=(
                paired_randomization(value["ndcg"], values[0]["ndcg"], seed) if number else None
            ),
            queries_per_second=run.queries_per_second,
            latency=run.cost.latency,
            documents_per_second=run.cost.documents_per_second,
            bytes=run.cost.bytes,
            alpha=run.alpha,
        )
        for number, (run, value) in enumerate(zip(runs, values, strict=True))
    ]
