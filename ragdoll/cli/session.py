"""The frame of every command: its settings, its console, and the exit status of an exception."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import typer

from ragdoll.cli import process
from ragdoll.cli.console import Console, LogHandler, silence_libraries
from ragdoll.cli.options import Invocation
from ragdoll.config import FILE_NAME, Config, load
from ragdoll.errors import RagdollError, UsageError, first_line
from ragdoll.hints import for_command_line

DONE, FAILED, WRONG_USAGE = 0, 1, 2


class Session(NamedTuple):
    """The settings and the console of one command."""

    config: Config
    console: Console


@contextmanager
def session(call: Invocation, resume_hint: str = "") -> Iterator[Session]:
    """Load the settings, run the command's body, and turn exceptions into an exit status.

    ``resume_hint`` says how to go on after an interruption.

    Raises:
        typer.Exit: 1 the work failed, 2 wrong usage or configuration, 130 interrupted,
            143 terminated.
    """
    verbose = call.verbose
    console = Console(call.as_json, call.quiet, verbose)
    silence_libraries()
    handler = LogHandler(console)
    logger = logging.getLogger("ragdoll")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    loaded: Config | None = None
    try:
        loaded = load(call.config, call.given)
        for name, value, origin in loaded.rows() if verbose else []:
            console.detail(f"{name} = {value}  ({origin})")
        yield Session(loaded, console)
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt:
        raise _interruption(console, resume_hint) from None
    except BrokenPipeError:
        # The reader of the pipe has what it wants.
        process.drop(sys.stdout)
        raise typer.Exit(DONE) from None
    except Exception as error:  # noqa: BLE001  (the last line of defence: no traceback unasked)
        if verbose:
            console.traceback()
        if process.was_interrupted() and not isinstance(error, (RagdollError, OSError)):
            # A library that was interrupted may say so in its own way.
            raise _interruption(console, resume_hint) from None
        message, hint = _explained(error, call)
        if isinstance(error, RagdollError) and message.startswith("No ") and loaded:
            hint = f"{hint or ''}{_config_above(loaded)}" or None
        console.error(message, hint)
        raise typer.Exit(WRONG_USAGE if isinstance(error, UsageError) else FAILED) from None
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _interruption(console: Console, resume_hint: str) -> typer.Exit:
    """Print that a signal has ended the command, and how to go on; return the command's exit."""
    process.end_at_once()
    console.interruption(f"Interrupted. {resume_hint}")
    return typer.Exit(process.interrupted())


def _explained(error: Exception, call: Invocation) -> tuple[str, str | None]:
    """Return what is wrong, and what to do about it or None."""
    if isinstance(error, RagdollError):
        return error.message, error.hint and for_command_line(error.hint, call.options)
    if isinstance(error, MemoryError):
        return "There is not enough memory.", None
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", None
    hint = None if call.verbose else "This is a defect of ragdoll; --verbose shows where."
    return f"Unexpected {type(error).__name__}: {first_line(error)}", hint


def _config_above(config: Config) -> str:
    """Name a configuration file in a folder above, where the command has none."""
    above = (folder / FILE_NAME for folder in Path.cwd().parents)
    found = None if config.file else next((file for file in above if file.is_file()), None)
    return f" Or go by the file above: --config {os.path.relpath(found)}." if found else ""


def again(command: str, **options: object) -> str:
    """Write a command to type next, with the options that are not None."""
    given = [
        f"--{name} {shlex.quote(str(value))}"
        for name, value in options.items()
        if value is not None
    ]
    return " ".join([f"Next: ragdoll {command}", *given])


def query_next(call: Invocation) -> str:
    """Write the command that searches the table that a command has written."""
    given = {name: call.given[f"index.{name}"] for name in ("database", "table")}
    return again('query "your question"', config=call.config, **given)


def kept_passages(restart: bool) -> str:
    """Say what is kept of a teacher's pass that was interrupted, and how to go on."""
    return (
        "What is done is kept, but for the passages in work; "
        f"{same_command(restart)} goes on from there."
    )


def same_command(restart: bool) -> str:
    """Name what to type again after an interruption, so that what is kept is not given up."""
    return "the same command" + " without --restart" * restart
