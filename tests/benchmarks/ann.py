"""The approximate index against exact search: recall@10, latency, and the error of the scores.

    python -m tests.benchmarks.ann --model DIR [--rows N] [--partitions N] [--queries FILE ...]
        --corpus CORPUS ...

The corpora (``python:stdlib``, folders, files) are cut into short passages, so that there are many.
Queries are the texts of files of JSON lines, else the first words of 200 passages. Both searches
are ``Table.nearest``, as ``ragdoll query`` calls it, over the same rows: first without, then with
the index that ``ragdoll index`` builds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from ragdoll.corpus.passages import cut
from ragdoll.corpus.reading import read
from ragdoll.embedding.static import StaticModel
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import TableIdentity, TableState, schema
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.batches import BatchReader
from ragdoll.retrieval.writing.rows import identified, record_batch, root_key
from ragdoll.retrieval.writing.upkeep import partitions_of
from ragdoll.streams import silent

PASSAGE_TOKENS = 32
QUERIES = 200
QUERY_WORDS = 8
K = 10


def build(folder: str, model: Path, corpus: list[str], limit: int) -> tuple[Table, list[str]]:
    """Write a table of at most ``limit`` passages; return it with their texts."""
    encoder = TableModel(model)
    reader = BatchReader(read(*corpus), {}, silent)
    facts = encoder.identity
    identity = TableIdentity(
        facts.fingerprint, facts.dimension, facts.metric, facts.normalize, None, PASSAGE_TOKENS, ""
    )
    state = TableState("", folder)
    layout = schema(identity, state)
    texts: list[str] = []

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader.read():
            several = (
                identified(cut(one, PASSAGE_TOKENS, encoder.count_tokens), root_key(one.root))
                for one in batch
            )
            passages = list(islice(chain.from_iterable(several), limit - len(texts)))
            new = [passage.text for passage in passages]
            texts.extend(new)
            yield record_batch(passages, encoder.tokens(new), encoder.encode(new), layout, {})
            if len(texts) >= limit:
                return

    return Database(folder, create=True).build("documents", identity, state, batches()), texts


def searched(table: Table, queries: Vectors, k: int) -> tuple[list[list[float]], list[float]]:
    """Return the scores of each query's answers, and the milliseconds that each query took."""
    table.nearest(queries[0], k)
    scores, times = [], []
    for query in queries:
        started = time.perf_counter()
        _, found = table.nearest(query, k)
        times.append((time.perf_counter() - started) * 1000)
        scores.append(found.tolist())
    return scores, times


def read_queries(files: list[Path], texts: list[str]) -> list[str]:
    """Read the queries from files, or else take the first words of some texts."""
    lines = [line for file in files for line in file.read_text().splitlines()]
    if lines:
        return [str(json.loads(line)["text"]) for line in lines]
    chosen = np.random.default_rng(0).choice(len(texts), QUERIES, replace=False)
    return [" ".join(texts[number].split()[:QUERY_WORDS]) for number in chosen]


def main() -> None:
    """Build a table, search it both ways, and print the comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=120_000)
    parser.add_argument("--queries", type=Path, nargs="*", default=[])
    parser.add_argument("--partitions", type=int, help="as a larger table has; default: by rows")
    parser.add_argument("--corpus", nargs="+", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, texts = build(folder, options.model, options.corpus, options.rows)
        queries = StaticModel.load(options.model).encode(read_queries(options.queries, texts))
        queries = queries[queries.any(axis=1)]
        exact, exact_times = searched(table, queries, K)
        started = time.perf_counter()
        partitions = options.partitions or partitions_of(table.count())
        table.index_vectors(partitions)
        table.state.partitions = partitions
        seconds = time.perf_counter() - started
        print(f"{table.count():,} passages, {len(queries)} queries, {partitions} partitions")
        print(f"index built in {seconds:.1f} s")
        print(f"{'':10} {'recall@10':>9} {'p50 ms':>8} {'p95 ms':>8} {'of exact':>8}")
        for name, k in (("exact", None), ("top 10", K), ("top 100", 100)):
            found, times = (exact, exact_times) if k is None else searched(table, queries, k)
            # By scores, not by ids: what ties with the last answer is as good as it.
            recall = np.mean(
                [
                    np.sum(np.array(ours[:K]) >= theirs[-1] - 1e-6) / len(theirs)
                    for ours, theirs in zip(found, exact, strict=True)
                ]
            )
            p50, p95 = np.percentile(times, [50, 95])
            ratio = p50 / np.median(exact_times)
            print(f"{name:10} {recall:9.4f} {p50:8.1f} {p95:8.1f} {ratio:8.2f}")


if __name__ == "__main__":
    main()
