"""What is to be indexed and how, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ragdoll.corpus.documents import Skipped
from ragdoll.embedding.identity import Metric


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
