"""A LanceDB database: opening its tables, building one, and the lock of its one writer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragdoll.errors import TableError, UsageError
from ragdoll.files import only_one
from ragdoll.retrieval.storage import engine
from ragdoll.retrieval.storage.lance import in_time, is_local, place, translated
from ragdoll.retrieval.storage.schema import KEY, TableIdentity, TableState, not_ours, schema
from ragdoll.retrieval.storage.table import Table

# The names that LanceDB accepts, and that are safe as part of a file name.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class NoTableError(TableError):
    """A table was asked for that is not in its database."""


class Database:
    """A folder, or a URI that LanceDB understands, that holds tables.

    A database on a server has no lock, so the caller must let one process write a table at a time.
    Files that a killed run left there stay for a week, because another process may be at work on
    them, and a server that gives no answer within ten seconds is given up. LanceDB finds the
    credentials itself: for S3 in ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY`` and
    ``AWS_REGION``, and for other servers that speak the protocol also in ``AWS_ENDPOINT`` (with
    ``AWS_ALLOW_HTTP=true`` for ``http://``).
    """

    def __init__(self, uri: str, create: bool = False, to_search: bool = False) -> None:
        """Connect; a local folder that is not there is created only if ``create``.

        ``to_search`` is for databases that are only searched: connecting to them is faster.

        Raises:
            TableError: there is no such folder, or it cannot be used.
        """
        self.uri = uri
        if is_local(uri) and not _folder(uri).is_dir() and not create:
            raise TableError(
                f"No database at {uri}.",
                hint="Make one with `run(...)`, or with a model that is there by "
                "`Index.create(...)`; or name another `database`.",
            )
        self._connection = translated(partial(_connect, uri, to_search), uri)

    def tables(self) -> list[str]:
        """Return the names of the tables, sorted."""
        return sorted(translated(lambda: list(self._connection.list_tables().tables), self.uri))

    def open(self, name: str) -> Table:
        """Open a table of ragdoll's for reading, at its latest complete version.

        Raises:
            NoTableError: it is missing; the message names those that are there.
            TableError: it is damaged, not ragdoll's, of a newer format version, or was never
                complete.
        """
        table = self.find(name)
        if table is not None and not table.state.whole:
            table = self._previous(table)
        if table is None:
            others = [other for other in self.tables() if other != name]
            raise NoTableError(
                f"No table '{name}' in the database {self.uri}: it has "
                f"{', '.join(others) or 'none'}.",
                hint="Make it with `Index.create(...)`, or name another `table`.",
            )
        return table

    def find(self, name: str) -> Table | None:
        """Open a table of ragdoll's at its latest version; return None if there is none.

        Raises:
            TableError: it is damaged, not ragdoll's or of a newer format version.
        """
        inner = self._inner(name)
        return None if inner is None else Table(self.uri, name, inner)

    def refuse_foreign(self, name: str) -> None:
        """Check that ragdoll made a table, even if it is damaged, so that it may be replaced.

        Raises:
            TableError: another tool made it.
        """
        inner = self._inner(name)
        if inner is not None and KEY.encode() not in (inner.schema.metadata or {}):
            raise not_ours(place(self.uri, name))

    def build(
        self,
        name: str,
        identity: TableIdentity,
        state: TableState,
        batches: Iterable[pa.RecordBatch],
    ) -> Table:
        """Write all rows of a table in one commit; readers keep an old table until then.

        Raises:
            TableError: the table cannot be written. What ``batches`` raises comes through.
        """
        layout = schema(identity, state)
        where = place(self.uri, name)
        failures: list[BaseException] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except BaseException as error:
                failures.append(error)
                raise

        reader = pa.RecordBatchReader.from_batches(layout, watched())
        try:
            inner = translated(
                lambda: self._connection.create_table(name, reader, mode="overwrite"), where
            )
        except TableError:
            # LanceDB reports an error in making the batches as an error of its own.
            if failures:
                raise failures[0] from None
            raise
        translated(lambda: inner.set_unenforced_primary_key("id"), where)
        return Table(self.uri, name, inner)

    def _inner(self, name: str) -> Any:
        """Open LanceDB's table; return None if there is none, or only its name."""
        if name not in self.tables():
            return None
        refuse_links(self.uri, name)
        where = f"{place(self.uri, name)} cannot be opened"
        try:
            return translated(lambda: self._connection.open_table(name), where)
        except TableError as error:
            # A process that was killed while it made the table leaves a folder without a version.
            if "was not found" in str(error.__cause__):
                return None
            raise

    def _previous(self, table: Table) -> Table:
        """Open the version that a table replaces which is being built."""
        version = table.state.previous
        if version is not None:
            inner = self._inner(table.name)
            with suppress(TableError):
                translated(lambda: inner.checkout(version), table.place)
                return Table(self.uri, table.name, inner)
        raise TableError(
            f"{table.place} is not complete: it is being written, or that was interrupted.",
            hint="If no process writes it, make it again: `index.update(...)`.",
        )


@contextmanager
def only_writer(database: str, table: str) -> Iterator[None]:
    """Hold a table's lock, which the system releases when the process dies; readers need none.

    The folder of the database is made if it is missing. A database on a server has no lock.

    Raises:
        TableError: another process holds the lock, or the folder cannot be written.
    """
    if not is_local(database):
        yield
        return
    folder = _folder(database)
    hint = "Wait until it is done; queries go on meanwhile."
    doing = f"writing to {folder}, table '{table}'"
    with only_one(folder, table, doing, TableError, hint):
        yield


def check_name(name: str) -> None:
    """Check the name of a table.

    Raises:
        UsageError: it has other characters than letters, digits, ``_``, ``-`` and ``.``.
    """
    if not _NAME.fullmatch(name) or not name.strip("."):
        raise UsageError(
            f"'{name}' cannot be the name of a table.",
            hint="A name has letters, digits, '_', '-' and '.', at most 200 of them.",
        )


def refuse_links(database: str, name: str) -> None:
    """Check that a table of a local database holds no link, which LanceDB would follow.

    LanceDB also reads data files that a manifest names in another folder or on a server, as that of
    a shallow clone does. Manifests are not parsed, so that is not refused.

    Raises:
        TableError: it is a link or holds one.
    """
    if not is_local(database):
        return
    folder = Path(database) / f"{name}.lance"
    inner = (Path(parent, entry) for parent, *names in os.walk(folder) for entry in chain(*names))
    link = next((path for path in (folder, *inner) if path.is_symlink()), None)
    if link is not None:
        raise TableError(
            f"{place(database, name)} is not all in its folder: {link} is a link.",
            hint="A table is read and written in its own folder only: put a copy of the files in "
            "the place of the link.",
        )


def _folder(uri: str) -> Path:
    """Return the folder of a local database, which need not exist.

    Raises:
        TableError: it is a file.
    """
    folder = Path(uri)
    if folder.exists() and not folder.is_dir():
        raise TableError(f"The database {uri} is a file; a database is a folder.")
    return folder


def _connect(uri: str, to_search: bool) -> Any:
    # Loading the library must not count as waiting for a server.
    connect: Any = engine.connect
    if not to_search or uri.startswith("db://") or not engine.is_usable():
        import lancedb

        connect = lancedb.connect
    return connect(uri) if is_local(uri) else in_time(partial(connect, uri), uri)
