"""Whether a path stays in a folder, which may be anyone's."""

from __future__ import annotations

import os
from pathlib import Path


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, its links followed, is in a folder; neither need be there.

    A link in a circle leads nowhere else, and is where it lies.

    Raises:
        ValueError: there is a NUL in the path.
    """
    # Unlike the method of Path, this function of os takes links in a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
