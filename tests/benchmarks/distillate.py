"""The speed of making the distillate, beside ``model2vec.distill``.

    python -m tests.benchmarks.distillate [--repeat N] [--teacher NAME] [--device NAME] [--dtype T]

Both run in turn on this machine. The time is from a teacher's folder to a static model in memory;
loading counts, and importing torch and its companions does not. The seconds of all cores depend
less on what else the machine does. The type to compute in is chosen before, as featurize chooses it
for training. The cosines are between the token vectors of the two before the PCA.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from ragdoll.cli.console import silence_libraries
from ragdoll.corpus.reading import read
from ragdoll.distillation.teacher.files import TeacherFiles, find_teacher, silence_transformers
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.distillation.training.distillate import TokenVectors, distillate_of, token_vectors


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=1, help="the median counts")
    parser.add_argument("--teacher", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto", help="what ragdoll computes in")
    parser.add_argument("--pca-dims", type=int, default=256)
    options = parser.parse_args()
    silence_libraries()
    os.environ["TQDM_DISABLE"] = "1"
    files = find_teacher(options.teacher)
    import model2vec.distill  # noqa: F401  (so that importing is not timed)
    import sentence_transformers  # noqa: F401

    silence_transformers()
    options.dtype = _settled(files, options)
    seconds: dict[str, list[tuple[float, float]]] = {"model2vec": [], "ragdoll": []}
    for _ in range(options.repeat):
        (theirs, raw), took = _timed(lambda: _model2vec(files, options))
        seconds["model2vec"].append(took)
        (ours, tokens), took = _timed(lambda: _ragdoll(files, options))
        seconds["ragdoll"].append(took)
    assert ours.tokens == theirs.tokens, "the vocabularies differ"
    cosines = _cosines(raw, tokens.vectors)
    print(f"{len(raw):,} tokens of {files.name}, {raw.shape[1]} dimensions")
    print(f"ragdoll computes in {options.dtype}")
    for what, column in (("seconds", 0), ("seconds of all cores", 1)):
        one, other = (
            statistics.median(took[column] for took in seconds[name])
            for name in ("model2vec", "ragdoll")
        )
        print(f"{what:20} model2vec.distill {one:7.2f}  ragdoll {other:7.2f}  x {other / one:.2f}")
    print(f"cosine before the PCA: min {cosines.min():.6f}, mean {cosines.mean():.6f}")
    print(f"similarities after it: differ by {_difference(theirs.embedding, ours.embedding):.6f}")


def _settled(files: TeacherFiles, options: argparse.Namespace) -> str:
    """Return the type that featurize would compute in."""
    teacher = Teacher(files, options.device, options.dtype)
    texts = [document.text for document in islice(read("python:asyncio"), 512)]
    return teacher.settle_dtype(teacher.tokenize(texts), "mean")


def _timed(make: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return the result, with the seconds that passed and the seconds of all cores."""
    started, worked = time.perf_counter(), time.process_time()
    made = make()
    return made, (time.perf_counter() - started, time.process_time() - worked)


def _model2vec(files: TeacherFiles, options: argparse.Namespace) -> tuple[Any, Any]:
    """Distil with the library; return its model, and its token vectors before the PCA."""
    from model2vec.distill import distill, distillation

    kept = []
    reduce = distillation.apply_pca

    def keep(vectors: Any, size: int) -> Any:
        kept.append(vectors)
        return reduce(vectors, size)

    distillation.apply_pca = keep
    try:
        model = distill(
            str(files.path),
            pca_dims=options.pca_dims,
            device=options.device,
            quantize_to="float32",
        )
    finally:
        distillation.apply_pca = reduce
    return model, kept[0]


def _ragdoll(files: TeacherFiles, options: argparse.Namespace) -> tuple[Any, TokenVectors]:
    tokens = token_vectors(files, [], options.device, dtype=options.dtype)
    return distillate_of(tokens, options.pca_dims, files.name), tokens


def _cosines(one: Any, other: Any) -> Any:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.maximum(lengths, 1e-12)


def _difference(one: Any, other: Any, rows: int = 2000) -> float:
    """Return the largest difference in cosine similarity between the same pairs of tokens."""
    chosen = np.random.default_rng(0).choice(len(one), min(rows, len(one)), replace=False)
    unit = [
        table[chosen] / np.linalg.norm(table[chosen], axis=1)[:, None] for table in (one, other)
    ]
    return float(np.abs(unit[0] @ unit[0].T - unit[1] @ unit[1].T).max())


if __name__ == "__main__":
    main()
