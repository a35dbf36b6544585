"""``ragdoll evaluate``."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ragdoll.cli import evaluation_view, options, records
from ragdoll.cli.session import session
from ragdoll.errors import UsageError

if TYPE_CHECKING:
    from ragdoll.config import Config
    from ragdoll.evaluation.collection import TestCollection
    from ragdoll.evaluation.systems import TeacherChoice

# A folder with any of these is meant as a test collection, if it is not a whole one.
_BEIR = ("corpus.jsonl", "queries.jsonl", "qrels")


def evaluate(
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA",
            help="BEIR folder (corpus.jsonl, queries.jsonl, qrels/test.tsv), or documents. "
            "[index.docs], else [corpus.path]",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="DIR", help="Model folder; repeatable. [train.output]"),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="NAME", help="Score this teacher too; it takes a while.")
    ] = None,
    mode: Annotated[
        Literal["all", "vector", "text", "hybrid"] | None,
        typer.Option(help="Systems to score. [evaluate.mode]"),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", metavar="K", help="Measure the first K answers. [evaluate.k]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Seed of the significance test, and of a test made of documents. [evaluate.seed]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a report too: FILE.csv, FILE.md or FILE.html."),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="QUERY",
            help="Look at one question, by its id or its words: where each system ranks its "
            "answers, and what the systems disagree on.",
        ),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    trust_remote_code: options.TrustRemoteCode = False,
    text_key: options.TextKey = None,
    no_ignore: options.NoIgnore = False,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score distillate, model, BM25, hybrid and teacher on questions with known answers.

    Documents without questions do, too: then pieces of them become the questions.
    """
    given = {
        "evaluate.mode": mode,
        "evaluate.k": k,
        "evaluate.seed": seed,
        "teacher.device": device,
        "teacher.dtype": dtype,
        **options.corpus_settings(text_key, None, None, None, no_ignore),
    }
    with session(config, as_json, quiet, verbose, given) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.evaluation import evaluate as library
        from ragdoll.evaluation.explain import explain as explained
        from ragdoll.evaluation.report import check_output, write

        chosen = settings.evaluate
        if teacher is None and (device or dtype or trust_remote_code):
            raise UsageError("--device, --dtype and --trust-remote-code are for --teacher.")
        if output is not None and explain is not None:
            raise UsageError("--explain prints one question; there is no report of it to --output.")
        if output is not None:
            check_output(output)
        models, choice = _systems(settings, model, teacher, trust_remote_code)
        alpha = wanted.alpha(settings)
        with console.progress() as report:
            report("reading", 0, None)
            collection = _collection(data, settings, text_key is not None or no_ignore)
            systems = (models, choice, chosen.mode, chosen.k)
            if explain is not None:
                found = explained(collection, explain, *systems, alpha, report)
            else:
                result = library.evaluate(collection, *systems, chosen.seed, alpha, report)
        if explain is not None:
            view = evaluation_view.explanation(found, chosen.k)
            console.result(records.explanation(found), view)
            return
        console.result(records.evaluation(result), evaluation_view.evaluation_table(result))
        if output is not None:
            write(output, result, datetime.now(tz=timezone.utc).date())
            console.note(f"Report: {output}")


def _systems(
    settings: Config, names: list[str] | None, teacher: str | None, trust_remote_code: bool
) -> tuple[list[Path], TeacherChoice | None]:
    """The models that are named, else the one that train writes where it is there; the teacher."""
    from ragdoll.cli import settings as wanted
    from ragdoll.evaluation.evaluate import check_systems
    from ragdoll.evaluation.systems import TeacherChoice

    mode, how = settings.evaluate.mode, settings.teacher
    if names and mode == "text":
        raise UsageError("A model has no place in the mode 'text', which is BM25 alone.")
    default = settings.train.output
    names = names or ([default] if Path(default).is_dir() else [])
    models = [wanted.model_folder(name) for name in names]
    choice = None
    if teacher is not None:
        choice = TeacherChoice(teacher, how.device, how.dtype, trust_remote_code)
    check_systems(models, choice, mode)
    return models, choice


def _collection(
    data: list[str] | None, settings: Config, has_corpus_options: bool
) -> TestCollection:
    """The test collection that is named, or one made of the documents that are."""
    from ragdoll.cli import settings as wanted
    from ragdoll.evaluation.collection import load_beir
    from ragdoll.evaluation.known_items import known_items

    judged = [name for name in data or [] if any((Path(name) / part).exists() for part in _BEIR)]
    if judged:
        if data != judged[:1]:
            raise UsageError(
                f"{judged[0]} is a test collection, which is evaluated by itself.",
                hint="Name one test collection, or documents only.",
            )
        if has_corpus_options:
            raise UsageError("--text-key and --no-ignore are for documents, not for a BEIR folder.")
        return load_beir(Path(judged[0]))
    if data:
        settings.index.docs = data
    corpus = wanted.documents(settings)
    name = ", ".join(Path(root).name or root for root in corpus.roots)
    return known_items(corpus, name, settings.evaluate.seed)
