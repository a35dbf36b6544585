"""``ragdoll train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragdoll.cli import options, process, records, render
from ragdoll.cli.console import Console
from ragdoll.cli.session import session
from ragdoll.config import Config
from ragdoll.errors import UsageError

if TYPE_CHECKING:
    from ragdoll.distillation.model.hub import Pushed
    from ragdoll.distillation.training.train import TrainResult


def train(
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Features folder; default: what featurize wrote. [train.features]"
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only for features that do not name theirs. [teacher.model]"
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the model. [train.output]")
    ] = None,
    method: options.Method = None,
    pca_dims: options.PcaDims = None,
    vocab_size: options.VocabSize = None,
    batch_size: options.TrainBatchSize = None,
    lr: options.LearningRate = None,
    patience: options.Patience = None,
    epochs: options.Epochs = None,
    seed: options.Seed = None,
    save_dtype: options.SaveDtype = None,
    device: options.TrainDevice = None,
    trust_remote_code: options.TrustRemoteCode = False,
    push_to_hub: Annotated[
        str | None,
        typer.Option(
            "--push-to-hub",
            metavar="REPO",
            help="Upload the model to this repository of the Hugging Face hub, OWNER/NAME; one "
            "that is new is private.",
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="With --push-to-hub: a new repository is public.")
    ] = False,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a static model to embed the passages as the teacher does.

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
    resume = "No model was written; the same command goes on where it stopped."
    with session(config, as_json, quiet, verbose, given, resume) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.distillation.training import train as library

        _check_push(push_to_hub, public)
        with console.progress() as report:
            result = library.train(
                wanted.train(settings),
                wanted.teacher(teacher) if teacher else None,
                trust_remote_code,
                report,
                otherwise=_configured_teacher(settings),
            )
        pushed = None
        try:
            if push_to_hub is not None and not result.interrupted:
                pushed = _push(result, push_to_hub, public, console)
        finally:  # the model is there, whatever became of the upload
            console.result(records.train(result, pushed), render.train_summary(result, pushed))
        if result.interrupted:
            raise _interruption(console, was_to_upload=push_to_hub is not None)
        console.command(_next(settings, config, output))


def _next(settings: Config, config: Path | None, output: Path | None) -> str:
    """The command that indexes with the new model, with what the settings do not tell it."""
    documents = settings.index.docs or settings.corpus.path
    elsewhere = output or (settings.index.model and settings.train.output)
    return render.again("index" if documents else "index DOCS", config=config, model=elsewhere)


def _interruption(console: Console, was_to_upload: bool) -> typer.Exit:
    """Say which model an interrupted training leaves; return the exit of the command."""
    console.note(
        "Interrupted: the model is what it was after the best pass so far"
        + (", and it was not uploaded" if was_to_upload else "")
        + ". The same command goes on from there.",
        style="yellow",
    )
    return typer.Exit(process.interrupted())


def _check_push(repo: str | None, public: bool) -> None:
    """Refuse an upload that cannot succeed before the training that it would follow."""
    if repo is not None:
        from ragdoll.distillation.model import hub

        hub.check(repo)
    elif public:
        raise UsageError(
            "--public says how to make a repository, and none is named.",
            hint="Name it by --push-to-hub OWNER/NAME.",
        )


def _push(result: "TrainResult", repo: str, public: bool, console: Console) -> "Pushed":
    from ragdoll.distillation.model import hub

    try:
        with console.progress() as report:
            report("uploading", 0, None)
            return hub.push(result.model, repo, public)
    except KeyboardInterrupt:
        console.interruption(f"Interrupted while uploading. The model is saved in {result.model}.")
        raise typer.Exit(process.interrupted()) from None


def _configured_teacher(settings: Config) -> str | None:
    """The teacher that the file or a variable names; the built-in default is no one's word."""
    if settings.origins["teacher", "model"] == "default":
        return None
    return settings.teacher.model
