"""A retriever for LangChain, which the extra ``langchain`` brings."""

from __future__ import annotations

from typing import Any

from ragdoll.extras import missing
from ragdoll.integrations import metadata_of
from ragdoll.retrieval.answers import Hit
from ragdoll.settings import Mode

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
    ``search``, and ``invoke`` takes others for one query.
    """

    index: Any
    k: int = 10
    mode: Mode = "hybrid"
    where: str | None = None
    source: str | None = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        del run_manager
        return [_document(hit) for hit in self.index.search(query, **self._with(options))]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        del run_manager
        hits = await self.index.asearch(query, **self._with(options))
        return [_document(hit) for hit in hits]

    def _with(self, options: dict[str, Any]) -> dict[str, Any]:
        own = {"k": self.k, "mode": self.mode, "where": self.where, "source": self.source}
        return {**own, **options}


def _document(hit: Hit) -> Document:
    return Document(page_content=hit.text, id=hit.id, metadata=metadata_of(hit))
