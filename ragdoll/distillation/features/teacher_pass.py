"""One pass of a teacher over a corpus, window by window of passages.

One thread reads and tokenizes the next window, one embeds, and one writes the last.

The target ``mean`` (of token embeddings, without special tokens and prompt) is the default because
a static model is a mean of token vectors too: trained on it, models had a higher nDCG@10 than on
``sentence`` on Cranfield, CISI and NPL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import astuple, dataclass
from functools import partial
from itertools import chain, islice, repeat, zip_longest

import numpy as np

from ragdoll.corpus.documents import Corpus, why_empty
from ragdoll.corpus.names import Seen
from ragdoll.corpus.passages import cut
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest, rolling_hash
from ragdoll.distillation.teacher.model import Teacher, Tokenized
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import CorpusChangedError, CorpusError, FeaturesError, TeacherError, number_of
from ragdoll.settings import FeaturizeSettings
from ragdoll.streams import Report, read_ahead

# Passages that are sorted, embedded and written together: enough for full batches of one length,
# and few enough that an interruption costs little.
WINDOW = 1024

# Static models average tokens, which blurs longer passages. Long-context teachers are therefore
# given passages no longer than this either.
_MAX_PASSAGE_TOKENS = 256

_KEPT = "What is done is kept; the next run goes on from there, unless it restarts."


@dataclass(frozen=True, slots=True)
class Window:
    """Passages in the order of the corpus.

    ``hash`` is the rolling hash of the corpus up to the window's end. ``tokens`` is None if an
    earlier run embedded the passages. ``share`` is the share of the corpus that has been read, from
    0 to 1; None where that is not known.
    """

    texts: list[str]
    hash: str
    tokens: Tokenized | None
    share: float | None


@dataclass(slots=True)
class Windows:
    """The passages of a corpus in windows, each text once; ``duplicates`` counts the others.

    Passages have at most ``size`` of the teacher's tokens, and ``limit`` bounds their number. The
    first windows have the sizes of ``finished`` and are not tokenized.
    """

    corpus: Corpus
    teacher: Teacher
    size: int
    limit: int
    finished: Sequence[int] = ()
    duplicates: int = 0

    def __iter__(self) -> Iterator[Window]:
        stream = islice(self._passages(), self.limit)
        content = NO_HASH
        for number, size in enumerate(chain(self.finished, repeat(WINDOW))):
            texts = list(islice(stream, size))
            if not texts:
                return
            content = rolling_hash(content, texts)
            tokens = self.teacher.tokenize(texts) if number >= len(self.finished) else None
            yield Window(texts, content, tokens, self.corpus.share_read())

    def _passages(self) -> Iterator[str]:
        seen = Seen()
        for document in self.corpus:
            for passage in cut(document, self.size, self.teacher.count_tokens):
                text = passage.text
                if seen.add(text):
                    yield text
                else:
                    self.duplicates += 1


@dataclass
class TeacherPass:
    """The pass that embeds the passages of a corpus, from the end of the manifest's parts on."""

    corpus: Corpus
    teacher: Teacher
    settings: FeaturizeSettings
    folder: FeaturesFolder
    manifest: Manifest
    report: Report

    def __post_init__(self) -> None:
        """Prepare to go on after the parts of the manifest.

        Raises:
            FeaturesError: the teacher made these parts with another prompt or passage length.
            TeacherError: the target is the mean of token vectors, and the teacher gives none.
        """
        if self.settings.target == "mean" and not self.teacher.has_token_vectors():
            raise TeacherError(
                f"{self.teacher.files.name} gives vectors of whole texts alone, none of tokens.",
                hint='Learn from these: `target="sentence"`.',
            )
        self._size = max(8, min(self.teacher.passage_tokens, _MAX_PASSAGE_TOKENS))
        reading = {"passage_tokens": self._size, "prompt": self.teacher.prompt("document")}
        if self.manifest.parts:
            self.folder.refuse_other(self.manifest, reading)
        self.manifest.settings.update(reading)

    def run(self) -> None:
        """Embed up to ``max_means`` passages, in batches of the tokens of ``batch_size`` long ones.

        Raises:
            CorpusChangedError: the parts were made from another corpus.
            CorpusError: the corpus has no passages.
            FeaturesError: a part cannot be written.
            TeacherError: the teacher gives no usable vectors.
        """
        sizes = [part["rows"] for part in self.manifest.parts]
        limit = self.settings.max_means
        windows = Windows(self.corpus, self.teacher, self._size, limit, sizes)
        # An interruption arrives in this thread alone, so a part is written to its end.
        with (
            ThreadPoolExecutor(1, "ragdoll-write") as writer,
            closing(read_ahead(windows)) as coming,
        ):
            writing: Future[None] | None = None
            for window, vectors in self._embedded(coming):
                if writing:
                    writing.result()
                writing = writer.submit(self._write, window, vectors)
            if writing:
                writing.result()
        if not self.manifest.parts:
            raise CorpusError(
                f"The corpus has no text to learn from.{why_empty(self.corpus.skipped)}",
                hint="It may be files of text, records or source code, a dataset or "
                "python:PACKAGE.",
            )
        self.manifest.facts |= {
            "documents": self.corpus.documents,
            "duplicates": windows.duplicates,
            "skipped": [astuple(item) for item in self.corpus.skipped],
        }

    def _budget(self) -> int:
        """Return the tokens of a batch.

        Below float32 a vector depends on its batch, so a resumed run keeps the first run's size.
        """
        longest = self._size + self.teacher.max_length - self.teacher.passage_tokens
        budget = self.settings.batch_size * longest
        settings = self.manifest.settings
        earlier: int = settings.setdefault("batch_tokens", budget)
        return budget if settings.get("computed_in", "float32") == "float32" else earlier

    def _embedded(self, windows: Iterator[Window]) -> Iterator[tuple[Window, Vectors]]:
        """Compare the hashes of the finished windows; embed and yield the others."""
        budget, limit = self._budget(), self.settings.max_means
        rows = 0
        is_settled = False
        for window, part in zip_longest(windows, list(self.manifest.parts)):
            if window is None:
                raise self._changed(f"ends after {number_of('passage', rows)}")
            end = rows + len(window.texts)
            total = min(limit, round(end / window.share)) if window.share else None
            if part is not None and part["hash"] != window.hash:
                raise self._changed(
                    f"differs within passages {rows + 1:,} to {rows + part['rows']:,}"
                )
            if window.tokens is not None:
                if not is_settled:
                    self._settle_dtype(window.tokens)
                    is_settled = True
                progress = partial(self._report_rows, rows, total)
                vectors = self.teacher.embed(window.tokens, self.settings.target, budget, progress)
                self._check(vectors)
                yield window, vectors
            rows = end
            self.report("passages", rows, total)

    def _write(self, window: Window, vectors: Vectors) -> None:
        manifest, folder = self.manifest, self.folder
        try:
            number = len(manifest.parts)
            name = folder.write_part(number, window.texts, vectors, replaces=not number)
            manifest.dimension = vectors.shape[1]
            manifest.parts.append(
                {
                    "file": name,
                    "rows": len(window.texts),
                    "tokens": sum(window.tokens.lengths) if window.tokens else 0,
                    "hash": window.hash,
                }
            )
            folder.write_manifest(manifest)
        except OSError as error:
            raise FeaturesError(
                f"{folder.path} cannot be written: {error.strerror or error}.",
                hint=f"{_KEPT} Mind the space on the disk.",
            ) from error

    def _settle_dtype(self, sample: Tokenized) -> None:
        """Settle the type to compute in: that of earlier parts, else the teacher's choice."""
        settings = self.manifest.settings
        if self.manifest.parts and settings.get("computed_in"):
            self.teacher.dtype = str(settings["computed_in"])
        settings["computed_in"] = self.teacher.settle_dtype(sample, self.settings.target)

    def _check(self, vectors: Vectors) -> None:
        """Refuse a NaN that the type causes by its small range; float32 leaves it to training."""
        bad = int((~np.isfinite(vectors).all(axis=1)).sum())
        if bad and self.teacher.dtype != "float32":
            raise TeacherError(
                f"In {self.teacher.dtype} the teacher gives no number for "
                f"{number_of('passage', bad)}.",
                hint='Compute in float32: `dtype="float32"` and `restart=True`.',
            )

    def _report_rows(self, before: int, total: int | None, done: int) -> None:
        self.report("passages", before + done, total)

    def _changed(self, how: str) -> CorpusChangedError:
        return CorpusChangedError(
            f"The corpus is not the one that {self.folder.path} was made from: it {how}.",
            hint="Make the features anew with `restart=True`, or give another `output`.",
        )
