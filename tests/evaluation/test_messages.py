"""The wording of this room's errors; other tests look at types and values only."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ragdoll.errors import CorpusError, RagdollError, UsageError
from ragdoll.evaluation.collection import load_beir
from ragdoll.evaluation.evaluate import Evaluation, Systems, evaluate
from ragdoll.evaluation.known_items import known_items
from ragdoll.evaluation.report import write
from ragdoll.settings import EvaluateSettings, TeacherSettings

Step = Callable[[Path], object]


def read_without(name: str) -> Step:
    def step(tiny: Path) -> None:
        (tiny / name).unlink()
        load_beir(tiny)

    return step


def read_with(name: str, content: str) -> Step:
    def step(tiny: Path) -> None:
        (tiny / name).write_bytes(content.encode("latin-1"))
        load_beir(tiny)

    return step


def report(name: str) -> Step:
    result = Evaluation("set", 1, 1, 1, 10, 0, [])
    return lambda tiny: write(tiny / name, result, date(2026, 1, 2))


def case(error: type[RagdollError], message: str, hint: str | None, step: Step) -> Any:
    return pytest.param(error, message, hint, step, id=message)


CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels/test.tsv"
JUDGED = "q1\ta\t1\n"
ERRORS = [
    case(
        CorpusError,
        "{tiny} is not a BEIR folder: it has no queries.jsonl.",
        "A BEIR folder has corpus.jsonl, queries.jsonl and qrels/test.tsv.",
        read_without(QUERIES),
    ),
    case(
        CorpusError,
        "{tiny} has no judgements: qrels/test.tsv is missing.",
        None,
        read_without(QRELS),
    ),
    case(CorpusError, "{tiny}/corpus.jsonl, line 1: not JSON.", None, read_with(CORPUS, "{{")),
    case(
        CorpusError,
        "{tiny}/corpus.jsonl, line 1: not a JSON object.",
        None,
        read_with(CORPUS, "[1]"),
    ),
    case(
        CorpusError,
        "{tiny}/corpus.jsonl, line 1: not UTF-8 text.",
        None,
        read_with(CORPUS, "caf\xe9"),
    ),
    case(CorpusError, "{tiny}/corpus.jsonl, line 1: no '_id'.", None, read_with(CORPUS, "{}")),
    case(
        CorpusError,
        "{tiny}/corpus.jsonl, line 2: the id 7 comes again, with another text.",
        None,
        read_with(CORPUS, '{"_id": 7}\n{"_id": "7", "text": "x"}'),
    ),
    case(
        CorpusError,
        "{tiny}/corpus.jsonl, line 1: the id 3.0 is neither a string nor a whole number.",
        None,
        read_with(CORPUS, '{"_id": 3.0}'),
    ),
    case(
        CorpusError,
        "{tiny}/corpus.jsonl, line 1: 'title' is neither a string nor a list of strings.",
        None,
        read_with(CORPUS, '{"_id": "a", "title": 7}'),
    ),
    case(
        CorpusError,
        "{tiny}/qrels/test.tsv, line 2: 2 columns, not query, document and score.",
        None,
        read_with(QRELS, f"{JUDGED}q1 a"),
    ),
    case(
        CorpusError,
        "{tiny}/qrels/test.tsv, line 2: the document a is judged 0 for the query q1, and 1 further "
        "up.",
        "Keep the judgement that is right.",
        read_with(QRELS, f"{JUDGED}q1\ta\t0"),
    ),
    case(
        CorpusError,
        "{tiny}/qrels/test.tsv, line 2: the score '[...]' is not a whole number of at most nine "
        "digits.",
        None,
        read_with(QRELS, f"{JUDGED}q1\ta\t{'9' * 400}"),
    ),
    case(
        CorpusError,
        "{tiny}: none of the judged documents is in corpus.jsonl.",
        None,
        read_with(QRELS, "q1\tx\t1"),
    ),
    case(CorpusError, "{tiny} has 3 documents and 0 judged queries.", None, read_with(QRELS, "")),
    case(
        CorpusError,
        "tiny has no document with a title, a heading or a sentence to ask for.",
        "Give documents of several sentences, or a test collection in BEIR layout.",
        lambda tiny: known_items([], tiny.name),
    ),
    case(
        UsageError,
        "No model to evaluate.",
        "Train one with `run(...)`, or name one as `models`.",
        evaluate,
    ),
    case(
        UsageError,
        "A teacher cannot be used in the mode 'text'.",
        'Evaluate with `mode="vector"` or all.',
        lambda tiny: evaluate(tiny, teacher="any", settings=EvaluateSettings(mode="text")),
    ),
    case(
        UsageError,
        "A teacher cannot be used in the mode 'hybrid'.",
        'Evaluate with `mode="vector"` or all.',
        lambda tiny: Systems([tiny], TeacherSettings(model="any"), mode="hybrid"),
    ),
    case(
        UsageError,
        "{tiny}/r.pdf has an unknown format for a report; use .csv, .md, .html.",
        None,
        report("r.pdf"),
    ),
    case(
        UsageError,
        "{tiny}/no/r.md cannot be written: there is no folder {tiny}/no.",
        None,
        report("no/r.md"),
    ),
]


@pytest.mark.parametrize(("error", "message", "hint", "step"), ERRORS)
def test_an_error_says_what_is_wrong_and_what_to_do(
    tiny: Path, error: type[RagdollError], message: str, hint: str | None, step: Step
) -> None:
    with pytest.raises(error) as caught:
        step(tiny)
    assert type(caught.value) is error
    assert caught.value.message == message.format(tiny=tiny)
    assert caught.value.hint == hint
