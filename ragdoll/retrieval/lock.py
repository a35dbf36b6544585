"""One writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ragdoll.errors import TableError
from ragdoll.lock import only_one
from ragdoll.retrieval.database import check_name
from ragdoll.retrieval.lance import is_local


@contextmanager
def only_writer(database: str, table: str) -> Iterator[None]:
    """Hold a table's lock, which the system releases when the process dies; readers need none.

    Creates the folder of the database. A remote database has no lock.

    Raises:
        TableError: another process holds it, or the folder cannot be written or is removed
            meanwhile.
        UsageError: the table has a name that no table can have.
    """
    if not is_local(database):
        yield
        return
    check_name(table)
    folder = Path(database)
    if folder.exists() and not folder.is_dir():
        raise TableError(f"The database {folder} is a file; a database is a folder.")
    hint = "Wait until it is done; queries go on meanwhile."
    doing = f"writing to {folder}, table '{table}'"
    again = "The same command makes it again."
    with (
        only_one(folder, table, doing, TableError, hint) as held,
        held.refusing_removal(TableError, again),
    ):
        yield
