"""Typed columns of a table: those that are always there, and fields of metadata as columns."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

import pyarrow as pa

from ragdoll.errors import UsageError

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
