"""The model of a table: identified when it is named, loaded when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt

from ragdoll.corpus.pieces import unit_lengths
from ragdoll.embedding.identity import identify, located
from ragdoll.embedding.static import Encoder, StaticModel
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import ModelError, ModelMismatchError
from ragdoll.retrieval.storage.analysis import tokens_as_text
from ragdoll.retrieval.storage.table import Table


class TableModel:
    """The model of a table: a folder, a hub id in the local cache, or an encoder of the caller's.

    A run with nothing to embed never loads it.
    """

    def __init__(self, model: str | Path | Encoder) -> None:
        """Identify the model.

        Raises:
            ModelError: the folder holds no static model that can be read.
        """
        if isinstance(model, str | Path):
            self._folder = located(model)
            self.identity = identify(self._folder)
        else:
            self._encoder = model
            self.identity = model.identity

    def unloaded(self) -> TableModel:
        """Return the same model, which loads it again; an encoder of the caller's is as it is."""
        return self if self.identity.path is None else TableModel(self._folder.absolute())

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: float32, shape ``(len(texts), dimension)``.

        Raises:
            ModelError: the model was replaced since it was identified, or gives other shapes.
        """
        vectors = np.asarray(self._encoder.encode(list(texts)), dtype=np.float32)
        expected = (len(texts), self.identity.dimension)
        if vectors.shape != expected:
            raise ModelError(f"The model gives vectors of shape {vectors.shape}, not {expected}.")
        return vectors

    def tokens(self, texts: Sequence[str]) -> list[str | None]:
        """Write the tokens of each text in small letters, as ``tokens_as_text`` does.

        None for an encoder of the caller's.
        """
        if isinstance(self._encoder, StaticModel):
            return [tokens_as_text(ids) for ids in self._encoder.token_ids(texts)]
        return [None] * len(texts)

    def token_vectors(self, ids: npt.NDArray[np.int64]) -> Vectors:
        """Return the vectors of tokens, of shape ``(len(ids), dimension)``.

        Raises:
            ModelError: an id has no vector.
        """
        return cast(StaticModel, self._encoder).token_vectors(ids)

    def count_tokens(self, words: Sequence[str]) -> Sequence[int]:
        """Count the tokens of each word; an encoder of the caller's counts as ``unit_lengths``."""
        if isinstance(self._encoder, StaticModel):
            return self._encoder.count_tokens(words)
        return unit_lengths(words)

    def prepare(self, texts: Sequence[str], longest: int) -> Sequence[int | None]:
        """Tokenize texts that are cut and embedded next; see ``StaticModel.prepare``."""
        if isinstance(self._encoder, StaticModel):
            return self._encoder.prepare(texts, longest)
        return [None] * len(texts)

    @cached_property
    def _encoder(self) -> Encoder:
        model = StaticModel.load(self._folder)
        if model.identity.fingerprint != self.identity.fingerprint:
            raise ModelError(
                f"The model {self._folder} was replaced by another one meanwhile.",
                hint="Do the same again.",
            )
        return model


def model_of(table: Table, model: str | Path | Encoder | None = None) -> TableModel:
    """Return the model of a table: ``model``, or if that is None the one in a recorded place.

    Raises:
        ModelMismatchError: the model is gone, or has another fingerprint than the table's.
        ModelError: the model cannot be read.
    """
    if model is not None:
        return checked(TableModel(model), table)
    problems: list[ModelError | ModelMismatchError] = []
    for folder in folders(table):
        try:
            return checked(TableModel(folder), table)
        except (ModelError, ModelMismatchError) as error:
            problems.append(error)
    if problems:
        # Another model in the right place says more than a damaged one.
        raise min(problems, key=lambda problem: isinstance(problem, ModelError))
    if not table.state.model:
        raise ModelMismatchError(
            f"{table.place} was made with an encoder that has no folder "
            f"({table.identity.fingerprint[:12]}).",
            hint="Give that encoder as `model`.",
        )
    raise ModelMismatchError(
        f"The model of {table.place} is gone from {table.state.model}.",
        hint="If it was moved, give its folder as `model`; if not, train again and rebuild the "
        "table: `Index.create(..., overwrite=True)`.",
    )


def checked(model: TableModel, table: Table) -> TableModel:
    """Return a model after checking that a table was made with it.

    Raises:
        ModelMismatchError: it has another fingerprint than the table's model.
    """
    identity, fingerprint = model.identity, table.identity.fingerprint
    if identity.fingerprint != fingerprint:
        raise ModelMismatchError(
            f"{table.place} was made with {table.state.model or 'an encoder'} (fingerprint "
            f"{fingerprint[:12]}), but {identity.path or 'the encoder'} has the fingerprint "
            f"{identity.fingerprint[:12]}.",
            hint="Give the table's own model as `model`, or rebuild the table with this one: "
            "`Index.create(..., overwrite=True)`.",
        )
    return model


def folders(table: Table) -> Iterator[Path]:
    """Yield the folders where a table's model may be: the latest recorded path, then the first.

    A database and a model that were moved together keep their relative places, so each path is
    also tried relative to where the database is now.
    """
    seen: set[Path] = set()
    for recorded in filter(None, (table.state.model, table.identity.model)):
        paths = [Path(recorded)]
        if table.is_local and table.state.database:
            relative = os.path.relpath(recorded, table.state.database)
            paths.append(Path(os.path.normpath(Path(table.uri) / relative)))
        for path in paths:
            # Not the method of Path, which raises for a name that is too long.
            if path not in seen and os.path.isdir(path):  # noqa: PTH112
                seen.add(path)
                yield path
