"""The table that a run writes, what the run did, and tables that it must not add to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Skipped
from ragdoll.embedding.identity import Metric
from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval.model import TableModel, checked
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.lance import absolute, is_local
from ragdoll.retrieval.storage.schema import TableIdentity
from ragdoll.retrieval.storage.table import Table
from ragdoll.settings import IndexSettings


@dataclass(frozen=True)
class Target:
    """A table by its settings and its model.

    ``model_moves_to`` is the folder that gets the model once the table is complete; None means that
    the model stays.
    """

    settings: IndexSettings
    model: TableModel
    model_moves_to: Path | None = None

    @property
    def database(self) -> str:
        """The database's folder or URI; see ``database_of``."""
        return database_of(self.settings)

    @cached_property
    def identity(self) -> TableIdentity:
        """The identity that the table has when it is made."""
        model, settings = self.model.identity, self.settings
        path = self.model_moves_to or model.path
        return TableIdentity(
            fingerprint=model.fingerprint,
            dimension=model.dimension,
            metric=model.metric if settings.metric == "auto" else settings.metric,
            normalize=model.normalize,
            max_length=model.max_length,
            chunk_size=settings.chunk_size,
            model=absolute(path) if path else "",
            columns=dict(settings.metadata),
        )


@dataclass(slots=True)
class IndexResult:
    """The changes of an update to a table; with ``dry_run`` the changes that it would make.

    ``added``, ``changed``, ``unchanged`` and ``removed`` count documents. ``documents`` and
    ``chunks`` are all documents and passages of the table, ``chunks_embedded`` the passages that
    this update embedded, ``new_chunks`` those embedded since the table was last built anew.
    ``roots`` are the places of the documents, ``gone`` the table's other places that are not there.
    ``notes`` are what there is to know of files that were read.

    >>> index = Index.create("database", model="model")
    >>> result = index.update(read("docs"))
    >>> result.added, result.unchanged, index.update(read("docs")).unchanged
    (12, 0, 12)
    """

    database: str
    table: str
    model: str
    dimension: int
    metric: Metric
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    documents: int = 0
    chunks: int = 0
    chunks_embedded: int = 0
    new_chunks: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[Skipped] = field(default_factory=list)
    rebuilt: bool = False
    seconds: float = 0.0
    roots: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


def database_of(settings: IndexSettings) -> str:
    """Return the folder or URI of a database; a ``file://`` URI is a folder."""
    return settings.database.removeprefix("file://")


def table_of(settings: IndexSettings, may_be_damaged: bool = False) -> Table | None:
    """Open the table; None where there is none yet, or it ``may_be_damaged`` and is.

    Raises:
        TableError: it is damaged, or another tool's.
    """
    database = database_of(settings)
    if is_local(database) and not Path(database).is_dir():
        return None
    with suppress(*[TableError] * may_be_damaged):
        return Database(database).find(settings.table)
    return None


def settings_of_table(table: Table) -> dict[str, Any]:
    """Return the settings, by name, that a table was made with."""
    identity, analysis = table.identity, table.state.analysis
    return {
        "index.chunk_size": identity.chunk_size,
        "index.metric": identity.metric,
        "index.metadata": dict(identity.columns),
        # Without a number of rows nobody chose the language but the user.
        "index.language": "auto" if analysis.rows else analysis.language,
    }


def differing(table: Table, target: TableIdentity) -> list[str]:
    """Name the facts in which a table differs from a target, with both values."""
    different = []
    for name in ("fingerprint", "dimension", "metric", "normalize", "max_length", "chunk_size"):
        was, is_now = getattr(table.identity, name), getattr(target, name)
        if was != is_now:
            different.append(f"{name} was {str(was)[:12]}, now {str(is_now)[:12]}")
    before, now = table.identity.columns, target.columns
    if before != now:
        different.append(f"columns were {_listed(before)}, now {_listed(now)}")
    return different


def refuse_other(table: Table, target: Target) -> None:
    """Check that passages of a target can be added to a table.

    Raises:
        ModelMismatchError: the table was made with another model.
        TableError: it was made with another metric, passage size or other columns.
    """
    checked(target.model, table)
    different = differing(table, target.identity)
    if different:
        raise TableError(
            f"{table.place} has other settings: {'; '.join(different)}.",
            hint="Rebuild the table with `overwrite=True`, or write to another `table`.",
        )


def refuse_long_passages(target: TableIdentity) -> None:
    """Check that the model reads passages to their end.

    Raises:
        UsageError: they are longer than the model reads.
    """
    if target.max_length is not None and target.chunk_size > target.max_length:
        raise UsageError(
            f"Passages of {target.chunk_size} tokens are more than the model reads, "
            f"which is {target.max_length}.",
            hint=f"Give `chunk_size={target.max_length}` or less.",
        )


def _listed(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in columns.items()) or "none"
