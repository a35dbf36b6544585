"""A large table under load: memory, many questions in one process, many readers of one writer.

    python -m tests.benchmarks.load MODEL [--passages N] [--queries N] [--readers N]
        [--source SOURCE] [--work FOLDER]

The documents are sentences of the source (docstrings of installed packages), drawn at random, with
a number of their own each. A question is the text of a document that is short enough to be one
passage, so that it is its own best answer by vector; any other first answer is counted as wrong.
Three things are measured:

- the peak of anonymous memory (RssAnon; this needs Linux) of ``ragdoll index`` for a tenth of the
  documents and for all of them, approximate index included;
- ``ragdoll query -`` with all questions in one process: their rate, and the peak of its memory;
- as many readers at once, each asking one question after another, alone and then while a writer
  adds documents to the table and builds it anew.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import numpy as np

from ragdoll.corpus.reading import read
from tests.benchmarks.memory import peak_while

_QUERY = ["query", "-", "--mode", "vector", "--top-k", "3"]
_SENTENCES = (2, 5)
# Characters, of which each is a token at most.
_ONE_PASSAGE = 256
_END = re.compile(r"(?<=\.)\s+|\n\s*\n\s*")


class Question(NamedTuple):
    """The text of a document, and where it is."""

    text: str
    source: str


class Load(NamedTuple):
    """The seconds of each question, and the number of wrong first answers."""

    seconds: list[float]
    wrong: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--source", nargs="+", default=["python:stdlib"])
    parser.add_argument("--work", type=Path, help="where there is room for the table")
    options = parser.parse_args()
    pool = [s for document in read(*options.source) for s in _END.split(document.text) if s]
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        place = ["--model", str(options.model), "--database", f"{work}/db", "--json", "--quiet"]
        for passages in (options.passages // 10, options.passages):
            corpus = Path(work, "docs", "all.jsonl")
            _write(corpus, pool, range(passages))
            started = time.perf_counter()
            peak, result = _run(["index", str(corpus.parent), "--overwrite", *place])
            rate = json.loads(result)["chunks"] / (time.perf_counter() - started)
            print(f"index: {passages:,} documents, {rate:,.0f} passages a second, {_mib(peak)}")
        questions = _questions(pool, options.passages, options.queries)
        lines = "".join(question.text + "\n" for question in questions)
        started = time.perf_counter()
        peak, answers = _run([*_QUERY, *place], lines)
        rate = len(questions) / (time.perf_counter() - started)
        wrong = sum(map(_is_wrong, questions, map(json.loads, answers.splitlines())))
        print(f"query: {len(questions):,}, {rate:,.0f} a second, {wrong} wrong, {_mib(peak)}")
        _show("readers alone", _readers(options.readers, questions, place, None))
        more = Path(work, "docs", "more.jsonl")
        _write(more, pool, range(options.passages, options.passages + options.passages // 100))
        writer = ["index", str(more.parent), *place]
        _show("while documents are added", _readers(options.readers, questions, place, writer))
        writer.append("--overwrite")
        _show("while it is built anew", _readers(options.readers, questions, place, writer))


def _write(file: Path, pool: list[str], numbers: range) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for number in numbers:
            lines.write(json.dumps({"_id": str(number), "text": _text(pool, number)}) + "\n")


def _text(pool: list[str], number: int) -> str:
    chance = random.Random(number)
    words = " ".join(chance.choices(pool, k=chance.randint(*_SENTENCES))).split()
    return f"Note {number}. {' '.join(words)}"


def _questions(pool: list[str], passages: int, count: int) -> list[Question]:
    numbers = random.Random(0).sample(range(passages), passages)
    short = (number for number in numbers if len(_text(pool, number)) <= _ONE_PASSAGE)
    return [Question(_text(pool, n), f"all.jsonl#{n}") for n in islice(short, count)]


def _is_wrong(question: Question, answer: dict[str, Any]) -> bool:
    """Tell whether the first answer to a question is another one, and better than its own."""
    hits = answer["hits"]
    best = [hit["source"] for hit in hits if hit["score"] > hits[0]["score"] - 1e-6]
    return question.source not in best


def _run(arguments: list[str], stdin: str | None = None) -> tuple[int, str]:
    """Run ragdoll in a process of its own; return its peak of anonymous memory and its output."""
    command = [sys.executable, "-m", "ragdoll", *arguments]
    pipe = subprocess.PIPE
    outputs: list[str] = []
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as process:
        peak = peak_while(lambda: outputs.append(process.communicate(stdin)[0]), process.pid)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return peak, outputs[0]


def _readers(
    count: int, questions: list[Question], place: list[str], writer: list[str] | None
) -> Load:
    """Let readers ask while a writer runs, or each a hundred questions where there is none."""
    over = Event()
    with ThreadPoolExecutor(count) as pool:
        parts = [questions[number::count] for number in range(count)]
        if writer is None:
            loads = list(pool.map(lambda part: _reader(part[:100], place, over), parts))
        else:
            running = [pool.submit(_reader, part, place, over) for part in parts]
            _run(writer)
            over.set()
            loads = [reader.result() for reader in running]
    return Load([s for load in loads for s in load.seconds], sum(load.wrong for load in loads))


def _reader(questions: list[Question], place: list[str], over: Event) -> Load:
    """Ask one question after another, a process for each hundred of them, until it is over."""
    seconds: list[float] = []
    wrong = 0
    for part in _hundreds(questions):
        if over.is_set():
            break
        command = [sys.executable, "-m", "ragdoll", *_QUERY, *place]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, text=True, bufsize=1, stdin=pipe, stdout=pipe) as process:
            assert process.stdin
            assert process.stdout
            for question in part:
                started = time.perf_counter()
                process.stdin.write(question.text + "\n")
                process.stdin.flush()
                wrong += _is_wrong(question, json.loads(process.stdout.readline()))
                seconds.append(time.perf_counter() - started)
            process.stdin.close()
    return Load(seconds, wrong)


def _hundreds(questions: list[Question]) -> Iterator[list[Question]]:
    for start in range(0, len(questions), 100):
        yield questions[start : start + 100]


def _mib(size: int) -> str:
    return f"peak {size / 2**20:,.0f} MiB"


def _show(when: str, load: Load) -> None:
    p50, p95 = np.percentile(np.array(load.seconds) * 1000, [50, 95])
    print(
        f"{when}: {len(load.seconds):,} answers, {load.wrong} wrong, p50 {p50:.0f} ms, "
        f"p95 {p95:.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
