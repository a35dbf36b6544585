"""A retriever for LlamaIndex, which the extra ``llama-index`` brings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ragdoll.corpus.documents import LINE
from ragdoll.extras import missing
from ragdoll.integrations import metadata_of
from ragdoll.retrieval.answers import Hit, Searchable, SearchOptions
from ragdoll.settings import Mode

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as error:
    raise missing("llama-index", "This retriever") from error

# What the metadata of a node have for programs, and not for language models.
_FOR_PROGRAMS = ["path", "line", LINE, "score"]


class RagdollRetriever(BaseRetriever):
    """Retrieves passages from an index, or from a service by its client.

    A language model reads a passage with its source and title, and without its path, line and
    score.
    """

    def __init__(
        self,
        index: Searchable,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        where: str | None = None,
        source: str | None = None,
        **options: Any,
    ) -> None:
        """Name what to search, and how; ``options`` are those of the base class.

        Raises:
            UsageError: ``k``, ``mode`` or a condition is out of range.
        """
        options_of_search = SearchOptions(k, mode, None, where, source)
        super().__init__(**options)
        self._index = index
        self._search = asdict(options_of_search)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._index.search(query_bundle.query_str, **self._search)
        return [_node(hit) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = await self._index.asearch(query_bundle.query_str, **self._search)
        return [_node(hit) for hit in hits]


def _node(hit: Hit) -> NodeWithScore:
    node = TextNode(
        id_=hit.id,
        text=hit.text,
        metadata=metadata_of(hit),
        excluded_llm_metadata_keys=_FOR_PROGRAMS,
        excluded_embed_metadata_keys=_FOR_PROGRAMS,
    )
    return NodeWithScore(node=node, score=hit.score)
