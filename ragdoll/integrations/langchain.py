"""A retriever for LangChain, which the extra ``langchain`` brings."""

from __future__ import annotations

from typing import Any

from ragdoll.extras import missing
from ragdoll.integrations import metadata_of
from ragdoll.retrieval.reading.hits import Hit
from ragdoll.retrieval.reading.search import Mode

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise missing("langchain", "This retriever") from error


class RagdollRetriever(BaseRetriever):
    """Retrieves passages from an index, or from a service by its client.

    ``index`` is a ``ragdoll.Index`` or a ``ragdoll.Client``; the other fields are as for its
    ``search``.
    """

    index: Any
    k: int = 10
    mode: Mode = "hybrid"
    where: str | None = None
    source: str | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        return [_document(hit) for hit in self.index.search(query, self.k, **self._filters())]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        del run_manager
        hits = await self.index.asearch(query, self.k, **self._filters())
        return [_document(hit) for hit in hits]

    def _filters(self) -> dict[str, Any]:
        return {"mode": self.mode, "where": self.where, "source": self.source}


def _document(hit: Hit) -> Document:
    return Document(page_content=hit.text, id=hit.id, metadata=metadata_of(hit))
