"""Whether a difference between two systems is more than chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_PERMUTATIONS = 10_000
_BLOCK = 1_000


def paired_randomization(first: npt.ArrayLike, second: npt.ArrayLike, seed: int) -> float:
    """Return the two-sided p-value of Fisher's randomization test over paired values.

    The values are those of the same queries by two systems, one a query. Under the null hypothesis
    each pair might as well be the other way round; p is the share of random exchanges whose mean
    difference is at least the observed one (Smucker, Allan and Carterette, 2007). Deterministic by
    ``seed``.
    """
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    observed = abs(difference.mean())
    if not difference.any():
        return 1.0
    random = np.random.default_rng(seed)
    extreme = 0
    for _ in range(_PERMUTATIONS // _BLOCK):
        signs = random.choice((-1.0, 1.0), size=(_BLOCK, len(difference)))
        means = np.abs((signs * difference).mean(axis=1))
        # Sums in another order may differ in the last bit from the observed one.
        extreme += int((means >= observed * (1 - 1e-12)).sum())
    return (extreme + 1) / (_PERMUTATIONS + 1)
