"""``ragdoll index``."""

from typing import Annotated

import typer

from ragdoll.cli.options import Invocation, command
from ragdoll.cli.session import again, session
from ragdoll.cli.views import records, skipped, stages


@command("index", "corpus")
def index(
    call: Invocation,
    docs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DOCS",
            help="Folders, files, python:PACKAGE, a Hugging Face dataset as OWNER/NAME, or - for "
            "standard input. [index.docs], else [corpus.path]",
        ),
    ] = None,
    docs_option: Annotated[
        list[str] | None,
        typer.Option("--docs", "--docs-folder", metavar="DOCS", help="The same, as an option."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Build the table anew; queries see the old one until it is done."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and write nothing.")
    ] = False,
) -> None:
    """Cut documents into passages, embed them with a static model, and write a LanceDB table.

    A second run embeds only what is new or changed, and removes documents that are gone.
    """
    call.given["index.docs"] = [*(docs or []), *(docs_option or [])] or None
    resume = "The table is as it was, or has whole batches; the same command completes it."
    with session(call, resume) as (config, console):
        import ragdoll

        documents = ragdoll.read(*config.index.docs or [], settings=config.corpus)
        table = ragdoll.Index.create(
            model=config.index.model or config.train.output,
            settings=config.index,
            overwrite=overwrite,
        )
        with console.progress() as report:
            result = table.update(documents, dry_run=dry_run, report=report)
        summary = stages.index_summary(result, dry_run)
        console.result({**records.index(result), "dry_run": dry_run}, summary)
        skipped.show(console, result.skipped, result.roots)
        if not dry_run:
            given = {name: call.given[f"index.{name}"] for name in ("database", "table")}
            console.command(again('query "your question"', config=call.config, **given))
