"""The frame of every command: its settings, its console, and what an exception becomes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import typer

from ragdoll import config as configuration
from ragdoll.cli import process
from ragdoll.cli.console import Console, LogHandler, silence_libraries
from ragdoll.errors import RagdollError, UsageError, first_line

DONE, FAILED, WRONG_USAGE = 0, 1, 2


class Session(NamedTuple):
    """What a command works with."""

    config: configuration.Config
    console: Console


@contextmanager
def session(
    config: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    options: Mapping[str, Any],
    resume_hint: str = "",
) -> Iterator[Session]:
    """Load the settings, run the command's body, and turn exceptions into an exit status.

    ``options`` maps ``section.key`` to what the command line gave, None where it did not.
    ``resume_hint`` says how to go on after an interruption.

    Raises:
        typer.Exit: 1 the work failed, 2 wrong usage or configuration, 130 interrupted,
            143 terminated.
    """
    console = Console(as_json, quiet, verbose)
    silence_libraries()
    handler = LogHandler(console)
    logger = logging.getLogger("ragdoll")
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        loaded = configuration.load(config, options)
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
        console.error(*_explained(error, verbose))
        raise typer.Exit(WRONG_USAGE if isinstance(error, UsageError) else FAILED) from None
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def _interruption(console: Console, resume_hint: str) -> typer.Exit:
    """Say that a signal has ended the command, and how to go on; return its exit."""
    process.end_at_once()
    console.interruption(f"Interrupted. {resume_hint}")
    return typer.Exit(process.interrupted())


def _explained(error: Exception, verbose: bool) -> tuple[str, str | None]:
    """Say what is wrong, and what to do where that is known."""
    if isinstance(error, RagdollError):
        return error.message, error.hint
    if isinstance(error, MemoryError):
        return "There is not enough memory.", None
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", None
    hint = None if verbose else "This is a defect of ragdoll; --verbose shows where."
    return f"Unexpected {type(error).__name__}: {first_line(error)}", hint
