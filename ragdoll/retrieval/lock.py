"""One writer at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragdoll.errors import TableError
from ragdoll.retrieval.table import check_name


@contextmanager
def only_writer(database: str, table: str) -> Iterator[None]:
    """Hold a table's lock, which the system releases when the process dies; readers need none.

    Creates the folder of the database. A remote database has no lock.

    Raises:
        TableError: another process holds it, or the folder cannot be written.
        UsageError: the table has a name that no table can have.
    """
    if "://" in database:
        yield
        return
    check_name(table)
    from filelock import FileLock, Timeout

    folder = Path(database)
    if folder.exists() and not folder.is_dir():
        raise TableError(f"The database {folder} is a file; a database is a folder.")
    is_new = not folder.exists()
    lock_file = folder / f".{table}.lock"
    lock = FileLock(lock_file)
    owner = folder / f".{table}.lock.pid"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        holder = owner.read_text() if owner.is_file() else "unknown"
        raise TableError(
            f"Another process ({holder}) is writing to {folder}, table '{table}'.",
            hint="Wait until it is done; queries go on meanwhile.",
        ) from error
    except OSError as error:
        raise TableError(f"{folder} cannot be written: {error.strerror}.") from error
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
        if is_new and [path.name for path in folder.iterdir()] == [lock_file.name]:
            # Nothing came of it: leave no folder that looks like a database.
            lock_file.unlink()
            folder.rmdir()
