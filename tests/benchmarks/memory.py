"""The memory of ``featurize`` for a small and for a large corpus.

    python -m tests.benchmarks.memory [--passages N] [--in-memory N]

Each run is a process of its own, with a teacher that computes nothing: it measures the corpus, the
passages, their duplicates and the features folder. The peak is of anonymous memory (RssAnon in
/proc/self/status, so this needs Linux), which does not include files in the page cache.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SMALL = 10_000


class IdleTeacher:
    """A teacher for which a word is a token, and every text is embedded as zeros."""

    dtype = "float32"

    def __init__(self, *arguments: object) -> None:
        from ragdoll.distillation.teacher.model import TeacherFacts

        self.facts = TeacherFacts("idle", 256, 256, "", has_token_vectors=True)

    def count_tokens(self, words: Sequence[str]) -> list[int]:
        return [1] * len(words)

    def tokenize(self, texts: Sequence[str]) -> Any:
        from ragdoll.distillation.teacher.model import Tokenized

        return Tokenized({"input_ids": [[0] * 8 for _ in texts]})

    def settle_dtype(self, sample: Any, target: str) -> str:
        return self.dtype

    def embed(self, texts: Any, *arguments: object) -> np.ndarray:
        return np.zeros((len(texts.lengths), 384), np.float32)


class Peak(NamedTuple):
    """The peak of anonymous memory in bytes; ``spilled`` tells that names were kept in a file."""

    bytes: int
    spilled: bool


def peak_of_a_run(passages: int, in_memory: int | None = None) -> Peak:
    """Featurize passages in a new process, which remembers at most ``in_memory`` in memory."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--run", str(passages)]
    if in_memory is not None:
        command += ["--in-memory", str(in_memory)]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=here)
    return Peak(*json.loads(done.stdout))


def run(passages: int, in_memory: int | None) -> Peak:
    """Featurize passages here."""
    from ragdoll.corpus import names as seen
    from ragdoll.corpus.reading import read
    from ragdoll.distillation.features import featurize as module
    from ragdoll.settings import FeaturizeSettings

    if in_memory is not None:
        seen._MOST_IN_MEMORY = in_memory
    spills, spilled = list[bool](), seen.Seen._spilled

    def noted(self: seen.Seen) -> sqlite3.Connection:
        spills.append(True)
        return spilled(self)

    seen.Seen._spilled = noted  # type: ignore[method-assign]
    module.Teacher = IdleTeacher  # type: ignore[assignment, attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.jsonl")
        with corpus.open("w") as file:
            for number in range(passages):
                words = " ".join(f"word{(number * 31 + place) % 5000}" for place in range(30))
                file.write(json.dumps({"_id": f"d{number}", "text": f"{number} {words}"}) + "\n")
        output, settings = Path(folder, "features"), FeaturizeSettings(max_means=passages)
        results = []

        def work() -> None:
            results.append(module.featurize(read(corpus), output, settings=settings))
            # A run that was interrupted at its end, and the one that goes on there.
            max((output / "data").iterdir()).unlink()
            results.append(module.featurize(read(corpus), output, settings=settings))

        peak = peak_while(work)
        assert [result.rows for result in results] == [passages, passages]
        assert 0 < results[1].rows_resumed < passages
        return Peak(peak, bool(spills))


def peak_while(work: Callable[[], object], process: int | str = "self") -> int:
    """Return the peak of a process's anonymous memory in bytes while ``work`` runs."""
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], _anonymous_memory(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        stop.set()
        watcher.join()
    return peak[0]


def _anonymous_memory(process: int | str) -> int:
    """Return the anonymous memory of a process in bytes; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    memory = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(memory[1]) * 1024 if memory else 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument(
        "--in-memory", type=int, help="passages to remember in memory, before a file"
    )
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(run(options.run, options.in_memory)))
        return
    small = peak_of_a_run(SMALL, options.in_memory).bytes
    large = peak_of_a_run(options.passages, options.in_memory).bytes
    for passages, peak in ((SMALL, small), (options.passages, large)):
        print(f"{passages:>12,} passages: {peak / 2**20:8,.0f} MiB")
    print(f"{'difference':>21}: {(large - small) / 2**20:8,.0f} MiB")


if __name__ == "__main__":
    main()
