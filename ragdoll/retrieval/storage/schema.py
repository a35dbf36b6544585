"""The schema of a table: its columns, and the facts about itself that it carries.

Facts that never change (the model's fingerprint, dimension, metric, how documents were cut) are one
JSON object in the schema's metadata. Facts that may change (where the model lies now, the roots,
the analysis of words) are in the metadata of the vector's field, which can be rewritten.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

from ragdoll.corpus.languages import OTHER, STEMMED
from ragdoll.embedding.identity import Metric
from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval.storage.analysis import Analysis

_COLUMN_TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(("id", "source", "title", "text"), pa.string()),
    **dict.fromkeys(("start", "end"), pa.int64()),
    "metadata": pa.string(),
}
_REQUIRED = ("id", "source")
COLUMNS = tuple(_COLUMN_TYPES)

# Columns of ragdoll's own: what the indexes over words and over tokens read.
INDEXED = ("text_words", "text_tokens")

# The types that a field of metadata can be declared with, and what a table stores them as.
TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "list": pa.list_(pa.string()),
}

# Ids begin with the key of their root, so that the rows of a root are a range of ids.
KEY_LENGTH = 8

VERSION = 2
_OLDER = "Rebuild the table, whose full-text index is of an older kind"
_NEWER = "Update ragdoll, or rebuild the table"
KEY = "ragdoll"

# Names that a filter can use without quoting them.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAKEN = frozenset({*COLUMNS, *INDEXED, "vector"})
_MAX_INTEGER = 2**63 - 1

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class TableIdentity:
    """The facts that never change: another value of any of them needs another table.

    ``model`` is the absolute path that the model had at first, empty for an encoder without a
    folder. ``chunk_size`` is the most tokens of a passage. ``columns`` are the fields of metadata
    that are columns, with their types.
    """

    fingerprint: str
    dimension: int
    metric: Metric
    normalize: bool
    max_length: int | None
    chunk_size: int
    model: str
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Root:
    """A place that documents came from, as it was when the table last read it.

    ``path`` is the root of a ``Source``. ``signature`` is None if the place is to be read again in
    any case. ``skipped`` has the path and the reason of each file or record that was left out.
    ``told`` is what the source was told; see ``Source.told``.
    """

    path: str
    signature: str | None
    documents: int
    skipped: list[list[str]]
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TableState:
    """The facts that may change.

    ``model`` is where the model lies now, ``database`` where the database was when the paths were
    written, so that what moved together with it is found again. ``roots`` are by the keys that ids
    begin with. ``new_chunks`` counts the passages embedded since the table was last built anew.
    ``whole`` is False from the first commit of a table that is built anew to the last; until then
    readers go by ``previous``, the version of the table that it replaces. ``indexed_rows`` and
    ``partitions`` are those of the approximate index, 0 without one. ``tidied`` is the version
    after which the table was last compacted. ``analysis`` is that of the full-text index.
    """

    model: str
    database: str
    roots: dict[str, Root] = field(default_factory=dict)
    new_chunks: int = 0
    whole: bool = True
    previous: int | None = None
    indexed_rows: int = 0
    partitions: int = 0
    tidied: int = 0
    analysis: Analysis = field(default_factory=Analysis)


def schema(identity: TableIdentity, state: TableState) -> pa.Schema:
    """Return the schema of a table, which carries both kinds of facts."""
    fixed = json.dumps({"version": VERSION, **asdict(identity)})
    changing = json.dumps(asdict(state))
    columns = [pa.field(name, kind, name not in _REQUIRED) for name, kind in _COLUMN_TYPES.items()]
    columns += [pa.field(name, TYPES[kind]) for name, kind in identity.columns.items()]
    columns += [pa.field(name, pa.string()) for name in INDEXED]
    vector = pa.list_(pa.float32(), identity.dimension)
    columns.append(pa.field("vector", vector, nullable=False, metadata={KEY: changing}))
    return pa.schema(columns, metadata={KEY: fixed})


def read_metadata(layout: pa.Schema, place: str) -> tuple[TableIdentity, TableState]:
    """Read the facts that a table carries; ``place`` names it in messages.

    Raises:
        TableError: another tool or a newer ragdoll made the table, or the metadata is damaged.
    """
    content = (layout.metadata or {}).get(KEY.encode())
    if content is None or "vector" not in layout.names:
        raise not_ours(place)
    vector = layout.field("vector")
    try:
        fixed = json.loads(content)
        version = fixed.pop("version")
        if version == VERSION:
            changing = json.loads((vector.metadata or {})[KEY.encode()])
            return _identity(fixed, vector.type.list_size), _state(changing)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise TableError(
            f"{place} has damaged metadata: {error}.",
            hint="Rebuild it: `Index.create(..., overwrite=True)`.",
        ) from error
    raise TableError(
        f"{place} has the format version {version}; this ragdoll reads {VERSION}.",
        hint=f"{_OLDER if version in range(VERSION) else _NEWER}: "
        "`Index.create(..., overwrite=True)`.",
    )


def not_ours(place: str) -> TableError:
    """Return the error about a table that another tool made."""
    return TableError(
        f"{place} was not made by ragdoll: it does not name its model.",
        hint="Name another `table`, or make a new one.",
    )


def check_columns(declared: Mapping[str, str]) -> None:
    """Check the names and types of the fields that are to be columns.

    Raises:
        UsageError: a name cannot be that of a column or is taken, or a type is not known.
    """
    taken = set(_TAKEN)
    for name, kind in declared.items():
        problem = None
        if not _NAME.fullmatch(name):
            problem = "cannot be the name of a column"
            hint = (
                "A name has letters, digits and '_', which stands for '-' too, and begins with a "
                "letter."
            )
        elif name.lower() in taken:
            problem = "has the name of another column"
            hint = f"Every table has {', '.join(sorted(_TAKEN))}; case does not matter."
        elif kind not in TYPES:
            problem = f"has the unknown type '{kind}'"
            hint = f"Types are {', '.join(TYPES)}."
        if problem is not None:
            raise UsageError(f"The field '{name}' of index.metadata {problem}.", hint=hint)
        taken.add(name.lower())


def ids_under(key: str) -> tuple[str, str]:
    """Return the range of ids that begin with a root's key: the least, and what is above all."""
    return key, key + "g"  # ids are in hexadecimal


def typed_columns(metadata: Iterable[str], declared: Mapping[str, str]) -> list[pa.Array]:
    """Return the declared fields of rows as columns; ``metadata`` has a JSON object for each row.

    A value is null if it neither is of the declared type nor can be read as one. A column's '_' may
    be '-' in the name of the field.
    """
    if not declared:
        return []
    records = [_by_column(json.loads(text)) if text else {} for text in metadata]
    return [
        pa.array([typed(record.get(name), kind) for record in records], type=TYPES[kind])
        for name, kind in declared.items()
    ]


def mistyped(metadata: Mapping[str, Any], declared: Mapping[str, str]) -> list[str]:
    """Return the names of the declared fields whose values are of another type, and so are null."""
    if not declared:
        return []
    record = _by_column(metadata)
    return [
        name
        for name, kind in declared.items()
        if record.get(name) not in (None, "") and typed(record[name], kind) is None
    ]


def _by_column(record: Mapping[str, Any]) -> dict[str, Any]:
    others = {key.replace("-", "_"): value for key, value in record.items() if "-" in key}
    return {**others, **record}


def typed(value: Any, kind: str) -> Any:
    """Return a JSON value as a declared type, or None if it is not one.

    A string is read as a value, as CSV has only strings. The time behind a date is left out. A list
    of values is one string, with commas between them, where no list is wanted, and the other way
    round.
    """
    if kind == "list" and value is not None:
        return _list(value)
    if isinstance(value, list) and kind == "string":
        return ", ".join(_list(value) or []) or None
    if value is None or isinstance(value, dict | list):
        return None
    try:
        return _READERS[kind](value.strip() if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None


def _list(value: Any) -> list[str] | None:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    items = value if isinstance(value, list) else [value]
    return [
        _string(item) for item in items if item is not None and not isinstance(item, dict | list)
    ]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) and not isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    # A string does not go through a float, which does not hold every integer.
    number = int(value)
    is_exact = not isinstance(value, bool) and (isinstance(value, str) or number == value)
    return number if is_exact and abs(number) <= _MAX_INTEGER else None


def _date(value: Any) -> date | None:
    return date.fromisoformat(value[:10]) if isinstance(value, str) else None


_READERS: dict[str, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}


def _identity(record: Any, dimension: int) -> TableIdentity:
    identity = _checked(record, TableIdentity)
    if identity.metric not in get_args(Metric):
        raise ValueError(f"metric is {identity.metric!r}")
    if not set(identity.columns.values()) <= TYPES.keys():
        raise ValueError(f"columns are {identity.columns!r}")
    if dimension != identity.dimension:
        raise ValueError(f"dimension is {identity.dimension}, but its vectors have {dimension}")
    return identity


def _state(record: Any) -> TableState:
    state = _checked(record, TableState)
    state.analysis = _checked(state.analysis, Analysis)
    if state.analysis.language not in (*STEMMED, OTHER):
        raise ValueError(f"language is {state.analysis.language!r}")
    state.roots = {key: _checked(root, Root) for key, root in state.roots.items()}
    return state


def _checked(record: Any, kind: type[Record]) -> Record:
    """Make a record of JSON that anyone may have written, after checking names and types."""
    types = get_type_hints(kind)
    unknown = set(record) - set(types)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    for name, hint in types.items():
        if not isinstance(record[name], _in_json(hint)):
            raise TypeError(f"{name} is {record[name]!r}")
    return kind(**record)


def _in_json(hint: Any) -> tuple[type, ...]:
    """Return the types that values of a type have in JSON."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for part in get_args(hint) for kind in _in_json(part))
    if get_origin(hint) is Literal:
        return (str,)
    return (dict,) if is_dataclass(hint) else (get_origin(hint) or hint,)
