"""``ragdoll train``."""

from typing import TYPE_CHECKING

import typer

from ragdoll.cli import process
from ragdoll.cli.console import Console
from ragdoll.cli.options import TRUST_REMOTE_CODE, Invocation, command, option
from ragdoll.cli.session import again, session
from ragdoll.cli.views import records, stages
from ragdoll.config import Config
from ragdoll.errors import UsageError

if TYPE_CHECKING:
    from ragdoll.distillation.model.hub import Pushed
    from ragdoll.distillation.training.train import TrainResult


@command(
    "train",
    "teacher.model",
    helps={"teacher.model": "Only for features that do not name theirs."},
    trust_remote_code=TRUST_REMOTE_CODE,
    push_to_hub=option(
        "--push-to-hub REPO",
        "Upload the model to this repository of the Hugging Face hub, OWNER/NAME; one that is new "
        "is private.",
    ),
    public=option("--public", "With --push-to-hub: a new repository is public."),
)
def train(call: Invocation, trust_remote_code: bool, push_to_hub: str | None, public: bool) -> None:
    """Train a static model to embed the passages as the teacher does.

    Saves the recommended model, its two variants (with and without weighting by the corpus) and the
    untrained distillate, each with a model card.

    An upload is one commit, all or nothing, of the files that ragdoll wrote; of absolute paths it
    keeps the last component. With --vocab-size it shows words of the corpus. The token is that of
    hf auth login or HF_TOKEN.
    """
    resume = "No model was written; the same command goes on where it stopped."
    with session(call, resume) as (config, console):
        import ragdoll

        _check_push(push_to_hub, public)
        features = config.train.features or config.featurize.output
        with console.progress() as report:
            result = ragdoll.train(
                features,
                settings=config.train,
                teacher=_teacher(config, features),
                trust_remote_code=trust_remote_code,
                report=report,
            )
        pushed = None
        try:
            if push_to_hub is not None and not result.interrupted:
                pushed = _push(result, push_to_hub, public, console)
        finally:  # the model is there, whatever became of the upload
            console.result(records.train(result, pushed), stages.train_summary(result, pushed))
        if result.interrupted:
            raise _interruption(console, was_to_upload=push_to_hub is not None)
        documents = config.index.docs or config.corpus.path
        elsewhere = call.given["train.output"] or (config.index.model and config.train.output)
        command = "index" if documents else "index DOCS"
        console.command(again(command, config=call.config, model=elsewhere))


def _teacher(config: Config, features: str) -> str | None:
    """Return the teacher that an option names; else the configured one, where the features agree.

    None if only the default of the setting names one.
    """
    if not config.teacher.is_given("model"):
        return None

    from ragdoll.distillation.features.bucket import features_at
    from ragdoll.distillation.features.featurize import named

    teacher = named(config.teacher).model
    if config.origins["teacher.model"] == "option":
        return teacher
    # The manifest alone: training opens the features, which is to look at every part.
    manifest = features_at(features).manifest()
    made_by = manifest.settings.get("teacher") if manifest else None
    return teacher if made_by in (None, teacher) else None


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
            "--public needs a repository to make.",
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
