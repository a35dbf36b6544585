"""What every call of LanceDB needs: quiet, and errors in one line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ragdoll.errors import RagdollError, TableError, first_line
from ragdoll.retrieval import remote

Result = TypeVar("Result")

# Where in LanceDB's source an error arose and passed through, as its messages end.
_SOURCE_FILE = re.compile(r"(, /\S+\.rs:\d+:\d+)+$")

# Lance warns on standard error of what callers cannot change; errors arrive as exceptions anyway.
os.environ.setdefault("LANCEDB_LOG", "error")


def is_local(uri: str) -> bool:
    """Whether a database is a folder of this machine, not on a server."""
    return "://" not in uri


def place(uri: str, name: str) -> str:
    """How messages name a table."""
    return f"{uri}, table '{name}'"


def absolute(path: str | Path) -> str:
    """An absolute path, links left as they are; a URI stays what it is."""
    return os.path.abspath(path) if is_local(str(path)) else str(path)  # noqa: PTH100


def translated(call: Callable[[], Result], where: str) -> Result:
    """Run a LanceDB call; turn what it raises into one line that says ``where``."""
    try:
        return call()
    except RagdollError:
        raise
    except Exception as error:  # panics of the engine have a kind of their own
        of_server = None if is_local(where) else remote.explained(str(error))
        message, hint = of_server or _explained(error)
        raise TableError(f"{where}: {message}", hint=hint) from error


def are_files_gone(error: BaseException | None) -> bool:
    """Whether what LanceDB raised says that a file is not there."""
    return error is not None and re.search(r"Not found|os error 2\)", str(error)) is not None


def _explained(error: BaseException) -> tuple[str, str | None]:
    """What an exception of LanceDB's means, and what to do about it where that is known."""
    message = _SOURCE_FILE.sub("", first_line(error))
    if "INVERTED" in message:
        return "it has no full-text index", "Rebuild it: ragdoll index --overwrite"
    if are_files_gone(error):
        hint = "If it was rebuilt meanwhile, try again; if not: ragdoll index DOCS builds it anew."
        return "its files are gone", hint
    if "No space left" in message:
        return "the disk is full", "Free some space and run the same command again."
    return message, None
