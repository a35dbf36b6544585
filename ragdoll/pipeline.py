"""The whole way at once: which of featurize, train and index are needed, and calling those.

A model that is there is kept until a setting that it depends on changes or it is asked to go. A new
model is trained beside the old one; table and model then change places together, so that queries
always find a table and its own model.

A new model takes the place of an old one together with the table that was made with it.

The new model waits beside the old one until its table is whole, so that queries always find a table
and its own model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus
from ragdoll.distillation.features.featurize import FeaturizeResult, FeaturizeSettings, featurize
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import differences
from ragdoll.distillation.model.folder import beside, discard, only_maker, refuse_foreign
from ragdoll.distillation.model.folder import replace as replace_folder
from ragdoll.distillation.teacher.files import token_dimension
from ragdoll.distillation.training.projection import refuse_dimension
from ragdoll.distillation.training.train import TrainResult, TrainSettings, train
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import find_model, identify, weights_fingerprint
from ragdoll.errors import CorpusChangedError, ModelError, TableError, number_of
from ragdoll.retrieval.storage.database import Database, only_writer
from ragdoll.retrieval.storage.lance import absolute, is_local, place
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexResult, IndexSettings, differing, table_identity
from ragdoll.streams import Report, silent

_WITH_MODEL = "all documents, with the new model"
_WHAT_CHANGED = "new and changed documents only"
_ASKED_FOR = "all documents, asked for by --overwrite"

Announce = Callable[[str, str], None]
"""Called as ``announce(stage, why)`` before a stage runs, or where it is left out."""


def unannounced(stage: str, why: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the stages work with, and what is asked for although nothing changed.

    ``retrain`` trains, ``restart`` makes the features anew for that, and ``overwrite`` builds the
    table anew.
    """

    featurize: FeaturizeSettings
    train: TrainSettings
    index: IndexSettings
    retrain: bool = False
    restart: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages to run. Each holds the reason, or None where the stage is not needed.

    ``index`` is always needed; it says what of the table. ``model_is_ready`` says that an earlier
    run finished the new model, which only has to come into use.
    """

    featurize: str | None
    train: str | None
    index: str
    model_is_ready: bool = False


@dataclass(frozen=True, slots=True)
class RunResult:
    """What each stage did; None where it was not needed."""

    featurize: FeaturizeResult | None
    train: TrainResult | None
    index: IndexResult
    seconds: float


def run(
    corpus: Corpus,
    documents: Corpus,
    settings: RunSettings,
    trust_remote_code: bool = False,
    report: Report = silent,
    announce: Announce = unannounced,
) -> RunResult:
    """Run what is needed so that the table holds ``documents`` and its model knows ``corpus``.

    Raises:
        RagdollError: as the stages do.
    """
    started = time.perf_counter()
    output = settings.train.output
    with only_maker(output):
        finish(output, settings.index)
        needed = _model_needs(corpus, settings)
        featurized = trained = None
        model = output
        if needed.is_ready:
            model = pending(output)
        elif needed.train:
            refuse_foreign(output)
            _refuse_dimension(settings)
            model = pending(output) if output.exists() else output
            if needed.featurize:
                announce("featurize", needed.featurize)
                featurized = _featurize(
                    corpus, settings.featurize, needed.restart, trust_remote_code, report
                )
            announce("train", needed.train)
            trained = train(
                replace(settings.train, output=model),
                trust_remote_code=trust_remote_code,
                report=report,
                replaces=output,
                otherwise=settings.featurize.teacher,
                keep_interrupted=False,
                is_only_maker=True,
            )
        else:
            announce("train", "not needed: the model is up to date")

        # Only now: a model that was trained anew may have become what it was.
        wanted = replace(settings.index, model=model, model_moves_to=output)
        rebuild = _reason_to_rebuild(wanted, settings.overwrite)
        announce("index", rebuild or _WHAT_CHANGED)
        indexed = index(documents, wanted, overwrite=rebuild is not None, report=report)
        finish(output, settings.index)
        refuse_unfinished(model, output, settings.index)
        clear(output)
    return RunResult(
        featurize=featurized,
        # Both name where the new model is by now, not where it waited for its table.
        train=replace(trained, model=output) if trained else None,
        index=replace(indexed, model=output),
        seconds=time.perf_counter() - started,
    )


def plan_stages(corpus: Corpus, settings: RunSettings) -> Plan:
    """Tell from what is on disk which stages are needed, and why; nothing is written."""
    needed = _model_needs(corpus, settings)
    if needed.train or needed.is_ready:
        rebuild: str | None = _WITH_MODEL
    else:
        wanted = replace(settings.index, model=settings.train.output)
        rebuild = _reason_to_rebuild(wanted, settings.overwrite)
    return Plan(needed.featurize, needed.train, rebuild or _WHAT_CHANGED, needed.is_ready)


@dataclass(frozen=True, slots=True)
class _ModelNeeds:
    """Why features and a model are to be made, None where they are not.

    ``restart``: the features from the beginning. ``is_ready``: a new model waits to come into use.
    """

    featurize: str | None
    train: str | None
    restart: bool = False
    is_ready: bool = False


def _model_needs(corpus: Corpus, settings: RunSettings) -> _ModelNeeds:
    reason = _reason_to_train(settings)
    if settings.restart:
        why = reason or "the features are made anew"
        return _ModelNeeds("asked for by --restart", why, restart=True)
    if settings.retrain:
        reason = reason or "asked for by --retrain"
    elif reason and _is_current(pending(settings.train.output), settings):
        return _ModelNeeds(None, None, is_ready=True)
    if reason is None:
        return _ModelNeeds(None, None)
    why_features, restart = _features_needed(corpus, settings.featurize)
    return _ModelNeeds(why_features, reason, restart)


def _refuse_dimension(settings: RunSettings) -> None:
    """Refuse before the features are made what training would refuse after that."""
    wanted = settings.featurize
    # The vector of a sentence may be of another dimension than those of its tokens.
    dimension = token_dimension(wanted.teacher) if wanted.target == "mean" else None
    if dimension is not None:
        refuse_dimension(settings.train.pca_dims, dimension)


def _featurize(
    corpus: Corpus,
    settings: FeaturizeSettings,
    restart: bool,
    trust_remote_code: bool,
    report: Report,
) -> FeaturizeResult:
    """Make features; from the beginning too where only reading tells that the corpus changed."""
    try:
        return featurize(corpus, settings, restart, trust_remote_code, report)
    except CorpusChangedError:
        return featurize(corpus, settings, True, trust_remote_code, report)


def _reason_to_train(settings: RunSettings) -> str | None:
    provenance = _provenance(settings.train.output)
    if provenance is None:
        return "there is no model yet"
    return "; ".join(_changes(provenance, settings)) or None


def _features_needed(corpus: Corpus, settings: FeaturizeSettings) -> tuple[str | None, bool]:
    """Why features must be made, None where they are there; and whether from the beginning.

    From the beginning where what is there is of no use to the settings or the corpus of now. A
    corpus without a signature has to be read to tell, which featurize does.
    """
    manifest = FeaturesFolder(settings.output).manifest()
    if manifest is None:
        return "there are no features yet", False
    changed = differences(manifest.settings, _wanted(settings))
    if changed:
        return "; ".join(changed), True
    signature = corpus.signature()
    same = manifest.facts.get("signature") == signature
    restart = signature is not None and not same
    if not manifest.complete:
        return f"an earlier run ended after {number_of('passage', manifest.rows)}", restart
    if signature is None or not same:
        return "the corpus may have changed", restart
    return None, False


def _is_current(folder: Path, settings: RunSettings) -> bool:
    provenance = _provenance(folder)
    return provenance is not None and not _changes(provenance, settings)


def _changes(provenance: dict[str, Any], settings: RunSettings) -> list[str]:
    interrupted = ["its training was interrupted"] if provenance.get("interrupted") else []
    return (
        interrupted
        + differences(provenance.get("features", {}), _wanted(settings.featurize))
        + differences(provenance.get("settings", {}), settings.train.wanted())
    )


def _wanted(settings: FeaturizeSettings) -> dict[str, Any]:
    """The wanted features; with the teacher's fingerprint where the teacher is on this machine."""
    wanted = settings.wanted()
    path = find_model(settings.teacher)
    if path is not None:
        wanted["teacher_fingerprint"] = weights_fingerprint(open_folder(path))
    return wanted


def _provenance(folder: Path) -> dict[str, Any] | None:
    if not folder.is_dir():
        return None
    try:
        return open_folder(folder).provenance
    except ModelError:
        return None


def _reason_to_rebuild(settings: IndexSettings, overwrite: bool) -> str | None:
    """Why the table must be built as a whole; None where it can be brought up to date."""
    if overwrite:
        return _ASKED_FOR
    table = table_of(settings)
    if table is None:
        return "there is no table yet"
    changed = differing(table, table_identity(identify(settings.model), settings))
    return "; ".join(changed) or None


def pending(output: Path) -> Path:
    """Where a new model waits until the table is its own."""
    return beside(output, "next")


def finish(output: Path, settings: IndexSettings) -> None:
    """Put a new model in the place of the old one, once the table is the new model's.

    Until then the table names the new model where it is pending, and where it will be; whichever
    of these steps a crash leaves undone, a query finds the model, and the next run ends the rest.

    Raises:
        TableError: there is something to do, and another process writes the table; or it is
            removed meanwhile.
    """
    new = pending(output)
    table = table_of(settings)
    if table is None or not _is_left_to_do(table, output, new):
        return
    with only_writer(settings.database, settings.table):
        # What another process wrote in between is kept.
        table = table_of(settings)
        if table is None or not _is_left_to_do(table, output, new):
            return
        if _is_of(table, new):
            replace_folder(output, new)
        table.write_state(replace(table.state, model=absolute(output)))
        table.refuse_loss()


def refuse_unfinished(model: Path, output: Path, settings: IndexSettings) -> None:
    """Check that the table that was made with ``model`` came into use, and that model with it.

    Raises:
        TableError: one of them was removed before that, or another process made it anew. A new
            model waits on for the next run.
    """
    table = table_of(settings)
    is_left = model != output and model.exists()
    if table is None or is_left or not _is_of(table, output):
        raise TableError(
            f"{output}, or {place(settings.database, settings.table)}, has been removed or made "
            "anew by another process before the run was done.",
            hint="The same command goes on from there.",
        )


def clear(output: Path) -> None:
    """Remove what runs left that were killed, or given up for other settings."""
    new = pending(output)
    discard(new)
    for role in ("training", "partial"):
        discard(beside(new, role))
    discard(beside(output, "old"))


def table_of(settings: IndexSettings) -> Table | None:
    """Open the table; None where there is none yet. A table of another tool's is an error."""
    if is_local(settings.database) and not Path(settings.database).is_dir():
        return None
    return Database(settings.database).find(settings.table)


def _is_left_to_do(table: Table, output: Path, new: Path) -> bool:
    if not table.state.whole:
        return False
    is_elsewhere = table.state.model != absolute(output)
    return _is_of(table, new) or (is_elsewhere and _is_of(table, output))


def _is_of(table: Table, model: Path) -> bool:
    """Whether a table was made with the model in a folder."""
    try:
        return model.is_dir() and identify(model).fingerprint == table.identity.fingerprint
    except ModelError:
        return False
