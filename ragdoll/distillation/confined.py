"""Files of a folder that may be anyone's: only those that lie in it."""

from __future__ import annotations

from pathlib import Path

from ragdoll.errors import FeaturesError


def inside(folder: Path, file: Path) -> Path:
    """Return a file of a folder, which need not be there yet.

    Raises:
        FeaturesError: links lead from it out of the folder, or it is a device or a pipe.
    """
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise FeaturesError(f"{file} is no file.")
        if file.resolve().is_relative_to(folder.resolve()):
            return file
    except (OSError, RuntimeError, ValueError) as error:  # a link in a circle, a name with a NUL
        raise FeaturesError(f"{file} cannot be read: {error}") from error
    raise FeaturesError(
        f"{file} is a link out of the folder, where features are neither read nor written.",
        hint="Copy the file that it leads to into the folder.",
    )
