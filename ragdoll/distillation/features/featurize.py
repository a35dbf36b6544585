"""The teacher's pass over a corpus, from documents to a features folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Document, Skipped
from ragdoll.corpus.reading import as_corpus
from ragdoll.distillation.features.bucket import features_at
from ragdoll.distillation.features.embedding import Here, OnWorkers, TeacherAtWork
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import Manifest
from ragdoll.distillation.features.teacher_pass import Embedder, TeacherPass
from ragdoll.distillation.teacher.files import TeacherFiles, find_teacher
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.engine import workers
from ragdoll.extras import require
from ragdoll.settings import EngineSettings, FeaturizeSettings, TeacherSettings
from ragdoll.streams import Report, silent


@dataclass(frozen=True, slots=True)
class FeaturizeResult:
    """The features in a folder after a pass of the teacher.

    ``rows`` counts all passages, ``rows_resumed`` those of earlier runs. The rates are those of
    this run's own passages, without the time to load the teacher. ``dtype`` is the type that the
    teacher computed in. ``roots`` are the places that the documents came from, ``notes`` what there
    is to know of files that were read now. ``corpus_passages`` is the number of passages that the
    corpus has where these are a part of them, and None else.

    >>> result = featurize(read("docs"), "new features", teacher="teacher")
    >>> result.documents, result.rows, result.rows_resumed
    (12, 12, 0)
    """

    features: Path | str
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
    roots: list[str]
    notes: list[Skipped] = field(default_factory=list)
    corpus_passages: int | None = None


def featurize(
    documents: Corpus | Iterable[str | Mapping[str, Any] | Document],
    output: str | Path | None = None,
    *,
    teacher: str | TeacherSettings | None = None,
    settings: FeaturizeSettings | None = None,
    engine: EngineSettings | None = None,
    restart: bool = False,
    trust_remote_code: bool = False,
    report: Report = silent,
) -> FeaturizeResult:
    """Embed the passages of documents with a teacher, and keep the vectors in a folder.

    A passage has at most as many tokens as the teacher reads, and never more than 256. An exact
    duplicate is embedded once. The same call resumes an interrupted run, if the settings and the
    documents are the same; ``restart`` makes all features anew.

    ``output`` None is the folder of the settings. ``teacher`` is a hub id or a folder, or a
    teacher's settings with device and type. ``engine`` may name a cluster, whose workers must see
    the teacher and the output in the same places; None works in this process.
    ``trust_remote_code`` runs code that comes with the teacher.

    >>> result = featurize(read("docs"), "new features", teacher="teacher")
    >>> result.rows, result.dimension
    (12, 384)

    Raises:
        MissingExtraError: the extra for training, or for the engine, is not installed.
        EngineError: the cluster cannot be used, or its workers fail.
        CorpusChangedError: the folder was made from other documents.
        FeaturesError: the folder was made by other settings, is not ragdoll's, or cannot be
            written.
        CorpusError: there are no passages.
        TeacherError: the teacher is not found or cannot be loaded.
        ModelError: the teacher's folder holds no model, or the weights only as a pickle.
    """
    settings = settings or FeaturizeSettings()
    if output is not None:
        settings = replace(settings, output=str(output))
    teacher = named(teacher)
    corpus = as_corpus(documents)
    started = time.perf_counter()
    require("train", "Featurizing")
    report("looking for the teacher", 0, None)
    files = find_teacher(teacher.model)
    folder = features_at(settings.output)
    folder.refuse_foreign()
    # Before the teacher is loaded: reading standard input takes as long as its writer does.
    signature = corpus.signature()
    content = {
        **content_settings(teacher, settings, corpus.description),
        "teacher_fingerprint": files.fingerprint,
    }
    with folder.only_writer():
        manifest = None if restart else folder.manifest()
        if manifest is None:
            manifest = Manifest(settings=content, dimension=0)
        else:
            folder.refuse_other(manifest, content)
        folder.drop_damaged(manifest)
        resumed = (manifest.rows, manifest.tokens)
        loaded = time.perf_counter()
        if not (manifest.complete and signature and signature == manifest.facts.get("signature")):
            report("loading the teacher", 0, None)
            with _embedder(
                engine, teacher, files, trust_remote_code, settings, folder, manifest
            ) as embedder:
                loaded = time.perf_counter()
                manifest.complete = False
                manifest.facts = {"signature": signature}
                TeacherPass(corpus, embedder, settings, folder, manifest, report).run()
            folder.keep_only(part["file"] for part in manifest.parts)
            if any(reading.unread for reading in corpus.readings.values()):
                # The next run reads the corpus again, with the files that could not be read now.
                manifest.facts["signature"] = None
            manifest.complete = True
            folder.write_manifest(manifest)
    rows, tokens = manifest.rows - resumed[0], manifest.tokens - resumed[1]
    ended = time.perf_counter()
    return FeaturizeResult(
        features=folder.address,
        teacher=teacher.model,
        target=settings.target,
        dimension=manifest.dimension,
        rows=manifest.rows,
        rows_resumed=resumed[0],
        tokens=manifest.tokens,
        skipped=[Skipped(*item) for item in manifest.facts.get("skipped", [])],
        documents=int(manifest.facts.get("documents", 0)),
        duplicates=int(manifest.facts.get("duplicates", 0)),
        dtype=str(manifest.settings.get("computed_in", teacher.dtype)),
        seconds=ended - started,
        rows_per_second=rows / (ended - loaded),
        tokens_per_second=tokens / (ended - loaded),
        roots=corpus.roots,
        notes=corpus.notes,
        corpus_passages=manifest.settings.get("corpus_passages"),
    )


@contextmanager
def _embedder(
    engine: EngineSettings | None,
    teacher: TeacherSettings,
    files: TeacherFiles,
    trust_remote_code: bool,
    settings: FeaturizeSettings,
    folder: FeaturesFolder,
    manifest: Manifest,
) -> Iterator[Embedder]:
    """Load the teacher in this process, or on workers."""
    if engine is None or engine.is_local:
        model = Teacher(files, teacher.device, teacher.dtype, trust_remote_code)
        yield Here(model, settings.target, folder, manifest)
        return
    make = partial(
        TeacherAtWork,
        teacher,
        files.fingerprint,
        trust_remote_code,
        settings.target,
        folder.absolute(),
    )
    with workers(engine, make, has_gpus=teacher.device != "cpu") as started:
        yield OnWorkers(started, folder, manifest)


def named(teacher: str | TeacherSettings | None) -> TeacherSettings:
    """Return a teacher's settings, with an absolute path in the place of a folder's name."""
    if teacher is None or isinstance(teacher, str):
        teacher = TeacherSettings(model=teacher) if teacher else TeacherSettings()
    folder = Path(os.path.expanduser(teacher.model))  # noqa: PTH111 (takes any name)
    is_folder = os.path.isdir(folder)  # noqa: PTH112
    return replace(teacher, model=str(folder.resolve())) if is_folder else teacher


def content_settings(
    teacher: TeacherSettings, settings: FeaturizeSettings, corpus: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings that determine the content of features, as the manifest has them.

    ``corpus`` is the description of the documents.
    """
    return {
        "teacher": teacher.model,
        "target": settings.target,
        "max_means": settings.max_means,
        "dtype": teacher.dtype,
        "corpus": corpus,
    }
