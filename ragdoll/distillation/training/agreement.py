"""The quality of token vectors, measured on passages that they were not trained on.

It is the share of the teacher's nearest neighbours that they find too, and the error of the best
linear map to the teacher's vectors.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.training.projection import Projection
from ragdoll.distillation.training.token_bags import Bags
from ragdoll.embedding.vectors import Vectors, similarity, unit

_NEIGHBOURS = 10

# The penalty of the linear map.
_RIDGE = 1e-3
# The passages that the linear map is fitted on; all of them are in memory.
_MAX_FITTED = 20_000


def held_out_agreement(vectors: Vectors, projection: Projection) -> float:
    """Return the share of the teacher's nearest neighbours that token vectors find too."""
    teacher = projection.teacher_vectors
    return neighbour_agreement(_encode(projection.held_out.bags, vectors, len(teacher)), teacher)


def held_out_loss(vectors: Vectors, projection: Projection) -> float:
    """Return the held-out error of the best linear map from passage vectors to targets."""
    training, held_out = projection.training, projection.held_out
    return linear_loss(
        (_encode(training.bags, vectors, _MAX_FITTED), _encode(held_out.bags, vectors)),
        (training.targets[:_MAX_FITTED], held_out.targets),
    )


def neighbour_agreement(student: Vectors, teacher: Vectors) -> float:
    """Return the mean share of the teacher's ten nearest neighbours that the student finds too.

    Both arrays have a row for each of the same passages. Each passage is compared with all others
    by cosine. The result is 1 if student and teacher agree; chance gives ``10 / (rows - 1)``.
    """
    rows = len(student)
    neighbours = min(_NEIGHBOURS, rows - 1)
    if neighbours < 1:
        return 0.0
    pairs = zip(_nearest(student, neighbours), _nearest(teacher, neighbours), strict=True)
    shared = [len(np.intersect1d(one, other)) for one, other in pairs]
    return float(np.mean(shared) / neighbours)


def linear_loss(student: tuple[Vectors, Vectors], targets: tuple[Vectors, Vectors]) -> float:
    """Return the held-out mean squared error of the best linear map from student to targets.

    Each pair is (training rows, held-out rows). The map has a bias, and is fitted on the training
    rows by ridge regression. So a method that trains a linear head compares with one that does not.
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


def _encode(bags: Bags, vectors: Vectors, most: int | None = None) -> Vectors:
    """Return the vectors that a static model of these token vectors gives the first passages."""
    rows = len(bags) if most is None else min(most, len(bags))
    # A method may have added a padding token at the end, which no passage holds.
    return unit(bags.rows(0, rows) @ vectors[: bags.width].astype(np.float32))
