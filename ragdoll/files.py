"""Files that appear under their names whole, or not at all.

Whether a path stays in a folder, which may be anyone's.

One process at a time in a folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from ragdoll.errors import RagdollError

if TYPE_CHECKING:
    from filelock import BaseFileLock

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


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, its links followed, is in a folder; neither need be there.

    A link in a circle leads nowhere else, and is where it lies.

    Raises:
        ValueError: there is a NUL in the path.
    """
    # Unlike the method of Path, this function of os takes links in a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


class Held:
    """The lock of a folder, as the process that holds it sees it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._identity = file.stat()

    def is_there(self) -> bool:
        """Whether it is there still: somebody may remove the folder, and make another one."""
        # While the file is open, no other can have its number.
        with suppress(OSError):
            return os.path.samestat(self._file.stat(), self._identity)
        return False

    @contextmanager
    def refusing_removal(self, error: type[RagdollError], hint: str) -> Iterator[None]:
        """Fail with this error where the folder has been removed meanwhile.

        Also where all else went well: what was written went with the folder, or some of it.

        Raises:
            RagdollError: it has been removed.
        """
        message = f"{self._file.parent} has been removed while it was written to."
        try:
            yield
        except Exception as other:
            if self.is_there():
                raise
            raise error(message, hint=hint) from other
        if not self.is_there():
            raise error(message, hint=hint)


@contextmanager
def only_one(
    folder: Path, name: str, doing: str, error: type[RagdollError], hint: str
) -> Iterator[Held]:
    """Hold the lock of this name in a folder; the system releases it when the process dies.

    The folder is made where there is none, with those that it lies in, and they are removed again
    where nothing came of it. Who comes second is told by an error of this type, with the hint, that
    another process is ``doing`` this.

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
    new = _new_folders(folder, {lock_file, owner})
    lock = FileLock(lock_file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        owner.write_text(str(os.getpid()))
        held = Held(lock_file)
    except (Timeout, FileNotFoundError) as other:
        if lock_file.is_file():
            holder = owner.read_text() if owner.is_file() else "unknown"
            raise error(f"Another process ({holder}) is {doing}.", hint=hint) from other
        _leave(lock, lock_file, owner, new)
        raise error(
            f"{folder} cannot be made, or has just been removed.",
            hint="Try again, or give another folder.",
        ) from other
    except OSError as denied:
        _leave(lock, lock_file, owner, new)
        raise error(f"{folder} cannot be written: {denied.strerror}.") from denied
    try:
        yield held
    finally:
        _leave(lock, lock_file, owner, new)


def _new_folders(folder: Path, of_lock: set[Path]) -> list[Path]:
    """The folder and those around it that are not there yet, the innermost first."""
    if not folder.is_dir():
        return [folder, *takewhile(lambda around: not around.exists(), folder.parents)]
    there = set(folder.iterdir())
    # What a killed process left of its lock is nothing.
    return [folder] if there and there <= of_lock else []


def _leave(lock: BaseFileLock, lock_file: Path, owner: Path, new: list[Path]) -> None:
    # What was done is done, whatever becomes of these files.
    with suppress(OSError):
        if lock.is_locked:
            owner.unlink(missing_ok=True)
            if new and list(lock_file.parent.iterdir()) == [lock_file]:
                # While the lock is held, so that nobody else's is removed.
                lock_file.unlink()
        for folder in new:
            # Where nothing came of it, leave no folder that looks like a result.
            folder.rmdir()
    lock.release()
