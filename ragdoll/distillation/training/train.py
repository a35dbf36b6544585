"""Training: from features to a static model on disk."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ragdoll import __version__
from ragdoll.distillation.features.reading import Features, open_features
from ragdoll.distillation.model import folder as model_folder
from ragdoll.distillation.model.told import from_here
from ragdoll.distillation.teacher.files import TeacherFiles, find_teacher
from ragdoll.distillation.teacher.model import choose_device
from ragdoll.distillation.teacher.tokenizer import (
    StaticTokenizer,
    has_large_vocabulary,
    open_tokenizer,
)
from ragdoll.distillation.training import ridge_method
from ragdoll.distillation.training.agreement import held_out_agreement, held_out_loss
from ragdoll.distillation.training.distillate import distil, dtype_for, recipe, reuse, weighted
from ragdoll.distillation.training.projection import (
    Projection,
    ProjectionSettings,
    Task,
    Trained,
    dimension_keeping,
    held_out_rows,
    is_open,
    possible_dimension,
    project,
    refuse_dimension,
)
from ragdoll.distillation.training.vocabulary import listed_terms, read_terms, terms_of
from ragdoll.distillation.training.workplace import only_maker, workplace
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import FeaturesError, UsageError, number_of
from ragdoll.extras import require
from ragdoll.settings import FeaturizeSettings, TrainSettings
from ragdoll.streams import Report, silent

if TYPE_CHECKING:
    from model2vec import StaticModel

logger = logging.getLogger(__name__)

Variant = Literal["weighted", "unweighted"]

# The library tokenlearn holds out a tenth of the passages, at most this many.
_TOKENLEARN_HELD_OUT = 10_000


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained model, saved.

    ``agreement`` maps ``distillate``, ``weighted`` and ``unweighted`` to the share of the teacher's
    ten nearest held-out neighbours that each finds. ``recommended`` is the variant at the root of
    the model folder. ``explained_variance`` is the share that the PCA of the targets keeps.
    ``validation_loss`` is the mean squared error of the best linear map from the model's vectors of
    held-out passages to their targets. ``skipped`` counts passages with a NaN in their targets.
    ``interrupted`` tells that a signal ended the training; the same call resumes it. ``wanted`` is
    the dimension of the settings; where passages are too few for it, ``dimension`` is lower. Where
    they are too few for any, the model is the ``distillate``, and nothing was measured.
    ``available`` counts the passages of the features, of which ``rows`` are a sample if they are
    fewer.

    >>> result = train("features", "new model", TrainSettings(pca_dims=16))
    >>> result.dimension, sorted(result.agreement)
    (16, ['distillate', 'unweighted', 'weighted'])
    """

    model: Path
    recommended: Variant | Literal["distillate"]
    dimension: int
    vocabulary: int
    method: str
    explained_variance: float | None
    validation_loss: float | None
    agreement: dict[str, float]
    epochs: int
    rows: int
    skipped: int
    seconds: float
    interrupted: bool = False
    wanted: int = 0
    available: int = 0

    @property
    def distillate(self) -> Path:
        """The folder of the untrained distillate."""
        return self.model / "distillate"

    @property
    def variants(self) -> dict[str, Path]:
        """The folders of both variants, by name; empty where the distillate was not trained."""
        if self.recommended == "distillate":
            return {}
        return {name: self.model / "variants" / name for name in get_args(Variant)}


def train(
    features: str | Path | None = None,
    output: str | Path | None = None,
    settings: TrainSettings | None = None,
    *,
    teacher: str | None = None,
    trust_remote_code: bool = False,
    report: Report = silent,
) -> TrainResult:
    """Train a static model on features, and save it with its variants and its distillate.

    ``features`` and ``output`` None are the folders of the settings. ``teacher`` is needed if the
    features do not name theirs, if it must be fetched from the hub, or if ``trust_remote_code`` is
    to run its code.

    Unfinished work is kept in a hidden folder beside the output, and the same call resumes it after
    an interruption or a kill. An interruption saves the best model so far.

    >>> result = train("features", "model", TrainSettings(pca_dims=32, patience=2))
    >>> result.dimension
    32

    Raises:
        MissingExtraError: the extra for training is not installed.
        FeaturesError: the features cannot be used, or are of another teacher.
        TeacherError: the teacher or the device cannot be used.
        ModelError: the teacher's folder holds no model, or the weights only as a pickle.
        TrainingError: too many targets, or the loss, are no numbers; another process makes the same
            model; or it cannot be written.
        UsageError: no teacher is known, its code is to run and only the features name it, the
            output folder holds something else, or the method lacks one of the settings.
        KeyboardInterrupt: the training was interrupted before there was a model to save.
    """
    settings = settings or TrainSettings()
    if features is not None:
        settings = replace(settings, features=str(features))
    settings = replace(settings, output=str(model_folder.behind_links(output or settings.output)))
    with only_maker(Path(settings.output)):
        return Training(settings, teacher, trust_remote_code, report).run()


@dataclass
class Training:
    """One training by the only process that makes this model; see ``train``.

    The distillate of the model ``replaces`` is used again if it was made in the same way; None is
    the model at the output.
    """

    settings: TrainSettings
    teacher: str | None
    trust_remote_code: bool
    report: Report
    replaces: Path | None = None

    def __post_init__(self) -> None:
        """Open the features and find the teacher."""
        self._started = time.perf_counter()
        require("train", "Training")
        settings = self.settings
        self._output = Path(settings.output)
        _refuse_settings(settings)
        model_folder.refuse_foreign(self._output)
        features = open_features(settings.features or FeaturizeSettings().output)
        self._available = features.rows
        self._features = features.sample(settings.max_passages, settings.seed)
        scaled = settings.method == "ridge"
        self._dimension = (
            dimension_keeping(self._features, settings.pca_dims, scaled, self.report)
            if isinstance(settings.pca_dims, float)
            else settings.pca_dims
        )
        # Checked now, so that a training does not fail after long work.
        most = self._features.dimension
        if is_open(settings.pca_dims) and self._dimension > most:
            logger.warning("The model has the %d dimensions of its teacher.", most)
            self._dimension = most
        refuse_dimension(self._dimension, most)
        self._wanted = self._dimension
        possible = possible_dimension(self._wanted, self._features.rows)
        self._dimension = possible or self._wanted
        self._is_trained = possible is not None
        self._projection_settings = _projection_settings(settings, self._dimension)
        if self._is_trained:
            self._held_out = held_out_rows(self._features.rows, self._projection_settings)
        self._files = _teacher_of(self._features, self.teacher, self.trust_remote_code)
        self._device = choose_device(settings.device)

    def run(self, keep_interrupted: bool = True) -> TrainResult:
        """Train and save.

        An interruption saves the best model so far if ``keep_interrupted``, and else is raised.
        """
        settings, report, features = self.settings, self.report, self._features
        with workplace(self._output) as place:
            distillate, made_by = self._distillate()
            if not self._is_trained:
                return self._save_untrained(distillate, made_by)
            key = _key(features, made_by, settings)
            projection = project(
                features, distillate, self._projection_settings, place, key, report
            )
            task = Task(distillate, features, projection, self._held_out, place, key)
            trained = _method(settings.method)(task, settings, report)
            if trained.interrupted and not keep_interrupted:
                raise KeyboardInterrupt
            report("comparing the variants", 0, None)
            measured = _compare(distillate, trained, projection, settings.save_dtype)
            report("saving", 0, None)
            result = self._save(task, trained, measured, made_by)
            if not trained.interrupted:
                model_folder.discard(place)
        return result

    def _distillate(self) -> tuple[StaticModel, dict[str, Any]]:
        """Make the distillate, or load that of an earlier model; return it with its recipe."""
        settings, files, features = self.settings, self._files, self._features
        trust, report = self.trust_remote_code, self.report
        dtype = dtype_for(features.settings.get("computed_in"), self._device)
        reduces = settings.vocabulary == "auto" and has_large_vocabulary(files)
        tokenizer: StaticTokenizer | None = None
        vocabulary: list[str] = []
        if reduces or settings.terms or settings.vocab_size:
            report("reading the corpus for its tokens", 0, None)
            tokenizer = open_tokenizer(files, trust, features.texts() if reduces else None)
            if settings.terms:
                vocabulary = listed_terms(Path(settings.terms), tokenizer)
            vocabulary += terms_of(features.texts(), settings.vocab_size, tokenizer)
            vocabulary = list(dict.fromkeys(vocabulary))
        kept = tokenizer.own_tokens if tokenizer and reduces else None
        made_by = recipe(files, vocabulary, self._dimension, dtype, kept)
        return reuse(self.replaces or self._output, made_by) or (
            distil(
                files, vocabulary, self._dimension, self._device, trust, dtype, report, tokenizer
            ),
            made_by,
        )

    def _save(
        self, task: Task, trained: Trained, measured: _Measured, made_by: dict[str, Any]
    ) -> TrainResult:
        """Write the model folder, with the provenance that the model's card shows too."""
        settings, projection = self.settings, task.projection
        variants = {
            name: model_folder.model_like(
                vectors, trained.tokenizer, task.distillate, settings.save_dtype
            )
            for name, vectors in _variants(trained.vectors, projection).items()
        }
        recommended = measured.recommended
        record = {
            **self._record(made_by),
            "rows": projection.rows,
            "explained_variance": round(projection.explained_variance, 6),
            "validation_loss": float(f"{measured.loss:.6g}"),
            "heldout_agreement": {
                name: round(value, 6) for name, value in measured.agreement.items()
            },
            "recommended": recommended,
            "epochs": trained.epochs,
            **({"interrupted": True} if trained.interrupted else {}),
        }
        model_folder.save(
            self._output, variants, recommended, task.distillate, record, self._terms()
        )
        return self._result(
            variants[recommended],
            recommended=recommended,
            explained_variance=projection.explained_variance,
            validation_loss=measured.loss,
            agreement=measured.agreement,
            epochs=trained.epochs,
            rows=projection.rows,
            skipped=projection.skipped,
            interrupted=trained.interrupted,
        )

    def _save_untrained(self, distillate: StaticModel, made_by: dict[str, Any]) -> TrainResult:
        """Write the model folder with the distillate alone, where passages are too few."""
        rows = self._features.rows
        record = {**self._record(made_by), "rows": rows, "recommended": "distillate", "epochs": 0}
        model_folder.save(self._output, {}, "distillate", distillate, record, self._terms())
        return self._result(
            distillate,
            recommended="distillate",
            explained_variance=None,
            validation_loss=None,
            agreement={},
            epochs=0,
            rows=rows,
            skipped=0,
        )

    def _result(self, model: StaticModel, **measured: Any) -> TrainResult:
        """Return the result of a training that saved this model."""
        vocabulary, dimension = model.embedding.shape
        return TrainResult(
            model=self._output,
            dimension=int(dimension),
            vocabulary=int(vocabulary),
            method=self.settings.method,
            seconds=time.perf_counter() - self._started,
            wanted=self._wanted,
            available=self._available,
            **measured,
        )

    def _record(self, made_by: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a model before it is trained."""
        features = self._features
        return {
            "teacher": {"name": self._files.name, "fingerprint": self._files.fingerprint},
            "metric": self._files.metric,
            "method": self.settings.method,
            "settings": model_settings(self.settings),
            "features": {**features.settings, "identity": features.identity},
            "from_here": from_here(features.settings, self._output),
            "distillate": made_by,
            "versions": _versions(),
        }

    def _terms(self) -> list[str]:
        terms = self.settings.terms
        return read_terms(Path(terms)) if terms else []


def _method(name: str) -> Callable[[Task, TrainSettings, Report], Trained]:
    if name == "ridge":
        return ridge_method.fit
    # Importing torch and tokenlearn takes seconds.
    from ragdoll.distillation.training import tokenlearn_method

    return tokenlearn_method.fit


def model_settings(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings that determine the model, as ``ragdoll.json`` has them.

    None stands for ``auto``, the method's own value.

    Raises:
        UsageError: the file of terms cannot be read.
    """
    values = {
        name: None if value == "auto" else value
        for name, value in asdict(settings).items()
        if name not in {"features", "output", "device"}
    }
    if settings.terms:
        # The same terms make the same model, wherever their file lies.
        terms = read_terms(Path(settings.terms))
        content = hashlib.sha256("\n".join(terms).encode()).hexdigest()
        values["terms"] = f"{number_of('term', len(terms))} ({content[:12]})"
    return values


def _refuse_settings(settings: TrainSettings) -> None:
    """Check that the method has all settings that are made.

    Raises:
        UsageError: it lacks one.
    """
    if settings.method == "ridge":
        for name in ("lr", "batch_size"):
            value = getattr(settings, name)
            if value != "auto":
                meant = f"train.{name}"
                raise UsageError(
                    f"The method ridge solves for its vectors, and has no `{name}` ({value}).",
                    hint=f'Leave `{meant}` out, or train with `method="tokenlearn"`.',
                )


def _projection_settings(settings: TrainSettings, dimension: int) -> ProjectionSettings:
    """Return the settings by which the method reads the features."""
    ridge = settings.method == "ridge"
    return ProjectionSettings(
        dimension=dimension,
        unit=ridge,
        max_held_out=ridge_method.MAX_HELD_OUT if ridge else _TOKENLEARN_HELD_OUT,
        seed=settings.seed,
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """The held-out agreement of distillate and variants, and the better variant and its loss."""

    agreement: dict[str, float]
    recommended: Variant
    loss: float


def _compare(
    distillate: StaticModel, trained: Trained, projection: Projection, dtype: str
) -> _Measured:
    tables = {
        name: model_folder.rounded(vectors, dtype)
        for name, vectors in _variants(trained.measured, projection).items()
    }
    compared = {"distillate": distillate.embedding, **tables}
    agreement = {
        name: held_out_agreement(vectors, projection) for name, vectors in compared.items()
    }
    is_better = agreement["weighted"] >= agreement["unweighted"]
    recommended: Variant = "weighted" if is_better else "unweighted"
    return _Measured(agreement, recommended, held_out_loss(tables[recommended], projection))


def _variants(vectors: Vectors, projection: Projection) -> dict[str, Vectors]:
    """Return the token vectors with and without weights by their frequency in the corpus."""
    return {"weighted": weighted(vectors, projection.occurrences), "unweighted": vectors}


def _key(features: Features, made_by: dict[str, Any], settings: TrainSettings) -> str:
    """Hash the inputs; a training resumes an unfinished one that has the same hash."""
    content = json.dumps([features.signature, made_by, model_settings(settings), _versions()])
    return hashlib.sha256(content.encode()).hexdigest()


def _teacher_of(features: Features, teacher: str | None, trust_remote_code: bool) -> TeacherFiles:
    """Find the teacher of features: ``teacher``, or the one that they name.

    One that only the features name is not fetched, and its code is not run.
    """
    name = teacher or features.teacher
    if name is None:
        raise UsageError(
            "The features do not say which teacher made them.", hint="Name it by `teacher`."
        )
    if trust_remote_code and teacher is None:
        raise UsageError(
            f"The features name the teacher {name}, whose code you may not know.",
            hint="To run it, name that teacher by `teacher`, too.",
        )
    files = find_teacher(name, fetch=teacher is not None)
    known = features.teacher_fingerprint
    is_same = files.fingerprint == known if known else features.teacher in (None, name)
    if is_same:
        return files
    if name == features.teacher:
        raise FeaturesError(
            f"The teacher {name} has changed since it made the features.",
            hint="Featurize again with `restart=True`.",
        )
    raise FeaturesError(
        f"The features were made by the teacher {features.teacher}, not by {name}.",
        hint="Leave `teacher` out, name the folder that it was moved to, or featurize with the "
        "other teacher.",
    )


def _versions() -> dict[str, str]:
    names = ("torch", "model2vec", "tokenlearn", "sentence-transformers", "scikit-learn", "numpy")
    return {"ragdoll": __version__, **{name: version(name) for name in names}}
