"""``ragdoll run``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ragdoll.cli import left_out, options, records, render
from ragdoll.cli.session import session
from ragdoll.config import Config
from ragdoll.errors import UsageError

_STAGE = "{:<9}  {}"


def run(
    docs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DOCS",
            help="What to learn from and to search: folders, files, python:PACKAGE, or a Hugging "
            "Face dataset as OWNER/NAME. [corpus.path] and [index.docs]",
        ),
    ] = None,
    docs_option: Annotated[
        list[str] | None,
        typer.Option(
            "--docs",
            "--docs-folder",
            metavar="DOCS",
            help="What to search, if it is not what to learn from. [index.docs]",
        ),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train a new model even if no setting changed.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Make the features anew and train on them.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Build the table anew, not only what changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which stages would run and why.")
    ] = False,
    teacher: options.Teacher = None,
    features: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the features. [featurize.output]"),
    ] = None,
    target: options.Target = None,
    max_means: options.MaxMeans = None,
    featurize_batch_size: options.FeaturizeBatchSize = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            "--embedding-model-name",
            metavar="DIR",
            help="Folder for the model. [train.output]",
        ),
    ] = None,
    method: options.Method = None,
    pca_dims: options.PcaDims = None,
    vocab_size: options.VocabSize = None,
    train_batch_size: options.TrainBatchSize = None,
    lr: options.LearningRate = None,
    patience: options.Patience = None,
    epochs: options.Epochs = None,
    seed: options.Seed = None,
    save_dtype: options.SaveDtype = None,
    database: options.Database = None,
    table: options.Table = None,
    metric: options.Metric = None,
    chunk_size: options.ChunkSize = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="DEVICE",
            help="auto, cpu, cuda, cuda:0 or mps. [teacher.device] and [train.device]",
        ),
    ] = None,
    dtype: options.Dtype = None,
    trust_remote_code: options.TrustRemoteCode = False,
    text_key: options.TextKey = None,
    dataset_name: options.DatasetName = None,
    dataset_split: options.DatasetSplit = None,
    streaming: options.Streaming = None,
    no_ignore: options.NoIgnore = False,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Featurize, train and index: all that is needed, and nothing that is not.

    The first run makes a model and a table. Later runs index what is new, and train again only on
    --retrain or when a setting changed that the model depends on.
    """
    given = {
        "corpus.path": docs or None,
        "index.docs": docs_option or docs or None,
        **options.corpus_settings(text_key, dataset_name, dataset_split, streaming, no_ignore),
        "teacher.model": teacher,
        "teacher.device": device,
        "teacher.dtype": dtype,
        "featurize.output": str(features) if features else None,
        "featurize.target": target,
        "featurize.max_means": max_means,
        "featurize.batch_size": featurize_batch_size,
        "train.output": str(model) if model else None,
        "train.method": method,
        "train.pca_dims": pca_dims,
        "train.vocab_size": vocab_size,
        "train.batch_size": train_batch_size,
        "train.lr": lr,
        "train.patience": patience,
        "train.epochs": epochs,
        "train.seed": seed,
        "train.save_dtype": save_dtype,
        "train.device": device,
        "index.database": database,
        "index.table": table,
        "index.metric": metric,
        "index.chunk_size": chunk_size,
    }
    resume = f"What is done is kept; {render.same_command(restart)} goes on from there."
    with session(config, as_json, quiet, verbose, given, resume) as (settings, console):
        _refuse_other_places(settings)
        from ragdoll import pipeline
        from ragdoll.cli import settings as wanted

        corpus, documents = wanted.corpus(settings), wanted.documents(settings)
        stages = wanted.run(settings, retrain, restart, overwrite)
        if dry_run:
            plan = pipeline.plan_stages(corpus, stages)
            console.result(records.plan(plan), render.plan_summary(plan))
            return
        with console.progress() as report:
            result = pipeline.run(
                corpus,
                documents,
                stages,
                trust_remote_code=trust_remote_code,
                report=report,
                announce=lambda stage, why: console.note(_STAGE.format(stage, why)),
            )
        console.result(records.run(result), render.run_summary(result))
        featurized = result.featurize.skipped if result.featurize else []
        missing = left_out.by_either(result.index.skipped, featurized)
        left_out.show(console, missing, [*corpus.roots, *documents.roots])
        query = 'query "your question"'
        console.command(render.again(query, config=config, database=database, table=table))


def _refuse_other_places(settings: Config) -> None:
    """Refuse a configuration in which a stage would not read what the one before it wrote."""
    train, index = settings.train, settings.index
    if train.features is not None and not _same(train.features, settings.featurize.output):
        raise UsageError(
            f"train.features is {train.features}, but run trains on featurize.output, "
            f"{settings.featurize.output}.",
            hint="Leave train.features out, or call ragdoll train.",
        )
    if index.model is not None and not _same(index.model, train.output):
        raise UsageError(
            f"index.model is {index.model}, but run indexes with train.output, {train.output}.",
            hint="Leave index.model out, or call ragdoll index.",
        )


def _same(first: str, second: str) -> bool:
    return os.path.abspath(first) == os.path.abspath(second)  # noqa: PTH100
