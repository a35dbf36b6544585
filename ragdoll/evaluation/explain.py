"""One question in detail: the ranks that each system gives, and where the systems disagree."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ragdoll.evaluation.collection import TestCollection
from ragdoll.evaluation.evaluate import Systems, run_systems
from ragdoll.evaluation.metrics import ranking
from ragdoll.retrieval.reading.fusion import CANDIDATES
from ragdoll.streams import Report, silent

_DISPUTED = 10


@dataclass(frozen=True, slots=True)
class Place:
    """The ranks of a document by the systems' names; None means not among the first 100.

    The third leg of a hybrid stands beside the systems: "tokens of" and the hybrid's name, with the
    ranks of the hybrid's answers by the share of the query that their tokens cover.

    ``relevance`` is as judged, None if nobody judged the document.
    """

    document: str
    text: str
    relevance: int | None
    ranks: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A question, the places of its answers, and other documents that the systems disagree on.

    ``query_id`` is None for a question outside of the collection, which has no answers.
    """

    dataset: str
    query_id: str | None
    query: str
    systems: list[str]
    answers: list[Place]
    disputed: list[Place]


def explain(
    collection: TestCollection, query: str, systems: Systems, report: Report = silent
) -> Explanation:
    """Rank the answers to one question, which ``query`` names by its id or states in words.

    Disputed documents are among the first ``k`` of a system. Those come first whose reciprocal
    ranks by the systems lie furthest apart.

    Raises:
        RagdollError: as ``run_systems`` does.
    """
    k = systems.k
    known = _id_of(collection, query)
    text = query if known is None else collection.queries[known]
    judged = {} if known is None else collection.qrels.get(known, {})
    single = replace(collection, queries={"query": text}, qrels={})
    runs = run_systems(single, replace(systems, k=max(CANDIDATES, k)), report)
    legs = {run.name: run.run["query"] for run in runs}
    legs |= {
        f"tokens of {run.name}": run.covered["query"] for run in runs if run.covered.get("query")
    }
    names = list(legs)
    ranks: dict[str, dict[str, int]] = {}
    for name, scores in legs.items():
        best = ranking(collection.by_document(known or "", scores), CANDIDATES)
        ranks[name] = {document: rank for rank, document in enumerate(best, start=1)}
    # The text of a document that is cut is its first passage.
    texts: dict[str, str] = {}
    for name, passage in collection.documents.items():
        texts.setdefault(collection.parts.get(name, name), passage)

    def place(document: str) -> Place:
        by_system = {name: ranks[name].get(document) for name in names}
        return Place(document, texts.get(document, ""), judged.get(document), by_system)

    answers = [place(document) for document, gain in judged.items() if gain > 0]
    answers.sort(key=lambda answer: (-(answer.relevance or 0), _best_rank(answer)))
    heads = {document for name in names for document, rank in ranks[name].items() if rank <= k}
    others = [place(document) for document in heads - {answer.document for answer in answers}]
    others.sort(key=lambda other: (-_spread(other), other.document))
    disputed = [other for other in others[:_DISPUTED] if _spread(other) > 0]
    return Explanation(collection.name, known, text, names, answers, disputed)


def _id_of(collection: TestCollection, query: str) -> str | None:
    """Return the id of the collection's question with this id or these words; None without one."""
    if query in collection.queries:
        return query
    by_words = {_words(text): name for name, text in reversed(collection.queries.items())}
    return by_words.get(_words(query))


def _words(text: str) -> str:
    return " ".join(text.split()).lower()


def _best_rank(place: Place) -> int:
    return min((rank for rank in place.ranks.values() if rank is not None), default=CANDIDATES + 1)


def _spread(place: Place) -> float:
    reciprocal = [1 / rank if rank is not None else 0.0 for rank in place.ranks.values()]
    return max(reciprocal) - min(reciprocal)
