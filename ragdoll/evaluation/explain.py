"""One question under the glass: where each system ranks its answers, and what they disagree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ragdoll.evaluation.collection import TestCollection
from ragdoll.evaluation.evaluate import Mode, run_systems
from ragdoll.evaluation.metrics import ranking
from ragdoll.evaluation.systems import TeacherChoice
from ragdoll.retrieval.reading.fusion import CANDIDATES
from ragdoll.streams import Report, silent

_DISPUTED = 10


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document is ranked: by each system's name, None where not among the first 100.

    ``relevance`` is as judged; None where nobody judged the document.
    """

    document: str
    text: str
    relevance: int | None
    ranks: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A question, the places of its answers, and other documents that the systems disagree on.

    ``query_id`` is None for a question that is not one of the collection's: it has no answers.
    """

    dataset: str
    query_id: str | None
    query: str
    systems: list[str]
    answers: list[Place]
    disputed: list[Place]


def explain(
    collection: TestCollection,
    query: str,
    models: Sequence[Path],
    teacher: TeacherChoice | None = None,
    mode: Mode = "all",
    k: int = 10,
    alpha: float | None = None,
    report: Report = silent,
) -> Explanation:
    """Ask one question, given by its id, its words, or any other words.

    Disputed are documents among the first ``k`` of a system, the more so the further the reciprocal
    ranks that the systems give them lie apart.

    Raises:
        RagdollError: as ``run_systems`` does.
    """
    known = _find(collection, query)
    text = collection.queries[known] if known is not None else query
    judged = collection.qrels.get(known, {}) if known is not None else {}
    single = replace(collection, queries={"query": text}, qrels={})
    runs = run_systems(single, models, teacher, mode, max(CANDIDATES, k), alpha, report)
    names = [run.name for run in runs]
    ranks = {
        run.name: {
            document: rank
            for rank, document in enumerate(
                ranking(collection.by_document(run.run["query"]), CANDIDATES), start=1
            )
        }
        for run in runs
    }
    texts = _texts(collection)

    def place(document: str) -> Place:
        found = {name: ranks[name].get(document) for name in names}
        return Place(document, texts.get(document, ""), judged.get(document), found)

    answers = [place(document) for document, gain in judged.items() if gain > 0]
    answers.sort(key=lambda answer: (-(answer.relevance or 0), _best_rank(answer)))
    heads = {document for name in names for document, rank in ranks[name].items() if rank <= k}
    others = [place(document) for document in heads - {answer.document for answer in answers}]
    others.sort(key=lambda other: (-_spread(other), other.document))
    disputed = [other for other in others[:_DISPUTED] if _spread(other) > 0]
    return Explanation(collection.name, known, text, names, answers, disputed)


def _find(collection: TestCollection, query: str) -> str | None:
    """The id of a question that is named by it or asked in its own words."""
    if query in collection.queries:
        return query
    wanted = " ".join(query.split()).lower()
    return next(
        (
            name
            for name, text in collection.queries.items()
            if " ".join(text.split()).lower() == wanted
        ),
        None,
    )


def _texts(collection: TestCollection) -> dict[str, str]:
    """The text of each document; of one that is cut, its first passage."""
    texts: dict[str, str] = {}
    for name, text in collection.documents.items():
        texts.setdefault(collection.parts.get(name, name), text)
    return texts


def _best_rank(place: Place) -> int:
    return min((rank for rank in place.ranks.values() if rank is not None), default=CANDIDATES + 1)


def _spread(place: Place) -> float:
    reciprocal = [1 / rank if rank is not None else 0.0 for rank in place.ranks.values()]
    return max(reciprocal) - min(reciprocal)
