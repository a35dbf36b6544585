"""The hybrid search beside its legs, and what each of its parts is worth.

    python -m tests.benchmarks.hybrid COLLECTION=MODEL ...

Each collection is a folder in BEIR layout, each model one to index its documents with. Prints
nDCG@10 of either leg alone and of hybrids: of the vector and BM25 with the weights 0.5; with the
coverage of the query as a third leg; with the proximity of its tokens; with the weight chosen by
each query; and with the best passages added to the query, which is what ``query`` does. p compares
the last one with each leg by a paired randomization test; the last lines do so over the queries of
all pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.identity import Metric
from ragdoll.embedding.static import StaticModel
from ragdoll.embedding.vectors import Vectors, similarity
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.metrics import measure, paired_randomization
from ragdoll.evaluation.systems import SearchedTable
from ragdoll.retrieval.answers import SearchOptions
from ragdoll.retrieval.reading import fusion
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.settings import Mode

NAMES = ("vector", "words", "vector + BM25", "+ coverage", "+ proximity", "+ weight", "hybrid")
K = 10

Values = npt.NDArray[np.float64]


def ndcg(
    table: SearchedTable, collection: TestCollection, mode: Mode, alpha: float | None = None
) -> Values:
    """Return the nDCG of each query."""
    texts = list(collection.queries.values())
    answers = table.searcher.search_many(texts, SearchOptions(K, mode, alpha))
    run = {
        query: {hit.source: hit.score for hit in hits}
        for query, hits in zip(collection.queries, answers, strict=True)
    }
    return np.array(measure(run, collection.qrels, K)["ndcg"])


@contextmanager
def without_feedback() -> Iterator[None]:
    """Leave the best passages out of the comparison."""

    def query_alone(_: Vectors, query: Vectors, vectors: Vectors, metric: Metric) -> Vectors:
        return fusion._spread(similarity(query[None], vectors, metric)[0])

    with patch.object(fusion, "_near_the_best", query_alone):
        yield


def compared(name: str, model: Path, collection: TestCollection) -> Values:
    """Print a line; return a row for each of ``NAMES``, with a value a query."""
    table = SearchedTable.make(collection, StaticModel.load(model))

    def no_tokens(*_: Any) -> None:
        return None

    rows = [ndcg(table, collection, "vector"), ndcg(table, collection, "text")]
    with patch.object(Searcher, "_interaction", no_tokens):
        rows.append(ndcg(table, collection, "hybrid", 0.5))
    with patch.object(fusion, "_PROXIMITY", 0.0):
        rows.append(ndcg(table, collection, "hybrid", 0.5))
    rows.append(ndcg(table, collection, "hybrid", 0.5))
    with without_feedback():
        rows.append(ndcg(table, collection, "hybrid"))
    rows.append(ndcg(table, collection, "hybrid"))
    means = " | ".join(f"{row.mean():.4f}" for row in rows)
    p_values = " | ".join(f"{paired_randomization(rows[-1], leg, seed=0):.4f}" for leg in rows[:2])
    print(f"| {name} | {means} | {p_values} |", flush=True)
    return np.stack(rows)


def main() -> None:
    """Compare the parts of the hybrid on each pair that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="COLLECTION=MODEL")
    pairs = [pair.partition("=")[::2] for pair in parser.parse_args().pairs]
    print(f"| collection, model | {' | '.join(NAMES)} | p (vector) | p (words) |")
    print(f"|---|{'---:|' * (len(NAMES) + 2)}")
    rows = [
        compared(f"{Path(path).name}, {model}", Path(model), load_beir(Path(path)))
        for path, model in pairs
    ]
    pooled = np.concatenate(rows, axis=1)
    for row, name in enumerate(NAMES[:-1]):
        p_value = paired_randomization(pooled[-1], pooled[row], seed=0)
        print(
            f"\nover all {pooled.shape[1]:,} queries: hybrid {pooled[-1].mean():.4f}, "
            f"{name} {pooled[row].mean():.4f}, p {p_value:.4f}"
        )


if __name__ == "__main__":
    main()
