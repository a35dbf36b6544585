"""The commands, each loaded when it is asked for, and what a wrong command line is told."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

# Of each command the first paragraph of its help, so that the list of them needs none of them.
SUMMARIES = {
    "run": "Featurize, train and index: all that is needed, and nothing that is not.",
    "featurize": "Embed the passages of a corpus with the teacher, once: what train learns from.",
    "train": "Train a static model to embed the passages as the teacher does.",
    "index": "Cut documents into passages, embed them with a static model, and write a LanceDB "
    "table.",
    "query": "Search a table, with the model that it was made with.",
    "inspect-model": "Show what a model is; with --database, tables, and whether they agree with "
    "their model.",
    "evaluate": "Score distillate, model, BM25, hybrid and teacher on questions with known "
    "answers.",
}

# Typer has its own copy of click since 0.26 and names only this child of the class.
_UsageError: Any = typer.BadParameter.__mro__[1]


class Commands(TyperGroup):
    """Says what is wrong with a command line in two lines, as all other errors are said."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands: Any = _ByName()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without loading them; see ``TyperGroup.format_commands``."""
        del ctx  # whose width the formatter has
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def main(self, *args: Any, **options: Any) -> Any:
        """Parse and run; see ``TyperGroup.main``."""
        alone = options.pop("standalone_mode", True)
        options["standalone_mode"] = False
        if not alone:
            return super().main(*args, **options)
        try:
            status = super().main(*args, **options)
        except _UsageError as error:
            from ragdoll.cli.console import Console
            from ragdoll.cli.session import WRONG_USAGE

            context = getattr(error, "ctx", None)
            path = context.command_path if context else "ragdoll"
            Console().error(_plain(error.format_message()), hint=f"See {path} --help.")
            sys.exit(WRONG_USAGE)
        sys.exit(status if isinstance(status, int) else 0)


class _ByName(Mapping[str, Any]):
    """A command is the function of its name in the module of its name."""

    def __getitem__(self, name: str) -> Any:
        if name not in SUMMARIES:
            raise KeyError(name)
        return _load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


@cache
def _load(name: str) -> Any:
    from ragdoll.cli.help import Command

    function = name.replace("-", "_")
    module = importlib.import_module(f"ragdoll.cli.{function}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(getattr(module, function))
    return typer.main.get_command(alone)


def _plain(message: str) -> str:
    """What Typer says of a wrong value, without the words of the library that it asks."""
    number = "Input should be a valid integer, unable to parse string as an integer"
    return message.replace("Value error, ", "").replace(number, "a whole number is wanted.")
