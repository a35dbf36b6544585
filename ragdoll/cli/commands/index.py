"""``ragdoll index``."""

from ragdoll.cli.options import DOCUMENTS, Invocation, argument, command, option
from ragdoll.cli.session import query_next, session
from ragdoll.cli.views import records, skipped, stages


@command(
    "index",
    "corpus",
    docs=argument("DOCS", f"{DOCUMENTS} [index.docs], else [corpus.path]"),
    docs_option=option("--docs,--docs-folder DOCS", "The same, as an option."),
    overwrite=option(
        "--overwrite", "Build the table anew; queries see the old one until it is done."
    ),
    dry_run=option("--dry-run", "Say what would happen, and write nothing."),
)
def index(
    call: Invocation,
    docs: list[str] | None,
    docs_option: list[str] | None,
    overwrite: bool,
    dry_run: bool,
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
            console.command(query_next(call))
