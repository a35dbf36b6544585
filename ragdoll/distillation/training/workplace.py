"""The hidden folder in which a model is made, and the lock of the process that makes it.

Both lie beside the model's own folder. The work outlives an interruption, for the next training.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragdoll.distillation.model.folder import beside, discard
from ragdoll.distillation.training import projection
from ragdoll.errors import RagdollError, TrainingError, first_line
from ragdoll.files import only_one

# The end of a message of a library written in Rust, if the system caused the error.
_SYSTEM_ERROR = re.compile(r"([^:]+) \(os error \d+\)$")


@contextmanager
def only_maker(output: Path) -> Iterator[None]:
    """Let one process at a time make or exchange the model at ``output``.

    Raises:
        TrainingError: another process is at work on it, or its lock cannot be written.
    """
    hint = "Wait until it is done, or give another folder; queries go on meanwhile."
    with only_one(beside(output, "lock"), "model", f"at work on {output}", TrainingError, hint):
        yield


@contextmanager
def workplace(output: Path) -> Iterator[Path]:
    """Make and yield the folder in which the model for ``output`` is made.

    The caller must be the only maker. An error removes a new folder again. But if a file cannot be
    written, as on a full disk, the folder keeps a finished projection for the next training.

    Raises:
        TrainingError: a file cannot be written, or the folder is a link.
    """
    folder = beside(output, "training")
    if folder.is_symlink():
        raise TrainingError(f"{folder} is a link, and is not written through.", "Remove the link.")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except RagdollError:
        if is_new:
            discard(folder)
        raise
    except Exception as error:
        reason = _system_reason(error)
        if reason is None:
            raise
        hint = "Mind the space on the disk."
        if projection.is_complete(folder):
            hint = f"What is done is kept; the same training goes on from there. {hint}"
        else:
            discard(folder)
        place = getattr(error, "filename", None) or output.parent
        raise TrainingError(f"{place} cannot be written: {reason}.", hint=hint) from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # if it is empty


def _system_reason(error: Exception) -> str | None:
    """Return why a file cannot be read or written; None for an error of another kind."""
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    reason = _SYSTEM_ERROR.search(first_line(error))
    return reason[1].strip() if reason else None
