"""One pass of a teacher over a corpus, window by window of passages.

The corpus is read and cut here. An embedder, in this process or on workers, embeds the windows and
writes them as parts.

The target ``mean`` (of token embeddings, without special tokens and prompt) is the default because
a static model is a mean of token vectors too: trained on it, models had a higher nDCG@10 than on
``sentence`` on Cranfield, CISI and NPL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from itertools import count, islice, zip_longest
from typing import NamedTuple, Protocol

from ragdoll.corpus.documents import Corpus, why_empty
from ragdoll.corpus.names import Seen
from ragdoll.corpus.passages import cut
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest, rolling_hash
from ragdoll.distillation.teacher.model import TeacherFacts, Tokenized
from ragdoll.errors import CorpusChangedError, CorpusError, TeacherError, number_of
from ragdoll.settings import FeaturizeSettings
from ragdoll.streams import Report, read_ahead

# Passages that are sorted, embedded and written together: enough for full batches of one length,
# and few enough that an interruption costs little. In a large corpus they are a share of what came
# before, up to a number of them that memory holds: a hundred million passages in parts of a
# thousand would be a hundred thousand files.
WINDOW = 1024
_LARGEST_WINDOW = 8 * WINDOW
_SHARE = 128

# A corpus is not counted if its passages would have fewer bytes than these, were there more than
# are wanted; nor any further, if the first tenth promises less than half as many.
_SHORTEST = 16
_FIRST, _FEW = 0.1, 0.5

# Static models average tokens, which blurs longer passages. Long-context teachers are therefore
# given passages no longer than this either.
_MAX_PASSAGE_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Window:
    """Passages in the order of the corpus.

    ``number`` is that of their part, and ``start`` the number of passages before. ``hash`` is the
    rolling hash of the corpus up to the window's end. ``tokens`` is None where the embedder
    tokenizes later, or an earlier run embedded the passages. ``share`` is the share of the corpus
    that has been read, from 0 to 1, and ``total`` the passages to come by that; both are None where
    that is not known.
    """

    number: int
    start: int
    texts: list[str]
    hash: str
    tokens: Tokenized | None
    share: float | None
    total: int | None = None


class Embedded(NamedTuple):
    """A part that has been written: its file and its tokens, and the dimension of its vectors."""

    file: str
    tokens: int
    dimension: int


class Reader(Protocol):
    """What reads texts as a teacher does."""

    def count_tokens(self, words: Sequence[str]) -> Sequence[int]:
        """Count the teacher's tokens of each word."""

    def tokenize(self, texts: list[str]) -> Tokenized | None:
        """Tokenize the texts of a window, in the thread that reads; None to do it later."""


class Embedder(Reader, Protocol):
    """What embeds windows with a teacher, and writes their parts."""

    facts: TeacherFacts

    def embed(
        self,
        windows: Iterator[Window],
        budget: int,
        enter: Callable[[Window, Embedded], None],
        report: Report,
    ) -> None:
        """Embed windows in batches of ``budget`` tokens, and write their parts.

        ``enter`` is called with each window when its part is written, in the order of the windows.
        """


@dataclass(slots=True)
class Windows:
    """The passages of a corpus in windows, each text once; ``duplicates`` counts the others.

    Passages have at most ``size`` of the teacher's tokens, and ``limit`` bounds their number. If
    the corpus has more, ``total`` in all, those at equal distances are taken; if the total is None,
    the first. The first windows have the sizes of ``finished`` and are not tokenized. The others
    are numbered from ``next_number`` on.
    """

    corpus: Corpus
    teacher: Reader
    size: int
    limit: int
    finished: Sequence[int] = ()
    next_number: int = 0
    total: int | None = None
    duplicates: int = 0

    def __iter__(self) -> Iterator[Window]:
        stream = islice(self._chosen(), self.limit)
        content, rows = NO_HASH, 0
        for index in count():
            is_finished = index < len(self.finished)
            size = self.finished[index] if is_finished else window_size(rows)
            texts = list(islice(stream, size))
            if not texts:
                return
            content = rolling_hash(content, texts)
            yield Window(
                number=self.next_number + index - len(self.finished),
                start=rows,
                texts=texts,
                hash=content,
                tokens=None if is_finished else self.teacher.tokenize(texts),
                share=self.corpus.share_read(),
            )
            rows += len(texts)

    def _chosen(self) -> Iterator[str]:
        if self.total is None:
            yield from self.passages()
            return
        due = 0
        for number, text in enumerate(self.passages()):
            if number * self.limit >= due * self.total:
                due += 1
                yield text

    def passages(self) -> Iterator[str]:
        """Yield the texts of all passages, each once."""
        self.duplicates = 0
        seen = Seen()
        for document in self.corpus:
            for passage in cut(document, self.size, self.teacher.count_tokens):
                text = passage.text
                if seen.add(text):
                    yield text
                else:
                    self.duplicates += 1


def window_size(before: int) -> int:
    """Return the number of passages of a window, by the number of those before it."""
    return max(WINDOW, min(before // _SHARE // WINDOW * WINDOW, _LARGEST_WINDOW))


@dataclass
class TeacherPass:
    """The pass that embeds the passages of a corpus, from the end of the manifest's parts on."""

    corpus: Corpus
    embedder: Embedder
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
        teacher = self.embedder.facts
        if self.settings.target == "mean" and not teacher.has_token_vectors:
            raise TeacherError(
                f"{teacher.name} gives vectors of whole texts alone, none of tokens.",
                hint='Learn from these: `target="sentence"`.',
            )
        self._size = max(8, min(teacher.passage_tokens, _MAX_PASSAGE_TOKENS))
        reading = {"passage_tokens": self._size, "prompt": teacher.prompt}
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
        manifest, embedder = self.manifest, self.embedder
        windows = Windows(
            self.corpus,
            embedder,
            self._size,
            self.settings.max_means,
            [part["rows"] for part in manifest.parts],
            manifest.next_number,
        )
        windows.total = self._total(windows)
        with closing(read_ahead(windows)) as coming:
            embedder.embed(self._new(coming), self._budget(), self._enter, self.report)
        if not manifest.parts:
            raise CorpusError(
                f"The corpus has no text to learn from.{why_empty(self.corpus.skipped)}",
                hint="It may be files of text, records or source code, a dataset or "
                "python:PACKAGE.",
            )
        manifest.facts |= {
            "documents": self.corpus.documents,
            "duplicates": windows.duplicates,
            "skipped": [astuple(item) for item in self.corpus.skipped],
        }

    def _total(self, windows: Windows) -> int | None:
        """Count the passages of a corpus that may have more than are wanted.

        None where it has no more, or cannot be read twice. The number belongs to the features: a
        run that goes on takes the same passages.
        """
        settings = self.manifest.settings
        if not self.manifest.parts and "corpus_passages" not in settings:
            total = self._counted(windows)
            if total > windows.limit:
                settings["corpus_passages"] = total
        return settings.get("corpus_passages")

    def _counted(self, windows: Windows) -> int:
        """Count the passages of a corpus, as long as there may be more than are wanted."""
        size = self.corpus.size()
        if size is None or size < _SHORTEST * windows.limit:
            return 0
        total = 0
        for total, _ in enumerate(windows.passages(), start=1):
            share = self.corpus.share_read() if total % WINDOW == 0 else None
            if share:
                promised = total / share
                if share >= _FIRST and promised < _FEW * windows.limit:
                    return 0
                self.report("counting passages", total, round(promised))
        return total

    def _budget(self) -> int:
        """Return the tokens of a batch.

        Below float32 a vector depends on its batch, so a resumed run keeps the first run's size.
        """
        teacher = self.embedder.facts
        longest = self._size + teacher.max_length - teacher.passage_tokens
        budget = self.settings.batch_size * longest
        settings = self.manifest.settings
        earlier: int = settings.setdefault("batch_tokens", budget)
        return budget if settings.get("computed_in", "float32") == "float32" else earlier

    def _new(self, windows: Iterator[Window]) -> Iterator[Window]:
        """Compare the hashes of the finished windows, and yield the others."""
        limit = self.settings.max_means
        rows = 0
        for window, part in zip_longest(windows, list(self.manifest.parts)):
            if window is None:
                raise self._changed(f"ends after {number_of('passage', rows)}")
            if part is not None and part["hash"] != window.hash:
                raise self._changed(
                    f"differs within passages {rows + 1:,} to {rows + part['rows']:,}"
                )
            rows += len(window.texts)
            total = min(limit, round(rows / window.share)) if window.share else None
            if part is None:
                yield replace(window, total=total)
            else:
                self.report("passages", rows, total)

    def _enter(self, window: Window, part: Embedded) -> None:
        """Enter a part that has been written into the manifest."""
        manifest = self.manifest
        manifest.dimension = part.dimension
        manifest.parts.append(
            {
                "file": part.file,
                "rows": len(window.texts),
                "tokens": part.tokens,
                "hash": window.hash,
            }
        )
        self.folder.write_manifest(manifest)

    def _changed(self, how: str) -> CorpusChangedError:
        return CorpusChangedError(
            f"The corpus is not the one that {self.folder} was made from: it {how}.",
            hint="Make the features anew with `restart=True`, or give another `featurize.output`.",
        )
