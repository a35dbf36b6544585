"""A new model takes the place of an old one together with the table that was made with it.

The new model waits beside the old one until its table is whole, so that queries always find a table
and its own model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ragdoll.distillation.model_folder import beside, discard
from ragdoll.distillation.model_folder import replace as replace_folder
from ragdoll.embedding.identity import identify
from ragdoll.errors import ModelError, TableError
from ragdoll.retrieval.database import Database
from ragdoll.retrieval.job import IndexSettings
from ragdoll.retrieval.lance import absolute, is_local, place
from ragdoll.retrieval.lock import only_writer
from ragdoll.retrieval.table import Table


def pending(output: Path) -> Path:
    """Where a new model waits until the table is its own."""
    return beside(output, "next")


def finish(output: Path, settings: IndexSettings) -> None:
    """Put a new model in the place of the old one, once the table is the new model's.

    Until then the table names the new model where it is pending, and where it will be; whichever
    of these steps a crash leaves undone, a query finds the model, and the next run ends the rest.

    Raises:
        TableError: there is something to do, and another process writes the table; or it is
            removed meanwhile.
    """
    new = pending(output)
    table = table_of(settings)
    if table is None or not _is_left_to_do(table, output, new):
        return
    with only_writer(settings.database, settings.table):
        # What another process wrote in between is kept.
        table = table_of(settings)
        if table is None or not _is_left_to_do(table, output, new):
            return
        if _is_of(table, new):
            replace_folder(output, new)
        table.write_state(replace(table.state, model=absolute(output)))
        table.refuse_loss()


def refuse_unfinished(model: Path, output: Path, settings: IndexSettings) -> None:
    """Check that the table that was made with ``model`` came into use, and that model with it.

    Raises:
        TableError: one of them was removed before that, or another process made it anew. A new
            model waits on for the next run.
    """
    table = table_of(settings)
    is_left = model != output and model.exists()
    if table is None or is_left or not _is_of(table, output):
        raise TableError(
            f"{output}, or {place(settings.database, settings.table)}, has been removed or made "
            "anew by another process before the run was done.",
            hint="The same command goes on from there.",
        )


def clear(output: Path) -> None:
    """Remove what runs left that were killed, or given up for other settings."""
    new = pending(output)
    discard(new)
    for role in ("training", "partial"):
        discard(beside(new, role))
    discard(beside(output, "old"))


def table_of(settings: IndexSettings) -> Table | None:
    """Open the table; None where there is none yet. A table of another tool's is an error."""
    if is_local(settings.database) and not Path(settings.database).is_dir():
        return None
    return Database(settings.database).find(settings.table)


def _is_left_to_do(table: Table, output: Path, new: Path) -> bool:
    if not table.state.whole:
        return False
    is_elsewhere = table.state.model != absolute(output)
    return _is_of(table, new) or (is_elsewhere and _is_of(table, output))


def _is_of(table: Table, model: Path) -> bool:
    """Whether a table was made with the model in a folder."""
    try:
        return model.is_dir() and identify(model).fingerprint == table.identity.fingerprint
    except ModelError:
        return False
