"""From a corpus to a features folder, by a teacher, or to the one that is there already."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Skipped
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import Manifest
from ragdoll.distillation.features.teacher_pass import TeacherPass
from ragdoll.distillation.teacher.files import find_teacher, require_training_extra
from ragdoll.distillation.teacher.model import Target, Teacher
from ragdoll.errors import FeaturesError
from ragdoll.files import only_one
from ragdoll.streams import Report, silent


@dataclass(frozen=True, slots=True)
class FeaturizeSettings:
    """What determines a features folder, beside the corpus itself.

    ``corpus`` describes the corpus as it was named; ``max_means`` bounds the passages; a batch has
    at most as many tokens as ``batch_size`` of the longest passages.
    """

    teacher: str
    output: Path
    corpus: dict[str, Any]
    target: Target = "mean"
    max_means: int = 1_000_000
    batch_size: int = 32
    device: str = "auto"
    dtype: str = "auto"

    def wanted(self) -> dict[str, Any]:
        """The settings that, when changed, make other features."""
        return {
            "teacher": self.teacher,
            "target": self.target,
            "max_means": self.max_means,
            "dtype": self.dtype,
            "corpus": self.corpus,
        }


@dataclass(frozen=True, slots=True)
class FeaturizeResult:
    """What a run did. ``rows`` counts all rows, ``rows_resumed`` those of earlier runs.

    The rates are those of this run's own rows, without the time for loading the teacher.
    """

    features: Path
    teacher: str
    target: str
    dimension: int
    rows: int
    rows_resumed: int
    tokens: int
    skipped: list[Skipped]
    documents: int
    duplicates: int
    dtype: str
    seconds: float
    rows_per_second: float
    tokens_per_second: float


def featurize(
    corpus: Corpus,
    settings: FeaturizeSettings,
    restart: bool = False,
    trust_remote_code: bool = False,
    report: Report = silent,
) -> FeaturizeResult:
    """Embed the passages of a corpus with a teacher into a features folder.

    Passages have at most as many tokens as the teacher reads; an exact duplicate is embedded once.
    What an earlier, interrupted run finished is kept when settings and corpus are the same.

    Raises:
        MissingExtraError: the training extra is not installed.
        CorpusChangedError: the folder was made from another corpus.
        FeaturesError: it was made by other settings, is not ragdoll's, or cannot be written.
        CorpusError: the corpus has no passages.
        TeacherError: the teacher cannot be had.
        ModelError: its folder holds no model, or the weights only as a pickle.
    """
    started = time.perf_counter()
    require_training_extra("Featurizing")
    report("looking for the teacher", 0, None)
    files = find_teacher(settings.teacher)
    folder = FeaturesFolder(settings.output)
    folder.refuse_foreign()
    # Before the teacher is loaded: reading standard input takes what its writer takes.
    signature = corpus.signature()
    wanted = {**settings.wanted(), "teacher_fingerprint": files.fingerprint}
    hint = "Wait until it is done, or give another --output."
    doing = f"making the features in {settings.output}"
    again = "The same command makes again what is missing."
    with (
        only_one(settings.output, "featurize", doing, FeaturesError, hint) as held,
        held.refusing_removal(FeaturesError, again),
    ):
        manifest = None if restart else folder.manifest()
        if manifest is None:
            manifest = Manifest(settings=wanted, dimension=0)
        else:
            folder.refuse_other(manifest, wanted)
        folder.drop_damaged(manifest)
        resumed = (manifest.rows, manifest.tokens)
        loaded = time.perf_counter()
        if not (manifest.complete and signature and signature == manifest.facts.get("signature")):
            report("loading the teacher", 0, None)
            teacher = Teacher(files, settings.device, settings.dtype, trust_remote_code)
            loaded = time.perf_counter()
            manifest.complete = False
            manifest.facts = {"signature": signature}
            TeacherPass(corpus, teacher, settings.target, folder, manifest, report).run(
                settings.max_means, settings.batch_size
            )
            folder.refuse_gaps(manifest)
            folder.keep_only(part["file"] for part in manifest.parts)
            if any(reading.unread for reading in corpus.readings.values()):
                # What could not be read this time is looked for the next.
                manifest.facts["signature"] = None
            manifest.complete = True
            folder.write_manifest(manifest)
    return _result(settings, manifest, resumed, started, loaded)


def _result(
    settings: FeaturizeSettings,
    manifest: Manifest,
    resumed: tuple[int, int],
    started: float,
    loaded: float,
) -> FeaturizeResult:
    rows, tokens = manifest.rows - resumed[0], manifest.tokens - resumed[1]
    ended = time.perf_counter()
    return FeaturizeResult(
        features=settings.output,
        teacher=settings.teacher,
        target=settings.target,
        dimension=manifest.dimension,
        rows=manifest.rows,
        rows_resumed=resumed[0],
        tokens=manifest.tokens,
        skipped=[Skipped(*item) for item in manifest.facts.get("skipped", [])],
        documents=int(manifest.facts.get("documents", 0)),
        duplicates=int(manifest.facts.get("duplicates", 0)),
        dtype=str(manifest.settings.get("computed_in", settings.dtype)),
        seconds=ended - started,
        rows_per_second=rows / (ended - loaded),
        tokens_per_second=tokens / (ended - loaded),
    )
