"""Typed columns of a table: those that are always there, and fields of metadata as columns.

What a table says of itself: its schema, and the identity that it carries.

What never changes (the model's fingerprint, dimension, metric, how passages were cut) is one JSON
key in the schema's metadata; what may change (where the model lies now, the roots, the weight of a
hybrid search) is in the vector field's metadata, which can be rewritten.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, get_args

import pyarrow as pa

from ragdoll.embedding.identity import Metric
from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval.reading.fusion import DEFAULT_ALPHA

COLUMNS = ("id", "source", "title", "text", "start", "end", "metadata")

# The types that a field of metadata can be declared with, and what a table stores them as.
TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
}

# Names that a filter can use without quoting them.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAKEN = frozenset({*COLUMNS, "vector"})
_MAX_INTEGER = 2**63 - 1


def check_columns(declared: Mapping[str, str]) -> None:
    """Check the names and types of declared fields.

    Raises:
        UsageError: a name cannot be that of a column or is taken, or a type is not known.
    """
    seen = set(_TAKEN)
    for name, kind in declared.items():
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"The field '{name}' of index.metadata cannot be the name of a column.",
                hint="A name has letters, digits and '_', and begins with a letter.",
            )
        if name.lower() in seen:
            raise UsageError(
                f"The field '{name}' of index.metadata has the name of another column.",
                hint=f"Every table has {', '.join(sorted(_TAKEN))}; case does not matter.",
            )
        if kind not in TYPES:
            raise UsageError(
                f"The field '{name}' of index.metadata has the unknown type '{kind}'.",
                hint=f"Types are {', '.join(TYPES)}.",
            )
        seen.add(name.lower())


def typed_columns(metadata: Iterable[str], declared: Mapping[str, str]) -> list[pa.Array]:
    """The declared fields of rows as columns; ``metadata`` has a JSON object for each row.

    A value that is not of the declared type, and cannot be read as one, is null.
    """
    if not declared:
        return []
    records = [json.loads(text) if text else {} for text in metadata]
    return [
        pa.array([typed(record.get(name), kind) for record in records], type=TYPES[kind])
        for name, kind in declared.items()
    ]


def typed(value: Any, kind: str) -> Any:
    """A JSON value as a declared type; None where it is not one. Texts are read, as CSV has them.

    A date may have a time behind it, which is left out.
    """
    if value is None or isinstance(value, dict | list):
        return None
    try:
        return _READERS[kind](value.strip() if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None


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
    # A text not through a float, which does not hold every integer.
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


VERSION = 1
KEY = "ragdoll"

_IDENTITY_TYPES: dict[str, type | tuple[type, ...]] = {
    "fingerprint": str,
    "dimension": int,
    "metric": str,
    "normalize": bool,
    "max_length": (int, type(None)),
    "chunk_size": int,
    "columns": dict,
    "model": str,
}
_STATE_TYPES: dict[str, type | tuple[type, ...]] = {
    "model": str,
    "database": str,
    "roots": dict,
    "new_chunks": int,
    "whole": bool,
    "previous": (int, type(None)),
    "indexed_rows": int,
    "partitions": int,
    "tidied": int,
    "weight": (dict, type(None)),
}
_WEIGHT_TYPES: dict[str, type | tuple[type, ...]] = {
    "alpha": float,
    "questions": int,
    "vector": float,
    "text": float,
    "rows": int,
}
_ROOT_TYPES: dict[str, type | tuple[type, ...]] = {
    "path": str,
    "signature": (str, type(None)),
    "documents": int,
    "skipped": list,
}


@dataclass(frozen=True, slots=True)
class TableIdentity:
    """What a table was made with; another value of any of these needs another table.

    ``model`` is the absolute path the model had then, ``chunk_size`` the tokens of a passage,
    ``columns`` the fields of metadata that are columns, with their types.
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
class HybridWeight:
    """The weight of the vector in a hybrid search, ``alpha``, and what it was chosen by.

    ``vector`` and ``text`` are the mean reciprocal ranks at which either search found the passages
    that ``questions`` pieces were taken from; both are 0 where those were too few to ask. ``rows``
    are those that the table had then.
    """

    alpha: float = DEFAULT_ALPHA
    questions: int = 0
    vector: float = 0.0
    text: float = 0.0
    rows: int = 0


@dataclass(slots=True)
class TableState:
    """What may change: ``model``, where the model lies now, and ``roots``, by their key.

    ``database`` is where the database was when the paths were written, so that what moved together
    with it is found again. A root has ``path``, ``signature``, ``documents`` and ``skipped`` (what
    was left out, as path and reason). ``new_chunks`` counts the passages embedded since the table
    was last built as a whole. ``whole`` is False from the first commit of a table that is built
    anew to the last; until then readers go by ``previous``, the version of the table that it
    replaces. ``weight`` is None where none was chosen yet.
    """

    model: str
    database: str
    roots: dict[str, dict[str, Any]] = field(default_factory=dict)
    new_chunks: int = 0
    whole: bool = True
    previous: int | None = None
    indexed_rows: int = 0
    partitions: int = 0
    tidied: int = 0
    weight: HybridWeight | None = None

    @property
    def alpha(self) -> float:
        """The weight of the vector in a hybrid search."""
        return self.weight.alpha if self.weight else DEFAULT_ALPHA


def schema(identity: TableIdentity, state: TableState) -> pa.Schema:
    """The schema of a table, with both metadata in their places."""
    fixed = json.dumps({"version": VERSION, **asdict(identity)})
    changing = json.dumps(asdict(state))
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("title", pa.string()),
            pa.field("text", pa.string()),
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            pa.field("metadata", pa.string()),
            *(pa.field(name, TYPES[kind]) for name, kind in identity.columns.items()),
            pa.field(
                "vector",
                pa.list_(pa.float32(), identity.dimension),
                nullable=False,
                metadata={KEY: changing},
            ),
        ],
        metadata={KEY: fixed},
    )


def read_metadata(layout: pa.Schema, place: str) -> tuple[TableIdentity, TableState]:
    """Read both of a table's metadata; ``place`` names it in messages.

    Raises:
        TableError: ragdoll did not make the table, or another version, or the metadata is damaged.
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
            f"{place} has damaged metadata: {error}.", hint="Rebuild it: ragdoll index --overwrite"
        ) from error
    raise TableError(
        f"{place} has the format version {version}; this ragdoll reads {VERSION}.",
        hint="Update ragdoll, or rebuild the table: ragdoll index --overwrite",
    )


def _identity(record: Any, dimension: int) -> TableIdentity:
    identity = TableIdentity(**_checked(record, _IDENTITY_TYPES))
    if identity.metric not in get_args(Metric):
        raise ValueError(f"metric is {identity.metric!r}")
    if not set(identity.columns.values()) <= TYPES.keys():
        raise ValueError(f"columns are {identity.columns!r}")
    if dimension != identity.dimension:
        raise ValueError(f"dimension is {identity.dimension}, but its vectors have {dimension}")
    return identity


def _state(record: Any) -> TableState:
    # Tables that were made before weights were chosen have none.
    state = TableState(**_checked({"weight": None, **record}, _STATE_TYPES))
    if isinstance(state.weight, dict):
        state.weight = HybridWeight(**_checked(state.weight, _WEIGHT_TYPES))
        if not 0 <= state.weight.alpha <= 1:
            raise ValueError(f"alpha is {state.weight.alpha}")
    for root in state.roots.values():
        _checked(root, _ROOT_TYPES)
    return state


def not_ours(place: str) -> TableError:
    """The error about a table of another tool's."""
    return TableError(
        f"{place} was not made by ragdoll: it does not name its model.",
        hint="Name another table by --table, or index into a new one.",
    )


def _checked(record: Any, fields: dict[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """Check names and types of what a table says of itself: it may come from anywhere."""
    unknown = set(record) - set(fields)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    for name, kind in fields.items():
        if not isinstance(record[name], kind):
            raise TypeError(f"{name} is {record[name]!r}")
    return {name: record[name] for name in fields}
