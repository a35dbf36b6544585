"""``ragdoll index``."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ragdoll.cli.options import DOCUMENTS, Invocation, argument, command, option
from ragdoll.cli.session import query_next, session
from ragdoll.cli.text import from_here
from ragdoll.cli.views import records, skipped, stages

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragdoll.cli.console import Console
    from ragdoll.corpus.documents import Corpus
    from ragdoll.retrieval.index import Index
    from ragdoll.retrieval.writing.target import IndexResult

# Seconds between two looks while watching, and the most that may be asked for.
_EVERY, _LONGEST = 60.0, 86_400


@command(
    "index",
    "corpus",
    "engine",
    docs=argument(
        "DOCS", f"{DOCUMENTS} [index.docs], else [corpus.path], else what the table was made of"
    ),
    docs_option=option("--docs,--docs-folder DOCS", "The same, as an option."),
    overwrite=option(
        "--overwrite", "Build the table anew; queries see the old one until it is done."
    ),
    prune=option("--prune", "Remove what the table has of files and folders that are gone."),
    watch=option("--watch", "Go on: bring the table up to date whenever files change."),
    every=option("--every SECONDS", "Also look so often while watching; 60 if it is left out."),
    dry_run=option("--dry-run", "Say what would happen, and write nothing."),
)
def index(
    call: Invocation,
    docs: list[str] | None,
    docs_option: list[str] | None,
    overwrite: bool,
    prune: bool,
    watch: bool,
    every: float | None,
    dry_run: bool,
) -> None:
    """Cut documents into passages, embed them with a static model, and write a LanceDB table.

    A second run embeds only what is new or changed, and removes documents that are gone from the
    places that are named. An option that is left out stays as it was.
    """
    if every is not None and (not watch or not 0 < every < _LONGEST):
        raise typer.BadParameter(f"--every goes with --watch, and is above 0 and below {_LONGEST}.")
    if watch and dry_run:
        raise typer.BadParameter("--watch writes, and --dry-run does not.")
    call.given["index.docs"] = [*(docs or []), *(docs_option or [])] or None
    resume = "The table is as it was, or has whole batches; the same command completes it."
    with session(call, resume) as (config, console):
        import ragdoll
        from ragdoll.retrieval.writing.roots import documents_of
        from ragdoll.retrieval.writing.target import table_of

        made = table_of(config.index, may_be_damaged=overwrite)
        documents = documents_of(config.index.docs or [], config.corpus, made, prune)
        if not (config.index.docs or config.corpus.path):
            console.note(f"Reading {', '.join(map(from_here, documents.roots))} again.")

        def table(overwrite: bool = False) -> "Index":
            trained = config.train.output
            model = config.index.model or (trained if Path(trained).is_dir() or not made else None)
            return ragdoll.Index.create(model=model, settings=config.index, overwrite=overwrite)

        with console.progress() as report:
            result = table(overwrite).update(
                documents, dry_run=dry_run, prune=prune, engine=config.engine, report=report
            )
        _show(console, result, dry_run)
        if watch:
            _watch(console, table, documents, every or _EVERY)
        elif not dry_run:
            console.command(query_next(call))


def _show(console: "Console", result: "IndexResult", dry_run: bool = False) -> None:
    summary = stages.index_summary(result, dry_run)
    console.result({**records.index(result), "dry_run": dry_run}, summary)
    skipped.show(console, result.skipped, result.roots)
    skipped.show(console, result.notes, result.roots, "Noted")
    for place in result.gone:
        console.note(f"The table has documents of {place}, which is gone; --prune removes them.")


def _watch(
    console: "Console", table: "Callable[[], Index]", documents: "Corpus", every: float
) -> None:
    """Bring the table up to date without end; what fails now may succeed the next time.

    The table is opened each time: it may have another model by then.
    """
    from ragdoll.corpus.watching import changes
    from ragdoll.errors import RagdollError

    console.note(f"Watching {', '.join(map(from_here, documents.roots))}. Ctrl-C ends it.")
    for _ in changes(documents, every):
        try:
            result = table().update(documents)
        except RagdollError as error:
            console.warning(error.message)
            continue
        if result.added or result.changed or result.removed:
            _show(console, result)
