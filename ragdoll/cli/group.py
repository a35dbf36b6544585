"""The list of commands, each loaded when it is called, and how usage errors and help are shown."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

# The first paragraph of each command's help: listing the commands must load none of them.
SUMMARIES = {
    "run": "Featurize, train and index: all that is needed, and nothing that is not.",
    "featurize": "Embed the passages of a corpus with the teacher, once: what train learns from.",
    "train": "Train a static model to embed the passages as the teacher does.",
    "index": "Cut documents into passages, embed them with a static model, and write a LanceDB "
    "table.",
    "query": "Search a table, with the model that it was made with.",
    "serve": "Answer searches over HTTP: for applications, agents and people.",
    "mcp": "Answer an agent's searches on standard input and output, by the Model Context "
    "Protocol.",
    "inspect-model": "Show what a model is; with --database, tables, and whether they agree with "
    "their model.",
    "evaluate": "Score distillate, model, BM25, hybrid and teacher on questions with known "
    "answers.",
}

WRONG_USAGE = 2

_TEXTS = (str, str | None, list[str], list[str] | None, bool, bool | None)

# Stands for a hyphen while lines are broken, which would cut names of models and options at it.
_HYPHEN = "\N{NON-BREAKING HYPHEN}"


class Commands(TyperGroup):
    """Loads a command when it is called, and reports a wrong command line in two lines."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Their names are all that the group itself looks up; get_command loads one.
        self.commands: Any = SUMMARIES

    def get_params(self, ctx: Any) -> Any:
        """List the parameters; see ``TyperCommand.get_params``."""
        return _as_typed(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command; see ``TyperGroup.get_command``."""
        del ctx  # which a command does not depend on
        return _load(cmd_name) if cmd_name in SUMMARIES else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without loading them; see ``TyperGroup.format_commands``."""
        del ctx  # whose width the formatter has
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))

    def main(self, *args: Any, **options: Any) -> Any:
        """Parse and run; see ``TyperGroup.main``."""
        try:
            status = super().main(*args, **{**options, "standalone_mode": False})
        except typer.TyperException as error:
            from ragdoll.cli.console import Console

            context = getattr(error, "ctx", None)
            path = context.command_path if context else "ragdoll"
            hint = f"See {path} --help."
            if path == "ragdoll query" and hasattr(error, "option_name"):
                hint += " A question that begins with a hyphen follows on --."
            Console().error(error.format_message(), hint=hint)
            sys.exit(WRONG_USAGE)
        sys.exit(status if isinstance(status, int) else 0)


class Command(TyperCommand):
    """Lists options under the headings that they name."""

    def get_params(self, ctx: Any) -> Any:
        """List the parameters; see ``TyperCommand.get_params``."""
        return _as_typed(super().get_params(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options; see ``TyperCommand.format_options``."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            name, text = param.get_help_record(ctx) or ("", "")
            heading = getattr(param, "rich_help_panel", None) or "Options"
            if param.param_type_name == "argument":
                # Without its type, which is given as Python has it.
                name, heading = name.partition(" <")[0], "Arguments"
            sections.setdefault(heading, []).append((name, text.replace("-", _HYPHEN)))
        begun = len(formatter.buffer)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        formatter.buffer[begun:] = [
            written.replace(_HYPHEN, "-") for written in formatter.buffer[begun:]
        ]


def _as_typed(params: Any) -> Any:
    """Let parameters take their values as they were typed, where text is all that is wanted.

    Typer would convert each of them, given or not, by pydantic, which takes longer to load than all
    the rest of the command line.
    """
    for param in params:
        # Typer may give the same objects again.
        vars(param).setdefault("process_value", partial(_value, param, param.process_value))
    return params


def _value(param: Any, convert: Callable[..., Any], ctx: Any, value: Any) -> Any:
    """Return the value of a parameter; ``convert`` is Typer's way to it."""
    if param.required or not (value is None or param.type_descriptor.annotation in _TEXTS):
        return convert(ctx, value)
    if value is None and param.multiple:
        value = ()
    return param.callback(ctx, param, value) if param.callback else value


@cache
def _load(name: str) -> Any:
    function = name.replace("-", "_")
    module = importlib.import_module(f"ragdoll.cli.commands.{function}")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(getattr(module, function))
    return typer.main.get_command(alone)
