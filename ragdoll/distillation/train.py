"""From features to a static model on disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ragdoll import __version__
from ragdoll.distillation import model_folder
from ragdoll.distillation.agreement import linear_loss, neighbour_agreement
from ragdoll.distillation.device import choose_device
from ragdoll.distillation.distillate import distil, recipe, reuse
from ragdoll.distillation.features import Features, load_features
from ragdoll.distillation.teacher import require_training_extra
from ragdoll.distillation.teacher_files import TeacherFiles, find_teacher
from ragdoll.distillation.vocabulary import corpus_vocabulary
from ragdoll.distillation.weighting import weighted
from ragdoll.errors import FeaturesError, TrainingError, UsageError
from ragdoll.progress import Report, silent

if TYPE_CHECKING:
    from model2vec import StaticModel

logger = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
Variant = Literal["weighted", "unweighted"]

# As tokenlearn: a tenth of the passages, at most this many, is held out.
_MAX_HELD_OUT = 10_000
# Agreement compares every pair of held-out passages; the linear loss solves for a map.
_MAX_COMPARED = 2_000
_MAX_FITTED = 20_000


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What determines a model, beside its features.

    ``batch_size``, ``lr`` and ``epochs`` None are the method's own; ``vocab_size`` counts words of
    the corpus that are added to the teacher's vocabulary.
    """

    features: Path
    output: Path
    method: Literal["tokenlearn"] = "tokenlearn"
    pca_dims: int = 256
    vocab_size: int = 0
    batch_size: int | None = None
    lr: float | None = None
    patience: int = 5
    epochs: int | None = None
    seed: int = 0
    device: str = "auto"
    save_dtype: Literal["float32", "float16", "int8"] = "float32"

    def wanted(self) -> dict[str, Any]:
        """The settings that, when changed, make another model of the same features."""
        left_out = {"features", "output", "device"}
        return {key: getattr(self, key) for key in self.__slots__ if key not in left_out}


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained model.

    ``agreement`` maps ``distillate``, ``weighted`` and ``unweighted`` to the share of the teacher's
    ten nearest held-out neighbours that each finds; ``recommended`` is the variant at the root of
    the model folder. ``explained_variance`` is the share that the PCA of the targets keeps.
    """

    model: Path
    distillate: Path
    variants: dict[str, Path]
    recommended: Variant
    dimension: int
    vocabulary: int
    method: str
    explained_variance: float
    validation_loss: float
    agreement: dict[str, float]
    epochs: int
    rows: int
    skipped: int
    seconds: float


def train(
    settings: TrainSettings,
    teacher: str | None = None,
    trust_remote_code: bool = False,
    report: Report = silent,
    replaces: Path | None = None,
    otherwise: str | None = None,
) -> TrainResult:
    """Train a static model on features and save it with its variants and its distillate.

    ``teacher`` is needed only where the features do not name theirs; ``otherwise`` is then taken if
    it is None. ``replaces`` is an earlier model whose distillate serves again if it was made
    the same way (None: the one at the output).

    Raises:
        MissingExtraError: the training extra is not installed.
        FeaturesError: the features cannot be used, or are of another teacher.
        TrainingError: there are too few passages, or the loss is no number.
        UsageError: no teacher is known, or the output folder holds something else.
    """
    started = time.perf_counter()
    require_training_extra("Training")
    model_folder.refuse_foreign(settings.output)
    report("reading features", 0, None)
    features = load_features(settings.features)
    files = _teacher_of(features, teacher, otherwise)
    device = _training_device(settings.device)
    report("fitting the PCA", 0, None)
    data = _prepare(features, settings)

    vocabulary = corpus_vocabulary(data.texts, settings.vocab_size)
    made_by = recipe(files, vocabulary, settings.pca_dims)
    distillate = reuse(replaces or settings.output, made_by)
    if distillate is None:
        report("distilling the teacher", 0, None)
        distillate = distil(files, vocabulary, settings.pca_dims, device, trust_remote_code)
    trained, epochs = _fit(distillate, data, settings, device, report)

    report("comparing the variants", 0, None)
    variants = {
        name: model_folder.quantized(model, settings.save_dtype)
        for name, model in (("weighted", weighted(trained, data.texts)), ("unweighted", trained))
    }
    agreement = {
        name: data.agreement(model)
        for name, model in {"distillate": distillate, **variants}.items()
    }
    recommended: Variant = (
        "weighted" if agreement["weighted"] >= agreement["unweighted"] else "unweighted"
    )
    loss = data.loss(variants[recommended])
    provenance = {
        "teacher": {"name": files.name, "fingerprint": files.fingerprint},
        "metric": files.metric,
        "method": settings.method,
        "settings": settings.wanted(),
        "features": {**features.settings, "identity": features.identity},
        "rows": len(features.texts),
        "distillate": made_by,
        "explained_variance": round(data.explained_variance, 6),
        "validation_loss": float(f"{loss:.6g}"),
        "heldout_agreement": {name: round(value, 6) for name, value in agreement.items()},
        "recommended": recommended,
        "epochs": epochs,
        "versions": _versions(),
    }
    report("saving", 0, None)
    model_folder.save(settings.output, variants, recommended, distillate, provenance)
    vocabulary_size, dimension = variants[recommended].embedding.shape
    return TrainResult(
        model=settings.output,
        distillate=settings.output / "distillate",
        variants={name: settings.output / "variants" / name for name in variants},
        recommended=recommended,
        dimension=int(dimension),
        vocabulary=int(vocabulary_size),
        method=settings.method,
        explained_variance=data.explained_variance,
        validation_loss=loss,
        agreement=agreement,
        epochs=epochs,
        rows=len(features.texts),
        skipped=features.skipped,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Data:
    """What is trained on and what is held out: texts, PCA targets, and the teacher's vectors."""

    texts: list[str]
    targets: Vectors
    held_texts: list[str]
    held_targets: Vectors
    held_vectors: Vectors
    explained_variance: float

    def agreement(self, model: StaticModel) -> float:
        """How well a model finds the teacher's neighbours among the held-out passages."""
        texts = self.held_texts[:_MAX_COMPARED]
        return neighbour_agreement(_encode(model, texts), self.held_vectors[:_MAX_COMPARED])

    def loss(self, model: StaticModel) -> float:
        """The held-out error of the best linear map from a model's vectors to the targets."""
        fitted = _encode(model, self.texts[:_MAX_FITTED])
        return linear_loss(
            (fitted, _encode(model, self.held_texts)),
            (self.targets[:_MAX_FITTED], self.held_targets),
        )


def _prepare(features: Features, settings: TrainSettings) -> _Data:
    """Hold out passages by the seed, and reduce the targets by a PCA of the others."""
    held_out, training = _split(len(features.texts), settings)
    targets, explained = _project(features.vectors, training, settings.pca_dims)
    return _Data(
        texts=[features.texts[row] for row in training],
        targets=targets[training],
        held_texts=[features.texts[row] for row in held_out],
        held_targets=targets[held_out],
        held_vectors=features.vectors[held_out],
        explained_variance=explained,
    )


def _fit(
    distillate: StaticModel, data: _Data, settings: TrainSettings, device: str, report: Report
) -> tuple[StaticModel, int]:
    """Train by the method; return the model and the epochs."""
    from ragdoll.distillation import tokenlearn_method as method

    with _reproducible(settings.seed):
        trained, epochs = method.fit(
            distillate,
            (data.texts, data.targets),
            (data.held_texts, data.held_targets),
            batch_size=settings.batch_size or method.BATCH_SIZE,
            lr=settings.lr or method.LEARNING_RATE,
            patience=settings.patience,
            epochs=settings.epochs,
            device=device,
            report=report,
        )
    if not np.isfinite(trained.embedding).all():
        raise TrainingError(
            "The training diverged: its loss is no longer a number.",
            hint="Lower the learning rate: --lr 1e-4",
        )
    return trained, epochs


def _teacher_of(features: Features, given: str | None, otherwise: str | None) -> TeacherFiles:
    name = features.teacher or given or otherwise
    if name is None:
        raise UsageError(
            "The features do not say which teacher made them.", hint="Name it by --teacher."
        )
    if given is not None and given != name:
        raise FeaturesError(
            f"The features were made by the teacher {name}, not by {given}.",
            hint="Leave --teacher out, or featurize with the other teacher.",
        )
    files = find_teacher(name)
    if features.teacher_fingerprint not in (None, files.fingerprint):
        raise FeaturesError(
            f"The weights of {name} are not those that made the features.",
            hint="Featurize again with --restart.",
        )
    return files


def _split(rows: int, settings: TrainSettings) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Choose the held-out rows by the seed; return (held out, training), each shuffled."""
    count = min(_MAX_HELD_OUT, rows // 10)
    if rows - count < settings.pca_dims or count < 1:
        raise TrainingError(
            f"{rows} passages are too few for {settings.pca_dims} dimensions: "
            f"{max(10, settings.pca_dims + (settings.pca_dims - 1) // 9)} are needed.",
            hint="Featurize more text, or lower --pca-dims.",
        )
    order = np.random.default_rng(settings.seed).permutation(rows)
    return order[:count], order[count:]


def _project(vectors: Vectors, training: npt.NDArray[Any], dimension: int) -> tuple[Vectors, float]:
    """Fit a PCA on the training rows, apply it to all; return targets and explained variance."""
    from sklearn.decomposition import PCA

    if dimension > vectors.shape[1]:
        raise TrainingError(
            f"--pca-dims {dimension} is more than the {vectors.shape[1]} dimensions of the teacher."
        )
    pca = PCA(n_components=dimension, svd_solver="full")
    pca.fit(vectors[training])
    return (
        pca.transform(vectors).astype(np.float32),
        float(pca.explained_variance_ratio_.sum()),
    )


def _encode(model: StaticModel, texts: Sequence[str]) -> Vectors:
    return np.asarray(model.encode(list(texts)), dtype=np.float32)


def _training_device(device: str) -> str:
    """Resolve the device; model2vec and tokenlearn refuse MPS with the torch that is required."""
    chosen = choose_device(device)
    if chosen == "mps":
        logger.warning("Training runs on the CPU: tokenlearn does not train on MPS.")
        return "cpu"
    return chosen


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed torch and let it add up in a fixed order, which costs nothing that can be measured."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(seed)
    # Only a warning where a device has no such algorithm: then runs differ in the last bits.
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _versions() -> dict[str, str]:
    names = ("torch", "model2vec", "tokenlearn", "sentence-transformers", "scikit-learn", "numpy")
    return {"ragdoll": __version__, **{name: version(name) for name in names}}
