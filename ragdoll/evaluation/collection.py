"""Test collections: documents to search, queries, and judgements of the answers.

Collections are read in BEIR layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/*.tsv``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from ragdoll.corpus.formats.decoding import storable
from ragdoll.errors import CorpusError, first_of, number_of

# The names of the judgements; the first file that exists is read.
_SPLITS = ("test", "dev", "train")

# Queries that a note names.
_NAMED = 3

# Longer scores are no judgements, and in the end no numbers that can be averaged.
_SCORE = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")


@dataclass(frozen=True, slots=True)
class TestCollection:
    """Documents, queries and judgements.

    ``documents`` maps the id of a searched text to the text, which begins with its title.
    ``queries`` maps the ids of the judged queries to their texts. ``qrels`` maps the id of a query
    to the relevance of documents as judged; 0 is judged and not relevant.

    ``parts`` maps the id of a searched text that is only a passage to the id of its document.
    Documents are judged then, and a document is as good as the best of its passages. ``notes`` say
    how ragdoll made the collection and what it can show, or which queries of others it leaves out.
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
        """Tell whether a query is one of the documents: by its id, and by its text.

        In many collections queries and documents are numbered alike, and have nothing in common.
        """
        text = self.queries.get(query, "").strip()
        return bool(text) and self.documents.get(query, "").endswith(text)


def load_beir(path: Path) -> TestCollection:
    """Read a collection from a folder in BEIR layout.

    A judged query without a text is left out, and named in the notes.

    Raises:
        CorpusError: a file is missing or a line is malformed (with file, line and reason), or
            queries, judgements and documents do not belong together.
    """
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (path / name).is_file():
            raise CorpusError(
                f"{path} is not a BEIR folder: it has no {name}.",
                hint="A BEIR folder has corpus.jsonl, queries.jsonl and qrels/test.tsv.",
            )
    documents: dict[str, str] = {}
    for place, fields in _objects(path / "corpus.jsonl"):
        title, text = (_string(fields, key, place) for key in ("title", "text"))
        identifier = _identifier(fields, place, documents)
        documents[identifier] = f"{title}\n\n{text}" if title else text
    qrels = _judgements(path)
    queries: dict[str, str] = {}
    for place, fields in _objects(path / "queries.jsonl"):
        queries[_identifier(fields, place, queries)] = _string(fields, "text", place)
    silent = [query for query in qrels if not queries.get(query)]
    qrels = {query: judged for query, judged in qrels.items() if queries.get(query)}
    notes = [_left_out(silent)] if silent else []
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


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    """Read the judgements; as in trec_eval, those of documents outside of the corpus count too."""
    files = [path / "qrels" / f"{split}.tsv" for split in _SPLITS]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise CorpusError(f"{path} has no judgements: qrels/test.tsv is missing.")
    qrels: dict[str, dict[str, int]] = {}
    for place, line in _lines(file):
        columns = line.split("\t")
        if not qrels and columns[0] == "query-id":
            continue
        if len(columns) != 3:
            raise CorpusError(
                f"{place}: {number_of('column', len(columns))}, not query, document and score."
            )
        query, document, score = columns
        if not _SCORE.fullmatch(score):
            raise CorpusError(
                f"{place}: the score '{shorten(score, 40)}' is not a whole number of at most nine "
                "digits."
            )
        qrels.setdefault(query, {})[document] = int(score)
    # trec_eval leaves out queries without a relevant document: their measures are not defined.
    return {query: judged for query, judged in qrels.items() if max(judged.values()) > 0}


def _objects(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place and the JSON object of each line."""
    for place, line in _lines(file):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: not JSON.") from error
        if not isinstance(fields, dict):
            raise CorpusError(f"{place}: not a JSON object.")
        yield place, fields


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each line that is not blank."""
    try:
        with file.open("rb") as lines:
            for number, content in enumerate(lines, start=1):
                place = f"{file}, line {number}"
                try:
                    line = content.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise CorpusError(f"{place}: not UTF-8 text.") from error
                if line.strip():
                    yield place, line
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}.") from error


def _identifier(fields: dict[str, Any], place: str, taken: dict[str, str]) -> str:
    identifier = fields.get("_id")
    if not isinstance(identifier, str | int) or identifier == "":
        raise CorpusError(f"{place}: no '_id'.")
    if str(identifier) in taken:
        raise CorpusError(f"{place}: the '_id' {identifier} comes a second time.")
    return str(identifier)


def _string(fields: dict[str, Any], key: str, place: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str | None):
        raise CorpusError(f"{place}: '{key}' is not a string.")
    return storable(value or "").strip()
