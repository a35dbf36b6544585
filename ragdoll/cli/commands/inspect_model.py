"""``ragdoll inspect-model``."""

import typer

from ragdoll.cli.options import Invocation, argument, command, option
from ragdoll.cli.session import FAILED, session
from ragdoll.cli.views import models as view
from ragdoll.cli.views import records


@command(
    "index.database",
    "index.table",
    helps={"index.table": "Only this table; default: every table of the database."},
    paths=argument("PATH", "Model folders, or hub ids in the local cache. [train.output]"),
    neighbors=option("--neighbors WORD", "Show the tokens nearest to a word in the model."),
)
def inspect_model(call: Invocation, paths: list[str] | None, neighbors: str | None) -> None:
    """Show what a model is; with --database, tables, and whether they agree with their model.

    Two models are compared. The exit status is 1 if a table does not agree with its model.
    """
    with session(call) as (config, console):
        from ragdoll.embedding.comparison import compare
        from ragdoll.embedding.identity import located
        from ragdoll.embedding.inspection import inspect
        from ragdoll.embedding.token_table import neighbors as near
        from ragdoll.retrieval.reading.inspection import inspect_table, inspect_tables
        from ragdoll.retrieval.writing.target import database_of

        tables, names = None, paths or []
        table = call.given["index.table"]
        if call.given["index.database"] is not None or table is not None:
            place = database_of(config.index)
            tables = [inspect_table(place, table)] if table else inspect_tables(place)
        if not names and (tables is None or neighbors is not None):
            names = [config.train.output]
        models = [inspect(located(name)) for name in names]
        words = [near(facts.path, neighbors) for facts in models] if neighbors is not None else []
        compared = compare(models[0], models[1]) if len(models) == 2 else None
        console.result(
            records.inspection(tables, models, words, compared),
            view.inspection(tables or [], models, words, compared),
        )
        if not all(facts.agrees for facts in tables or []):
            raise typer.Exit(FAILED)
