"""``ragdoll evaluate``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragdoll.cli.options import TRUST_REMOTE_CODE, Invocation, argument, command, option
from ragdoll.cli.session import session
from ragdoll.cli.views import evaluation as view
from ragdoll.cli.views import records
from ragdoll.errors import UsageError
from ragdoll.settings import READING

if TYPE_CHECKING:
    from ragdoll.config import Config
    from ragdoll.evaluation.collection import TestCollection
    from ragdoll.evaluation.evaluate import Systems

# A folder with any of these is meant as a test collection, if it is not a whole one.
_BEIR = ("corpus.jsonl", "queries.jsonl", "qrels")


@command(
    "evaluate",
    "teacher.device",
    "teacher.dtype",
    *(f"corpus.{name}" for name in READING),
    data=argument(
        "DATA",
        "BEIR folder (corpus.jsonl, queries.jsonl, qrels/test.tsv), or documents. [index.docs], "
        "else [corpus.path], else what the table was made of",
    ),
    model=option("--model DIR", "Model folder; repeatable. [train.output]"),
    teacher=option("--teacher NAME", "Score this teacher too; it takes a while."),
    output=option("--output FILE", "Write a report too: FILE.csv, FILE.md or FILE.html."),
    explain=option(
        "--explain QUERY",
        "Look at one question, by its id or its words: where each system ranks its answers, and "
        "what the systems disagree on.",
    ),
    trust_remote_code=TRUST_REMOTE_CODE,
)
def evaluate(
    call: Invocation,
    data: list[str] | None,
    model: list[str] | None,
    teacher: str | None,
    output: Path | None,
    explain: str | None,
    trust_remote_code: bool,
) -> None:
    """Score distillate, model, BM25, hybrid and teacher on questions with known answers.

    Documents without questions do, too: then pieces of them become the questions.
    """
    with session(call) as (config, console):
        from ragdoll.evaluation.evaluate import score
        from ragdoll.evaluation.explain import explain as explained
        from ragdoll.evaluation.report import check_output, write

        of_teacher = call.given["teacher.device"] or call.given["teacher.dtype"]
        if teacher is None and (of_teacher or trust_remote_code):
            raise UsageError("--device, --dtype and --trust-remote-code are for --teacher.")
        if output is not None and explain is not None:
            raise UsageError("--explain prints one question; there is no report of it to --output.")
        if output is not None:
            check_output(output)
        systems = _systems(config, model, teacher, trust_remote_code)
        with console.progress() as report:
            report("reading", 0, None)
            collection = _collection(data, config, call)
            if explain is not None:
                found = explained(collection, explain, systems, report)
            else:
                result = score(collection, systems, config.evaluate.seed, report)
        if explain is not None:
            console.result(records.explanation(found), view.explanation(found, systems.k))
            return
        console.result(records.evaluation(result), view.evaluation_table(result))
        if output is not None:
            write(output, result, datetime.now(tz=UTC).date())
            console.note(f"Report: {output}")


def _systems(
    config: Config, names: list[str] | None, teacher: str | None, trust_remote_code: bool
) -> Systems:
    """Return the models that are named, else the one that train writes, and the teacher."""
    from ragdoll.embedding.identity import located
    from ragdoll.evaluation.evaluate import Systems

    chosen = config.evaluate
    if names and chosen.mode == "text":
        raise UsageError("A model cannot be used in the mode 'text', which is BM25 alone.")
    default = config.train.output
    names = names or ([default] if Path(default).is_dir() else [])
    return Systems(
        models=[located(name) for name in names],
        teacher=None if teacher is None else replace(config.teacher, model=teacher),
        trust_remote_code=trust_remote_code,
        mode=chosen.mode,
        k=chosen.k,
        alpha=None if config.query.alpha == "auto" else config.query.alpha,
    )


def _collection(data: list[str] | None, config: Config, call: Invocation) -> TestCollection:
    """Read the test collection that is named, or make one of the documents that are."""
    from ragdoll.corpus.reading import read
    from ragdoll.evaluation.evaluate import collection_of
    from ragdoll.retrieval.writing.roots import documents_of
    from ragdoll.retrieval.writing.target import table_of

    judged = [name for name in data or [] if any((Path(name) / part).exists() for part in _BEIR)]
    if judged:
        if data != judged[:1]:
            raise UsageError(
                f"{judged[0]} is a test collection, which is evaluated by itself.",
                hint="Name one test collection, or documents only.",
            )
        if any(call.given[f"corpus.{name}"] is not None for name in READING):
            raise UsageError("Options of [corpus] are for documents, not for a BEIR folder.")
        return collection_of(judged[0])
    if data:
        return collection_of(read(*data, settings=config.corpus), config.evaluate.seed)
    documents = documents_of(config.index.docs or [], config.corpus, table_of(config.index))
    return collection_of(documents, config.evaluate.seed)
