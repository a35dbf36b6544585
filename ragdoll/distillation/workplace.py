"""Where a model is made: a hidden folder beside its own, which outlives an interruption.

Another hidden neighbour holds the lock of the model, for whoever makes it or exchanges it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragdoll.distillation import projection
from ragdoll.distillation.model_folder import beside, discard
from ragdoll.errors import RagdollError, TrainingError, first_line
from ragdoll.lock import only_one

# How the libraries written in Rust end what the system told them; they raise what they like.
_BY_THE_SYSTEM = re.compile(r"([^:]+) \(os error \d+\)$")


@contextmanager
def only_maker(output: Path) -> Iterator[None]:
    """Let one process at a time make or exchange the model that is or will be at ``output``.

    Raises:
        TrainingError: another process is at work on it, or its lock cannot be written.
    """
    hint = "Wait until it is done, or give another folder; queries go on meanwhile."
    with only_one(beside(output, "lock"), "model", f"at work on {output}", TrainingError, hint):
        yield


@contextmanager
def workplace(output: Path) -> Iterator[Path]:
    """Make the folder in which the model that will be at ``output`` is made by its only maker.

    An error leaves nothing there that was not there before; but where something cannot be written,
    as on a full disk, it leaves what the next training can go on from.

    Raises:
        TrainingError: something cannot be written, or the folder is a link or is removed.
    """
    folder = beside(output, "training")
    if folder.is_symlink():
        raise TrainingError(f"{folder} is a link, and is not written through.")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except RagdollError as error:
        if not folder.is_dir():
            raise _removed(folder) from error
        if is_new:
            discard(folder)
        raise
    except Exception as error:
        why = _said_by_the_system(error)
        if why is None:
            raise
        if not folder.is_dir():
            raise _removed(folder) from error
        place = getattr(error, "filename", None) or output.parent
        if isinstance(error, FileNotFoundError) or "(os error 2)" in str(error):
            raise _removed(place) from error
        hint = "Mind the space on the disk."
        if projection.is_whole(folder):
            hint = f"What is done is kept; the same command goes on from there. {hint}"
        else:
            discard(folder)
        raise TrainingError(f"{place} cannot be written: {why}.", hint=hint) from error
    finally:
        with suppress(OSError):
            folder.rmdir()  # where nothing came of it


def _removed(place: Path | str) -> TrainingError:
    return TrainingError(
        f"{place} has been removed while the model was made.",
        hint="The same command makes it again.",
    )


def _said_by_the_system(error: Exception) -> str | None:
    """What went wrong with a file; None where that is not what went wrong."""
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    found = _BY_THE_SYSTEM.search(first_line(error))
    return found[1].strip() if found else None
