"""What systems are scored on: texts to search, questions, and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TestCollection:
    """Documents, queries and judgements.

    ``documents`` maps the id of what is searched to its text, title and text in one; ``queries`` an
    id to its text and holds the judged ones only; ``qrels`` a query's id to the relevance of
    documents, as judged (0 is judged and not relevant).

    ``parts`` maps the id of a searched text that is only a passage to its document: then documents
    are judged, and one is found where the best of its passages is. ``notes`` say how the collection
    was made and what it can show, where that is not for its authors to say.
    """

    __test__ = False  # not a test case, whatever its name makes a test runner think

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]
    parts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The number of documents, however many passages they have."""
        return len({self.parts.get(name, name) for name in self.documents})

    def by_document(self, scores: Mapping[str, float]) -> dict[str, float]:
        """From the scores of searched texts to those of documents: each has its best passage's."""
        best: dict[str, float] = {}
        for name, score in scores.items():
            document = self.parts.get(name, name)
            best[document] = max(score, best.get(document, score))
        return best
