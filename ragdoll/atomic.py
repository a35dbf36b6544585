"""Files that appear under their names whole, or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# What a system answers that cannot put a folder on the disk by itself, or may not read it.
_CANNOT_SYNC = frozenset({errno.EACCES, errno.EINVAL, errno.ENOTSUP})


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside ``path`` to write to; when the block ends, it takes that name.

    Whatever ends the process or the machine, ``path`` is afterwards the old file or the whole new
    one. When this returns the new one is on the disk, name and content, so that nothing that is
    written later outlives it: an index may name what was written before it. An error leaves the old
    file, and nothing beside it. There must be one writer at a time.

    Raises:
        OSError: the file cannot be written. What the block raises comes through.
    """
    aside = path.with_name(f".{path.name}.tmp")
    aside.unlink(missing_ok=True)  # it may be a link, and would be written through
    try:
        yield aside
        _sync(aside, os.O_RDWR)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        try:
            _sync(path.parent, os.O_RDONLY)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise


def _sync(path: Path, flags: int) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
