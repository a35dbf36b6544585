"""The token vectors whose means come nearest to the targets, by ridge regression.

A static model's vector of a passage is linear in its token vectors, so the best token vectors need
no gradient descent: they are a ridge regression (Hoerl and Kennard, 1970). With A the bags of
tokens, T the targets, and token vectors E = E0 + w D,

    minimise |A w D - (T - A E0)|² + λ s |D|²

- E0 is the vector of a token that the corpus lacks: half of its vector in the distillate, mapped
  onto the targets by a ridge regression of the passages' means.
- w is the inverse document frequency, ln(n / df) + 1/2: a rare token may move far, a common one
  hardly. BM25 and SIF weigh tokens in the same way. s, the mean squared length of the rows of A w,
  makes λ independent of the number and the length of the passages.
- Common words have another share in questions than in passages, which passages alone cannot teach.
  So each token vector is divided by 1 + df / n in the end. That halves the words that every passage
  holds, and leaves all but the most common as they are.
- Each column of T is divided by its standard deviation to the power 0.2: the few directions with
  most of a teacher's variance tell passages apart less well than that variance suggests.

All columns are solved at once by conjugate gradients (Hestenes and Stiefel, 1952), which take two
sparse products in a pass over the passages. Fewer passes regularise further.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.training.projection import Passages, Projection
from ragdoll.embedding.vectors import Vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Sums = tuple[npt.NDArray[Any], ...]
_Work = Callable[["csr_matrix", Vectors], Sums]
_Block = tuple[Passages, int, int]

# Chosen by nDCG@10 on Cranfield, CISI and NPL together: each is near the best on all three. What
# every part of the recipe is worth stands in tests/benchmarks/README.md.
PENALTY = 0.3
FROM_DISTILLATE = 0.5
FLATTENING = 0.2

_MAP_PENALTY = 1e-3
# Bytes for the sums of all threads; each thread has its own, as large as the token vectors.
_MEMORY_OF_SUMS = 1 << 30
# Tokens in a block for each row of its sum: the product should cost far more than adding it up.
_TOKENS_OF_BLOCK = 16


class State(NamedTuple):
    """Conjugate gradients after some passes; each array is of shape (tokens that occur, dimension).

    ``solution`` is D, ``residual`` the rest of the normal equations, ``direction`` the next step's.
    """

    solution: Vectors
    residual: Vectors
    direction: Vectors


class Ridge:
    """The regression onto the targets of some passages.

    ``distillate`` has a row for each token, of any dimension. The preparation takes two passes over
    the passages.
    """

    def __init__(
        self, distillate: Vectors, projection: Projection, passages: Sequence[Passages]
    ) -> None:
        used = projection.documents > 0
        self._used = np.flatnonzero(used)
        self._compact = (np.cumsum(used) - 1).astype(np.int32)
        self._scale = _target_scale(projection.spread)
        share = (projection.documents / projection.rows).astype(np.float32)[:, None]
        self._rarity = 0.5 - np.log(share[self._used])
        self._commonness = 1 + share
        self._blocks = _Blocks(passages, len(self._used), self._compact, projection.spread.size)

        rows = sum(len(part.bags) for part in passages)
        products, crossed, squares = self._blocks.sum(self._for_map(distillate[self._used]))
        products[np.diag_indices_from(products)] += (
            _MAP_PENALTY * np.trace(products) / len(products) + np.finfo(np.float64).tiny
        )
        onto_targets = np.linalg.solve(products, crossed).astype(np.float32)
        self._start = FROM_DISTILLATE * (distillate @ onto_targets)
        self._penalty = np.float32(PENALTY * squares.item() / rows)
        self._residual = np.asarray(
            self._blocks.sum(self._for_residual())[0] * self._rarity, dtype=np.float32
        )

    def begin(self) -> State:
        """Return the state before the first pass."""
        return State(np.zeros_like(self._residual), self._residual, self._residual)

    def step(self, state: State) -> State:
        """Make one pass: move along the direction to its least error, and turn."""
        rarity = self._rarity
        moved = rarity * state.direction
        product = self._blocks.sum(lambda matrix, _: (matrix.T @ (matrix @ moved),))[0]
        curved = rarity * product + self._penalty * state.direction
        before = _squares(state.residual)
        length = before / _above_zero((state.direction * curved).sum(axis=0))
        residual = state.residual - length * curved
        turn = _squares(residual) / _above_zero(before)
        return State(
            solution=state.solution + length * state.direction,
            residual=residual,
            direction=residual + turn * state.direction,
        )

    def vectors(self, solution: Vectors) -> Vectors:
        """Return the token vectors E of a solution, of shape (vocabulary, dimension)."""
        vectors: Vectors = self._start.copy()
        vectors[self._used] += self._rarity * solution
        return vectors

    def damped(self, vectors: Vectors) -> Vectors:
        """Shorten the vectors of the most common tokens, for searching."""
        return vectors / self._commonness

    def loss(self, vectors: Vectors, passages: Passages) -> float:
        """Return the share of the passages' squared targets that token vectors do not explain."""
        bags, targets = passages
        scaled = targets * self._scale
        missed = scaled - bags.rows(0, len(bags)) @ vectors
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.square(missed).sum() / _above_zero(np.square(scaled).sum()))

    def _for_map(self, distillate: Vectors) -> _Work:
        """Return the sums for the map from the distillate onto the targets, and for the scale s."""

        def work(matrix: csr_matrix, targets: Vectors) -> Sums:
            means = (matrix @ distillate).astype(np.float64)
            scaled = (targets * self._scale).astype(np.float64)
            weighed = matrix.data * self._rarity[matrix.indices, 0]
            squares = np.array(np.square(weighed, dtype=np.float64).sum())
            return means.T @ means, means.T @ scaled, squares

        return work

    def _for_residual(self) -> _Work:
        """Return the sum for the normal equations' right-hand side, without w: Aᵀ (T - A E0)."""
        start = self._start[self._used]
        return lambda matrix, targets: (matrix.T @ (targets * self._scale - matrix @ start),)


class _Blocks:
    """Passages cut into blocks; sums over them are taken on all cores, in a fixed order."""

    def __init__(
        self,
        passages: Sequence[Passages],
        tokens: int,
        compact: npt.NDArray[np.int32],
        columns: int,
    ) -> None:
        self._tokens = tokens
        self._compact = compact
        affordable = _MEMORY_OF_SUMS // max(1, tokens * columns * 4)
        self._threads = max(1, min(_cores(), affordable))
        rows = sum(len(part.bags) for part in passages)
        entries = sum(len(part.bags.columns) for part in passages)
        size = min(
            math.ceil(_TOKENS_OF_BLOCK * tokens * rows / max(1, entries)),
            math.ceil(rows / self._threads),
        )
        self._blocks: list[_Block] = [
            (part, start, min(start + size, len(part.bags)))
            for part in passages
            for start in range(0, len(part.bags), size)
        ]

    def sum(self, work: _Work) -> Sums:
        """Add up the results of ``work`` for the bags and targets of each block."""
        share = math.ceil(len(self._blocks) / self._threads)
        shares = [
            self._blocks[first : first + share] for first in range(0, len(self._blocks), share)
        ]

        def of_thread(blocks: Sequence[_Block]) -> Sums:
            return reduce(_added, (work(*self._read(block)) for block in blocks))

        with ThreadPoolExecutor(self._threads) as pool:
            return reduce(_added, pool.map(of_thread, shares))

    def _read(self, block: _Block) -> tuple[csr_matrix, Vectors]:
        from scipy.sparse import csr_matrix

        part, start, stop = block
        matrix = part.bags.rows(start, stop)
        shape = (stop - start, self._tokens)
        parts = (matrix.data, self._compact[matrix.indices], matrix.indptr)
        return csr_matrix(parts, shape=shape, copy=False), part.targets[start:stop]


def _added(total: Sums, more: Sums) -> Sums:
    for one, other in zip(total, more, strict=True):
        np.add(one, other, out=one)
    return total


def _target_scale(spread: Vectors) -> Vectors:
    """Flatten the spectrum, and make the targets' mean squared length one."""
    spread = spread.astype(np.float64)
    relative = np.maximum(spread / _above_zero(spread[0]), 1e-6)
    flat = relative**-FLATTENING
    return np.asarray(flat / _above_zero(np.linalg.norm(spread * flat)), dtype=np.float32)


def _squares(vectors: Vectors) -> Vectors:
    return np.asarray(np.square(vectors).sum(axis=0))


def _above_zero(value: Any) -> Any:
    return np.maximum(value, np.finfo(np.float32).tiny)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
