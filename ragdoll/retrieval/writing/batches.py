"""A corpus as a stream of batches: documents with the rows that they are cut into."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from operator import attrgetter

from ragdoll.corpus.documents import Corpus, Document, why_empty
from ragdoll.corpus.formats.files import FAMILIES
from ragdoll.corpus.passages import cut
from ragdoll.embedding.identity import ModelIdentity, identify
from ragdoll.embedding.static import StaticEncoder
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import CorpusError, ModelError
from ragdoll.retrieval.writing.rows import Row, rows_of
from ragdoll.streams import Report, grouped

# Documents that are read, compared and written together: at most so many, and no further one once
# their texts have so many characters. A single document may have more.
_DOCUMENTS = 4000
_CHARACTERS = 8_000_000

Batch = list[tuple[Document, list[Row]]]


class BatchReader:
    """Reads a corpus in batches, and embeds their rows."""

    def __init__(
        self, corpus: Corpus, model: ModelIdentity, chunk_size: int, report: Report
    ) -> None:
        """Prepare to read with this model, and no other that takes its place."""
        self.corpus = corpus
        self._model = model
        self._chunk_size = chunk_size
        self._report = report
        self.documents: dict[str, int] = dict.fromkeys(corpus.roots, 0)
        """The documents of each root that were read so far."""

    @cached_property
    def _encoder(self) -> StaticEncoder:
        """The model, loaded when the first passage is cut: a run with nothing to do needs none."""
        encoder = StaticEncoder(self._model.path)
        if identify(self._model.path).fingerprint != self._model.fingerprint:
            raise ModelError(
                f"The model {self._model.path} was replaced by another one meanwhile.",
                hint="Run the same command again.",
            )
        return encoder

    def encode(self, rows: Iterable[Row]) -> Vectors:
        """Embed the texts of rows."""
        return self.embed([row.text for row in rows])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts."""
        return self._encoder.encode(texts)

    def read(self, key_of: Callable[[str], str]) -> Iterator[Batch]:
        """Yield the batches; ``key_of`` maps a root to its key in the table.

        Raises:
            CorpusError: the corpus has no documents, which is taken for a mistake, not for an empty
                table.
        """
        total = 0
        for batch in grouped(self.corpus, attrgetter("text"), _DOCUMENTS, _CHARACTERS):
            total += len(batch)
            self._report("documents", total, None)
            size = self._chunk_size
            counts = self._encoder.prepare([document.text for document in batch], size)
            cuts = []
            for document, tokens in zip(batch, counts, strict=True):
                self.documents[document.root] += 1
                passages = cut(document, size, self._encoder.count_tokens, tokens)
                cuts.append((document, rows_of(passages, key_of(document.root))))
            yield cuts
        if not total:
            raise CorpusError(
                f"No documents in {', '.join(self.corpus.roots)}; nothing was changed."
                + why_empty(self.corpus.skipped),
                hint=f"ragdoll reads {FAMILIES}; datasets and python:PACKAGE as well.",
            )
