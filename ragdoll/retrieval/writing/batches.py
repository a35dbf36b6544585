"""A corpus in batches of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import attrgetter

from ragdoll.corpus.documents import Corpus, Document, why_empty
from ragdoll.corpus.formats.kinds import FAMILIES
from ragdoll.corpus.sources.given import GIVEN
from ragdoll.errors import CorpusError
from ragdoll.retrieval.storage.schema import mistyped
from ragdoll.streams import Report, grouped

# Bounds of a batch, which is read, compared and written together. A batch takes no further document
# once its texts have this number of characters; a single document may have more.
_DOCUMENTS = 4000
_CHARACTERS = 8_000_000
# Workers take smaller batches: each is to have some, and several are held at a time.
_DOCUMENTS_OF_WORKER = 1000
_CHARACTERS_OF_WORKER = 2_000_000


class BatchReader:
    """A corpus that is read in batches; ``documents`` counts those read so far, by their root."""

    def __init__(
        self, corpus: Corpus, columns: Mapping[str, str], report: Report, for_workers: bool = False
    ) -> None:
        """Prepare to read, in smaller batches ``for_workers``.

        Values that are not of the type of their column are noted: the column has none for them.
        """
        self.corpus = corpus
        self._columns = columns
        self.documents: dict[str, int] = dict.fromkeys(corpus.roots, 0)
        self._report = report
        self._for_workers = for_workers

    def read(self) -> Iterator[list[Document]]:
        """Yield the batches of documents."""
        total = 0
        bounds = (_DOCUMENTS, _CHARACTERS)
        if self._for_workers:
            bounds = (_DOCUMENTS_OF_WORKER, _CHARACTERS_OF_WORKER)
        for documents in grouped(self.corpus, attrgetter("text"), *bounds):
            total += len(documents)
            self._report("documents", total, None)
            for document in documents:
                self.documents[document.root] += 1
                for name in mistyped(document.metadata, self._columns):
                    what = f"{name} is no {self._columns[name]}; the column has no value"
                    self.corpus.readings[document.root].note(document.source, what)
            yield documents

    def refuse_empty(self, hint: str | None = None) -> None:
        """Check that there were documents: an empty corpus is usually a mistake.

        Raises:
            CorpusError: there were none; ``hint`` is what to do, None says which formats are read.
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
