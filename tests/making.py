"""Short ways to call the library in tests, with settings as keyword arguments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ragdoll
from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.reading import read
from ragdoll.distillation.features.featurize import FeaturizeResult
from ragdoll.distillation.training.train import Training, TrainResult
from ragdoll.distillation.training.workplace import only_maker
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.writing.index import write
from ragdoll.retrieval.writing.target import IndexResult, Target
from ragdoll.settings import (
    CorpusSettings,
    FeaturizeSettings,
    IndexSettings,
    TeacherSettings,
    TrainSettings,
)
from ragdoll.streams import Report, silent


def open_corpus(places: Sequence[str | Path], **settings: Any) -> Corpus:
    """Open places with some settings of ``[corpus]``."""
    return read(*places, settings=CorpusSettings(**settings))


class Featurizing(NamedTuple):
    """The settings of a pass of the teacher."""

    teacher: TeacherSettings
    settings: FeaturizeSettings


def featurizing(teacher: str | Path, output: Path, **settings: Any) -> Featurizing:
    """Put together the settings of a pass of the teacher."""
    of_teacher = {key: settings.pop(key) for key in ("device", "dtype") if key in settings}
    return Featurizing(
        TeacherSettings(model=str(teacher), **of_teacher),
        FeaturizeSettings(output=str(output), **settings),
    )


def featurize(
    corpus: Corpus,
    chosen: Featurizing,
    restart: bool = False,
    trust_remote_code: bool = False,
    report: Report = silent,
) -> FeaturizeResult:
    """Let the teacher read a corpus."""
    return ragdoll.featurize(
        corpus,
        teacher=chosen.teacher,
        settings=chosen.settings,
        restart=restart,
        trust_remote_code=trust_remote_code,
        report=report,
    )


def train_settings(features: Path, output: Path, **settings: Any) -> TrainSettings:
    """Put together settings of ``[train]``."""
    return TrainSettings(features=str(features), output=str(output), **settings)


def train(
    settings: TrainSettings, teacher: str | None = None, replaces: Path | None = None
) -> TrainResult:
    """Train; the distillate of the model that ``replaces`` names need not be made again."""
    if replaces is None:
        return ragdoll.train(settings=settings, teacher=teacher)
    with only_maker(Path(settings.output)):
        return Training(settings, teacher, False, silent, replaces).run()


def index_settings(database: str | Path, table: str, model: Path, **settings: Any) -> IndexSettings:
    """Put together settings of ``[index]``."""
    return IndexSettings(database=str(database), table=table, model=str(model), **settings)


def index(
    corpus: Corpus,
    settings: IndexSettings,
    overwrite: bool = False,
    dry_run: bool = False,
    report: Report = silent,
) -> IndexResult:
    """Bring a table up to date with a corpus."""
    target = Target(settings, TableModel(str(settings.model)))
    return write(corpus, target, overwrite, dry_run, report)
