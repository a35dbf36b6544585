"""``ragdoll featurize``."""

from ragdoll.cli.options import DOCUMENTS, TRUST_REMOTE_CODE, Invocation, argument, command, option
from ragdoll.cli.session import again, kept_passages, session
from ragdoll.cli.views import records, skipped, stages


@command(
    "teacher",
    "featurize",
    "corpus",
    "engine",
    corpus=argument("CORPUS", f"{DOCUMENTS} [corpus.path]"),
    restart=option("--restart", "Begin anew: discard the features that are there."),
    trust_remote_code=TRUST_REMOTE_CODE,
)
def featurize(
    call: Invocation, corpus: list[str] | None, restart: bool, trust_remote_code: bool
) -> None:
    """Embed the passages of a corpus with the teacher, once: what train learns from.

    An interrupted run is kept: the same command goes on from there.
    """
    call.given["corpus.path"] = corpus or None
    with session(call, kept_passages(restart)) as (config, console):
        import ragdoll

        documents = ragdoll.read(settings=config.corpus)
        with console.progress() as report:
            result = ragdoll.featurize(
                documents,
                teacher=config.teacher,
                settings=config.featurize,
                engine=config.engine,
                restart=restart,
                trust_remote_code=trust_remote_code,
                report=report,
            )
        console.result(records.featurize(result), stages.featurize_summary(result))
        skipped.show(console, result.skipped, result.roots)
        skipped.show(console, result.notes, result.roots, "Noted")
        # A configuration may name other features to train on.
        output = call.given["featurize.output"]
        elsewhere = output or (config.train.features and config.featurize.output)
        console.command(again("train", config=call.config, features=elsewhere))
