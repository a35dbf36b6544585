"""Features as training reads them: PCA targets and bags of tokens, projected once onto disk.

The files are disposable: they are made again from the features if they do not fit or are damaged.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import suppress
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
from ragdoll.settings import TrainSettings
from ragdoll.streams import Report

if TYPE_CHECKING:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

# Agreement compares every pair of held-out passages.
MAX_COMPARED = 2_000

# The least number of passages of which one can be held out, and of dimensions that are worth a
# training: with fewer, the distillate as it is found more in Cranfield's documents.
_LEAST_ROWS = 10
_LEAST_DIMENSION = 32

_TRAINING, _HELD_OUT = "training", "held-out"
_FACTS = "projection.json"


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """The settings of a projection.

    ``unit`` scales the teacher's vectors to length one first. A tenth of the passages is held out,
    at most ``max_held_out``; ``seed`` draws them.
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
    """The passages to train on, and those held out.

    ``teacher_vectors`` are the teacher's own vectors of the first held-out passages. ``spread`` is
    the standard deviation of each column of the targets, whose mean is zero. ``occurrences`` counts
    each token, ``documents`` the passages that hold it. ``skipped`` counts rows with a NaN.
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


@dataclass(frozen=True, slots=True)
class Task:
    """The work of a training method.

    ``held_out`` is a mask of the rows of the features. ``folder`` may hold work of an earlier run
    with the same ``key``, to resume from.
    """

    distillate: StaticModel
    features: Features
    projection: Projection
    held_out: npt.NDArray[np.bool_]
    folder: Path
    key: str


@dataclass(frozen=True, slots=True)
class Trained:
    """Token vectors, a row for each id of a tokenizer, after ``epochs`` passes over the passages.

    ``measured`` are vectors that never saw the held-out passages; ``vectors``, which are saved, may
    have seen them. ``interrupted`` tells that a signal ended the training early.
    """

    measured: Vectors
    vectors: Vectors
    tokenizer: Tokenizer
    epochs: int
    interrupted: bool = False


def project(
    features: Features,
    model: StaticModel,
    settings: ProjectionSettings,
    folder: Path,
    key: str,
    report: Report,
) -> Projection:
    """Project features into a folder, or open the projection of an earlier run of the same ``key``.

    Raises:
        FeaturesError: the features cannot be read.
        TrainingError: without the passages that have a NaN, too few are left.
    """
    width = len(model.embedding)
    # A missing or damaged projection is made again; reading one raises errors of many kinds.
    with suppress(Exception):
        facts = json.loads((folder / _FACTS).read_bytes())
        if facts["key"] == key:
            return _open(folder, facts, width, settings.dimension)
    facts = _Projector(features, model, settings, folder, report).write(key)
    return _open(folder, facts, width, settings.dimension)


def dimension_keeping(features: Features, share: float, scaled: bool, report: Report) -> int:
    """Return the least dimension whose PCA keeps a share of the variance of the features.

    ``scaled`` scales the teacher's vectors to length one first.

    Raises:
        FeaturesError: the features cannot be read.
    """
    moments = _Moments(features.dimension)
    done = 0
    for texts, vectors in features.batches():
        report("measuring the variance", done, features.rows)
        moments.add(unit(vectors) if scaled else vectors)
        done += len(texts)
    kept = np.cumsum(moments.variances())
    return int(np.searchsorted(kept, share * kept[-1])) + 1


def refuse_dimension(dimension: int, most: int) -> None:
    """Check that a model gets no more dimensions than its teacher's vectors have.

    Raises:
        TrainingError: it would get more.
    """
    if dimension > most:
        raise TrainingError(
            f"{dimension} dimensions are more than the {most} of the teacher.",
            hint=f"Give `pca_dims={most}` or less.",
        )


def is_open(dimensions: float) -> bool:
    """Tell whether ``pca_dims`` follow from the features: a share of the variance, or the default.

    The default means as many as the teacher has, if it has fewer.
    """
    return isinstance(dimensions, float) or dimensions == TrainSettings().pca_dims


def possible_dimension(wanted: int, rows: int) -> int | None:
    """Return the dimension that passages are enough for, at most ``wanted``.

    A PCA needs as many passages as dimensions. None where there are so few that the untrained
    distillate finds more than what they could teach it.
    """
    possible = min(wanted, rows - rows // 10)
    return possible if rows >= _LEAST_ROWS and possible >= min(wanted, _LEAST_DIMENSION) else None


def held_out_rows(rows: int, settings: ProjectionSettings) -> npt.NDArray[np.bool_]:
    """Choose the held-out passages: a mask of ``rows``.

    Raises:
        TrainingError: too few passages would be left for the PCA.
    """
    count = min(settings.max_held_out, rows // 10)
    if rows - count < settings.dimension or count < 1:
        needed = max(_LEAST_ROWS, settings.dimension + (settings.dimension - 1) // 9)
        alternative = f", or lower `pca_dims` to {rows - count} or less" if count else ""
        raise TrainingError(
            f"For {number_of('dimension', settings.dimension)}, {number_of('passage', needed)} are "
            f"needed; there {'is' if rows == 1 else 'are'} {rows:,}.",
            hint=f"Featurize more text{alternative}.",
        )
    mask = np.zeros(rows, dtype=np.bool_)
    mask[np.random.default_rng(settings.seed).choice(rows, count, replace=False)] = True
    return mask


def is_complete(folder: Path) -> bool:
    """Tell whether a folder holds a projection that was written to its end."""
    return (folder / _FACTS).is_file()


@dataclass
class _Projector:
    """The two passes over the features: tokens and moments, then targets."""

    features: Features
    model: StaticModel
    settings: ProjectionSettings
    folder: Path
    report: Report

    def write(self, key: str) -> dict[str, Any]:
        """Write the projection; return its facts, which are written last."""
        (self.folder / _FACTS).unlink(missing_ok=True)
        self._held_out = held_out_rows(self.features.rows, self.settings)
        moments, arrays = self._write_bags()
        # Rows with a NaN are known only now.
        held_out_rows(moments.count, self.settings)
        mean, basis, arrays["spread"], explained = moments.components(self.settings.dimension)
        arrays["teacher_vectors"] = self._write_targets(mean, basis)
        for name, array in arrays.items():
            _save(self.folder / f"{name}.npy", array)
        facts = {
            "key": key,
            "rows": moments.count,
            "skipped": self.features.rows - moments.count,
            "explained_variance": explained,
        }
        with atomic_write(self.folder / _FACTS) as aside:
            aside.write_text(json.dumps(facts), encoding="utf-8")
        return facts

    def _write_bags(self) -> tuple[_Moments, dict[str, npt.NDArray[Any]]]:
        """Write the bags; return the moments of the vectors and how often each token occurs."""
        width = len(self.model.embedding)
        moments = _Moments(self.features.dimension)
        occurrences, documents = np.zeros(width), np.zeros(width)
        with (
            writing(self.folder, _TRAINING) as training,
            writing(self.folder, _HELD_OUT) as held_out,
        ):
            for texts, vectors, held in self._batches("reading features"):
                moments.add(vectors)
                ids = tokenize(self.model, texts)
                matrix = bags(ids, width)
                lengths = np.fromiter(map(len, ids), dtype=np.float64, count=len(ids))
                tokens = matrix.data * np.repeat(lengths, np.diff(matrix.indptr))
                occurrences += np.bincount(matrix.indices, tokens, width)
                documents += np.bincount(matrix.indices, minlength=width)
                training(matrix[~held])
                held_out(matrix[held])
        return moments, {"occurrences": occurrences, "documents": documents}

    def _write_targets(self, mean: Vectors, basis: Vectors) -> Vectors:
        """Write the targets; return the teacher's vectors of the first held-out passages."""
        kept: list[Vectors] = []
        with (
            (self.folder / f"{_TRAINING}.targets").open("wb") as training,
            (self.folder / f"{_HELD_OUT}.targets").open("wb") as held_out,
        ):
            for _, vectors, held in self._batches("projecting the targets"):
                targets = np.asarray((vectors - mean) @ basis, dtype=np.float32)
                training.write(targets[~held].data)
                held_out.write(targets[held].data)
                if sum(map(len, kept)) < MAX_COMPARED:
                    kept.append(vectors[held])
        return np.concatenate(kept)[:MAX_COMPARED]

    def _batches(self, stage: str) -> Iterator[tuple[list[str], Vectors, npt.NDArray[np.bool_]]]:
        done = 0
        self.report(stage, 0, self.features.rows)
        for texts, vectors in self.features.batches():
            held = self._held_out[done : done + len(texts)]
            done += len(texts)
            yield texts, unit(vectors) if self.settings.unit else vectors, held
            self.report(stage, done, self.features.rows)


class _Moments:
    """The mean and the covariance of rows that come in batches."""

    def __init__(self, dimension: int) -> None:
        self.count = 0
        self._sum = np.zeros(dimension)
        self._products = np.zeros((dimension, dimension))

    def add(self, vectors: Vectors) -> None:
        rows = vectors.astype(np.float64)
        self.count += len(rows)
        self._sum += rows.sum(axis=0)
        self._products += rows.T @ rows

    def variances(self) -> npt.NDArray[np.float64]:
        """Return the variance along each principal component, the largest first."""
        values = np.asarray(np.linalg.eigvalsh(self._covariance())[::-1], dtype=np.float64)
        return values.clip(min=0)

    def components(self, dimension: int) -> tuple[Vectors, Vectors, Vectors, float]:
        """Return mean, basis (a column for each component), spread, and the share of variance kept.

        The largest entry of each component is positive.
        """
        values, vectors = np.linalg.eigh(self._covariance())
        values = np.maximum(values[::-1], 0)
        basis = vectors[:, ::-1][:, :dimension]
        largest = basis[np.abs(basis).argmax(axis=0), np.arange(dimension)]
        basis = basis * np.where(largest < 0, -1, 1)
        explained = float(values[:dimension].sum() / max(values.sum(), np.finfo(float).tiny))
        return (
            (self._sum / self.count).astype(np.float32),
            basis.astype(np.float32),
            np.sqrt(values[:dimension]).astype(np.float32),
            explained,
        )

    def _covariance(self) -> npt.NDArray[np.float64]:
        mean = self._sum / self.count
        covariance: npt.NDArray[np.float64] = self._products / self.count - np.outer(mean, mean)
        return covariance


def _save(file: Path, array: npt.NDArray[Any]) -> None:
    """Write an array; ``np.save`` itself would not say why a file cannot be written."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    file.write_bytes(content.getbuffer())


def _open(folder: Path, facts: dict[str, Any], width: int, dimension: int) -> Projection:
    """Map a projection.

    Raises:
        Exception: a file is missing, damaged, or of another projection.
    """

    def passages(name: str) -> Passages:
        targets = mapped(folder / f"{name}.targets", np.float32).reshape(-1, dimension)
        bags = open_bags(folder, name, width)
        if len(bags) != len(targets):
            raise ValueError(f"{name}: {len(bags)} bags, {len(targets)} targets")
        return Passages(bags, targets)

    def array(name: str, *shape: int) -> npt.NDArray[Any]:
        numbers: npt.NDArray[Any] = np.load(folder / f"{name}.npy", allow_pickle=False)
        if numbers.shape[: len(shape)] != shape or numbers.dtype.kind != "f":
            raise ValueError(f"{name} is of another shape")
        return numbers

    training, held_out = passages(_TRAINING), passages(_HELD_OUT)
    if len(training.targets) + len(held_out.targets) != facts["rows"]:
        raise ValueError("targets of other passages")
    return Projection(
        training,
        held_out,
        teacher_vectors=array("teacher_vectors", min(len(held_out.targets), MAX_COMPARED)),
        spread=array("spread", dimension),
        occurrences=array("occurrences", width),
        documents=array("documents", width),
        explained_variance=float(facts["explained_variance"]),
        rows=facts["rows"],
        skipped=int(facts["skipped"]),
    )
