"""Test collections: documents to search, queries, and judgements of the answers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragdoll.errors import CorpusError, first_of, number_of
from ragdoll.evaluation import beir

# Queries that a note names.
_NAMED = 3

# Characters from which on two texts that begin alike are the same text, cut off.
_ALIKE = 32

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class TestCollection:
    """Documents, queries and judgements.

    ``documents`` maps the id of a searched text to the text, which begins with its title.
    ``queries`` maps the ids of the judged queries to their texts. ``qrels`` maps the id of a query
    to the relevance of documents as judged; 0 is judged and not relevant.

    ``parts`` maps the id of a searched text that is only a passage to the id of its document.
    Documents are judged then, and a document is as good as the best of its passages. ``notes`` say
    how ragdoll made the collection and what it can show, or of others which split judges them and
    which queries are left out.
    """

    __test__ = False  # pytest must not take it for a test case

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

    def by_document(self, query: str, scores: Mapping[str, float]) -> dict[str, float]:
        """Turn the scores of searched texts for a query into scores of documents.

        Each document has its best passage's. A query that is itself a document is no answer to
        itself.
        """
        best: dict[str, float] = {}
        for name, score in scores.items():
            document = self.parts.get(name, name)
            best[document] = max(score, best.get(document, score))
        if self.is_document(query):
            best.pop(query, None)
        return best

    def is_document(self, query: str) -> bool:
        """Tell whether a query is itself a document, which is then no answer to it.

        It has the document's id and its words: all of them, those of the title, or those below the
        title. Either text may be cut off. The id alone says nothing, as many collections number
        both queries and documents. A document that is judged relevant to the query is an answer.
        """
        if self.qrels.get(query, {}).get(query, 0) > 0:
            return False
        document = self.documents.get(query, "")
        title, _, text = document.partition("\n\n")
        asked = self.queries.get(query, "")
        return any(_is_same(asked, part) for part in (document, title, text))


def load_beir(path: Path) -> TestCollection:
    """Read a collection from a folder in BEIR layout.

    A judged query without a text is left out, and named in the notes. As in trec_eval, judgements
    of documents outside of the corpus count, and queries without a relevant document do not.

    Raises:
        CorpusError: a file is missing or a line is malformed (with file, line and reason), or
            queries, judgements and documents do not belong together.
    """
    corpus = beir.texts_file(path, "corpus.jsonl")
    asked = beir.texts_file(path, "queries.jsonl")
    judgements = beir.judgements_file(path)
    documents = beir.read_texts(corpus, "title", "text")
    queries = beir.read_texts(asked, "text")
    qrels = {
        query: judged
        for query, judged in beir.read_judgements(judgements).items()
        if max(judged.values()) > 0
    }
    silent = [query for query in qrels if not queries.get(query)]
    qrels = {query: judged for query, judged in qrels.items() if queries.get(query)}
    notes = [_left_out(silent)] if silent else []
    if not judgements.name.startswith("test."):
        notes.append(f"Judged by qrels/{judgements.name}: there is no qrels/test.tsv.")
    if documents and qrels and not any(documents.keys() & judged for judged in qrels.values()):
        raise CorpusError(f"{path}: none of the judged documents is in corpus.jsonl.")
    judged = {query: text for query, text in queries.items() if query in qrels}
    if not documents or not judged:
        raise CorpusError(
            f"{path} has {number_of('document', len(documents))} and "
            f"{number_of('judged query', len(judged), 'judged queries')}."
        )
    return TestCollection(path.resolve().name, documents, judged, qrels, notes=tuple(notes))


def _left_out(queries: list[str]) -> str:
    """Say which judged queries cannot be asked."""
    is_one = len(queries) == 1
    return (
        f"{number_of('judged query', len(queries), 'judged queries')} without a text in "
        f"queries.jsonl {'is' if is_one else 'are'} left out: {first_of(queries, _NAMED)}"
    )


def _is_same(one: str, other: str) -> bool:
    """Tell whether two texts have the same words, or begin alike up to where one is cut off."""
    one, other = _words(one), _words(other)
    if one == other:
        return bool(one)
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= _ALIKE and longer.startswith(shorter)


def _words(text: str) -> str:
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
