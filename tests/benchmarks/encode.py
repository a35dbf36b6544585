"""The speed of embedding many texts and of indexing documents, against model2vec.

    python -m tests.benchmarks.encode MODEL [--passages N] [--repeat N] [--data SOURCE ...]

The documents of the sources (docstrings of installed packages; those that are not installed are
left out) are cut into passages of at most 256 tokens. Then, in turn:

- model2vec embeds the passages; its rate is the reference;
- ragdoll embeds the same, first with a fresh model (cold), then with the words remembered (warm);
- ragdoll indexes the documents, written to a file of JSON lines, into a new table: reading,
  cutting, embedding, writing and the full-text index.

Processor seconds are printed beside the time on the clock: they say more on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import ragdoll
from ragdoll.cli.console import silence_libraries
from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import cut
from ragdoll.errors import CorpusError

_CHUNK_SIZE = 256
_PACKAGES = ("stdlib", "torch", "transformers", "sympy", "pandas", "sklearn", "scipy", "numpy")
_MORE = (
    "networkx",
    "datasets",
    "sentence_transformers",
    "lancedb",
    "huggingface_hub",
    "mypy",
    "rich",
)
DATA = [f"python:{name}" for name in (*_PACKAGES, *_MORE)]


class Cost(NamedTuple):
    """The cost of a run in seconds."""

    clock: float
    processor: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--passages", type=int, default=60_000)
    parser.add_argument("--repeat", type=int, default=3, help="the median counts")
    parser.add_argument("--data", nargs="+", default=DATA)
    options = parser.parse_args()
    silence_libraries()
    documents, texts = sample(options.model, options.data, options.passages)
    words = [word for text in texts for word in text.split()]
    print(f"{len(texts):,} passages, {len(words):,} words, {len(set(words)):,} of them distinct")
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        corpus = _written(documents, Path(folder, "corpus.jsonl"))
        for turn in range(options.repeat):
            _measure(options.model, texts, corpus, Path(folder, str(turn)), costs)
    _show(costs, len(texts))


def _measure(
    model: Path, texts: list[str], corpus: Path, database: Path, costs: dict[str, list[Cost]]
) -> None:
    import model2vec

    plain, encoder = model2vec.StaticModel.from_pretrained(model), ragdoll.StaticModel.load(model)
    runs: dict[str, Callable[[], Any]] = {
        "model2vec": lambda: plain.encode(texts),
        "ragdoll, cold": lambda: encoder.encode(texts),
        "ragdoll, warm": lambda: encoder.encode(texts),
        "ragdoll index": lambda: ragdoll.Index.create(database, model=model).update(
            ragdoll.read(corpus)
        ),
    }
    results = {}
    for name, run in runs.items():
        clock, processor = time.perf_counter(), time.process_time()
        results[name] = run()
        cost = Cost(time.perf_counter() - clock, time.process_time() - processor)
        costs.setdefault(name, []).append(cost)
    assert results["ragdoll index"].chunks == len(texts)
    difference = np.abs(results["model2vec"] - results["ragdoll, cold"]).max()
    print(f"largest difference between two vectors' numbers: {difference:.1e}")


def sample(model: Path, sources: list[str], passages: int) -> tuple[list[Document], list[str]]:
    """Return documents, and the texts of their passages: about ``passages`` of them."""
    encoder = ragdoll.StaticModel.load(model)
    documents: list[Document] = []
    texts: list[str] = []
    for document in _documents(sources):
        if len(texts) >= passages:
            break
        documents.append(document)
        texts.extend(part.text for part in cut(document, _CHUNK_SIZE, encoder.count_tokens))
    return documents, texts


def _documents(sources: list[str]) -> Iterator[Document]:
    for source in sources:
        try:
            yield from ragdoll.read(source)
        except CorpusError as error:
            print(error.message)


def _written(documents: list[Document], file: Path) -> Path:
    with file.open("w", encoding="utf-8") as lines:
        for number, document in enumerate(documents):
            # The title in front is part of a document's text already.
            lines.write(json.dumps({"_id": str(number), "text": document.text}) + "\n")
    return file


def _show(costs: dict[str, list[Cost]], passages: int) -> None:
    print(
        f"{'':20} {'passages/s':>10} {'seconds':>8} {'processor':>9} {'x plain':>8} {'in turn':>24}"
    )
    reference = costs["model2vec"]
    for name, runs in costs.items():
        clock = statistics.median(run.clock for run in runs)
        ratios = [plain.clock / run.clock for plain, run in zip(reference, runs, strict=True)]
        print(
            f"{name:20} {passages / clock:10,.0f} {clock:8.2f}"
            f" {statistics.median(run.processor for run in runs):9.2f}"
            f" {statistics.median(ratios):8.2f} {' '.join(f'{ratio:.2f}' for ratio in ratios):>24}"
        )


if __name__ == "__main__":
    main()
