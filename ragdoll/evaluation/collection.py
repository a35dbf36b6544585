"""What systems are scored on: texts to search, questions, and their answers.

Test collections in BEIR layout: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/*.tsv``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from ragdoll.corpus.formats.decoding import whole
from ragdoll.errors import CorpusError, number_of


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


# The split that is scored, the first of these that is there.
_SPLITS = ("test", "dev", "train")
# Longer ones are no judgements, and in the end no numbers that can be averaged.
_SCORE = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")


def load_beir(path: Path) -> TestCollection:
    """Read a collection.

    Raises:
        CorpusError: a file is missing or a line is malformed (with file, line and reason).
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
    qrels = _qrels(_qrels_file(path))
    queries: dict[str, str] = {}
    for place, fields in _objects(path / "queries.jsonl"):
        text = _string(fields, "text", place)
        if not text:
            raise CorpusError(f"{place}: the query has no 'text'.")
        queries[_identifier(fields, place, queries)] = text
    unknown = next((query for query in qrels if query not in queries), None)
    if unknown is not None:
        raise CorpusError(f"{path}: the judged query '{unknown}' is not in queries.jsonl.")
    if documents and qrels and not any(documents.keys() & judged for judged in qrels.values()):
        raise CorpusError(f"{path}: none of the judged documents is in corpus.jsonl.")
    judged = {query: text for query, text in queries.items() if query in qrels}
    if not documents or not judged:
        raise CorpusError(
            f"{path} has {number_of('document', len(documents))} and "
            f"{number_of('judged query', len(judged), 'judged queries')}."
        )
    return TestCollection(path.resolve().name, documents, judged, qrels)


def _qrels_file(path: Path) -> Path:
    files = [path / "qrels" / f"{split}.tsv" for split in _SPLITS]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise CorpusError(f"{path} has no judgements: qrels/test.tsv is missing.")
    return found


def _qrels(file: Path) -> dict[str, dict[str, int]]:
    """Read the judgements, those of documents that are not in the corpus too, as trec_eval does."""
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(file):
        columns = line.split("\t")
        if number == 1 and columns[0] == "query-id":
            continue
        if len(columns) != 3:
            raise CorpusError(
                f"{file}, line {number}: {number_of('column', len(columns))}, not query, document "
                "and score."
            )
        query, document, score = columns
        if not _SCORE.fullmatch(score):
            raise CorpusError(
                f"{file}, line {number}: the score '{shorten(score, 40)}' is not a whole number of "
                "at most nine digits."
            )
        qrels.setdefault(query, {})[document] = int(score)
    # trec_eval leaves out queries without a relevant document: their measures are not defined.
    return {query: judged for query, judged in qrels.items() if max(judged.values()) > 0}


def _objects(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in _lines(file):
        place = f"{file}, line {number}"
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: not JSON.") from error
        if not isinstance(fields, dict):
            raise CorpusError(f"{place}: not a JSON object.")
        yield place, fields


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with file.open("rb") as lines:
            for number, content in enumerate(lines, start=1):
                line = _decoded(content, f"{file}, line {number}")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}.") from error


def _decoded(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: not UTF-8 text.") from error


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
    return whole(value or "").strip()
