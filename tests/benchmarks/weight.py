"""The weight that is chosen for a table, beside a fixed one and the best in hindsight.

    python -m tests.benchmarks.weight COLLECTION=MODEL ...

Each collection is a folder in BEIR layout, each model one to index its documents with. Prints
nDCG@10 by the labels, which the choice does not see: of either leg alone, of the hybrid with the
weight 0.5, with the chosen one, and with the best of 21 weights. p compares the chosen one with the
better leg by a paired randomization test; the last lines do so over the queries of all pairs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.static import StaticModel
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.metrics import Run, measure, paired_randomization
from ragdoll.evaluation.systems import (
    SystemRun,
    hybrid_run,
    static_similarities,
    text_run,
    vector_run,
    weight_of_table,
)
from ragdoll.retrieval.storage.schema import DEFAULT_ALPHA

GRID = [step / 20 for step in range(21)]
K = 10

Values = npt.NDArray[np.float64]


def ndcg(run: Run, collection: TestCollection) -> Values:
    """Return the nDCG of each query."""
    return np.array(measure(run, collection.qrels, K)["ndcg"])


def compared(name: str, model: Path, collection: TestCollection, bm25: SystemRun) -> Values:
    """Print a line; return vector, text, fixed and chosen, a row each with a value a query."""
    encoder = StaticModel.load(model)
    similar = static_similarities(encoder, collection)

    def hybrid(alpha: float) -> Values:
        return ndcg(hybrid_run("", similar, bm25, collection, alpha=alpha).run, collection)

    chosen = weight_of_table(encoder, collection)
    curve = {alpha: float(hybrid(alpha).mean()) for alpha in GRID}
    best = max(curve, key=curve.__getitem__)
    values = np.stack(
        [
            ndcg(vector_run("", "model", similar, collection, K).run, collection),
            ndcg(bm25.run, collection),
            hybrid(DEFAULT_ALPHA),
            hybrid(chosen),
        ]
    )
    vector, text, fixed, mixed = values.mean(axis=1)
    p_value = paired_randomization(values[3], values[0 if vector > text else 1], seed=0)
    print(
        f"| {name} | {vector:.4f} | {text:.4f} | {fixed:.4f} | {mixed:.4f} ({chosen:.2f}) "
        f"| {curve[best]:.4f} ({best:.2f}) | {p_value:.4f} |",
        flush=True,
    )
    return values


def main() -> None:
    """Compare the weights of each pair that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", nargs="+", metavar="COLLECTION=MODEL")
    pairs = [pair.partition("=")[::2] for pair in parser.parse_args().pairs]
    print("| collection, model | vector | text | hybrid, 0.5 | chosen | best in hindsight | p |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    collections = {path: load_beir(Path(path)) for path, _ in pairs}
    candidates = {path: text_run(collection) for path, collection in collections.items()}
    rows = [
        compared(f"{Path(path).name}, {model}", Path(model), collections[path], candidates[path])
        for path, model in pairs
    ]
    pooled = np.concatenate(rows, axis=1)
    for leg, name in enumerate(("vector", "text", "hybrid, 0.5")):
        p_value = paired_randomization(pooled[3], pooled[leg], seed=0)
        print(
            f"\nover all {pooled.shape[1]:,} queries: chosen {pooled[3].mean():.4f}, "
            f"{name} {pooled[leg].mean():.4f}, p {p_value:.4f}"
        )


if __name__ == "__main__":
    main()
