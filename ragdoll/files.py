"""Files that appear whole or not at all, paths that stay in a folder, and one process at a time."""

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

# Errors of a system that cannot write a folder to the disk by itself, or may not read it.
_CANNOT_SYNC = frozenset({errno.EACCES, errno.EINVAL, errno.ENOTSUP})


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside ``path`` to write to; when the block ends, it takes that name.

    Whatever ends the process or the machine, ``path`` is afterwards the old file or the new one as
    a whole. When this returns, content and name of the new file are on the disk, so that a file
    that is written later may refer to it. An error leaves the old file, and nothing beside it.
    There must be one writer at a time.

    Raises:
        OSError: the file cannot be written. Exceptions of the block come through.
    """
    aside = aside_of(path)
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


def aside_of(path: Path) -> Path:
    """Return where ``atomic_write`` writes a file before it is whole."""
    return path.with_name(f".{path.name}.tmp")


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a path lies in a folder after its links are followed; neither need exist.

    A link in a circle counts as lying where it is.

    Raises:
        ValueError: there is a NUL in the path.
    """
    # Unlike the method of Path, this function of os accepts links in a circle.
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def moved_with(path: str, before: str, now: str) -> str:
    """Return where a path is if it moved together with a folder, from ``before`` to ``now``.

    What is no absolute path, such as the name of a package, stays as it is.
    """
    if not os.path.isabs(path):  # noqa: PTH117 (takes any name)
        return path
    return os.path.normpath(Path(now) / os.path.relpath(path, before))


@contextmanager
def only_one(
    folder: Path, name: str, doing: str, error: type[RagdollError], hint: str
) -> Iterator[None]:
    """Hold the lock of this name in a folder; the system releases it when the process dies.

    A missing folder is made, with its parents, and removed again if the block leaves nothing in it.
    A second process gets an error of this type, with the hint, which says that another process is
    ``doing`` the work.

    Raises:
        RagdollError: another process holds the lock, the folder cannot be written, or the lock is
            a link to a file elsewhere.
    """
    from filelock import FileLock, Timeout

    lock_file = folder / f".{name}.lock"
    owner = folder / f".{name}.lock.pid"
    for file in (lock_file, owner):
        if file.is_symlink():  # the folder may be a stranger's, and the file behind the link is not
            raise error(f"{file} is a link, and is not written through.", hint="Remove the link.")
    new = _new_folders(folder, {lock_file, owner})
    lock = FileLock(lock_file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        owner.write_text(str(os.getpid()))
    except Timeout as other:
        holder = owner.read_text() if owner.is_file() else "unknown"
        raise error(f"Another process ({holder}) is {doing}.", hint=hint) from other
    except OSError as denied:
        _release(lock, lock_file, owner, new)
        raise error(f"{folder} cannot be written: {denied.strerror}.") from denied
    try:
        yield
    finally:
        _release(lock, lock_file, owner, new)


def _sync(path: Path, flags: int) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _new_folders(folder: Path, lock_files: set[Path]) -> list[Path]:
    """Return the folders that only_one makes, the innermost first."""
    if not folder.is_dir():
        return [folder, *takewhile(lambda around: not around.exists(), folder.parents)]
    there = set(folder.iterdir())
    # A folder that holds only the lock of a killed process counts as new.
    return [folder] if there and there <= lock_files else []


def _release(lock: BaseFileLock, lock_file: Path, owner: Path, new: list[Path]) -> None:
    # The work is done, whatever becomes of these files.
    with suppress(OSError):
        if lock.is_locked:
            owner.unlink(missing_ok=True)
            if new and list(lock_file.parent.iterdir()) == [lock_file]:
                # While the lock is held, so that no other process's lock is removed.
                lock_file.unlink()
        for folder in new:
            # An empty folder would look like a result.
            folder.rmdir()
    lock.release()
