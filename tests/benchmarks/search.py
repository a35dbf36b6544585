"""The speed of indexing and of searching, against a plain script and against txtai.

    python -m tests.benchmarks.search MODEL [--passages N] [--queries N] [--cold N]
        [--txtai PYTHON] [--judged FOLDER] [--data SOURCE ...]

The passages are those of ``tests.benchmarks.encode``, in a file of JSON lines; a query is a run of
words from a passage, which is its one answer. With a test collection in BEIR layout (``--judged``)
its documents are among the passages, and its questions are the queries. Each contestant is a
process of its own, with the same model:

- script: model2vec and LanceDB as their documentation shows them, by vector, without an index of
  words;
- txtai, where PYTHON is an interpreter that has it: by vector, with the texts;
- ragdoll: ``ragdoll index``, which also builds the index of words, and ``ragdoll query``.

A cold query is a new process, from its start to its end. A warm one is one of many in one process;
to ragdoll the next line is written when the last is answered. ``together`` is the rate of
``ragdoll query -`` when all lines are there at once, loading included. nDCG@10 is of the warm
queries.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ragdoll.evaluation.collection import load_beir
from ragdoll.evaluation.metrics import Qrels, measure
from tests.benchmarks.encode import DATA, sample

_WORDS = 6

SCRIPT_INDEX = """
import json, sys, lancedb
from model2vec import StaticModel
model, passages, folder = sys.argv[1:]
texts = [json.loads(line)["text"] for line in open(passages)]
vectors = StaticModel.from_pretrained(model).encode(texts)
rows = [{"text": text, "vector": vector} for text, vector in zip(texts, vectors)]
lancedb.connect(folder).create_table("documents", rows)
"""

SCRIPT_QUERY = """
import json, sys, time, lancedb
from model2vec import StaticModel
model, folder, *queries = sys.argv[1:]
encoder = StaticModel.from_pretrained(model)
table = lancedb.connect(folder).open_table("documents")
for query in queries:
    started = time.perf_counter()
    vector = encoder.encode([query])[0]
    hits = table.search(vector).distance_type("cosine").limit(10).to_list()
    print(json.dumps([time.perf_counter() - started, [hit["text"] for hit in hits]]))
"""

TXTAI_INDEX = """
import json, sys
from txtai import Embeddings
model, passages, folder = sys.argv[1:]
embeddings = Embeddings(path=model, method="model2vec", content=True)
embeddings.index(json.loads(line)["text"] for line in open(passages))
embeddings.save(folder)
"""

TXTAI_QUERY = """
import json, sys, time
from txtai import Embeddings
model, folder, *queries = sys.argv[1:]
embeddings = Embeddings()
embeddings.load(folder)
for query in queries:
    started = time.perf_counter()
    hits = embeddings.search(query, 10)
    print(json.dumps([time.perf_counter() - started, [hit["text"] for hit in hits]]))
"""


class Task(NamedTuple):
    """Texts, and queries with their answers among them, all by id."""

    texts: dict[str, str]
    queries: dict[str, str]
    qrels: Qrels


class Answer(NamedTuple):
    """The seconds of a warm query, and the ids of its answers."""

    seconds: float
    found: list[str]


@dataclass(frozen=True)
class Contestant:
    """The command lines of one contestant, before the arguments that all take."""

    index: list[str]
    query: list[str]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--passages", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--cold", type=int, default=5)
    parser.add_argument("--txtai", metavar="PYTHON")
    parser.add_argument("--judged", type=Path, metavar="FOLDER")
    parser.add_argument("--data", nargs="+", default=DATA)
    options = parser.parse_args()
    _, texts = sample(options.model, options.data, options.passages)
    task = _judged(texts, options.judged) if options.judged else _known(texts, options.queries)
    queries = list(task.queries.values())
    ragdoll = [sys.executable, "-m", "ragdoll"]
    contestants = {"script": _scripts(sys.executable, SCRIPT_INDEX, SCRIPT_QUERY)}
    if options.txtai:
        contestants["txtai"] = _scripts(options.txtai, TXTAI_INDEX, TXTAI_QUERY)
    print(f"{len(task.texts):,} passages, {len(queries)} queries")
    with tempfile.TemporaryDirectory() as work:
        passages = Path(work, "passages.jsonl")
        lines = (json.dumps({"_id": id_, "text": text}) for id_, text in task.texts.items())
        passages.write_text("\n".join(lines) + "\n")
        model = str(options.model)
        seconds = {
            name: _timed([*contestant.index, model, str(passages), f"{work}/{name}"])
            for name, contestant in contestants.items()
        }
        place = ["--model", model, "--database", f"{work}/ragdoll"]
        seconds["ragdoll"] = _timed([*ragdoll, "index", str(passages), *place, "--quiet"])
        cold: dict[str, list[float]] = {}
        warm: dict[str, list[Answer]] = {}
        for query in queries[: options.cold]:
            for name, contestant in contestants.items():
                command = [*contestant.query, model, f"{work}/{name}", query]
                cold.setdefault(name, []).append(_timed(command))
            for mode in ("vector", "hybrid"):
                command = [*ragdoll, "query", "--mode", mode, *place, "--json", "--", query]
                cold.setdefault(f"ragdoll, {mode}", []).append(_timed(command))
        for name, contestant in contestants.items():
            warm[name] = _warm([*contestant.query, model, f"{work}/{name}", *queries], task)
        together = {}
        for mode in ("vector", "hybrid"):
            command = [*ragdoll, "query", "-", "--mode", mode, *place]
            warm[f"ragdoll, {mode}"] = _in_turn(command, queries)
            many = queries * math.ceil(1000 / len(queries))
            together[mode] = len(many) / _timed(command, "\n".join(many) + "\n")
        disk = {name: _size(Path(work, name)) for name in seconds}
    _show(len(task.texts), seconds, disk, cold, warm)
    for name, answers in warm.items():
        print(f"{name:16} nDCG@10 {_ndcg(answers, task):.4f}")
    for mode, rate in together.items():
        print(f"together, {mode}: {rate:,.0f} queries a second")


def _scripts(python: str, index: str, query: str) -> Contestant:
    return Contestant([python, "-c", index], [python, "-c", query])


def _known(texts: list[str], count: int) -> Task:
    named = {str(number): text for number, text in enumerate(texts)}
    chance = np.random.default_rng(0)
    long = {id_: words for id_, text in named.items() if len(words := text.split()) > 2 * _WORDS}
    queries = {}
    for id_ in chance.choice(list(long), count, replace=False).tolist():
        start = int(chance.integers(len(long[id_]) - _WORDS))
        queries[id_] = " ".join(long[id_][start : start + _WORDS])
    return Task(named, queries, {id_: {id_: 1} for id_ in queries})


def _judged(texts: list[str], folder: Path) -> Task:
    collection = load_beir(folder)
    others = {f"other-{number}": text for number, text in enumerate(texts)}
    # txtai cannot take a text without words: its vector has no direction.
    documents = {id_: text for id_, text in collection.documents.items() if text.strip()}
    return Task({**documents, **others}, collection.queries, collection.qrels)


def _ndcg(answers: list[Answer], task: Task) -> float:
    run = {
        query: {id_: -float(rank) for rank, id_ in reversed(list(enumerate(answer.found)))}
        for query, answer in zip(task.queries, answers, strict=True)
    }
    return float(np.mean(measure(run, task.qrels, 10)["ndcg"]))


def _timed(command: list[str], stdin: str | None = None) -> float:
    started = time.perf_counter()
    subprocess.run(command, input=stdin, check=True, text=True, stdout=subprocess.PIPE)
    return time.perf_counter() - started


def _warm(command: list[str], task: Task) -> list[Answer]:
    ids = {text: id_ for id_, text in task.texts.items()}
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE)
    lines = map(json.loads, done.stdout.splitlines())
    return [Answer(seconds, [ids[text] for text in found]) for seconds, found in lines]


def _in_turn(command: list[str], queries: list[str]) -> list[Answer]:
    answers = []
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, bufsize=1, stdin=pipe, stdout=pipe) as process:
        assert process.stdin
        assert process.stdout
        # Before the first answer the process starts, as that of the others before the clock runs.
        for query in [queries[0], *queries]:
            started = time.perf_counter()
            process.stdin.write(" ".join(query.split()) + "\n")
            process.stdin.flush()
            hits = json.loads(process.stdout.readline())["hits"]
            found = [hit["source"].partition("#")[2] for hit in hits]
            answers.append(Answer(time.perf_counter() - started, found))
        process.stdin.close()
    return answers[1:]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _show(
    passages: int,
    seconds: dict[str, float],
    disk: dict[str, int],
    cold: dict[str, list[float]],
    warm: dict[str, list[Answer]],
) -> None:
    print(f"{'':16} {'passages/s':>10} {'x script':>8} {'MB':>6}")
    for name, taken in seconds.items():
        ratio = seconds["script"] / taken
        print(f"{name:16} {passages / taken:10,.0f} {ratio:8.2f} {disk[name] / 1e6:6.0f}")
    print(
        f"{'query':16} {'cold p50':>9} {'p95 s':>6} {'x script':>8} {'warm p50':>9} {'p95 ms':>6}"
    )
    for name, runs in cold.items():
        usual, rare = np.percentile(runs, [50, 95])
        ratio = usual / np.median(cold["script"])
        quick, slow = np.percentile([a.seconds for a in warm[name]], [50, 95]) * 1000
        print(f"{name:16} {usual:9.2f} {rare:6.2f} {ratio:8.2f} {quick:9.1f} {slow:6.1f}")


if __name__ == "__main__":
    main()
