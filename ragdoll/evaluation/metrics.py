"""Retrieval measures of a ranking, as trec_eval has them, and a test of their significance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Run = Mapping[str, Mapping[str, float]]
"""For each query, the score of each document that a system found; higher is better."""

Qrels = Mapping[str, Mapping[str, int]]
"""For each query, the relevance of each judged document; above 0 is relevant."""

# Random exchanges in all, and those that are in memory together.
_PERMUTATIONS = 10_000
_BLOCK = 1_000


def ranking(scores: Mapping[str, float], k: int) -> list[str]:
    """Return the best ``k`` documents; ties go by document id, descending, as in trec_eval."""
    return sorted(scores, key=lambda document: (scores[document], document), reverse=True)[:k]


def ndcg(ranked: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Return the normalized discounted cumulative gain, from 0 to 1.

    The gain of a document is its relevance, discounted by log2(rank + 1) (Järvelin and Kekäläinen,
    2002). If nothing is relevant, the value is 0.
    """
    ideal = sorted((gain for gain in judged.values() if gain > 0), reverse=True)[:k]
    best = _discounted(ideal)
    found = _discounted([max(0, judged.get(document, 0)) for document in ranked[:k]])
    return found / best if best else 0.0


def recall(ranked: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Return the share of the relevant documents that are among the first ``k``; 0 of none."""
    relevant = {document for document, gain in judged.items() if gain > 0}
    return len(relevant.intersection(ranked[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Return 1 / rank of the first relevant document, or 0 if none is among the first ``k``."""
    for rank, document in enumerate(ranked[:k], start=1):
        if judged.get(document, 0) > 0:
            return 1 / rank
    return 0.0


def measure(run: Run, qrels: Qrels, k: int) -> dict[str, list[float]]:
    """Score a run by nDCG, recall and reciprocal rank: a value a query, in the order of ``qrels``.

    A query without an answer in the run scores 0.
    """
    measures = {"ndcg": ndcg, "recall": recall, "mrr": reciprocal_rank}
    ranked = {query: ranking(run.get(query, {}), k) for query in qrels}
    return {
        name: [function(ranked[query], judged, k) for query, judged in qrels.items()]
        for name, function in measures.items()
    }


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def paired_randomization(first: npt.ArrayLike, second: npt.ArrayLike, seed: int) -> float:
    """Return the two-sided p-value of Fisher's randomization test over paired values.

    The values are those of two systems, one a query, for the same queries. Under the null
    hypothesis the two values of a query can be exchanged; p is the share of random exchanges whose
    mean difference is at least the observed one (Smucker, Allan and Carterette, 2007). The same
    ``seed`` gives the same p.
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
