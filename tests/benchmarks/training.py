"""The quality and the speed of ``train``, beside the library tokenlearn called directly.

    python -m tests.benchmarks.training COLLECTION [COLLECTION ...] [--seeds N] [--work FOLDER]

Each collection is a folder in BEIR layout. Its documents alone are trained on; its judged queries
are asked of the models by vector alone. Both learn from the same features, seed by seed in turn.
Seconds go from the features on disk to the saved model, the distillate included: for tokenlearn by
``model2vec.distill``, as its own command has it, but once for all seeds and collections. nDCG@10
is the mean over the seeds; p is of the paired randomization test over the queries, each with its
mean over the seeds.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ragdoll.cli.console import silence_libraries
from ragdoll.corpus.reading import read
from ragdoll.distillation.features.featurize import featurize
from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.training.train import train
from ragdoll.embedding import static
from ragdoll.evaluation.collection import load_beir
from ragdoll.evaluation.metrics import measure, paired_randomization
from ragdoll.evaluation.systems import static_similarities, vector_run
from ragdoll.settings import TeacherSettings, TrainSettings
from tests.distillation.reading import load_features

if TYPE_CHECKING:
    from model2vec import StaticModel

_K = 10


class Score(NamedTuple):
    """nDCG@10 of each query, mean over the seeds, and the seconds of each training."""

    ndcg: np.ndarray
    by_seed: list[float]
    seconds: list[float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="+", type=Path)
    parser.add_argument("--teacher", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="keep features and models here")
    parser.add_argument("--vocab-size", type=int, default=0, help="for ridge")
    options = parser.parse_args()
    silence_libraries()
    logging.disable(logging.INFO)
    work = options.work or Path(tempfile.mkdtemp())
    everything: dict[str, list[np.ndarray]] = {}
    print(f"{'collection':12} {'method':12} {'nDCG@10':>8} {'by seed':24} {'p':>7} {'seconds':>8}")
    for data in options.collections:
        features = _features(data, options.teacher, work / data.name)
        scores = _compare(data, features, options)
        for name, score in scores.items():
            everything.setdefault(name, []).append(score.ndcg)
            _show(data.name, name, score, scores["tokenlearn"])
    pooled = {name: np.concatenate(values) for name, values in everything.items()}
    for name, ndcg in pooled.items():
        _show("all", name, Score(ndcg, [], []), Score(pooled["tokenlearn"], [], []))
    if not options.work:
        shutil.rmtree(work)


def _show(collection: str, name: str, score: Score, reference: Score) -> None:
    by_seed = " ".join(f"{value:.4f}" for value in score.by_seed)
    p = paired_randomization(score.ndcg, reference.ndcg, 0) if score is not reference else None
    significance = "" if p is None or name == "tokenlearn" else f"{p:.4f}"
    seconds = f"{np.median(score.seconds):8.1f}" if score.seconds else ""
    mean = float(score.ndcg.mean())
    print(
        f"{collection:12} {name:12} {mean:8.4f} {by_seed:24} {significance:>7} {seconds}",
        flush=True,
    )


def _features(data: Path, teacher: str, folder: Path) -> Path:
    settings = TeacherSettings(model=teacher, dtype="float32")
    features = folder / "features"
    featurize(read(data / "corpus.jsonl"), features, teacher=settings)
    return features


def _compare(data: Path, features: Path, options: Any) -> dict[str, Score]:
    work = features.parent
    ways: dict[str, Callable[[int, Path], float]] = {
        "tokenlearn": lambda seed, output: _tokenlearn(features, options, seed, output),
        "ridge": lambda seed, output: _ridge(features, options, seed, output),
    }
    ndcg: dict[str, list[list[float]]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(options.seeds):
        for name, way in ways.items():
            output = work / f"{name}-{seed}"
            kept = output / "benchmark.json"
            if not kept.is_file():
                kept.write_text(json.dumps(way(seed, output)))
            seconds[name].append(json.loads(kept.read_text()))
            ndcg[name].append(_ndcg(data, output))
    return {
        name: Score(
            ndcg=np.mean(values, axis=0),
            by_seed=[float(np.mean(value)) for value in values],
            seconds=seconds[name],
        )
        for name, values in ndcg.items()
    }


def _ridge(features: Path, options: Any, seed: int, output: Path) -> float:
    settings = TrainSettings(seed=seed, vocab_size=options.vocab_size)
    return train(features, output, settings).seconds


def _tokenlearn(features: Path, options: Any, seed: int, output: Path) -> float:
    """Train as the library's own command does, on texts in an order that the seed chooses."""
    import torch
    from tokenlearn.train import train_model

    distillate, seconds = _distillate(options.teacher)
    started = time.perf_counter()
    texts, vectors, *_ = load_features(features)
    order = np.random.default_rng(seed).permutation(len(texts))
    texts, vectors = [texts[row] for row in order], vectors[order]
    torch.manual_seed(seed)
    train_model(copy.deepcopy(distillate), texts, vectors).save_pretrained(output)
    return seconds + time.perf_counter() - started


@cache
def _distillate(teacher: str) -> tuple[StaticModel, float]:
    """Return the library's distillate of a teacher, and the seconds that it took."""
    from model2vec.distill import distill

    started = time.perf_counter()
    model = distill(str(find_teacher(teacher).path), pca_dims=256, quantize_to="float32")
    return model, time.perf_counter() - started


def _ndcg(data: Path, model: Path) -> list[float]:
    collection = load_beir(data)
    similar = static_similarities(static.StaticModel.load(model), collection)
    run = vector_run(model.name, "model", similar, collection, _K)
    return list(measure(run.run, collection.qrels, _K)["ndcg"])


if __name__ == "__main__":
    main()
