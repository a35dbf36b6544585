"""``ragdoll train``."""

from pathlib import Path
from typing import Annotated

import typer

from ragdoll.cli import options, records, render
from ragdoll.cli.session import INTERRUPTED, session
from ragdoll.config import Config


def train(
    features: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Features folder. \\[train.features]"),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only where the features do not name theirs. \\[teacher.model]"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the model. \\[train.output]")
    ] = None,
    method: options.Method = None,
    pca_dims: options.PcaDims = None,
    vocab_size: options.VocabSize = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            parser=options.auto_or(int),
            help="Passages a step of tokenlearn; ridge has none. \\[train.batch_size]",
        ),
    ] = None,
    lr: options.LearningRate = None,
    patience: options.Patience = None,
    epochs: options.Epochs = None,
    seed: options.Seed = None,
    save_dtype: options.SaveDtype = None,
    device: options.TrainDevice = None,
    trust_remote_code: options.TrustRemoteCode = False,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a static model until its vectors of the passages lie as the teacher's do.

    Saves the recommended model, its two variants (with and without weighting by the corpus) and the
    untrained distillate, each with a model card.
    """
    given = {
        "train.features": str(features) if features else None,
        "train.output": str(output) if output else None,
        "train.method": method,
        "train.pca_dims": pca_dims,
        "train.vocab_size": vocab_size,
        "train.batch_size": batch_size,
        "train.lr": lr,
        "train.patience": patience,
        "train.epochs": epochs,
        "train.seed": seed,
        "train.save_dtype": save_dtype,
        "train.device": device,
    }
    with session(
        config,
        as_json,
        quiet,
        verbose,
        given,
        "No model was written; the same command goes on where it stopped.",
    ) as (
        settings,
        console,
    ):
        from ragdoll.cli import settings as wanted
        from ragdoll.distillation import train as library

        with console.progress() as report:
            result = library.train(
                wanted.train(settings),
                wanted.teacher(teacher) if teacher else None,
                trust_remote_code,
                report,
                otherwise=_configured_teacher(settings),
            )
        console.result(records.train(result), render.train_summary(result))
        if result.interrupted:
            console.note(
                "Interrupted: the model is what it was after the best pass so far. The same "
                "command goes on from there.",
                style="yellow",
            )
            raise typer.Exit(INTERRUPTED)
        console.note(render.again("index DOCS", model=result.model))


def _configured_teacher(settings: Config) -> str | None:
    """The teacher that the file or a variable names; the built-in default is no one's word."""
    if settings.origins["teacher", "model"] == "default":
        return None
    return settings.teacher.model
