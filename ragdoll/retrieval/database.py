"""A LanceDB database: its tables, and how one is built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval import engine
from ragdoll.retrieval.lance import is_local, place, translated
from ragdoll.retrieval.remote import in_time
from ragdoll.retrieval.self_contained import refuse_outside
from ragdoll.retrieval.table import Table
from ragdoll.retrieval.table_metadata import KEY, TableIdentity, TableState, not_ours, schema

# What LanceDB accepts, and what is safe as part of a file name.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


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


class Database:
    """A folder, or a URI that LanceDB understands, that holds tables."""

    def __init__(self, uri: str, create: bool = False, to_search: bool = False) -> None:
        """Connect; a local folder that is not there is created only if ``create``.

        ``to_search`` is for databases that are only searched, which may take a shorter way.

        Raises:
            TableError: there is no such folder, or it cannot be used.
        """
        self.uri = uri
        if is_local(uri):
            folder = Path(uri)
            if folder.exists() and not folder.is_dir():
                raise TableError(f"The database {uri} is a file; a database is a folder.")
            if not folder.is_dir() and not create:
                raise TableError(
                    f"No database at {uri}.",
                    hint="Make one: ragdoll run DOCS, or ragdoll index DOCS with a model that is "
                    "there; or name another by --database.",
                )
        self._connection = translated(partial(_connect, uri, to_search), uri)

    def tables(self) -> list[str]:
        """The names of the tables, sorted."""
        return sorted(translated(lambda: list(self._connection.list_tables().tables), self.uri))

    def open(self, name: str) -> Table:
        """Open a table of ragdoll's for reading: as it was last whole.

        Raises:
            TableError: it is missing (with those that are there), damaged, not ragdoll's, of a
                newer format version, or was never whole.
        """
        table = self.find(name)
        if table is not None and not table.state.whole:
            table = self._before(table)
        if table is None:
            others = [other for other in self.tables() if other != name]
            raise TableError(
                f"No table '{name}' in the database {self.uri}: it has "
                f"{', '.join(others) or 'none'}.",
                hint="Make it: ragdoll index DOCS, or name another by --table.",
            )
        return table

    def find(self, name: str) -> Table | None:
        """Open a table of ragdoll's; None where there is none of that name.

        Raises:
            TableError: it is damaged, not ragdoll's or of a newer format version.
        """
        inner = self._inner(name)
        return None if inner is None else Table(self.uri, name, inner)

    def _before(self, table: Table) -> Table:
        """What a table that is being built replaces."""
        version = table.state.previous
        if version is not None:
            inner = self._inner(table.name)
            with suppress(TableError):
                translated(lambda: inner.checkout(version), table.place)
                return Table(self.uri, table.name, inner)
        raise TableError(
            f"{table.place} is not whole: it is being written, or that was interrupted.",
            hint="If no process writes it, run the same ragdoll index command again.",
        )

    def version_for_readers(self, name: str) -> int | None:
        """The version that readers see of a table; None where they see none."""
        try:
            return self.open(name).version
        except TableError:
            return None

    def refuse_foreign(self, name: str) -> None:
        """Check that a table may be replaced: ragdoll made it, even if it is damaged since.

        Raises:
            TableError: another tool made it.
        """
        inner = self._inner(name)
        if inner is not None and KEY.encode() not in (inner.schema.metadata or {}):
            raise not_ours(place(self.uri, name))

    def _inner(self, name: str) -> Any:
        """LanceDB's table; None where there is none, or a killed creation left only its name."""
        if name not in self.tables():
            return None
        refuse_outside(self.uri, name)
        where = f"{place(self.uri, name)} cannot be opened"
        try:
            return translated(lambda: self._connection.open_table(name), where)
        except TableError as error:
            if "was not found" in str(error.__cause__):
                return None
            raise

    def build(
        self,
        name: str,
        identity: TableIdentity,
        state: TableState,
        batches: Iterable[pa.RecordBatch],
    ) -> Table:
        """Write a whole table; readers of one of that name keep the old one until then.

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
            # LanceDB reports what went wrong in making the batches as an error of its own.
            if failures:
                raise failures[0] from None
            raise
        translated(lambda: inner.set_unenforced_primary_key("id"), where)
        return Table(self.uri, name, inner)


def _connect(uri: str, to_search: bool) -> Any:
    # What connects is loaded first: that may take as long as a server is waited for.
    connect: Any = engine.connect
    if not to_search or uri.startswith("db://") or not engine.is_there():
        import lancedb

        connect = lancedb.connect
    return connect(uri) if is_local(uri) else in_time(partial(connect, uri), uri)
