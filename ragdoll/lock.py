"""One process at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ragdoll.errors import RagdollError


@contextmanager
def only_one(
    folder: Path, name: str, doing: str, error: type[RagdollError], hint: str
) -> Iterator[None]:
    """Hold the lock of this name in a folder; the system releases it when the process dies.

    The folder is made where there is none, and removed again where nothing came of it. Who comes
    second is told by an error of this type, with the hint, that another process is ``doing`` this.

    Raises:
        RagdollError: another process holds the lock, the folder cannot be written, or the lock is
            a link to a file elsewhere.
    """
    from filelock import FileLock, Timeout

    lock_file = folder / f".{name}.lock"
    owner = folder / f".{name}.lock.pid"
    for file in (lock_file, owner):
        if file.is_symlink():  # the folder may be a stranger's; the file it leads to is not
            raise error(f"{file} is a link, and is not written through.", hint="Remove the link.")
    # What a killed process left of its lock is nothing.
    there = set(folder.iterdir()) if folder.is_dir() else None
    is_new = there is None or (bool(there) and there <= {lock_file, owner})
    lock = FileLock(lock_file)

    def leave() -> None:
        # What was done is done, whatever becomes of these files.
        with suppress(OSError):
            if lock.is_locked:
                owner.unlink(missing_ok=True)
                if is_new and list(folder.iterdir()) == [lock_file]:
                    # While the lock is held, so that nobody else's is removed.
                    lock_file.unlink()
            if is_new:
                # Where nothing came of it, leave no folder that looks like a result.
                folder.rmdir()
        lock.release()

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        owner.write_text(str(os.getpid()))
    except Timeout as held:
        holder = owner.read_text() if owner.is_file() else "unknown"
        raise error(f"Another process ({holder}) is {doing}.", hint=hint) from held
    except OSError as denied:
        leave()
        raise error(f"{folder} cannot be written: {denied.strerror}.") from denied
    try:
        yield
    finally:
        leave()
