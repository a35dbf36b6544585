"""What a table of token vectors is worth on passages that it was not trained on."""

from __future__ import annotations

import numpy as np

from ragdoll.distillation.agreement import linear_loss, neighbour_agreement
from ragdoll.distillation.projection import Projection
from ragdoll.distillation.token_bags import Bags
from ragdoll.embedding.similarity import unit
from ragdoll.embedding.vectors import Vectors

# Passages that the linear loss fits its map on, which are all in memory.
_MAX_FITTED = 20_000


class HeldOut:
    """Measures token vectors of any dimension, a row for each token."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    def agreement(self, vectors: Vectors) -> float:
        """The share of the teacher's nearest held-out neighbours that token vectors find too."""
        teacher = self._projection.teacher_vectors
        return neighbour_agreement(
            _encode(self._projection.held_out.bags, vectors, len(teacher)), teacher
        )

    def loss(self, vectors: Vectors) -> float:
        """The held-out error of the best linear map from the passages' vectors to the targets."""
        training, held_out = self._projection.training, self._projection.held_out
        return linear_loss(
            (_encode(training.bags, vectors, _MAX_FITTED), _encode(held_out.bags, vectors)),
            (training.targets[:_MAX_FITTED], held_out.targets),
        )


def _encode(bags: Bags, vectors: Vectors, most: int | None = None) -> Vectors:
    """The unit vectors of the first passages, as a static model of these token vectors has them."""
    rows = len(bags) if most is None else min(most, len(bags))
    # A method may have added a padding token, which no passage holds.
    return unit(bags.rows(0, rows) @ vectors[: bags.width].astype(np.float32))
