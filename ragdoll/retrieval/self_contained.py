"""Whether a local table lies in its own folder as a whole: it may come from anyone.

LanceDB follows links, and reads the data of a shallow clone wherever the clone says it is: in
other folders, and on servers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ragdoll.errors import TableError
from ragdoll.retrieval.lance import is_local, place

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
