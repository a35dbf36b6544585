"""Run featurize, train and index, as far as each is needed.

A model that is there is kept until a setting that it depends on changes, or a new one is asked for.
A new model is trained beside the old one and waits there until its table is complete. Then table
and model change places together, so that queries always find a table and its own model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.reading import read
from ragdoll.distillation.features.bucket import features_at
from ragdoll.distillation.features.featurize import (
    FeaturizeResult,
    content_settings,
    featurize,
    named,
)
from ragdoll.distillation.features.manifest import differences
from ragdoll.distillation.model.folder import behind_links, beside, discard, refuse_foreign
from ragdoll.distillation.model.folder import replace as replace_folder
from ragdoll.distillation.model.told import places, record_of, settings_of
from ragdoll.distillation.teacher.files import vector_dimension
from ragdoll.distillation.training.projection import is_open, refuse_dimension
from ragdoll.distillation.training.train import Training, TrainResult, model_settings
from ragdoll.distillation.training.workplace import only_maker
from ragdoll.embedding.identity import find_model, identify, open_with_base, teacher_fingerprint
from ragdoll.errors import CorpusChangedError, ModelError, TableError, UsageError, number_of
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.database import only_writer
from ragdoll.retrieval.storage.lance import absolute, place
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.index import write
from ragdoll.retrieval.writing.roots import all_again, with_others
from ragdoll.retrieval.writing.target import (
    IndexResult,
    Target,
    database_of,
    differing,
    settings_of_table,
    table_of,
)
from ragdoll.settings import FeaturizeSettings, IndexSettings, Settings, TrainSettings
from ragdoll.streams import Report, silent

_WITH_MODEL = "all documents, with the new model"
_WHAT_CHANGED = "new and changed documents only"
_ASKED_FOR = "all documents, asked for by `overwrite`"

Announce = Callable[[str, str], None]
"""Called as ``announce(stage, why)`` before a stage runs, or where it is left out."""


def unannounced(stage: str, why: str) -> None:
    """Announce nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages to run. Each holds the reason, or None where the stage is not needed.

    ``index`` is always needed; its reason tells how much of the table is written. ``restart`` makes
    the features from the beginning. ``model_is_ready`` tells that an earlier run finished the new
    model, which waits to come into use.
    """

    featurize: str | None
    train: str | None
    index: str = _WITH_MODEL
    restart: bool = False
    model_is_ready: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of each stage; None where the stage was not needed.

    >>> settings = Settings(
    ...     teacher=TeacherSettings(model="teacher"), train=TrainSettings(pca_dims=2)
    ... )
    >>> result = run("docs", settings=settings)
    >>> result.featurize.rows, result.train.dimension, result.index.documents
    (12, 2, 12)
    """

    featurize: FeaturizeResult | None
    train: TrainResult | None
    index: IndexResult
    seconds: float


def run(
    *places: str | Path,
    settings: Settings | None = None,
    retrain: bool = False,
    restart: bool = False,
    overwrite: bool = False,
    trust_remote_code: bool = False,
    report: Report = silent,
    announce: Announce = unannounced,
) -> RunResult:
    """Featurize, train and index as far as needed: a table of all documents, and its own model.

    ``places`` are what to learn from and to search; see ``read``. Without any, the settings name
    them, or else they are those of the model and the table that are there. Other settings that are
    left out are those of this model and this table, too. A table that is built anew keeps its
    other places.

    ``retrain`` trains although no setting changed, and ``restart`` makes the features anew for
    that. ``overwrite`` builds the table anew, of these places alone. ``trust_remote_code`` runs
    code that comes with the teacher.

    >>> settings = Settings(
    ...     teacher=TeacherSettings(model="teacher"), train=TrainSettings(pca_dims=2)
    ... )
    >>> run("docs", settings=settings).index.documents
    12

    Raises:
        RagdollError: as ``featurize``, ``train`` and ``Index.update`` do.
    """
    return Pipeline(_placed(settings or Settings(), places), retrain, restart, overwrite).run(
        trust_remote_code, report, announce
    )


class Pipeline:
    """The three stages with their settings; ``corpus`` is learned from, ``documents`` searched."""

    def __init__(self, settings: Settings, retrain: bool, restart: bool, overwrite: bool) -> None:
        """Open the places of the settings, or else those of the last run; nothing is read yet.

        Raises:
            UsageError: no place is named, and none is known.
            CorpusError: a place is not there.
        """
        self._output = behind_links(settings.train.output)
        self._retrain = retrain
        self._restart = restart
        self._overwrite = overwrite
        made_by = settings_of(Path(settings.train.output), settings.featurize.output)
        settings = settings.completed(made_by, "the model")
        table = table_of(settings.index, may_be_damaged=overwrite)
        if table is not None:
            settings = settings.completed(settings_of_table(table), "the table")
        self._teacher = named(settings.teacher)
        self._learned = _learned(self._output, settings.featurize)
        is_named = settings.corpus.path is not None
        if not is_named and self._learned:
            settings = replace(settings, corpus=settings.corpus.changed(path=self._learned))
        self._settings = settings
        self.corpus = read(settings=settings.corpus)
        if table is None or is_named or settings.index.docs:
            self.documents = read(*settings.index.docs or [], settings=settings.corpus)
        else:
            self.documents = all_again(table)

    def plan(self) -> Plan:
        """Tell which stages are needed, and why."""
        self._refuse_to_forget()
        plan = self._plan_of_model()
        if plan.train or plan.model_is_ready:
            self._documents(rebuild=True)
            return plan
        rebuild = self._reason_to_rebuild(self._target(self._output))
        return replace(plan, index=rebuild or _WHAT_CHANGED)

    def run(self, trust_remote_code: bool, report: Report, announce: Announce) -> RunResult:
        """Run the stages that are needed."""
        started = time.perf_counter()
        output, index = self._output, self._settings.index
        with only_maker(output):
            finish_exchange(output, index)
            self._refuse_to_forget()
            plan = self._plan_of_model()
            # Before long work, as the table will be built anew with the new model.
            self._documents(rebuild=plan.train is not None or plan.model_is_ready)
            featurized = trained = None
            model = output
            if plan.model_is_ready:
                model = pending(output)
            elif plan.train:
                refuse_foreign(output)
                self._refuse_dimension()
                model = pending(output) if output.exists() else output
                if plan.featurize:
                    announce("featurize", plan.featurize)
                    featurized = self._featurize(plan.restart, trust_remote_code, report)
                announce("train", plan.train)
                settings = replace(
                    self._settings.train,
                    features=self._settings.featurize.output,
                    output=str(model),
                )
                training = Training(
                    settings, self._teacher.model, trust_remote_code, report, replaces=output
                )
                trained = training.run(keep_interrupted=False)
            else:
                announce("train", "not needed: the model is up to date")

            # Only now: a model that was trained anew may be the same as before.
            target = self._target(model)
            rebuild = self._reason_to_rebuild(target)
            announce("index", rebuild or _WHAT_CHANGED)
            documents = self._documents(rebuild is not None)
            engine = self._settings.engine
            indexed = write(documents, target, rebuild is not None, report=report, engine=engine)
            finish_exchange(output, index)
            if model != output and model.exists():
                table = place(target.database, index.table)
                raise TableError(
                    f"Another process made {table} anew before the new model came into use.",
                    hint="The new model is kept; run again.",
                )
            _remove_leftovers(output)
        # Both name where the new model is by now, not where it waited for its table.
        indexed.model = str(output)
        return RunResult(
            featurize=featurized,
            train=replace(trained, model=output) if trained else None,
            index=indexed,
            seconds=time.perf_counter() - started,
        )

    def _refuse_to_forget(self) -> None:
        """Check that the new model also learns from what the one that is there has learned from.

        Raises:
            UsageError: it would not, and neither ``restart`` nor ``overwrite`` says so.
        """
        now = [Path(path) for path in places(self._content())]
        lost = [
            path
            for path in self._learned
            if not any(Path(path).is_relative_to(place) for place in now)
        ]
        if lost and not (self._restart or self._overwrite):
            raise UsageError(
                f"The model learned from {', '.join(lost)}, which this run leaves out.",
                hint="Name that place too, to learn from all. `index.update(...)` adds documents "
                "with the model that is there. `restart=True` learns from what is named alone.",
            )

    def _documents(self, rebuild: bool) -> Corpus:
        """Return what to index; a table that is built anew keeps its other places.

        Raises:
            TableError: another place cannot be read again.
        """
        table = table_of(self._settings.index) if rebuild and not self._overwrite else None
        return with_others(self.documents, table) if table else self.documents

    def _target(self, model: Path) -> Target:
        return Target(self._settings.index, TableModel(model), model_moves_to=self._output)

    def _plan_of_model(self) -> Plan:
        """Tell which stages the model needs; a new model also needs a new table."""
        reason = self._reason_to_train(self._output)
        if self._restart:
            why = reason or "the features are made anew"
            return Plan("asked for by `restart`", why, restart=True)
        if self._retrain:
            reason = reason or "asked for by `retrain`"
        elif reason and self._reason_to_train(pending(self._output)) is None:
            return Plan(None, None, model_is_ready=True)
        if reason is None:
            return Plan(None, None)
        why_features, restart = self._features_needed()
        return Plan(why_features, reason, restart=restart)

    def _refuse_dimension(self) -> None:
        """Refuse before the features are made what training would refuse after that."""
        most = self._settings.train.pca_dims
        if is_open(most):
            return
        dimension = vector_dimension(self._teacher.model, self._settings.featurize.target)
        if dimension is not None:
            refuse_dimension(int(most), dimension)

    def _featurize(self, restart: bool, trust_remote_code: bool, report: Report) -> FeaturizeResult:
        """Make features; from the beginning where only reading tells that the corpus changed."""
        make = partial(
            featurize,
            self.corpus,
            teacher=self._teacher,
            settings=self._settings.featurize,
            engine=self._settings.engine,
            trust_remote_code=trust_remote_code,
            report=report,
        )
        try:
            return make(restart=restart)
        except CorpusChangedError:
            return make(restart=True)

    def _reason_to_train(self, folder: Path) -> str | None:
        """Return why the model in a folder is not that of the settings; None if it is."""
        provenance = record_of(folder)
        if not provenance:
            return "there is no model yet"
        interrupted = ["its training was interrupted"] if provenance.get("interrupted") else []
        # Models from before there were samples have learned from all passages.
        made_by = {"max_passages": TrainSettings().max_passages, **provenance.get("settings", {})}
        changes = (
            interrupted
            + differences(provenance.get("features", {}), self._content())
            + differences(made_by, model_settings(self._settings.train))
        )
        return "; ".join(changes) or None

    def _features_needed(self) -> tuple[str | None, bool]:
        """Return why features must be made (None: they are there), and whether from the beginning.

        They are made from the beginning where those that are there are of no use to the settings or
        the corpus of now. A corpus without a signature has to be read to tell, which featurize
        does.
        """
        manifest = features_at(self._settings.featurize.output).manifest()
        if manifest is None:
            return "there are no features yet", False
        changed = differences(manifest.settings, self._content())
        if changed:
            return "; ".join(changed), True
        signature = self.corpus.signature()
        same = manifest.facts.get("signature") == signature
        restart = signature is not None and not same
        if not manifest.complete:
            return f"an earlier run ended after {number_of('passage', manifest.rows)}", restart
        if signature is None or not same:
            return "the corpus may have changed", restart
        return None, False

    def _content(self) -> dict[str, Any]:
        """Return what determines the features, with the teacher's fingerprint if it is at hand."""
        content = content_settings(self._teacher, self._settings.featurize, self.corpus.description)
        path = find_model(self._teacher.model)
        if path is not None:
            content["teacher_fingerprint"] = teacher_fingerprint(open_with_base(path))
        return content

    def _reason_to_rebuild(self, target: Target) -> str | None:
        """Return why the table must be built as a whole; None where it can be updated."""
        if self._overwrite:
            return _ASKED_FOR
        table = table_of(target.settings)
        if table is None:
            return "there is no table yet"
        return "; ".join(differing(table, target.identity)) or None


def _learned(model: Path, featurize: FeaturizeSettings) -> list[str]:
    """Return the places that a model was trained on, or else those of the features."""
    record = record_of(model)
    if record:
        return places(record.get("features") or {})
    manifest = features_at(featurize.output).manifest()
    return places(manifest.settings) if manifest else []


def pending(output: Path) -> Path:
    """Return where a new model waits until the table is its own."""
    return beside(output, "next")


def finish_exchange(output: Path, settings: IndexSettings) -> None:
    """Put a new model in the place of the old one, once the table is the new model's.

    Until then the table names the new model where it waits, and where it will be. Whichever of
    these steps a crash leaves undone, a query finds the model, and the next run does the rest.

    Raises:
        TableError: there is a step to do, and another process writes the table.
    """
    if _half_exchanged(output, settings) is None:
        return
    with only_writer(database_of(settings), settings.table):
        # Another process may have written the table in between.
        table = _half_exchanged(output, settings)
        if table is not None:
            if _is_of(table, pending(output)):
                replace_folder(output, pending(output))
            table.write_state(replace(table.state, model=absolute(output)))


def _half_exchanged(output: Path, settings: IndexSettings) -> Table | None:
    """Return a table whose model is not yet in its place; None if there is none."""
    table = table_of(settings)
    if table is None or not table.state.whole:
        return None
    is_elsewhere = table.state.model != absolute(output)
    is_half = _is_of(table, pending(output)) or (is_elsewhere and _is_of(table, output))
    return table if is_half else None


def _remove_leftovers(output: Path) -> None:
    """Remove what runs left that were killed, or given up for other settings."""
    new = pending(output)
    discard(new)
    for role in ("training", "partial"):
        discard(beside(new, role))
    discard(beside(output, "old"))


def _is_of(table: Table, model: Path) -> bool:
    """Tell whether a table was made with the model in a folder."""
    try:
        return identify(model).fingerprint == table.identity.fingerprint
    except ModelError:
        return False


def _placed(settings: Settings, places: tuple[str | Path, ...]) -> Settings:
    """Put places into the settings, as what to learn from and what to search."""
    if not places:
        return settings
    names = list(map(str, places))
    return replace(
        settings,
        corpus=settings.corpus.changed(path=names),
        index=settings.index.changed(docs=names),
    )
