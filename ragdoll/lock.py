"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class HeldError(Exception):
    """Another process holds the lock; ``holder`` is its process id, as far as it is known."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@contextmanager
def only_one(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of this name in a folder; the system releases it when the process dies.

    The folder is made where there is none, and removed again where nothing came of it.

    Raises:
        HeldError: another process holds the lock.
        OSError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    is_new = not folder.exists()
    lock_file = folder / f".{name}.lock"
    owner = folder / f".{name}.lock.pid"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise HeldError(owner.read_text() if owner.is_file() else "unknown") from error
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
        if is_new and [path.name for path in folder.iterdir()] == [lock_file.name]:
            # Nothing came of it: leave no folder that looks like a result.
            lock_file.unlink()
            folder.rmdir()
