"""The command line: parse, call one function of the library, render.

Nothing heavy is imported here or at the top of a command's module, and a command's module only
when that command is asked for, so that ``ragdoll --help`` and shell completion answer at once.
"""

from typing import Annotated

import typer

from ragdoll import __version__
from ragdoll.cli import process
from ragdoll.cli.group import WRONG_USAGE, Commands

app = typer.Typer(
    name="ragdoll",
    cls=Commands,
    pretty_exceptions_enable=False,
    # Rich takes longer to load than all else that help needs, and cuts what is long.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
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


def main() -> None:
    """Run the command line."""
    with process.orderly():
        app()
