"""The files of a test collection in BEIR layout, in the forms that are common.

``corpus.jsonl`` and ``queries.jsonl`` hold texts, ``qrels/*.tsv`` holds judgements. Any of them may
be compressed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

from ragdoll.corpus.formats.decoding import COMPRESSED, UnreadableError, inflated, storable
from ragdoll.errors import CorpusError, number_of

# The names of the judgements; the first file that exists is read.
_SPLITS = ("test", "dev", "train")

_ID_KEYS = ("_id", "id")

# The first column of a line that names the columns.
_HEADER = re.compile(r"\s*(q|query|topic)([-_ ]?id)?\s*", re.IGNORECASE)

# Longer scores are no judgements, and in the end no numbers that can be averaged.
_SCORE = re.compile(r"\s*([+-]?[0-9]{1,9})(\.0*)?\s*")


def texts_file(folder: Path, name: str) -> Path:
    """Find ``corpus.jsonl`` or ``queries.jsonl``, or the same compressed.

    Raises:
        CorpusError: there is no such file.
    """
    file = _found(folder / name)
    if file is None:
        raise CorpusError(
            f"{folder} is not a BEIR folder: it has no {name}.",
            hint="A BEIR folder has corpus.jsonl, queries.jsonl and qrels/test.tsv.",
        )
    return file


def judgements_file(folder: Path) -> Path:
    """Find the judgements of the test split, else of the next one that there is.

    Raises:
        CorpusError: there are no judgements.
    """
    files = (_found(folder / "qrels" / f"{split}.tsv") for split in _SPLITS)
    file = next(filter(None, files), None)
    if file is None:
        raise CorpusError(f"{folder} has no judgements: qrels/test.tsv is missing.")
    return file


def read_texts(file: Path, *keys: str) -> dict[str, str]:
    """Read the text of each line by its id; the texts of several ``keys`` become paragraphs.

    Raises:
        CorpusError: the file cannot be read or a line is malformed, or two texts have one id.
    """
    texts: dict[str, str] = {}
    for place, fields in _objects(file):
        identifier = _identifier(fields, place)
        text = "\n\n".join(filter(None, (_text(fields, key, place) for key in keys)))
        if texts.setdefault(identifier, text) != text:
            raise CorpusError(f"{place}: the id {identifier} comes again, with another text.")
    return texts


def read_judgements(file: Path) -> dict[str, dict[str, int]]:
    """Read the relevance of documents by query, from three columns or TREC's four.

    The columns are separated by tabs, else by spaces. Like trec_eval, ragdoll refuses two
    judgements of one document that contradict each other.

    Raises:
        CorpusError: the file cannot be read, a line is malformed, or judgements contradict.
    """
    qrels: dict[str, dict[str, int]] = {}
    for place, line in _lines(file):
        columns = line.split("\t") if "\t" in line else line.split()
        score = _SCORE.fullmatch(columns[-1])
        if not qrels and not score and _HEADER.fullmatch(columns[0]):
            continue
        if len(columns) not in {3, 4}:
            raise CorpusError(
                f"{place}: {number_of('column', len(columns))}, not query, document and score."
            )
        if not score:
            raise CorpusError(
                f"{place}: the score '{shorten(columns[-1], 40)}' is not a whole number of at most "
                "nine digits."
            )
        query, document, relevance = columns[0], columns[-2], int(score[1])
        before = qrels.setdefault(query, {}).setdefault(document, relevance)
        if before != relevance:
            raise CorpusError(
                f"{place}: the document {document} is judged {relevance} for the query {query}, "
                f"and {before} further up.",
                hint="Keep the judgement that is right.",
            )
    return qrels


def _found(path: Path) -> Path | None:
    """Return a file, or the same compressed; None without either."""
    files = (path.with_name(path.name + ending) for ending in ("", *COMPRESSED))
    return next((file for file in files if file.is_file()), None)


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
        with inflated(file) as (copy, cut_off), copy.open("rb") as lines:
            if cut_off:
                raise CorpusError(f"{file} is {cut_off}.")
            for number, content in enumerate(lines, start=1):
                place = f"{file}, line {number}"
                try:
                    line = content.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise CorpusError(f"{place}: not UTF-8 text.") from error
                if line.strip():
                    yield place, line
    except UnreadableError as error:
        raise CorpusError(f"{file} cannot be read: {error}.") from error
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}.") from error


def _identifier(fields: dict[str, Any], place: str) -> str:
    given = (fields[key] for key in _ID_KEYS if fields.get(key) not in (None, ""))
    identifier = next(given, None)
    if identifier is None:
        raise CorpusError(f"{place}: no '_id'.")
    if not isinstance(identifier, str | int) or isinstance(identifier, bool):
        raise CorpusError(
            f"{place}: the id {shorten(str(identifier), 40)} is neither a string nor a whole "
            "number."
        )
    return str(identifier)


def _text(fields: dict[str, Any], key: str, place: str) -> str:
    """Return the text of a key: a string, or strings that become paragraphs."""
    value = fields.get(key)
    parts = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(part, str) for part in parts):
        raise CorpusError(f"{place}: '{key}' is neither a string nor a list of strings.")
    return storable("\n\n".join(parts)).strip()
