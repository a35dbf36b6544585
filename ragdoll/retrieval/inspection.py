"""Whether a table and its model agree."""

from __future__ import annotations

from dataclasses import dataclass

from ragdoll.embedding.identity import ModelIdentity
from ragdoll.errors import RagdollError
from ragdoll.retrieval.database import Database
from ragdoll.retrieval.model_of_table import model_of
from ragdoll.retrieval.table_metadata import TableIdentity, TableState


@dataclass(frozen=True, slots=True)
class TableFacts:
    """Facts about a table. ``model`` is None, and ``problem`` says why, where they do not agree."""

    database: str
    table: str
    chunks: int
    identity: TableIdentity
    state: TableState
    model: ModelIdentity | None
    problem: RagdollError | None

    @property
    def agrees(self) -> bool:
        """Whether the table's own model was found."""
        return self.model is not None


def inspect_table(database: str, name: str) -> TableFacts:
    """Read the facts about a table, and look for its model.

    Raises:
        TableError: there is no such table, or it is not ragdoll's.
    """
    table = Database(database).open(name)
    model, problem = None, None
    try:
        model = model_of(table)
    except RagdollError as error:
        problem = error
    return TableFacts(database, name, table.count(), table.identity, table.state, model, problem)
