"""``ragdoll run``."""

import os

from ragdoll.cli.options import TRUST_REMOTE_CODE, Invocation, argument, command, option
from ragdoll.cli.session import kept_passages, query_next, session
from ragdoll.cli.views import records, skipped, stages
from ragdoll.config import Config
from ragdoll.errors import UsageError
from ragdoll.hints import for_command_line

_STAGE = "{:<9}  {}"


@command(
    "teacher",
    "featurize",
    "train",
    "index",
    "corpus",
    "engine",
    in_run=True,
    docs=argument(
        "DOCS",
        "What to learn from and to search: folders, files, python:PACKAGE, or a Hugging Face "
        "dataset as OWNER/NAME. [corpus.path] and [index.docs], else as before",
    ),
    docs_option=option(
        "--docs,--docs-folder DOCS",
        "What to search, if it is not what to learn from. [index.docs]",
    ),
    retrain=option("--retrain", "Train a new model even if no setting changed."),
    restart=option("--restart", "Make the features anew and train on them."),
    overwrite=option("--overwrite", "Build the table anew, of these documents alone."),
    dry_run=option("--dry-run", "Say which stages would run and why."),
    trust_remote_code=TRUST_REMOTE_CODE,
)
def run(
    call: Invocation,
    docs: list[str] | None,
    docs_option: list[str] | None,
    retrain: bool,
    restart: bool,
    overwrite: bool,
    dry_run: bool,
    trust_remote_code: bool,
) -> None:
    """Featurize, train and index: all that is needed, and nothing that is not.

    The first run makes a model and a table. Later runs index what is new, and train again only on
    --retrain or when a setting changed that the model depends on. An option that is left out stays
    as it was.
    """
    call.given["corpus.path"] = docs or None
    call.given["index.docs"] = docs_option or docs or None
    with session(call, kept_passages(restart)) as (config, console):
        _refuse_other_places(config)
        from ragdoll.pipeline import Pipeline

        pipeline = Pipeline(config, retrain, restart, overwrite)
        if dry_run:
            plan = pipeline.plan()
            console.result(records.plan(plan), stages.plan_summary(plan))
            return

        def announce(stage: str, why: str) -> None:
            console.note(_STAGE.format(stage, for_command_line(why)))

        with console.progress() as report:
            result = pipeline.run(trust_remote_code, report, announce)
        console.result(records.run(result), stages.run_summary(result))
        featurized = result.featurize
        missing = skipped.by_either(result.index.skipped, featurized.skipped if featurized else [])
        roots = [*(featurized.roots if featurized else []), *result.index.roots]
        skipped.show(console, missing, roots)
        notes = skipped.by_either(result.index.notes, featurized.notes if featurized else [])
        skipped.show(console, notes, roots, "Noted")
        console.command(query_next(call))


def _refuse_other_places(config: Config) -> None:
    """Refuse a configuration in which a stage would not read what the one before it wrote."""
    train, features = config.train, config.featurize.output
    for name, told, use, made in (
        ("train.features", train.features, "trains on featurize.output", features),
        ("index.model", config.index.model, "indexes with train.output", train.output),
    ):
        # Unlike the method of Path, this function of os resolves ".." without the disk.
        if told is not None and os.path.abspath(told) != os.path.abspath(made):  # noqa: PTH100
            raise UsageError(
                f"{name} is {told}, but run {use}, {made}.",
                hint=f"Leave {name} out, or call ragdoll {name.partition('.')[0]}.",
            )
