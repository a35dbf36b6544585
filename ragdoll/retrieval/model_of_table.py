"""Finding the very model that a table was made with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.errors import ModelError, ModelMismatchError
from ragdoll.retrieval.table import Table


def model_of(table: Table, given: Path | None = None) -> ModelIdentity:
    """Return the model of a table: the one given, or the first recorded place that still has it.

    Raises:
        ModelMismatchError: the model is gone, or what lies there has another fingerprint.
        ModelError: the model given, or the one that is there, cannot be read.
    """
    if given is not None:
        identity = identify(given)
        if identity.fingerprint != table.identity.fingerprint:
            raise _other_model(table, identity)
        return identity
    other: ModelIdentity | None = None
    damaged: ModelError | None = None
    for path in candidates(table):
        # Not the method of Path, which raises for a name that is too long.
        if not os.path.isdir(path):  # noqa: PTH112
            continue
        try:
            identity = identify(path)
        except ModelError as error:
            damaged = damaged or error
            continue
        if identity.fingerprint == table.identity.fingerprint:
            return identity
        other = other or identity
    if other is not None:
        raise _other_model(table, other)
    if damaged is not None:
        raise damaged
    raise ModelMismatchError(
        f"The model of {table.place} is gone from {table.state.model}.",
        hint="If it was moved, give its folder by --model; "
        "if not, train again and rebuild: ragdoll index --overwrite",
    )


def candidates(table: Table) -> Iterator[Path]:
    """The places where a table's model may be: the path last written, then that at creation.

    A database and a model that were moved together keep their relative places, so each path is
    also tried relative to where the database is now.
    """
    seen: set[Path] = set()
    for recorded in (table.state.model, table.identity.model):
        paths = [Path(recorded)]
        if table.is_local and table.state.database:
            relative = os.path.relpath(recorded, table.state.database)
            paths.append(Path(os.path.normpath(Path(table.uri) / relative)))
        for path in paths:
            if path not in seen:
                seen.add(path)
                yield path


def _other_model(table: Table, found: ModelIdentity) -> ModelMismatchError:
    return ModelMismatchError(
        f"{table.place} was made with the model {table.state.model} "
        f"(fingerprint {table.identity.fingerprint[:12]}), "
        f"but {found.path} has the fingerprint {found.fingerprint[:12]}.",
        hint="Give the folder of the table's own model by --model, "
        "or rebuild the table with this one: ragdoll index --overwrite",
    )
