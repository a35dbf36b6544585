"""Calls of LanceDB: the names of places, errors in one line, and a server that may not answer."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerError
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from ragdoll.errors import CREDENTIALS, RagdollError, TableError, first_line

Result = TypeVar("Result")

Problem = tuple[str, str | None]
"""A message that says what is wrong, and a hint what to do; None if there is no hint."""

# Lance warns on standard error of what callers cannot change; errors arrive as exceptions anyway.
os.environ.setdefault("LANCEDB_LOG", "error")

# Seconds in which a server has to answer for the first time.
_PATIENCE = 10.0

# Nanoseconds. The clocks of file systems tick in hundredths of a second at least.
_TICK = 50_000_000

# LanceDB's messages end with the places in its source where the error arose and passed through.
_SOURCE_FILE = re.compile(r"(, /\S+\.rs:\d+:\d+)+$")

# LanceDB's messages hold requests and answers, in one of two notations. A refusal in the protocol
# of S3, which the others share, has other fields too, and those may tell who made the request.
_REFUSAL = re.compile(r"<Code>([^<]+)</Code>\s*<Message>([^<\n\\]+)")
_STATUS = re.compile(r"\bstatus(?: code)?: (\d{3})")
_HOST = re.compile(r"(?:uri: Some\(|performing \w+ )https?://(?:[^\s/@]*@)?([^\s/?)]+)")
_CAUSE = re.compile(r"\b(?:message|error): \"([^\"]+)\"")
_NO_CREDENTIALS = ("Failed to get AWS credentials", "TokenRequest", "no Azure account name")

_CHECK = "Check the network, and the endpoint if one is set (AWS_ENDPOINT)."


def is_local(uri: str) -> bool:
    """Tell whether a database is a folder of this machine, not on a server."""
    return "://" not in uri


def place(uri: str, name: str) -> str:
    """Return the name that messages give a table."""
    return f"{uri}, table '{name}'"


def stamp(uri: str, name: str) -> tuple[int, int] | None:
    """Return what changes with every commit to a local table; None on a server, or without one.

    Two commits within the tick of a file system's clock leave the same time. So no two stamps are
    the same until the latest commit is older than that.
    """
    if not is_local(uri):
        return None
    try:
        facts = (Path(uri) / f"{name}.lance" / "_versions").stat()
    except OSError:
        return None
    age = time.time_ns() - facts.st_mtime_ns
    return facts.st_ino, age if 0 <= age <= _TICK else facts.st_mtime_ns


def absolute(path: str | Path) -> str:
    """Return an absolute path and follow no links; a URI stays as it is."""
    return os.path.abspath(path) if is_local(str(path)) else str(path)  # noqa: PTH100


def translated(call: Callable[[], Result], where: str) -> Result:
    """Run a LanceDB call; turn what it raises into an error of one line that says ``where``.

    Raises:
        TableError: the call failed. Errors of ragdoll come through.
    """
    try:
        return call()
    except RagdollError:
        raise
    except Exception as error:  # panics of the engine have a kind of their own
        of_server = None if is_local(where) else server_problem(str(error))
        message, hint = of_server or _problem(error)
        raise TableError(f"{where}: {message}", hint=hint) from error


def are_files_gone(error: BaseException | None) -> bool:
    """Tell whether an exception of LanceDB says that a file is missing."""
    return error is not None and re.search(r"Not found|os error 2\)", str(error)) is not None


def in_time(connect: Callable[[], Any], uri: str) -> Any:
    """Connect to a server, or give up if it does not answer.

    LanceDB's own limits are for uploads: it would wait for minutes for a server that is not there.

    Raises:
        TableError: there is no answer within ten seconds. What ``connect`` raises comes through.
    """
    answer: Future[Any] = Future()

    def wait() -> None:
        try:
            answer.set_result(connect())
        except BaseException as error:  # noqa: BLE001  (raised where the answer is waited for)
            answer.set_exception(error)

    # A daemon: the process does not wait for it at its end.
    Thread(target=wait, name="ragdoll-connect", daemon=True).start()
    try:
        return answer.result(_PATIENCE)
    except NoAnswerError:
        raise TableError(
            f"{uri}: there is no answer within {_PATIENCE:g} seconds.", hint=_CHECK
        ) from None


def server_problem(message: str) -> Problem | None:
    """Say what a message of LanceDB's means about a server; None if it names no server."""
    if any(sign in message for sign in _NO_CREDENTIALS):
        return "there are no credentials for it", CREDENTIALS
    if "Failed to resolve region" in message:
        return "the region of the bucket is not known", f"Set AWS_REGION. {_CHECK}"
    host = _HOST.search(message)
    return (_refused(message, host[1]) or _failed(message, host[1])) if host else None


def _refused(message: str, host: str) -> Problem | None:
    """Say what the server answered; None if it did not answer."""
    status, refusal = _STATUS.search(message), _REFUSAL.search(message)
    if status is None:
        return None
    hint = CREDENTIALS if status[1] in {"401", "403"} else None
    if refusal is None:
        return f"{host} answers with the status {status[1]}", hint
    code, reason = refusal.groups()
    return f"{reason.strip().rstrip('.')} ({code})", hint


def _failed(message: str, host: str) -> Problem:
    """Say why there was no answer of the server."""
    if "BareRedirect" in message:
        return "the bucket is in another region", "Set AWS_REGION to the region of the bucket."
    if "BadScheme" in message:
        hint = "Give an endpoint with https://, or set AWS_ALLOW_HTTP=true."
        return f"the request to {host} would not be encrypted", hint
    cause = _CAUSE.search(message)
    return f"{host} cannot be reached" + (f": {cause[1]}" if cause else ""), _CHECK


def _problem(error: BaseException) -> Problem:
    """Say what an exception of LanceDB's means about a table."""
    message = _SOURCE_FILE.sub("", first_line(error))
    if are_files_gone(error):
        hint = "If it was rebuilt meanwhile, try again; if not, `index.update(...)` builds it anew."
        return "its files are gone", hint
    if "No space left" in message:
        return "the disk is full", "Free some space and try again."
    return message, None
