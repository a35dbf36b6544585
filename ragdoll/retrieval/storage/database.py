"""Whether a local table lies in its own folder as a whole: it may come from anyone.

LanceDB follows links, and reads the data of a shallow clone wherever the clone says it is: in
other folders, and on servers.

A LanceDB database: its tables, and how one is built.

One writer at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from ragdoll.errors import TableError, UsageError
from ragdoll.files import only_one
from ragdoll.retrieval.storage import engine
from ragdoll.retrieval.storage.lance import in_time, is_local, place, translated
from ragdoll.retrieval.storage.schema import KEY, TableIdentity, TableState, not_ours, schema
from ragdoll.retrieval.storage.table import Table

# A manifest ends with the position of its message, a version and this
# (https://lance.org/format/table: the message's size in four bytes, then the message).
_MAGIC = b"LANC"
_TAIL = 16
# ``base_paths``: the other places where a table has files.
_BASE_PATHS = 18
# What no manifest has: other decoders may see a field there that is not seen here.
_UNKNOWN = -1


def refuse_outside(database: str, name: str) -> None:
    """Check that a table of a local database has no part elsewhere.

    Raises:
        TableError: it is or holds a link, or its manifest names another place.
    """
    if not is_local(database):
        return
    folder = Path(database) / f"{name}.lance"
    # Of what is removed meanwhile there is nothing to refuse.
    paths = [folder, *_paths(folder)]
    for path in paths:
        if path.is_symlink():
            raise _refused(database, name, f"{path} is a link")
    for manifest in (path for path in paths if path.match("*.lance/_versions/*.manifest")):
        if any(number in {_BASE_PATHS, _UNKNOWN} for number in _fields(_message(manifest))):
            raise _refused(database, name, f"{manifest.name} names files in another place")


def _refused(database: str, name: str, reason: str) -> TableError:
    return TableError(
        f"{place(database, name)} is not all in its folder: {reason}.",
        hint="Tables are read and written in their own folder only; make a whole copy of it.",
    )


def _paths(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, entry) for entry in (*folders, *files))


def _message(manifest: Path) -> bytes:
    """The message of a manifest; nothing where it is damaged, which LanceDB says better."""
    try:
        content = manifest.read_bytes()
    except OSError:
        return b""
    tail = content[-_TAIL:]
    begin = int.from_bytes(tail[:8], "little") + 4
    return content[begin:-_TAIL] if tail.endswith(_MAGIC) else b""


def _fields(message: bytes) -> Iterator[int]:
    """The numbers of a message's fields, as Protocol Buffers encode them."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        yield key >> 3 if kind in {0, 1, 2, 5} else _UNKNOWN
        if kind == 2:
            size, position = _varint(message, position)
            position += size
        elif kind == 0:
            _, position = _varint(message, position)
        else:
            position += 8 if kind == 1 else 4


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while position < len(message):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, position


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
