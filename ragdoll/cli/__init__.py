"""The command line: parse, call one function of the library, render.

Nothing heavy is imported here or at the top of a command's module, so that ``ragdoll --help`` and
shell completion answer at once.
"""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ragdoll import __version__
from ragdoll.cli import evaluate, featurize, index, inspect_model, process, query, run, train
from ragdoll.cli.console import Console
from ragdoll.cli.help import Command
from ragdoll.cli.session import WRONG_USAGE

# Typer has its own copy of click since 0.26 and names only this child of the class.
_UsageError: Any = typer.BadParameter.__mro__[1]


class _Commands(TyperGroup):
    """Says what is wrong with a command line in two lines, as all other errors are said."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Parse and run; see ``TyperGroup.main``."""
        alone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        if not alone:
            return super().main(*args, **options)
        try:
            status = super().main(*args, **options)
        except _UsageError as error:
            context = getattr(error, "ctx", None)
            path = context.command_path if context else "ragdoll"
            Console().error(_plain(error.format_message()), hint=f"See {path} --help.")
            sys.exit(WRONG_USAGE)
        sys.exit(status if isinstance(status, int) else 0)


def _plain(message: str) -> str:
    """What Typer says of a wrong value, without the words of the library that it asks."""
    number = "Input should be a valid integer, unable to parse string as an integer"
    return message.replace("Value error, ", "").replace(number, "a whole number is wanted.")


app = typer.Typer(
    name="ragdoll",
    cls=_Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A setting comes from its option, else from the environment variable "
    "RAGDOLL_<SECTION>_<KEY>, else from ./ragdoll.toml or --config FILE, else it has its default. "
    "Help texts name section and key in brackets, with the default.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ragdoll {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def ragdoll(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  (its callback prints and ends)
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train a small, fast embedding model on your own documents, and search them with it."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(WRONG_USAGE)


app.command("run", cls=Command)(run.run)
app.command("featurize", cls=Command)(featurize.featurize)
app.command("train", cls=Command)(train.train)
app.command("index", cls=Command)(index.index)
app.command("query", cls=Command)(query.query)
app.command("inspect-model", cls=Command)(inspect_model.inspect_model)
app.command("evaluate", cls=Command)(evaluate.evaluate)


def main() -> None:
    """Run the command line."""
    with process.orderly():
        app()
