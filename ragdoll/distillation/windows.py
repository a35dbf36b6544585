"""A corpus as windows of passages, read and tokenized while the teacher is busy with the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Protocol

from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.passages import CountTokens, cut
from ragdoll.corpus.seen import Seen
from ragdoll.distillation.manifest import NO_HASH, rolling_hash
from ragdoll.distillation.tokenized import Tokenized

# Passages sorted, encoded and written together: enough for full batches of one length, few enough
# that an interruption costs little.
WINDOW = 1024


class PassageTokenizer(Protocol):
    """What windows need of a teacher: how long words are to it, and texts as it reads them."""

    @property
    def count_tokens(self) -> CountTokens:
        """Counts the tokens of words."""
        ...

    def tokenize(self, texts: Sequence[str]) -> Tokenized:
        """Tokenize passages."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """Passages in the order of the corpus.

    ``hash`` is the rolling hash of the corpus up to their end. ``tokens`` is None where they need
    no embedding. ``share`` is how much of the corpus has been read, from 0 to 1; None where that
    is not known.
    """

    texts: list[str]
    hash: str
    tokens: Tokenized | None
    share: float | None


class Windows:
    """The passages of a corpus, each text once, in windows; counts what it reads.

    Passages have at most ``size`` of the tokenizer's tokens. The first windows have the sizes of
    ``finished`` and are not tokenized.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: PassageTokenizer,
        size: int,
        limit: int,
        finished: Sequence[int] = (),
    ) -> None:
        self._corpus = corpus
        self._tokenizer = tokenizer
        self._size = size
        self._limit = limit
        self._finished = finished
        self.duplicates = 0

    def __iter__(self) -> Iterator[Window]:
        stream = islice(self._passages(), self._limit)
        content = NO_HASH
        sizes = chain(self._finished, repeat(WINDOW))
        for number, size in enumerate(sizes):
            texts = list(islice(stream, size))
            if not texts:
                return
            content = rolling_hash(content, texts)
            new = number >= len(self._finished)
            yield Window(
                texts=texts,
                hash=content,
                tokens=self._tokenizer.tokenize(texts) if new else None,
                share=self._corpus.share_read(),
            )

    def _passages(self) -> Iterator[str]:
        seen = Seen()
        for document in self._corpus:
            for passage in cut(document, self._size, self._tokenizer.count_tokens):
                text = passage.text
                if seen.add(text):
                    yield text
                else:
                    self.duplicates += 1
