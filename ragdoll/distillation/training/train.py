"""From features to a static model on disk."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ragdoll import __version__
from ragdoll.distillation.features.reading import Features, open_features
from ragdoll.distillation.model import folder as model_folder
from ragdoll.distillation.model.folder import only_maker, workplace
from ragdoll.distillation.teacher.files import TeacherFiles, find_teacher, require_training_extra
from ragdoll.distillation.teacher.model import choose_device
from ragdoll.distillation.training import methods
from ragdoll.distillation.training.agreement import HeldOut
from ragdoll.distillation.training.distillate import distil, dtype_for, recipe, reuse, weighted
from ragdoll.distillation.training.projection import Projection, check, project
from ragdoll.distillation.training.vocabulary import corpus_vocabulary
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import FeaturesError, UsageError
from ragdoll.streams import Report, silent

if TYPE_CHECKING:
    from model2vec import StaticModel

Variant = Literal["weighted", "unweighted"]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What determines a model, beside its features.

    ``batch_size``, ``lr`` and ``epochs`` None are the method's own, and ``ridge`` has neither of
    the first two; ``vocab_size`` counts terms of the corpus that are added to the teacher's
    vocabulary.
    """

    features: Path
    output: Path
    method: methods.Method = "ridge"
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
    the model folder. ``explained_variance`` is the share that the PCA of the targets keeps,
    ``validation_loss`` the mean squared error of the best linear map from the model's vectors of
    held-out passages to their targets. ``interrupted``: from the keyboard, and the same training
    goes on from there when it is run again.
    """

    model: Path
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
    interrupted: bool = False

    @property
    def distillate(self) -> Path:
        """The folder of what the training began with."""
        return self.model / "distillate"

    @property
    def variants(self) -> dict[str, Path]:
        """The folders of both variants, by their names."""
        return {name: self.model / "variants" / name for name in get_args(Variant)}


def train(
    settings: TrainSettings,
    teacher: str | None = None,
    trust_remote_code: bool = False,
    report: Report = silent,
    replaces: Path | None = None,
    otherwise: str | None = None,
    keep_interrupted: bool = True,
    is_only_maker: bool = False,
) -> TrainResult:
    """Train a static model on features and save it with its variants and its distillate.

    ``teacher`` is needed only where the features do not name theirs, or where it is to be fetched
    or its code to be run; ``otherwise`` is then taken if it is None. ``replaces`` is an earlier
    model whose distillate serves again if it was made the same way (None: the one at the output).
    Work in progress is kept in a hidden folder beside the output, and is resumed after an
    interruption or a kill. An interruption gives the best model so far, unless ``keep_interrupted``
    is False. ``is_only_maker``: the caller has seen to it that no other process makes this model.

    Raises:
        MissingExtraError: the training extra is not installed.
        FeaturesError: the features cannot be used, or are of another teacher.
        TeacherError: the teacher or the device cannot be had.
        ModelError: the teacher's folder holds no model, or the weights only as a pickle.
        TrainingError: there are too few passages, the loss is no number, another process makes
            the same model, or it cannot be written.
        UsageError: no teacher is known, its code is to run and only the features name it, the
            output folder holds something else, or an option was given that the method does not
            have.
        KeyboardInterrupt: interrupted, and there was no model to keep.
    """
    started = time.perf_counter()
    require_training_extra("Training")
    wanted = methods.wanted(settings)
    model_folder.refuse_foreign(settings.output)
    features = open_features(settings.features)
    check(features, wanted)
    files = _teacher_of(features, teacher, otherwise, trust_remote_code)
    device = choose_device(settings.device)
    with (
        nullcontext() if is_only_maker else only_maker(settings.output),
        workplace(settings.output) as place,
    ):
        distillate, made_by = _distillate(
            settings, features, files, device, trust_remote_code, replaces, report
        )
        key = _key(features, made_by, settings)
        projection = project(features, distillate, wanted, place, key, report)
        task = methods.Task(distillate, features, projection, wanted, place, key)
        trained = methods.run(task, settings, report)
        if trained.interrupted and not keep_interrupted:
            raise KeyboardInterrupt
        report("comparing the variants", 0, None)
        measured = _compare(distillate, trained, projection, settings.save_dtype)
        report("saving", 0, None)
        provenance = _provenance(settings, files, made_by, task, trained, measured)
        result = _save(settings, task, trained, measured, provenance, started)
        if not trained.interrupted:
            model_folder.discard(place)
    return result


def _distillate(
    settings: TrainSettings,
    features: Features,
    files: TeacherFiles,
    device: str,
    trust_remote_code: bool,
    replaces: Path | None,
    report: Report,
) -> tuple[StaticModel, dict[str, Any]]:
    """Make the distillate, or take that of an earlier model; return with it what it depends on."""
    if settings.vocab_size:
        report("counting the terms of the corpus", 0, None)
    vocabulary = corpus_vocabulary(features.texts(), settings.vocab_size, files, trust_remote_code)
    dtype = dtype_for(features.settings.get("computed_in"), device)
    made_by = recipe(files, vocabulary, settings.pca_dims, dtype)
    distillate = reuse(replaces or settings.output, made_by)
    if distillate is None:
        distillate = distil(
            files, vocabulary, settings.pca_dims, device, trust_remote_code, dtype, report
        )
    return distillate, made_by


@dataclass(frozen=True, slots=True)
class _Measured:
    """The held-out agreement of distillate and variants, and the better variant with its loss."""

    agreement: dict[str, float]
    recommended: Variant
    loss: float


def _compare(
    distillate: StaticModel, trained: methods.Trained, projection: Projection, dtype: str
) -> _Measured:
    held_out = HeldOut(projection)
    tables = {
        name: model_folder.quantized(vectors, dtype)
        for name, vectors in _variants(trained.measured, projection).items()
    }
    agreement = {
        name: held_out.agreement(vectors)
        for name, vectors in {"distillate": distillate.embedding, **tables}.items()
    }
    recommended: Variant = (
        "weighted" if agreement["weighted"] >= agreement["unweighted"] else "unweighted"
    )
    return _Measured(agreement, recommended, held_out.loss(tables[recommended]))


def _save(
    settings: TrainSettings,
    task: methods.Task,
    trained: methods.Trained,
    measured: _Measured,
    provenance: dict[str, Any],
    started: float,
) -> TrainResult:
    """Write the model folder; say what is in it."""
    projection = task.projection
    variants = {
        name: model_folder.model_like(
            vectors, trained.tokenizer, task.distillate, settings.save_dtype
        )
        for name, vectors in _variants(trained.vectors, projection).items()
    }
    model_folder.save(settings.output, variants, measured.recommended, task.distillate, provenance)
    vocabulary_size, dimension = variants[measured.recommended].embedding.shape
    return TrainResult(
        model=settings.output,
        recommended=measured.recommended,
        dimension=int(dimension),
        vocabulary=int(vocabulary_size),
        method=settings.method,
        explained_variance=projection.explained_variance,
        validation_loss=measured.loss,
        agreement=measured.agreement,
        epochs=trained.epochs,
        rows=projection.rows,
        skipped=projection.skipped,
        seconds=time.perf_counter() - started,
        interrupted=trained.interrupted,
    )


def _variants(vectors: Vectors, projection: Projection) -> dict[str, Vectors]:
    """The guide's two: with and without weights by how often a token occurs in the corpus."""
    return {"weighted": weighted(vectors, projection.occurrences), "unweighted": vectors}


def _provenance(
    settings: TrainSettings,
    files: TeacherFiles,
    made_by: dict[str, Any],
    task: methods.Task,
    trained: methods.Trained,
    measured: _Measured,
) -> dict[str, Any]:
    """What the model says of itself in ``ragdoll.json`` and in its card."""
    features, projection = task.features, task.projection
    return {
        "teacher": {"name": files.name, "fingerprint": files.fingerprint},
        "metric": files.metric,
        "method": settings.method,
        "settings": settings.wanted(),
        "features": {**features.settings, "identity": features.identity},
        "rows": projection.rows,
        "distillate": made_by,
        "explained_variance": round(projection.explained_variance, 6),
        "validation_loss": float(f"{measured.loss:.6g}"),
        "heldout_agreement": {name: round(value, 6) for name, value in measured.agreement.items()},
        "recommended": measured.recommended,
        "epochs": trained.epochs,
        **({"interrupted": True} if trained.interrupted else {}),
        "versions": _versions(),
    }


def _key(features: Features, made_by: dict[str, Any], settings: TrainSettings) -> str:
    """What an unfinished training must agree with to be resumed."""
    content = json.dumps([features.signature, made_by, settings.wanted(), _versions()])
    return hashlib.sha256(content.encode()).hexdigest()


def _teacher_of(
    features: Features, given: str | None, otherwise: str | None, trust_remote_code: bool
) -> TeacherFiles:
    """Find the teacher; one that only the features name is not fetched, and its code is not run."""
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
    by_user = name in {given, otherwise}
    if trust_remote_code and not by_user:
        raise UsageError(
            f"The features name the teacher {name}, whose code you may not know.",
            hint="To run it, name that teacher too: --trust-remote-code --teacher NAME",
        )
    files = find_teacher(name, fetch=by_user)
    if features.teacher_fingerprint not in (None, files.fingerprint):
        raise FeaturesError(
            f"The weights of {name} are not those that made the features.",
            hint="Featurize again with --restart.",
        )
    return files


def _versions() -> dict[str, str]:
    names = ("torch", "model2vec", "tokenlearn", "sentence-transformers", "scikit-learn", "numpy")
    return {"ragdoll": __version__, **{name: version(name) for name in names}}
