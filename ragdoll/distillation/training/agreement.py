"""How well a student keeps its teacher's geometry on passages that it was not trained on.

What a table of token vectors is worth on passages that it was not trained on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.training.projection import Projection
from ragdoll.distillation.training.token_bags import Bags
from ragdoll.embedding.vectors import Vectors, similarity, unit

_NEIGHBOURS = 10

_RIDGE = 1e-3


def neighbour_agreement(student: Vectors, teacher: Vectors) -> float:
    """Return the mean share of the teacher's ten nearest neighbours that the student finds too.

    Both hold a row for each of the same passages; each passage is compared with all the others by
    cosine. 1 is the teacher's own ranking of the nearest, chance is ``10 / (rows - 1)``.
    """
    rows = len(student)
    neighbours = min(_NEIGHBOURS, rows - 1)
    if neighbours < 1:
        return 0.0
    found = _nearest(student, neighbours)
    wanted = _nearest(teacher, neighbours)
    shared = [len(np.intersect1d(a, b)) for a, b in zip(found, wanted, strict=True)]
    return float(np.mean(shared) / neighbours)


def linear_loss(student: tuple[Vectors, Vectors], targets: tuple[Vectors, Vectors]) -> float:
    """Return the held-out mean squared error of the best linear map from student to targets.

    Each pair is (training rows, held-out rows). The map, with a bias, is fitted on the training
    rows by ridge regression, so that methods with and without a head of their own compare.
    """
    (x, x_held), (y, y_held) = student, targets
    scale = float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) or 1.0

    def with_bias(vectors: Vectors) -> npt.NDArray[np.float64]:
        ones = np.ones((len(vectors), 1))
        return np.concatenate([vectors.astype(np.float64) / scale, ones], axis=1)

    design = with_bias(x)
    gram = design.T @ design
    gram[np.diag_indices_from(gram)] += _RIDGE * len(x)
    weights = np.linalg.solve(gram, design.T @ y.astype(np.float64))
    return float(np.mean((with_bias(x_held) @ weights - y_held) ** 2))


def _nearest(vectors: Vectors, neighbours: int) -> npt.NDArray[np.intp]:
    cosines = similarity(vectors, vectors, "cosine")
    np.fill_diagonal(cosines, -np.inf)
    return np.argpartition(-cosines, neighbours - 1, axis=1)[:, :neighbours]


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
