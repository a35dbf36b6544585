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
            help="Model folders, or hub ids in the local cache. [train.output]",
        ),
    ] = None,
    database: options.Database = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only this table; default: every table of the database."),
    ] = None,
    neighbors: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Show the tokens nearest to a word in the model."),
    ] = None,
    config: options.Config = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Show what a model is; with --database, tables, and whether they agree with their model.

    Two models are compared. The exit status is 1 if a table does not agree with its model.
    """
    given = {"index.database": database, "index.table": table}
    with session(config, as_json, quiet, verbose, given) as (settings, console):
        from ragdoll.cli import settings as wanted
        from ragdoll.embedding.comparison import compare
        from ragdoll.embedding.inspection import inspect
        from ragdoll.embedding.token_table import neighbors as near
        from ragdoll.retrieval.reading.inspection import inspect_table, inspect_tables

        tables, names = None, paths or []
        if database is not None or table is not None:
            place = wanted.database(settings)
            tables = [inspect_table(place, table)] if table else inspect_tables(place)
        if not names and (tables is None or neighbors is not None):
            names = [settings.train.output]
        models = [inspect(wanted.model_folder(name)) for name in names]
        words = [near(facts.path, neighbors) for facts in models] if neighbors is not None else []
        compared = compare(models[0], models[1]) if len(models) == 2 else None
        console.result(
            records.inspection(tables, models, words, compared),
            model_view.inspection(tables or [], models, words, compared),
        )
        if not all(facts.agrees for facts in tables or []):
            raise typer.Exit(FAILED)
