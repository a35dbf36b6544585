"""A corpus in batches: documents, cut into passages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

from ragdoll.corpus.documents import Corpus, Document, why_empty
from ragdoll.corpus.formats.kinds import FAMILIES
from ragdoll.corpus.passages import Passage, cut
from ragdoll.corpus.sources.given import GIVEN
from ragdoll.errors import CorpusError
from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.writing.rows import identified
from ragdoll.streams import Report, grouped

# Bounds of a batch, which is read, compared and written together. A batch takes no further document
# once its texts have this number of characters; a single document may have more.
_DOCUMENTS = 4000
_CHARACTERS = 8_000_000

Batch = list[tuple[Document, list[Passage]]]


class BatchReader:
    """A corpus that is read in batches; ``documents`` counts those read so far, by their root."""

    def __init__(self, corpus: Corpus, model: TableModel, chunk_size: int, report: Report) -> None:
        """Prepare to cut documents into passages of at most ``chunk_size`` tokens."""
        self.corpus = corpus
        self.model = model
        self.documents: dict[str, int] = dict.fromkeys(corpus.roots, 0)
        self._chunk_size = chunk_size
        self._report = report

    def read(self, key_of: Callable[[str], str]) -> Iterator[Batch]:
        """Yield the batches; ``key_of`` maps a root to its key in the table."""
        total = 0
        for documents in grouped(self.corpus, attrgetter("text"), _DOCUMENTS, _CHARACTERS):
            total += len(documents)
            self._report("documents", total, None)
            size = self._chunk_size
            counts = self.model.prepare([document.text for document in documents], size)
            batch = []
            for document, tokens in zip(documents, counts, strict=True):
                self.documents[document.root] += 1
                passages = cut(document, size, self.model.count_tokens, tokens)
                batch.append((document, identified(passages, key_of(document.root))))
            yield batch

    def refuse_empty(self, hint: str | None = None) -> None:
        """Check that there were documents: none are more often a mistake than what is wanted.

        Raises:
            CorpusError: there were none, with this hint or one about formats.
        """
        if any(self.documents.values()):
            return
        named = self.corpus.description.get("path", [])
        places = ", ".join(place for place in named if place != GIVEN)
        raise CorpusError(
            f"No documents{f' in {places}' if places else ''}; nothing was changed."
            + why_empty(self.corpus.skipped),
            hint=hint or f"ragdoll reads {FAMILIES}; datasets and python:PACKAGE as well.",
        )
