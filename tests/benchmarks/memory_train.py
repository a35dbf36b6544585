"""The memory of ``train`` for a large features folder and for one twice as large.

    python -m tests.benchmarks.memory_train [--passages N] [--passes N] [--work FOLDER]

Features are synthetic: random vectors of 384 dimensions, and texts of 60 words that a teacher's
tokenizer knows, by Zipf's law. Each training is a process of its own, which distils the real
teacher. The peak is of anonymous memory (RssAnon in /proc/self/status, so this needs Linux), which
does not include files in the page cache.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.benchmarks.memory import peak_while

TEACHER = "sentence-transformers/all-MiniLM-L6-v2"
_ROWS_OF_PART = 50_000
_WORDS = 60
_DIMENSION = 384


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=1_000_000)
    parser.add_argument("--passes", type=int, default=2)
    parser.add_argument("--work", type=Path, help="where there is room for the features")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(run(options.run, options.passes))
        return
    peaks = []
    for passages in (options.passages, 2 * options.passages):
        with tempfile.TemporaryDirectory(dir=options.work) as folder:
            write_features(Path(folder, "features"), passages)
            command = [sys.executable, "-m", "tests.benchmarks.memory_train", "--run", folder]
            command += ["--passes", str(options.passes)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            peaks.append(int(done.stdout))
        print(f"{passages:>12,} passages: {peaks[-1] / 2**20:8,.0f} MiB", flush=True)
    print(f"{'growth':>21}: {peaks[1] / peaks[0] - 1:8.1%}")


def run(folder: Path, passes: int) -> int:
    """Train here; return the peak of anonymous memory in bytes."""
    from ragdoll.distillation.training.train import train
    from ragdoll.settings import TrainSettings

    settings = TrainSettings(epochs=passes)
    return peak_while(lambda: train(folder / "features", folder / "model", settings))


def write_features(folder: Path, rows: int) -> None:
    """Write synthetic features as ``featurize`` leaves them."""
    from tokenizers import Tokenizer

    from ragdoll.distillation.features.folder import FeaturesFolder
    from ragdoll.distillation.features.manifest import NO_HASH, Manifest
    from ragdoll.distillation.teacher.files import find_teacher

    files = find_teacher(TEACHER)
    vocabulary = Tokenizer.from_file(str(files.path / "tokenizer.json")).get_vocab()
    words = np.array(sorted(token for token in vocabulary if token.isascii() and token.isalpha()))
    random = np.random.default_rng(0)
    share = 1 / np.arange(1, len(words) + 1)
    features = FeaturesFolder(folder)
    manifest = Manifest(
        {"teacher": TEACHER, "teacher_fingerprint": files.fingerprint}, _DIMENSION, complete=True
    )
    for number, start in enumerate(range(0, rows, _ROWS_OF_PART)):
        count = min(_ROWS_OF_PART, rows - start)
        drawn = random.choice(words, size=(count, _WORDS), p=share / share.sum())
        texts = [" ".join(row) for row in drawn]
        vectors = random.standard_normal((count, _DIMENSION), dtype=np.float32)
        name = features.write_part(number, texts, vectors)
        part = {"file": name, "rows": count, "tokens": count * _WORDS, "hash": NO_HASH}
        manifest.parts.append(part)
    features.write_manifest(manifest)


if __name__ == "__main__":
    main()
