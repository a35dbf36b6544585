"""Systems side by side on one collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Document
from ragdoll.corpus.reading import as_corpus
from ragdoll.embedding.identity import located
from ragdoll.embedding.static import StaticModel
from ragdoll.errors import UsageError
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.known_items import known_items
from ragdoll.evaluation.metrics import measure, paired_randomization
from ragdoll.evaluation.systems import (
    Kind,
    SearchedTable,
    SystemRun,
    comparable_teacher,
    search_run,
    static_similarities,
    teacher_similarities,
    vector_run,
)
from ragdoll.extras import require
from ragdoll.settings import (
    EvaluateMode,
    EvaluateSettings,
    QuerySettings,
    TeacherSettings,
    TrainSettings,
)
from ragdoll.streams import Report, silent


@dataclass(frozen=True, slots=True)
class SystemScore:
    """One line of the comparison; the measures are means over the queries.

    ``p_value`` compares nDCG with the first line's by a paired randomization test; it is None for
    the first line itself. ``queries_per_second`` is the rate for all queries at once, ``latency``
    the seconds for one query alone. ``documents_per_second`` is None for a hybrid, ``bytes`` is 0
    for BM25. ``alpha`` is the weight of the vector in a hybrid, None for the others
    and where each query has its own.
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
    """A comparison; ``k`` is the cut-off of all measures, ``notes`` are the collection's.

    >>> result = evaluate("collection", "model")
    >>> best = max(result.systems, key=lambda system: system.ndcg)
    >>> 0 < best.ndcg <= 1
    True
    """

    dataset: str
    documents: int
    passages: int
    queries: int
    k: int
    seed: int
    systems: list[SystemScore]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Systems:
    """The systems to score, and ``k``, the number of answers that are measured.

    The ``mode`` ``vector`` stands for each model, its distillate if the model folder has one, and
    the teacher if there is one; ``text`` for BM25; ``hybrid`` for each model with BM25; ``all`` for
    all of these. ``alpha`` is the weight of the vector in a hybrid; None chooses it for each query.
    """

    models: Sequence[Path]
    teacher: TeacherSettings | None = None
    trust_remote_code: bool = False
    mode: EvaluateMode = "all"
    k: int = 10
    alpha: float | None = None

    def __post_init__(self) -> None:
        """Check that ``mode`` has the systems that it needs.

        Raises:
            MissingExtraError: there is a teacher, and the extra for training is not installed.
            UsageError: the mode needs a model and there is none, or has no use for the teacher.
        """
        if self.teacher and self.mode not in {"all", "vector"}:
            raise UsageError(
                f"A teacher cannot be used in the mode '{self.mode}'.",
                hint='Evaluate with `mode="vector"` or all.',
            )
        if self.teacher:
            require("train", "Evaluating a teacher")
        if not self.models and self.mode != "text" and not self.teacher:
            raise UsageError(
                "No model to evaluate.", hint="Train one with `run(...)`, or name one as `models`."
            )


def evaluate(
    data: TestCollection | Corpus | str | Path | Iterable[str | Mapping[str, Any] | Document],
    models: str | Path | Sequence[str | Path] | None = None,
    *,
    teacher: str | TeacherSettings | None = None,
    settings: EvaluateSettings | None = None,
    alpha: float | None = None,
    trust_remote_code: bool = False,
    report: Report = silent,
) -> Evaluation:
    """Score models, BM25, their hybrid and the teacher on questions with known answers.

    ``data`` is the folder of a test collection in BEIR layout, or documents, whose pieces then
    become the questions. ``models`` are folders or hub ids in the local cache; None is the one
    that ``train`` writes by default, if there is one. ``alpha`` is the weight of the vector in a
    hybrid, from 0 to 1; None chooses it for each query.

    >>> result = evaluate("collection", "model")
    >>> [system.name for system in result.systems]
    ['distillate', 'model', 'BM25', 'model + BM25']

    Raises:
        CorpusError: the collection is malformed, or no document has a piece to ask for.
        ModelError: a model cannot be read.
        TeacherError: the teacher cannot be found or loaded.
        TableError: LanceDB cannot index the documents.
        MissingExtraError: a teacher is given and the extra for training is not installed.
        UsageError: the mode needs a model and there is none, or has no use for the teacher.
    """
    settings = settings or EvaluateSettings()
    # Making these settings checks the weight.
    QuerySettings(alpha="auto" if alpha is None else alpha)
    if models is None:
        default = Path(TrainSettings().output)
        models = [default] if default.is_dir() and settings.mode != "text" else []
    names = [models] if isinstance(models, str | Path) else models
    systems = Systems(
        models=[located(name) for name in names],
        teacher=TeacherSettings(model=teacher) if isinstance(teacher, str) else teacher,
        trust_remote_code=trust_remote_code,
        mode=settings.mode,
        k=settings.k,
        alpha=alpha,
    )
    return score(collection_of(data, settings.seed), systems, settings.seed, report)


def score(
    collection: TestCollection, systems: Systems, seed: int = 0, report: Report = silent
) -> Evaluation:
    """Run systems on a collection and measure them; ``seed`` is for the significance test.

    Raises:
        RagdollError: as ``run_systems`` does.
    """
    runs = run_systems(collection, systems, report)
    return Evaluation(
        dataset=collection.name,
        documents=collection.size,
        passages=len(collection.documents),
        queries=len(collection.queries),
        k=systems.k,
        seed=seed,
        systems=_scores(runs, collection, systems.k, seed),
        notes=collection.notes,
    )


def collection_of(
    data: TestCollection | Corpus | str | Path | Iterable[str | Mapping[str, Any] | Document],
    seed: int = 0,
) -> TestCollection:
    """Read a test collection, or make one of documents by a seed; see ``known_items``."""
    if isinstance(data, TestCollection):
        return data
    if isinstance(data, str | Path):
        return load_beir(Path(data))
    corpus = as_corpus(data)
    places = corpus.description.get("path") or corpus.roots
    name = ", ".join(Path(place).name.removesuffix(":") or place for place in places)
    return known_items(corpus, name, seed)


def run_systems(
    collection: TestCollection, systems: Systems, report: Report = silent
) -> list[SystemRun]:
    """Run systems; each returns at least ``k`` texts for every query.

    Raises:
        ModelError: a model cannot be read.
        TeacherError: the teacher cannot be found or loaded.
        TableError: LanceDB cannot index the documents.
    """
    teacher = systems.teacher
    # Before the others, so that a teacher that cannot be used costs no time.
    teacher_files = comparable_teacher(teacher.model) if teacher else None
    # One answer more, where a query may find itself, which then does not count.
    mode, k = systems.mode, systems.k + any(map(collection.is_document, collection.queries))
    runs: list[SystemRun] = []
    searched: list[SystemRun] = []
    names = told_apart(systems.models)
    for number, path in enumerate(systems.models if mode != "text" else []):
        report("models", number, len(names))
        # A name tells a model from the others.
        name = names[number] if len(names) > 1 else None
        model = StaticModel.load(path)
        if mode != "hybrid":
            similar = static_similarities(model, collection)
            distillate = path / "distillate"
            if distillate.is_dir():
                title = f"{name}, distillate" if name else "distillate"
                before = static_similarities(StaticModel.load(distillate), collection)
                runs.append(vector_run(title, "distillate", before, collection, k))
            runs.append(vector_run(name or path.name, "model", similar, collection, k))
        if mode != "vector":
            table = SearchedTable.make(collection, model)
            if mode == "all" and not searched:
                searched.append(search_run("BM25", "bm25", table, collection, k))
            title = f"{name or path.name} + BM25"
            searched.append(search_run(title, "hybrid", table, collection, k, systems.alpha))
    if mode == "text" or (mode == "all" and not searched):
        report("BM25", 0, None)
        table = SearchedTable.make(collection)
        searched.append(search_run("BM25", "bm25", table, collection, k))
    runs.extend(searched)
    if teacher and teacher_files:
        trust = systems.trust_remote_code
        similar = teacher_similarities(teacher_files, teacher, trust, collection, report)
        runs.append(vector_run(teacher.model, "teacher", similar, collection, k))
    return runs


def told_apart(paths: Sequence[Path]) -> list[str]:
    """Name folders by the last parts of their paths, as many as tell all of them apart."""
    for length in range(1, max((len(path.parts) for path in paths), default=0)):
        names = [Path(*path.parts[-length:]).as_posix() for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _scores(
    runs: list[SystemRun], collection: TestCollection, k: int, seed: int
) -> list[SystemScore]:
    scores: list[SystemScore] = []
    first: list[float] = []
    for run in runs:
        by_document = {q: collection.by_document(q, texts) for q, texts in run.run.items()}
        values = measure(by_document, collection.qrels, k)
        means = {name: sum(several) / len(several) for name, several in values.items()}
        p_value = paired_randomization(values["ndcg"], first, seed) if scores else None
        first = first or values["ndcg"]
        scores.append(
            SystemScore(
                name=run.name,
                kind=run.kind,
                **means,
                p_value=p_value,
                queries_per_second=run.queries_per_second,
                latency=run.cost.latency,
                documents_per_second=run.cost.documents_per_second,
                bytes=run.cost.bytes,
                alpha=run.alpha,
            )
        )
    return scores
