"""What is to be indexed and how, and what came of it.

Whether a table can take what a model and its settings would put into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragdoll.corpus.documents import Skipped
from ragdoll.embedding.identity import Metric, ModelIdentity
from ragdoll.errors import ModelMismatchError, TableError, UsageError
from ragdoll.retrieval.storage.lance import absolute
from ragdoll.retrieval.storage.schema import TableIdentity
from ragdoll.retrieval.storage.table import Table


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Where a table is and what it is made with.

    ``metric`` None is the model's own; ``chunk_size`` is the tokens of a passage at most.
    ``columns`` are fields of metadata that become columns, with their types.
    ``model_moves_to`` is where the model will be found once the table is whole (None: it stays).
    """

    database: str
    table: str
    model: Path
    metric: Metric | None = None
    chunk_size: int = 256
    columns: Mapping[str, str] = field(default_factory=dict)
    model_moves_to: Path | None = None


@dataclass(slots=True)
class IndexResult:
    """What a run did, or with ``dry_run`` would do. The first four counts are of documents."""

    database: str
    table: str
    model: Path
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
    rebuilt: bool = False
    seconds: float = 0.0


def table_identity(model: ModelIdentity, settings: IndexSettings) -> TableIdentity:
    """The identity of a table made with a model by these settings."""
    return TableIdentity(
        fingerprint=model.fingerprint,
        dimension=model.dimension,
        metric=settings.metric or model.metric,
        normalize=model.normalize,
        max_length=model.max_length,
        chunk_size=settings.chunk_size,
        model=absolute(settings.model_moves_to or settings.model),
        columns=dict(settings.columns),
    )


def differing(table: Table, wanted: TableIdentity) -> list[str]:
    """Name, with both values, the settings of a table that are not as wanted."""
    names = ("fingerprint", "dimension", "metric", "normalize", "max_length", "chunk_size")
    values = [(name, getattr(table.identity, name), getattr(wanted, name)) for name in names]
    different = [
        f"{name} was {str(before)[:12]}, now {str(now)[:12]}"
        for name, before, now in values
        if before != now
    ]
    before, now = table.identity.columns, wanted.columns
    if before != now:
        different.append(f"columns were {_listed(before)}, now {_listed(now)}")
    return different


def _listed(columns: dict[str, str]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in columns.items()) or "none"


def refuse_other(table: Table, wanted: TableIdentity) -> None:
    """Refuse to mix what another model or another setting would put into a table.

    Raises:
        ModelMismatchError: the table was made with another model.
        TableError: it was made with another metric or passage size.
    """
    hint = "Rebuild the table with --overwrite, or write to another one by --table."
    there = table.identity
    if there.fingerprint != wanted.fingerprint:
        raise ModelMismatchError(
            f"{table.place} was made with the model {table.state.model} "
            f"(fingerprint {there.fingerprint[:12]}), not with {wanted.model} "
            f"({wanted.fingerprint[:12]}).",
            hint=hint,
        )
    different = differing(table, wanted)
    if different:
        raise TableError(f"{table.place} has other settings: {'; '.join(different)}.", hint=hint)


def refuse_long_passages(wanted: TableIdentity) -> None:
    """Refuse passages of which the model would read only the beginning.

    Raises:
        UsageError: they are longer than the model reads.
    """
    if wanted.max_length is not None and wanted.chunk_size > wanted.max_length:
        raise UsageError(
            f"Passages of {wanted.chunk_size} tokens are more than the model reads, "
            f"which is {wanted.max_length}.",
            hint=f"Give --chunk-size {wanted.max_length} or less.",
        )
