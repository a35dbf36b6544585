"""``ragdoll index``."""

from ragdoll.cli import before
from ragdoll.cli.options import DOCUMENTS, Invocation, argument, command, option
from ragdoll.cli.session import query_next, session
from ragdoll.cli.text import from_here
from ragdoll.cli.views import records, skipped, stages


@command(
    "index",
    "corpus",
    docs=argument(
        "DOCS", f"{DOCUMENTS} [index.docs], else [corpus.path], else what the table was made of"
    ),
    docs_option=option("--docs,--docs-folder DOCS", "The same, as an option."),
    overwrite=option(
        "--overwrite", "Build the table anew; queries see the old one until it is done."
    ),
    prune=option("--prune", "Remove what the table has of files and folders that are gone."),
    dry_run=option("--dry-run", "Say what would happen, and write nothing."),
)
def index(
    call: Invocation,
    docs: list[str] | None,
    docs_option: list[str] | None,
    overwrite: bool,
    prune: bool,
    dry_run: bool,
) -> None:
    """Cut documents into passages, embed them with a static model, and write a LanceDB table.

    A second run embeds only what is new or changed, and removes documents that are gone from the
    places that are named. An option that is left out stays as it was.
    """
    call.given["index.docs"] = [*(docs or []), *(docs_option or [])] or None
    resume = "The table is as it was, or has whole batches; the same command completes it."
    with session(call, resume) as (told, console):
        import ragdoll

        config, made = before.of_table(told, may_be_damaged=overwrite)
        config = before.with_model(config, made)
        documents = before.documents(config, made, prune)
        if not (config.index.docs or config.corpus.path):
            console.note(f"Reading {', '.join(map(from_here, documents.roots))} again.")
        table = ragdoll.Index.create(
            model=config.index.model or config.train.output,
            settings=config.index,
            overwrite=overwrite,
        )
        with console.progress() as report:
            result = table.update(documents, dry_run=dry_run, prune=prune, report=report)
        summary = stages.index_summary(result, dry_run)
        console.result({**records.index(result), "dry_run": dry_run}, summary)
        skipped.show(console, result.skipped, result.roots)
        skipped.show(console, result.notes, result.roots, "Noted")
        for place in result.gone:
            console.note(
                f"The table has documents of {place}, which is gone; --prune removes them."
            )
        if not dry_run:
            console.command(query_next(call))
