"""Where a teacher embeds the windows of a corpus: in this process, or on the workers of a cluster.

In this process one thread reads and tokenizes the next window, one embeds, and one writes the last.
Workers tokenize, embed and write whole windows by themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain

import numpy as np
from tokenizers import Tokenizer

from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import Manifest, part_number
from ragdoll.distillation.features.teacher_pass import Embedded, Window
from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import Teacher, Tokenized
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens
from ragdoll.engine import Workers
from ragdoll.errors import TeacherError, number_of
from ragdoll.settings import Target, TeacherSettings
from ragdoll.streams import Report


class Here:
    """Embeds windows in this process; the manifest gets the type that the teacher computes in."""

    def __init__(
        self, teacher: Teacher, target: Target, folder: FeaturesFolder, manifest: Manifest
    ) -> None:
        self.facts = teacher.facts
        self.count_tokens = teacher.count_tokens
        self._teacher = teacher
        self._target: Target = target
        self._folder = folder
        self._manifest = manifest

    def tokenize(self, texts: list[str]) -> Tokenized | None:
        """Tokenize the texts of a window."""
        return self._teacher.tokenize(texts)

    def embed(
        self,
        windows: Iterator[Window],
        budget: int,
        enter: Callable[[Window, Embedded], None],
        report: Report,
    ) -> None:
        """Embed a window while the one before is written; see ``Embedder``."""
        teacher = self._teacher

        def write(window: Window, tokens: Tokenized, vectors: Vectors) -> None:
            is_first = not self._manifest.parts
            part = self._folder.write_part(window.number, window.texts, vectors, is_first)
            enter(window, _embedded_as(part, tokens, vectors))

        # An interruption arrives in this thread alone, so a part is written to its end.
        with ThreadPoolExecutor(1, "ragdoll-write") as writer:
            writing: Future[None] | None = None
            for window in windows:

                def progress(done: int, window: Window = window) -> None:
                    report("passages", window.start + done, window.total)

                tokens = window.tokens or teacher.tokenize(window.texts)
                if writing is None:
                    self._settle_dtype(tokens)
                vectors = _embedded(teacher, tokens, self._target, budget, progress)
                if writing:
                    writing.result()
                writing = writer.submit(write, window, tokens, vectors)
                progress(len(window.texts))
            if writing:
                writing.result()

    def _settle_dtype(self, sample: Tokenized) -> None:
        """Settle the type to compute in: that of earlier parts, else the teacher's choice."""
        self._teacher.dtype = _earlier_dtype(self._manifest) or self._teacher.dtype
        settled = self._teacher.settle_dtype(sample, self._target)
        self._manifest.settings["computed_in"] = settled


class OnWorkers:
    """Embeds windows on workers, of which each has a ``TeacherAtWork``; otherwise as ``Here``.

    The workers must see the folder of the features in the same place.
    """

    def __init__(self, workers: Workers, folder: FeaturesFolder, manifest: Manifest) -> None:
        self.facts, tokenizer = workers.ask("describe")
        self.count_tokens = WordTokens(Tokenizer.from_str(tokenizer)).count
        self._workers = workers
        self._folder = folder
        self._manifest = manifest

    def tokenize(self, texts: list[str]) -> None:
        """Leave the texts to the workers."""

    def embed(
        self,
        windows: Iterator[Window],
        budget: int,
        enter: Callable[[Window, Embedded], None],
        report: Report,
    ) -> None:
        """Have windows embedded and written, some at a time; see ``Embedder``."""
        first = next(windows, None)
        if first is None:
            return
        manifest, workers = self._manifest, self._workers
        dtype = workers.ask("settle_dtype", first.texts, _earlier_dtype(manifest))
        manifest.settings["computed_in"] = dtype
        # Features that are there stay whole until the first new part is entered.
        old = [] if manifest.parts else self._folder.parts()
        above = 1 + max(map(part_number, old), default=-1)
        self._folder.prepare()
        handed_out: deque[Window] = deque()

        def tasks() -> Iterator[tuple[int, list[str], str, int]]:
            for window in chain([first], windows):
                handed_out.append(window)
                yield above + window.number, window.texts, dtype, budget

        for part in workers.map("embed", tasks()):
            window = handed_out.popleft()
            enter(window, part)
            self._folder.remove(old)
            old = []
            detail = number_of("worker", workers.started)
            report("passages", window.start + len(window.texts), window.total, detail)


class TeacherAtWork:
    """A teacher in the process of a worker, which writes what it embeds."""

    def __init__(
        self,
        settings: TeacherSettings,
        fingerprint: str,
        trust_remote_code: bool,
        target: Target,
        folder: FeaturesFolder,
    ) -> None:
        """Load the teacher.

        Raises:
            TeacherError: it is not found here, or is another one than the driver's.
        """
        files = find_teacher(settings.model)
        if files.fingerprint != fingerprint:
            raise TeacherError(
                f"The teacher {settings.model} is not the same on all machines of the cluster.",
                hint="Put the same files in the same place of each.",
            )
        self._teacher = Teacher(files, settings.device, settings.dtype, trust_remote_code)
        self._target: Target = target
        self._folder = folder
        if self._teacher.device == "cpu":
            import torch

            torch.set_num_threads(1)

    def describe(self) -> tuple[object, str]:
        """Return the teacher's facts, and the definition of its tokenizer."""
        return self._teacher.facts, self._teacher.tokenizer

    def settle_dtype(self, sample: Sequence[str], dtype: str | None) -> str:
        """Settle the type that all workers compute in, by the texts of the first window."""
        self._teacher.dtype = dtype or self._teacher.dtype
        return self._teacher.settle_dtype(self._teacher.tokenize(sample), self._target)

    def embed(self, number: int, texts: Sequence[str], dtype: str, budget: int) -> Embedded:
        """Embed the texts of a window, and write its part."""
        teacher = self._teacher
        tokens = teacher.tokenize(texts)
        if teacher.dtype != dtype:
            teacher.dtype = dtype
            teacher.settle_dtype(tokens, self._target)
        vectors = _embedded(teacher, tokens, self._target, budget)
        return _embedded_as(self._folder.write_part(number, texts, vectors), tokens, vectors)


def _embedded_as(file: str, tokens: Tokenized, vectors: Vectors) -> Embedded:
    return Embedded(file, sum(tokens.lengths), vectors.shape[1])


def _embedded(
    teacher: Teacher,
    tokens: Tokenized,
    target: Target,
    budget: int,
    progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Embed texts; refuse a NaN that the type causes by its small range.

    Those of float32 are left to training.
    """
    vectors = teacher.embed(tokens, target, budget, progress)
    bad = int((~np.isfinite(vectors).all(axis=1)).sum())
    if bad and teacher.dtype != "float32":
        raise TeacherError(
            f"In {teacher.dtype} the teacher gives no number for {number_of('passage', bad)}.",
            hint='Compute in float32: `dtype="float32"` and `restart=True`.',
        )
    return vectors


def _earlier_dtype(manifest: Manifest) -> str | None:
    """Return the type that earlier parts were computed in, if there are any."""
    return manifest.settings.get("computed_in") if manifest.parts else None
