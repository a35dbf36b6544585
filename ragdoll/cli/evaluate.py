"""``ragdoll evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ragdoll.cli import evaluation_view, options, records
from ragdoll.cli.session import session
from ragdoll.errors import UsageError


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA", help="BEIR folder: corpus.jsonl, queries.jsonl and qrels/test.tsv."
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="DIR", help="Model folder; repeatable. \\[train.output]"),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="NAME", help="Score this teacher too; it takes a while.")
    ] = None,
    mode: Annotated[
        Literal["all", "vector", "text", "hybrid"] | None,
        typer.Option(help="Systems to score. \\[evaluate.mode]"),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", metavar="K", help="Cut-off of the measures. \\[evaluate.k]")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="Seed of the significance test. \\[evaluate.seed]"),
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    trust_remote_code: options.TrustRemoteCode = False,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Score distillate, model, BM25, hybrid and teacher on questions with known answers."""
    given = {
        "evaluate.mode": mode,
        "evaluate.k": k,
        "evaluate.seed": seed,
        "teacher.device": device,
        "teacher.dtype": dtype,
    }
    with session(config, as_json, quiet, verbose, given) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.evaluation import evaluate as library
        from ragdoll.evaluation.systems import TeacherChoice

        chosen = settings.evaluate
        if teacher is None and (device or dtype or trust_remote_code):
            raise UsageError("--device, --dtype and --trust-remote-code are for --teacher.")
        if model and chosen.mode == "text":
            raise UsageError("A model has no place in the mode 'text', which is BM25 alone.")
        default = Path(settings.train.output)
        names = model or ([str(default)] if default.is_dir() else [])
        choice = None
        if teacher is not None:
            how = settings.teacher
            choice = TeacherChoice(teacher, how.device, how.dtype, trust_remote_code)
        with console.progress() as report:
            result = library.evaluate(
                data,
                [wanted.static_model(name) for name in names],
                choice,
                chosen.mode,
                chosen.k,
                chosen.seed,
                wanted.alpha(settings),
                report,
            )
        console.result(records.evaluation(result), evaluation_view.evaluation_table(result))
