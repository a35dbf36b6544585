"""A table of millions of passages: memory and time of ``index``, latency and recall of ``query``.

    python -m tests.benchmarks.scale MODEL [--passages N] [--questions N] [--data SOURCE ...]
        [--work FOLDER]

Each passage has a title, one sentence of a document of the sources, another of the same or of a
second document, and three words drawn at random, so that passages have topics and none is another's
copy. Half of the questions are eight words in a row of a passage; the other half are sentences of
the sources. Prints

- the peak of anonymous memory (RssAnon; this needs Linux) and the time of ``ragdoll index``;
- the time of a question to ``ragdoll query``, a process of its own, with all files in the page
  cache;
- milliseconds of a search in an open index, by mode, each question asked for the first time;
- recall@10 of the search by vector against a comparison with all vectors.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa

from ragdoll.corpus.reading import read
from ragdoll.embedding.vectors import Vectors, unit
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.storage.table import matrix
from ragdoll.settings import Mode
from tests.benchmarks.load import _END, _mib, _run

K = 10
_WORDS = range(4, 40)
_ASKED = 8
_TIES = 1e-5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--passages", type=int, default=10_000_000)
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--data", nargs="+", default=["python:stdlib"])
    parser.add_argument("--work", type=Path, help="where there is room: 2 KB a passage")
    options = parser.parse_args()
    documents = [_sentences(document.text) for document in read(*options.data)]
    documents = [sentences for sentences in documents if sentences]
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        corpus = Path(work, "docs", "all.jsonl")
        questions = _write(corpus, documents, options.passages, options.questions)
        place = ["--database", f"{work}/db", "--json", "--quiet"]
        started = time.perf_counter()
        peak, _ = _run(["index", str(corpus.parent), "--model", str(options.model), *place])
        seconds = time.perf_counter() - started
        print(f"index: {options.passages / seconds:,.0f} passages a second, {_mib(peak)}")
        for mode in get_args(Mode):
            _run(["query", questions[0], "--mode", mode, *place])
            started = time.perf_counter()
            _run(["query", questions[0], "--mode", mode, *place])
            print(f"query --mode {mode}: {time.perf_counter() - started:.2f} s")
        index = Index.open(f"{work}/db")
        for mode in get_args(Mode):
            times = []
            for question in questions:
                started = time.perf_counter()
                index.search(question, K, mode=mode)
                times.append((time.perf_counter() - started) * 1000)
            print(f"{mode}: p50 {np.median(times):.0f} ms, p95 {np.percentile(times, 95):.0f} ms")
        print(f"recall@{K} by vector: {_recall(index, questions):.4f}", flush=True)


def _sentences(text: str) -> list[str]:
    sentences = (" ".join(sentence.split()) for sentence in _END.split(text))
    return [sentence for sentence in sentences if len(sentence.split()) in _WORDS]


def _write(file: Path, documents: Sequence[list[str]], passages: int, count: int) -> list[str]:
    """Write the corpus, and return the questions."""
    chance = random.Random(0)
    words = sorted({word for one in documents for text in one for word in text.split()})
    questions = []
    file.parent.mkdir()
    with file.open("w", encoding="utf-8") as lines:
        for number in range(passages):
            one, other = chance.choices(documents, k=2)
            second = one if chance.random() < 0.5 else other
            own = " ".join(chance.choices(words, k=3))
            text = f"{chance.choice(one)} {chance.choice(second)} {own}"
            record = {"_id": str(number), "title": " ".join(one[0].split()[:5]), "text": text}
            lines.write(json.dumps(record) + "\n")
            if number % max(1, passages * 2 // count) == 0:
                said = text.split()
                start = chance.randrange(max(1, len(said) - _ASKED))
                questions.append(" ".join(said[start : start + _ASKED]))
    questions += [chance.choice(chance.choice(documents)) for _ in questions]
    return questions


def _recall(index: Index, questions: list[str]) -> float:
    """Compare the answers with those of a comparison with all vectors, by their scores."""
    table = index._table
    vectors = unit(index.embed(questions)[0])
    best: Vectors = np.full((len(vectors), K), -1, np.float32)
    for batch in table._batches(table._all(["vector"])):
        alike = vectors @ unit(matrix(pa.chunked_array([batch["vector"]]))).T
        every = np.concatenate([best, alike], axis=1)
        best = -np.partition(-every, K - 1, axis=1)[:, :K]
    least = best.min(axis=1)
    found = [table.nearest(vector, K)[1] for vector in vectors]
    hits = [(scores >= last - _TIES).sum() / K for scores, last in zip(found, least, strict=True)]
    return float(np.mean(hits))


if __name__ == "__main__":
    main()
