"""``ragdoll inspect-model``."""

from typing import Annotated

import typer

from ragdoll.cli import model_view, options, records
from ragdoll.cli.session import FAILED, session


def inspect_model(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH",
            help="Model folders, or hub ids in the local cache. Default: \\[train.output]",
        ),
    ] = None,
    database: options.Database = None,
    table: options.Table = None,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Say what a model is, from its files alone; with --database, whether a table agrees with it.

    Exits with status 1 where a table and its model do not agree.
    """
    given = {"index.database": database, "index.table": table}
    with session(config, as_json, quiet, verbose, given) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.embedding.inspection import inspect
        from ragdoll.retrieval.inspection import inspect_table

        agree = True
        if database is not None or table is not None:
            found = inspect_table(wanted.database(settings), settings.index.table)
            agree = found.agrees
            console.result(records.table(found), model_view.table_facts(found))
        if paths or (database is None and table is None):
            for path in paths or [settings.train.output]:
                facts = inspect(wanted.static_model(path))
                console.result(records.model(facts), model_view.model_facts(facts))
        if not agree:
            raise typer.Exit(FAILED)
