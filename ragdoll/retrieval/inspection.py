"""Whether the tables of a database agree with their models."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field

from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.errors import RagdollError, TableError
from ragdoll.retrieval.database import Database
from ragdoll.retrieval.model_of_table import candidates, model_of
from ragdoll.retrieval.table import Table
from ragdoll.retrieval.table_metadata import TableIdentity, TableState

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
