"""The command line: parse, call one function of the library, render.

Nothing heavy is imported here or at the top of a command's module, so that ``ragdoll --help`` and
shell completion answer at once.
"""

from typing import Annotated

import typer

from ragdoll import __version__
from ragdoll.cli import evaluate, featurize, index, inspect_model, query, run, train

app = typer.Typer(
    name="ragdoll",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A setting comes from its option, else from the environment variable "
    "RAGDOLL_<SECTION>_<KEY>, else from ./ragdoll.toml or --config FILE, else it has its default. "
    "Help texts name section and key in brackets.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ragdoll {__version__}")
        raise typer.Exit


@app.callback()
def ragdoll(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train a small, fast embedding model on your own documents, and search them with it."""


app.command("run")(run.run)
app.command("featurize")(featurize.featurize)
app.command("train")(train.train)
app.command("index")(index.index)
app.command("query")(query.query)
app.command("inspect-model")(inspect_model.inspect_model)
app.command("evaluate")(evaluate.evaluate)


def main() -> None:
    """Run the command line."""
    app()
