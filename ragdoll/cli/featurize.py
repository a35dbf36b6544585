"""``ragdoll featurize``."""

from pathlib import Path
from typing import Annotated

import typer

from ragdoll.cli import left_out, options, records, render
from ragdoll.cli.session import session


def featurize(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CORPUS",
            help="Folders, files, python:PACKAGE, a Hugging Face dataset as OWNER/NAME, or - for "
            "standard input. [corpus.path]",
        ),
    ] = None,
    teacher: options.Teacher = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the features. [featurize.output]"),
    ] = None,
    target: options.Target = None,
    max_means: options.MaxMeans = None,
    batch_size: options.FeaturizeBatchSize = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew: discard the features that are there.")
    ] = False,
    device: options.Device = None,
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
    """Embed the passages of a corpus with the teacher, once: what train learns from.

    An interrupted run is kept: the same command goes on from there.
    """
    given = {
        "corpus.path": corpus or None,
        **options.corpus_settings(text_key, dataset_name, dataset_split, streaming, no_ignore),
        "teacher.model": teacher,
        "teacher.device": device,
        "teacher.dtype": dtype,
        "featurize.output": str(output) if output else None,
        "featurize.target": target,
        "featurize.max_means": max_means,
        "featurize.batch_size": batch_size,
    }
    kept = "What is done is kept, but for 1,024 passages at most"
    resume = f"{kept}; {render.same_command(restart)} goes on from there."
    with session(config, as_json, quiet, verbose, given, resume) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.distillation.features import featurize as library

        documents = wanted.corpus(settings)
        with console.progress() as report:
            result = library.featurize(
                documents, wanted.featurize(settings), restart, trust_remote_code, report
            )
        console.result(records.featurize(result), render.featurize_summary(result))
        left_out.show(console, result.skipped, documents.roots)
        # A configuration may name other features to train on.
        elsewhere = output or (settings.train.features and settings.featurize.output)
        console.command(render.again("train", config=config, features=elsewhere))
