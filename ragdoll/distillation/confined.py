"""Files of a folder that may be anyone's: only those that lie in it."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from ragdoll.confined import is_inside
from ragdoll.errors import FeaturesError


def inside(folder: Path, file: Path) -> Path:
    """Return a file of a folder, which need not be there yet.

    Raises:
        FeaturesError: links lead from it out of the folder or in a circle, or it is a device or a
            pipe.
    """
    try:
        if not is_inside(file, folder):
            raise FeaturesError(
                f"{file} is a link out of the folder, where features are neither read nor written.",
                hint="Copy the file that it leads to into the folder.",
            )
        with suppress(FileNotFoundError, NotADirectoryError):
            kind = stat.S_IFMT(file.stat().st_mode)
            if kind not in {stat.S_IFREG, stat.S_IFDIR}:
                raise FeaturesError(f"{file} is no file.")
    except (OSError, ValueError) as error:  # a link in a circle, a name with a NUL
        raise FeaturesError(f"{file} cannot be read: {error}") from error
    return file
