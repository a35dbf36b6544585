"""The page of results: every system on every test collection, by its labels and without them.

    python -m tests.benchmarks.results DATA [--work DIR] [--teacher NAME] [--seed N]

DATA holds folders in BEIR layout, such as cranfield, npl and cisi. For each, a model is trained on
its documents by the defaults, unless DIR/NAME/model is there already; then ``ragdoll evaluate``
scores the systems on its questions, and again on a test made of the documents alone. The page is
printed as Markdown; a report of each in HTML lies in DIR afterwards.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
LIBRARIES = ("torch", "model2vec", "tokenlearn", "lancedb", "numpy")


def ragdoll(*arguments: object) -> dict[str, Any]:
    """Run a command of the installed ragdoll and return what it says as JSON."""
    command = [sys.executable, "-m", "ragdoll", *map(str, arguments), "--json", "--quiet"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def trained(collection: Path, work: Path, teacher: str, seed: int) -> Path:
    """Return the model of a collection's documents; train it if it is not there."""
    model = work / "model"
    if not (model / "model.safetensors").is_file():
        features = work / "features"
        ragdoll(
            "featurize", collection / "corpus.jsonl", "--teacher", teacher, "--output", features
        )
        ragdoll("train", "--features", features, "--output", model, "--seed", seed)
    return model


def name_of(system: dict[str, Any]) -> str:
    """Return the name of a system, without the owner of a teacher."""
    name: str = system["name"]
    return name.rpartition("/")[2] if system["kind"] == "teacher" else name


def table(record: dict[str, Any]) -> str:
    """Return the systems of one comparison as a table in Markdown."""
    k = record["k"]
    lines = [
        f"| system | nDCG@{k} | recall@{k} | MRR@{k} | p | queries/s | ms/query | docs/s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for system in record["systems"]:
        p_value, rate = system["p_value"], system["documents_per_second"]
        cells = [
            name_of(system),
            *(f"{system[name]:.4f}" for name in (f"ndcg@{k}", f"recall@{k}", f"mrr@{k}")),
            "" if p_value is None else f"{p_value:.4f}",
            f"{system['queries_per_second']:,.0f}",
            f"{system['milliseconds_per_query']:,.1f}",
            "" if rate is None else f"{rate:,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def agreement(labelled: dict[str, Any], made: dict[str, Any]) -> tuple[str, int, int]:
    """Return two rankings by nDCG as a row, the pairs that they order alike, and all pairs."""
    by_labels, by_itself = (
        {name_of(system): system[f"ndcg@{record['k']}"] for system in record["systems"]}
        for record in (labelled, made)
    )
    pairs = list(combinations(by_labels, 2))
    alike = sum((by_labels[a] - by_labels[b]) * (by_itself[a] - by_itself[b]) > 0 for a, b in pairs)
    ranked = [
        " > ".join(
            f"{name} {scores[name]:.3f}" for name in sorted(scores, key=lambda n: -scores[n])
        )
        for scores in (by_labels, by_itself)
    ]
    row = f"| {labelled['dataset']} | {ranked[0]} | {ranked[1]} | {alike} of {len(pairs)} |"
    return row, alike, len(pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path(".ragdoll/results"))
    parser.add_argument("--teacher", default=TEACHER)
    parser.add_argument("--no-teacher-scores", action="store_true", help="it takes a while")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    score_teacher = [] if options.no_teacher_scores else ["--teacher", options.teacher]
    rows, alike, pairs = list[str](), 0, 0
    for queries in sorted(options.data.glob("*/queries.jsonl")):
        collection = queries.parent
        work = options.work / collection.name
        work.mkdir(parents=True, exist_ok=True)
        model = trained(collection, work, options.teacher, options.seed)
        how = ["--model", model, "--seed", options.seed, *score_teacher]
        labelled = ragdoll("evaluate", collection, *how, "--output", work / "labelled.html")
        documents = collection / "corpus.jsonl"
        made = ragdoll("evaluate", documents, *how, "--output", work / "known-items.html")
        counts = f"{labelled['documents']:,} documents, {labelled['queries']:,} queries"
        print(f"#### {labelled['dataset']} ({counts})\n\n{table(labelled)}\n", flush=True)
        row, alike_here, pairs_here = agreement(labelled, made)
        rows, alike, pairs = [*rows, row], alike + alike_here, pairs + pairs_here
    print("| collection | by the labels, nDCG@10 | without labels, nDCG@10 | pairs in one order |")
    print("|---|---|---|---|")
    print("\n".join(rows))
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    today = datetime.now(tz=UTC).date()
    print(f"\n{alike} of {pairs} pairs in one order. {today}, seed {options.seed}; {versions}")


if __name__ == "__main__":
    main()
