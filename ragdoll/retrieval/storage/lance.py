"""A database on a server: how long to wait for it, and what it means where that fails.

What every call of LanceDB needs: quiet, and errors in one line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerError
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from ragdoll.errors import RagdollError, TableError, first_line

# Seconds in which a server has to answer for the first time.
_PATIENCE = 10.0

Explained = tuple[str, str | None]
"""What is wrong, and what to do about it where that is known."""

_CHECK = "Check the network, and the endpoint if one is set (AWS_ENDPOINT)."
_CREDENTIALS = (
    "Credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, "
    "GOOGLE_APPLICATION_CREDENTIALS for gs://, AZURE_STORAGE_ACCOUNT_NAME and "
    "AZURE_STORAGE_ACCOUNT_KEY for az://."
)
_NO_CREDENTIALS = ("Failed to get AWS credentials", "TokenRequest", "no Azure account name")

# An error of the protocol of S3, which the others share; its other fields may tell who asked.
_REFUSAL = re.compile(r"<Code>([^<]+)</Code>\s*<Message>([^<\n\\]+)")
# LanceDB's messages hold requests and answers, in one of two notations.
_STATUS = re.compile(r"\bstatus(?: code)?: (\d{3})")
_HOST = re.compile(r"(?:uri: Some\(|performing \w+ )https?://(?:[^\s/@]*@)?([^\s/?)]+)")
_CAUSE = re.compile(r"\b(?:message|error): \"([^\"]+)\"")


def in_time(connect: Callable[[], Any], uri: str) -> Any:
    """Connect to a server, or give up where it does not answer.

    LanceDB's own limits are for uploads: a server that is not there would keep it for minutes.

    Raises:
        TableError: there is no answer within ten seconds. What ``connect`` raises comes through.
    """
    answer: Future[Any] = Future()

    def wait() -> None:
        try:
            answer.set_result(connect())
        except BaseException as error:  # noqa: BLE001  (raised where the answer is waited for)
            answer.set_exception(error)

    # A thread that the process does not wait for at its end.
    Thread(target=wait, name="ragdoll-connect", daemon=True).start()
    try:
        return answer.result(_PATIENCE)
    except NoAnswerError:
        raise TableError(
            f"{uri}: there is no answer within {_PATIENCE:g} seconds.",
            hint=_CHECK,
        ) from None


def explained(said: str) -> Explained | None:
    """What LanceDB's message says of a server, and what to do; None where no server is in it."""
    if any(sign in said for sign in _NO_CREDENTIALS):
        return "there are no credentials for it", _CREDENTIALS
    if "Failed to resolve region" in said:
        return "nobody says which region the bucket is in", f"Set AWS_REGION. {_CHECK}"
    host = _HOST.search(said)
    return (_refused(said, host[1]) or _failed(said, host[1])) if host else None


def _refused(said: str, host: str) -> Explained | None:
    """What the server answered; None where it did not."""
    status, refusal = _STATUS.search(said), _REFUSAL.search(said)
    if status is None:
        return None
    hint = _CREDENTIALS if status[1] in {"401", "403"} else None
    if refusal is None:
        return f"{host} answers with the status {status[1]}", hint
    code, message = refusal.groups()
    return f"{message.strip().rstrip('.')} ({code})", hint


def _failed(said: str, host: str) -> Explained:
    """Why a server was not heard."""
    if "BareRedirect" in said:
        return "the bucket is in another region", "Set AWS_REGION to the region of the bucket."
    if "BadScheme" in said:
        hint = "Give an endpoint with https://, or set AWS_ALLOW_HTTP=true."
        return f"{host} would be asked without encryption", hint
    cause = _CAUSE.search(said)
    return f"{host} cannot be reached" + (f": {cause[1]}" if cause else ""), _CHECK


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
        of_server = None if is_local(where) else explained(str(error))
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
