"""The teacher's pass over a corpus, window by window, so that an interruption loses one at most."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ragdoll.corpus.documents import Corpus, Skipped
from ragdoll.corpus.files import is_own
from ragdoll.corpus.passages import cut
from ragdoll.distillation.features import NO_HASH, FeaturesFolder, Manifest, rolling_hash
from ragdoll.distillation.teacher import (
    Target,
    Teacher,
    find_teacher,
    require_training_extra,
)
from ragdoll.errors import CorpusChangedError, CorpusError, FeaturesError
from ragdoll.progress import Report, silent

# Passages sorted, encoded and written together: enough for full batches of one length, few enough
# that an interruption costs little.
_WINDOW = 4096

# Static models average tokens: what is said in more than this is blurred. Long-context teachers
# are therefore given passages no longer than this either.
_MAX_PASSAGE_TOKENS = 256

_SAMPLE = 16


@dataclass(frozen=True, slots=True)
class FeaturizeSettings:
    """What determines a features folder, beside the corpus itself.

    ``corpus`` describes the corpus as it was named; ``max_means`` bounds the passages;
    ``batch_size`` times the teacher's maximum length is the token budget of a batch.
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
    """What a run did. ``rows`` counts all rows, ``rows_resumed`` those of earlier runs."""

    features: Path
    teacher: str
    target: str
    dimension: int
    rows: int
    rows_resumed: int
    tokens: int
    skipped: list[Skipped]
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
        FeaturesError: it was made by other settings, or is not ragdoll's.
        CorpusError: the corpus has no passages.
        TeacherError: the teacher cannot be had.
    """
    started = time.perf_counter()
    require_training_extra("Featurizing")
    files = find_teacher(settings.teacher)
    folder = FeaturesFolder(settings.output)
    if not is_own(settings.output):
        _refuse_foreign(settings.output)
    manifest = None if restart else folder.manifest()
    wanted = {**settings.wanted(), "teacher_fingerprint": files.fingerprint}
    if manifest is None:
        manifest = Manifest(settings=wanted, dimension=0)
    else:
        _refuse_other_settings(manifest, wanted, settings.output)
    resumed = (manifest.rows, manifest.tokens)
    signature = corpus.signature()
    if not (manifest.complete and signature and signature == manifest.facts.get("signature")):
        report("loading the teacher", 0, None)
        teacher = Teacher(files, settings.device, settings.dtype, trust_remote_code)
        manifest.complete = False
        manifest.facts = {"signature": signature}
        _embed(corpus, teacher, settings, folder, manifest, report)
        manifest.complete = True
        folder.write_manifest(manifest)
    return _result(settings, manifest, resumed, time.perf_counter() - started)


def _embed(
    corpus: Corpus,
    teacher: Teacher,
    settings: FeaturizeSettings,
    folder: FeaturesFolder,
    manifest: Manifest,
    report: Report,
) -> None:
    """Embed window after window; windows that the manifest has are only checked by their hash."""
    passages = _Passages(corpus, teacher)
    stream = islice(iter(passages), settings.max_means)
    finished = list(manifest.parts)
    content, rows = NO_HASH, 0
    while (window := list(islice(stream, _WINDOW))) or finished:
        content = rolling_hash(content, window)
        if finished:
            part = finished.pop(0)
            if part["hash"] != content:
                raise CorpusChangedError(
                    f"The corpus is not the one that {settings.output} was made from: it differs "
                    f"within passages {rows + 1} to {rows + part['rows']}.",
                    hint="Make the features anew with --restart, or give another --output.",
                )
        else:
            _settle_dtype(teacher, manifest, window, settings.target)
            budget = settings.batch_size * teacher.max_length
            before = partial(_report_window, report, rows)
            vectors = teacher.encode(window, settings.target, budget, progress=before)
            manifest.dimension = vectors.shape[1]
            if not manifest.parts:
                # What was there is given up only now that there is something in its place.
                folder.discard()
            name = folder.write_part(len(manifest.parts), window, vectors)
            part = {"file": name, "rows": len(window), "tokens": teacher.count(window)}
            manifest.parts.append({**part, "hash": content})
            folder.write_manifest(manifest)
        rows += len(window)
        report("passages", rows, None)
    if not rows:
        left_out = (
            f"; {len(corpus.skipped)} files or records were left out" if corpus.skipped else ""
        )
        raise CorpusError(
            f"The corpus has no text to learn from{left_out}.",
            hint="It may be text or Markdown files, JSON lines, a dataset or python:PACKAGE.",
        )
    manifest.facts |= {
        "documents": passages.documents,
        "duplicates": passages.duplicates,
        "skipped": [[item.path, item.reason] for item in corpus.skipped],
    }


class _Passages:
    """The passages of a corpus as texts, each once; counts what it reads."""

    def __init__(self, corpus: Corpus, teacher: Teacher) -> None:
        self._corpus = corpus
        self._size = max(8, min(teacher.passage_tokens, _MAX_PASSAGE_TOKENS))
        self._count = teacher.count_tokens
        self.documents = 0
        self.duplicates = 0

    def __iter__(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for document in self._corpus:
            self.documents += 1
            for passage in cut(document, self._size, self._count):
                text = passage.text
                key = hashlib.blake2b(
                    text.encode("utf-8", "surrogatepass"), digest_size=12
                ).digest()
                if key in seen:
                    self.duplicates += 1
                    continue
                seen.add(key)
                yield text


def _report_window(report: Report, before: int, done: int) -> None:
    report("passages", before + done, None)


def _settle_dtype(teacher: Teacher, manifest: Manifest, window: list[str], target: Target) -> None:
    """Compute in the type that earlier parts were computed in, else in the fastest that agrees."""
    known = manifest.settings.get("computed_in")
    if known and teacher.dtype != known:
        teacher.dtype = str(known)
    manifest.settings["computed_in"] = teacher.settle_dtype(window[:_SAMPLE], target)


def _refuse_foreign(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise FeaturesError(f"{output} is a file.", hint="Give a folder by --output.")
    if output.is_dir() and any(name for name in output.iterdir() if name.name != "data"):
        raise FeaturesError(
            f"{output} holds other files and no features of ragdoll's.",
            hint="Give an empty or a new folder by --output.",
        )


def _refuse_other_settings(manifest: Manifest, wanted: dict[str, Any], output: Path) -> None:
    different = differences(manifest.settings, wanted)
    if different:
        raise FeaturesError(
            f"The features in {output} were made with other settings: {'; '.join(different)}.",
            hint="Make them anew with --restart, or give another --output.",
        )


def differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    """List the settings of ``now`` that ``before`` has otherwise, with both values."""
    found: list[str] = []
    for key, value in now.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            found.extend(differences(old, value, f"{prefix}{key}."))
        elif old != value:
            found.append(f"{prefix}{key} was {str(old)[:60]}, now {str(value)[:60]}")
    return found


def _result(
    settings: FeaturizeSettings,
    manifest: Manifest,
    resumed: tuple[int, int],
    seconds: float,
) -> FeaturizeResult:
    rows, tokens = manifest.rows - resumed[0], manifest.tokens - resumed[1]
    return FeaturizeResult(
        features=settings.output,
        teacher=settings.teacher,
        target=settings.target,
        dimension=manifest.dimension,
        rows=manifest.rows,
        rows_resumed=resumed[0],
        tokens=manifest.tokens,
        skipped=[Skipped(*item) for item in manifest.facts.get("skipped", [])],
        duplicates=int(manifest.facts.get("duplicates", 0)),
        dtype=str(manifest.settings.get("computed_in", settings.dtype)),
        seconds=seconds,
        rows_per_second=rows / seconds,
        tokens_per_second=tokens / seconds,
    )
