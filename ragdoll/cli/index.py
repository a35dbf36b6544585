"""``ragdoll index``."""

from typing import Annotated

import typer

from ragdoll.cli import left_out, options, records, render
from ragdoll.cli.session import session


def index(
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
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "--embedding-model-name",
            metavar="DIR",
            help="Static model; default: what train wrote. [index.model]",
        ),
    ] = None,
    database: options.Database = None,
    table: options.Table = None,
    metric: options.Metric = None,
    chunk_size: options.ChunkSize = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Build the table anew; queries see the old one until it is done."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen, and write nothing.")
    ] = False,
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
    """Cut documents into passages, embed them with a static model, and write a LanceDB table.

    A second run embeds only what is new or changed, and removes documents that are gone.
    """
    given = {
        "index.docs": [*(docs or []), *(docs_option or [])] or None,
        "index.model": model,
        "index.database": database,
        "index.table": table,
        "index.metric": metric,
        "index.chunk_size": chunk_size,
        **options.corpus_settings(text_key, dataset_name, dataset_split, streaming, no_ignore),
    }
    resume = "The table is as it was, or has whole batches; the same command completes it."
    with session(config, as_json, quiet, verbose, given, resume) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.retrieval.writing import index as library

        documents = wanted.documents(settings)
        with console.progress() as report:
            result = library.index(documents, wanted.index(settings), overwrite, dry_run, report)
        summary = render.index_summary(result, dry_run)
        console.result({**records.index(result), "dry_run": dry_run}, summary)
        left_out.show(console, result.skipped, documents.roots)
        if not dry_run:
            query = 'query "your question"'
            console.command(render.again(query, config=config, database=database, table=table))
