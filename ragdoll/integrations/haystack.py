"""A retriever for Haystack, which the extra ``haystack`` brings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ragdoll.client import Client
from ragdoll.extras import missing
from ragdoll.integrations import metadata_of
from ragdoll.retrieval.answers import Hit, Searchable, SearchOptions
from ragdoll.retrieval.index import Index
from ragdoll.settings import Mode

try:
    from haystack import Document, component, default_from_dict, default_to_dict
except ImportError as error:
    raise missing("haystack", "This retriever") from error


@component
class RagdollRetriever:
    """Retrieves passages from a database, or from a service by its address.

    ``place`` is the database's folder or URI, or the service's address. A token comes from
    ``index``, which a pipeline that is written to a file does not hold. Haystack reads such a file
    by ``Pipeline.loads(text, allowed_modules=["ragdoll.integrations.haystack"])``.
    """

    def __init__(
        self,
        place: str | Path,
        table: str | None = None,
        top_k: int = 10,
        mode: Mode = "hybrid",
        index: Searchable | None = None,
    ) -> None:
        """Name what to search; ``index`` None opens it when it is first asked.

        Raises:
            UsageError: ``top_k`` or ``mode`` is out of range.
        """
        SearchOptions(top_k, mode)
        self.place = str(place)
        self.table = table
        self.top_k = top_k
        self.mode = mode
        self._index = index

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        top_k: int | None = None,
        where: str | None = None,
        source: str | None = None,
    ) -> dict[str, list[Document]]:
        """Return the best passages for a query."""
        if self._index is None:
            is_service = self.place.lower().startswith(("http://", "https://"))
            self._index = (
                Client(self.place, table=self.table)
                if is_service
                else Index.open(self.place, table=self.table)
            )
        hits = self._index.search(
            query,
            self.top_k if top_k is None else top_k,
            mode=self.mode,
            where=where,
            source=source,
        )
        return {"documents": [_document(hit) for hit in hits]}

    def to_dict(self) -> dict[str, Any]:
        """Write the component for a pipeline's file."""
        facts = default_to_dict(
            self, place=self.place, table=self.table, top_k=self.top_k, mode=self.mode
        )
        return dict(facts)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RagdollRetriever:
        """Read the component from a pipeline's file."""
        made: RagdollRetriever = default_from_dict(cls, data)
        return made


def _document(hit: Hit) -> Document:
    return Document(id=hit.id, content=hit.text, meta=metadata_of(hit), score=hit.score)
