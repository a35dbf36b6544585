"""Facts about the tables of a database, and whether each agrees with its model."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.errors import RagdollError, TableError
from ragdoll.retrieval.model import folders, model_of
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import TableIdentity, TableState
from ragdoll.retrieval.storage.table import Table

# The properties in which a table and its model have to agree.
CHECKS = ("path_found", "fingerprint_equal", "dimension_equal", "metric_equal")


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Facts about a table. ``problem`` says why it and its model do not agree, None if they do.

    ``checks`` tells of each of ``CHECKS`` whether it holds; None means that there is no model to
    look at. ``identity`` and ``state`` are None for a table that is not ragdoll's or is damaged.
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
        """True if the table's own model was found and was made for the table's metric."""
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
            f"The database {database} has no tables.", hint="Make one with `Index.create(...)`."
        )
    facts = []
    for name in names:
        try:
            facts.append(_facts(opened.open(name)))
        except TableError as error:
            facts.append(TableFacts(database, name, problem=error))
    return facts


def inspect_table(database: str, name: str) -> TableFacts:
    """Read the facts about a table, and look for its model.

    Raises:
        TableError: there is no such table, or it is not ragdoll's.
    """
    return _facts(Database(database).open(name))


def _facts(table: Table) -> TableFacts:
    identity = table.identity
    problem: RagdollError | None = None
    model: ModelIdentity | None = None
    try:
        model = model_of(table).identity
    except RagdollError as error:
        problem = error
        # Another model in the place of the table's own, unless it is damaged.
        with suppress(RagdollError):
            model = next(map(identify, folders(table)), None)
    if model is not None and problem is None and model.metric != identity.metric:
        problem = TableError(
            f"{table.place} compares by {identity.metric}; the model at {model.path} was "
            f"made for {model.metric} ({model.metric_reason}).",
            hint="Rebuild it by the model's own metric: `Index.create(..., overwrite=True)`.",
        )
    checks: dict[str, bool | None] = dict.fromkeys(CHECKS)
    checks["path_found"] = model is not None or next(folders(table), None) is not None
    if model is not None:
        for name in ("fingerprint", "dimension", "metric"):
            checks[f"{name}_equal"] = getattr(model, name) == getattr(identity, name)
    return TableFacts(
        database=table.uri,
        table=table.name,
        chunks=table.count(),
        identity=identity,
        state=table.state,
        model=model if checks["fingerprint_equal"] else None,
        problem=problem,
        checks=checks,
    )
