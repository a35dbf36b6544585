"""Where a model is made: a hidden folder beside its own, which outlives an interruption."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragdoll.distillation import projection
from ragdoll.distillation.model_folder import beside, discard
from ragdoll.errors import RagdollError, TrainingError, first_line
from ragdoll.lock import only_one

# How the libraries written in Rust end what the system told them; they raise what they like.
_BY_THE_SYSTEM = re.compile(r"([^:]+) \(os error \d+\)$")


@contextmanager
def workplace(output: Path) -> Iterator[Path]:
    """Hold the folder in which the model that will be at ``output`` is made.

    An error leaves nothing there that was not there before; but where something cannot be written,
    as on a full disk, it leaves what the next training can go on from.

    Raises:
        TrainingError: another process trains the same model, something cannot be written, or
            the folder is a link.
    """
    folder = beside(output, "training")
    if folder.is_symlink():
        raise TrainingError(f"{folder} is a link, and is not written through.")
    is_new = not folder.exists()
    wait = "Wait until it is done, or give another --output."
    with only_one(folder, "train", f"training {output}", TrainingError, wait):
        try:
            yield folder
        except RagdollError:
            if is_new:
                discard(folder)
            raise
        except Exception as error:
            why = _said_by_the_system(error)
            if why is None:
                raise
            if not folder.is_dir():
                raise TrainingError(
                    f"{folder} has been removed while the model was made.",
                    hint="The same command makes it again.",
                ) from error
            hint = "Mind the space on the disk."
            if projection.is_whole(folder):
                hint = f"What is done is kept; the same command goes on from there. {hint}"
            else:
                discard(folder)
            place = getattr(error, "filename", None) or output.parent
            raise TrainingError(f"{place} cannot be written: {why}.", hint=hint) from error


def _said_by_the_system(error: Exception) -> str | None:
    """What went wrong with a file; None where that is not what went wrong."""
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    found = _BY_THE_SYSTEM.search(first_line(error))
    return found[1].strip() if found else None
