"""Features as training reads them: PCA targets and bags of tokens, projected once onto disk.

What is written is disposable: it can be made again from the features, and is when it does not fit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.features.reading import Features
from ragdoll.distillation.training.token_bags import (
    Bags,
    bags,
    mapped,
    open_bags,
    tokenize,
    writing,
)
from ragdoll.embedding.vectors import Vectors, unit
from ragdoll.errors import TrainingError, number_of
from ragdoll.files import atomic_write
from ragdoll.streams import Report

if TYPE_CHECKING:
    from model2vec import StaticModel

# Agreement compares every pair of held-out passages.
MAX_COMPARED = 2_000

_TRAINING, _HELD_OUT = "training", "held-out"
_FACTS = "projection.json"
_ARRAYS = ("teacher_vectors", "spread", "occurrences", "documents")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a projection depends on, beside the features and the tokenizer.

    ``unit``: the teacher's vectors are brought to length one first. ``max_held_out`` bounds the
    tenth of the passages that is held out, which ``seed`` chooses.
    """

    dimension: int
    unit: bool
    max_held_out: int
    seed: int


class Passages(NamedTuple):
    """Passages as bags of tokens, and their targets of shape (passages, dimension)."""

    bags: Bags
    targets: Vectors


@dataclass(frozen=True, slots=True)
class Projection:
    """What is trained on and what is held out.

    ``teacher_vectors`` are the teacher's own, of the first held-out passages. ``spread`` is the
    standard deviation of each column of the targets, whose mean is zero. ``occurrences`` and
    ``documents`` count each token, and the passages that hold it. ``skipped`` counts rows with a
    NaN.
    """

    training: Passages
    held_out: Passages
    teacher_vectors: Vectors
    spread: Vectors
    occurrences: npt.NDArray[np.float64]
    documents: npt.NDArray[np.float64]
    explained_variance: float
    rows: int
    skipped: int


def project(
    features: Features, model: StaticModel, wanted: Wanted, folder: Path, key: str, report: Report
) -> Projection:
    """Project features into a folder, or find there what an earlier run of the same ``key`` left.

    Raises:
        FeaturesError: the features cannot be read.
        TrainingError: without the passages that have a NaN, too few are left.
    """
    width = len(model.embedding)
    facts = _facts(folder, key)
    if facts is not None:
        # What is no longer whole is made again; reading arrays raises errors of many kinds.
        with suppress(Exception):
            return _open(folder, facts, width, wanted.dimension)
    facts = _write(_Projector(features, model, wanted, folder, report), key)
    return _open(folder, facts, width, wanted.dimension)


def refuse_dimension(asked: int, dimension: int) -> None:
    """Check that a model is to have no more dimensions than its teacher's vectors.

    Raises:
        TrainingError: it is.
    """
    if asked > dimension:
        raise TrainingError(
            f"--pca-dims {asked} is more than the {dimension} dimensions of the teacher."
        )


def check(features: Features, wanted: Wanted) -> None:
    """Check what can be known beforehand.

    Raises:
        TrainingError: there are too few passages, or the teacher has too few dimensions.
    """
    refuse_dimension(wanted.dimension, features.dimension)
    held_out_rows(features.rows, wanted)


def held_out_rows(rows: int, wanted: Wanted) -> npt.NDArray[np.bool_]:
    """Choose the held-out passages: a mask of ``rows``.

    Raises:
        TrainingError: too few would be left for the PCA.
    """
    count = min(wanted.max_held_out, rows // 10)
    if rows - count < wanted.dimension or count < 1:
        needed = max(10, wanted.dimension + (wanted.dimension - 1) // 9)
        instead = f", or lower --pca-dims to {rows - count} or less" if count else ""
        raise TrainingError(
            f"For {number_of('dimension', wanted.dimension)}, {number_of('passage', needed)} are "
            f"needed; there {'is' if rows == 1 else 'are'} {rows:,}.",
            hint=f"Give it more text{instead}.",
        )
    mask = np.zeros(rows, dtype=np.bool_)
    mask[np.random.default_rng(wanted.seed).choice(rows, count, replace=False)] = True
    return mask


class _Projector:
    """The two passes over the features: tokens and moments, then targets."""

    def __init__(
        self, features: Features, model: StaticModel, wanted: Wanted, folder: Path, report: Report
    ) -> None:
        self.wanted = wanted
        self.folder = folder
        self._features = features
        self._model = model
        self._report = report
        self._width = len(model.embedding)
        self._held_out = held_out_rows(features.rows, wanted)
        self.rows = 0
        self.skipped = 0

    def count(self) -> tuple[_Moments, dict[str, npt.NDArray[np.float64]]]:
        """Write the bags; return the moments of the vectors and how often each token occurs."""
        moments = _Moments(self._features.dimension)
        counts = {"occurrences": np.zeros(self._width), "documents": np.zeros(self._width)}
        with ExitStack() as stack:
            training, held_out = (
                stack.enter_context(writing(self.folder, name)) for name in (_TRAINING, _HELD_OUT)
            )
            for texts, vectors, held in self._batches("reading features"):
                moments.add(vectors)
                ids = tokenize(self._model, texts)
                matrix = bags(ids, self._width)
                lengths = np.fromiter(map(len, ids), dtype=np.float64, count=len(ids))
                found = matrix.data * np.repeat(lengths, np.diff(matrix.indptr))
                counts["occurrences"] += np.bincount(matrix.indices, found, self._width)
                counts["documents"] += np.bincount(matrix.indices, minlength=self._width)
                training(matrix[~held])
                held_out(matrix[held])
        self.skipped = self._features.rows - self.rows
        # Rows with a NaN are known only now.
        held_out_rows(self.rows, self.wanted)
        return moments, counts

    def write_targets(self, mean: Vectors, basis: Vectors) -> Vectors:
        """Write the targets; return the teacher's vectors of the first held-out passages."""
        kept: list[Vectors] = []
        with ExitStack() as stack:
            training, held_out = (
                stack.enter_context((self.folder / f"{name}.targets").open("wb"))
                for name in (_TRAINING, _HELD_OUT)
            )
            for _, vectors, held in self._batches("projecting the targets"):
                targets = np.asarray((vectors - mean) @ basis, dtype=np.float32)
                training.write(targets[~held].data)
                held_out.write(targets[held].data)
                if sum(map(len, kept)) < MAX_COMPARED:
                    kept.append(vectors[held])
        return np.concatenate(kept)[:MAX_COMPARED]

    def _batches(self, stage: str) -> Iterator[tuple[list[str], Vectors, npt.NDArray[np.bool_]]]:
        done = 0
        self._report(stage, 0, self._features.rows)
        for texts, vectors in self._features.batches():
            held = self._held_out[done : done + len(texts)]
            done += len(texts)
            yield texts, unit(vectors) if self.wanted.unit else vectors, held
            self._report(stage, done, self._features.rows)
        self.rows = done


class _Moments:
    """Mean and covariance of rows that come in batches."""

    def __init__(self, dimension: int) -> None:
        self._count = 0
        self._sum = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, vectors: Vectors) -> None:
        rows = vectors.astype(np.float64)
        self._count += len(rows)
        self._sum += rows.sum(axis=0)
        self._products += rows.T @ rows

    def components(self, dimension: int) -> tuple[Vectors, Vectors, Vectors, float]:
        """Return mean, basis (a column a component), spread, and the share of variance kept.

        The sign of a component is chosen so that its largest entry is positive.
        """
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values[::-1], 0)
        basis = vectors[:, ::-1][:, :dimension]
        largest = basis[np.abs(basis).argmax(axis=0), np.arange(dimension)]
        basis = basis * np.where(largest < 0, -1, 1)
        explained = float(values[:dimension].sum() / max(values.sum(), np.finfo(float).tiny))
        return (
            mean.astype(np.float32),
            basis.astype(np.float32),
            np.sqrt(values[:dimension]).astype(np.float32),
            explained,
        )


def _write(projector: _Projector, key: str) -> dict[str, Any]:
    """Write a projection; return the facts, which are written last."""
    folder = projector.folder
    (folder / _FACTS).unlink(missing_ok=True)
    moments, counts = projector.count()
    mean, basis, spread, explained = moments.components(projector.wanted.dimension)
    teacher_vectors = projector.write_targets(mean, basis)
    arrays: dict[str, npt.NDArray[Any]] = {
        "spread": spread,
        "teacher_vectors": teacher_vectors,
        **counts,
    }
    for name, array in arrays.items():
        _save(folder / f"{name}.npy", array)
    facts = {
        "key": key,
        "rows": projector.rows,
        "skipped": projector.skipped,
        "explained_variance": explained,
    }
    with atomic_write(folder / _FACTS) as aside:
        aside.write_text(json.dumps(facts), encoding="utf-8")
    return facts


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a projection that was written to its end."""
    return (folder / _FACTS).is_file()


def _save(file: Path, array: npt.NDArray[Any]) -> None:
    """Write an array as ``np.save`` does, which does not say why it cannot."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    file.write_bytes(content.getbuffer())


def _facts(folder: Path, key: str) -> dict[str, Any] | None:
    """What was written last of a projection; None where there is none of this key."""
    try:
        facts = json.loads((folder / _FACTS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) and facts.get("key") == key else None


def _open(folder: Path, facts: dict[str, Any], width: int, dimension: int) -> Projection:
    """Map what was written.

    Raises:
        Exception: it is not whole.
    """

    def passages(name: str) -> Passages:
        targets = mapped(folder / f"{name}.targets", np.float32).reshape(-1, dimension)
        bags = open_bags(folder, name, width)
        if len(bags) != len(targets):
            raise ValueError(f"{name}: {len(bags)} bags, {len(targets)} targets")
        return Passages(bags, targets)

    shapes = {"spread": (dimension,), "occurrences": (width,), "documents": (width,)}
    arrays = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in _ARRAYS}
    for name, shape in shapes.items():
        if arrays[name].shape != shape or arrays[name].dtype.kind != "f":
            raise ValueError(f"{name} is of another shape")
    found = Projection(
        training=passages(_TRAINING),
        held_out=passages(_HELD_OUT),
        explained_variance=float(facts["explained_variance"]),
        rows=int(facts["rows"]),
        skipped=int(facts["skipped"]),
        **arrays,
    )
    compared = min(len(found.held_out.targets), MAX_COMPARED)
    if found.teacher_vectors.ndim != 2 or len(found.teacher_vectors) != compared:
        raise ValueError("teacher_vectors are of other passages")
    if len(found.training.targets) + len(found.held_out.targets) != found.rows:
        raise ValueError("targets of other passages")
    return found
