"""Finding the very model that a table was made with.

Whether the tables of a database agree with their models.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.errors import ModelError, ModelMismatchError, RagdollError, TableError
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import TableIdentity, TableState
from ragdoll.retrieval.storage.table import Table


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


# What a table and its model have to agree in.
CHECKS = ("path_found", "fingerprint_equal", "dimension_equal", "metric_equal")


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Facts about a table. ``problem`` says why it and its model do not agree; None: they do.

    ``checks`` has for each of ``CHECKS`` whether it holds; None where that cannot be told because
    there is no model to look at. ``identity`` and ``state`` are None for a table that is not
    ragdoll's or is damaged.
    """

    database: str
    table: str
    chunks: int | None = None
    identity: TableIdentity | None = None
    state: TableState | None = None
    model: ModelIdentity | None = None
    problem: RagdollError | None = None
    checks: dict[str, bool | None] = field(default_factory=lambda: dict.fromkeys(CHECKS))

    @property
    def agrees(self) -> bool:
        """Whether the table's own model was found and was made for the table's metric."""
        return self.problem is None


def inspect_tables(database: str) -> list[TableFacts]:
    """Read the facts about every table of a database, and look for their models.

    A table that is not ragdoll's, or is damaged, is one that does not agree.

    Raises:
        TableError: there is no such database, or it has no table.
    """
    opened = Database(database)
    names = opened.tables()
    if not names:
        raise TableError(
            f"The database {database} has no tables.", hint="Make one: ragdoll index DOCS"
        )
    return [_facts_or_problem(opened, name) for name in names]


def inspect_table(database: str, name: str) -> TableFacts:
    """Read the facts about a table, and look for its model.

    Raises:
        TableError: there is no such table, or it is not ragdoll's.
    """
    return _facts(Database(database).open(name))


def _facts_or_problem(database: Database, name: str) -> TableFacts:
    try:
        return _facts(database.open(name))
    except TableError as error:
        return TableFacts(database.uri, name, problem=error)


def _facts(table: Table) -> TableFacts:
    problem: RagdollError | None = None
    try:
        found = model_of(table)
    except RagdollError as error:
        problem = error
    other = _at_its_place(table) if problem else found
    if other is not None and problem is None and other.metric != table.identity.metric:
        problem = TableError(
            f"{table.place} compares by {table.identity.metric}; the model at {other.path} was "
            f"made for {other.metric} ({other.metric_reason}).",
            hint="Rebuild the table by the model's own metric: ragdoll index --overwrite",
        )
    return TableFacts(
        database=table.uri,
        table=table.name,
        chunks=table.count(),
        identity=table.identity,
        state=table.state,
        model=other if other and _is_same(other, table) else None,
        problem=problem,
        checks=_checks(table, other),
    )


def _checks(table: Table, model: ModelIdentity | None) -> dict[str, bool | None]:
    if model is None:
        is_there = any(map(os.path.isdir, candidates(table)))
        return {**dict.fromkeys(CHECKS), "path_found": is_there}
    return {
        "path_found": True,
        "fingerprint_equal": _is_same(model, table),
        "dimension_equal": model.dimension == table.identity.dimension,
        "metric_equal": model.metric == table.identity.metric,
    }


def _is_same(model: ModelIdentity, table: Table) -> bool:
    return model.fingerprint == table.identity.fingerprint


def _at_its_place(table: Table) -> ModelIdentity | None:
    """What lies where the model should be; None where that is nothing, or no model."""
    with suppress(RagdollError):
        return next((identify(path) for path in candidates(table) if os.path.isdir(path)), None)  # noqa: PTH112
    return None
