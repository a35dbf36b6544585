"""Retrievers for frameworks: each searches with an ``Index``, or a ``Client`` of a service."""

from __future__ import annotations

from typing import Any, Protocol

from ragdoll.retrieval.reading.hits import Hit
from ragdoll.settings import Mode


class Searchable(Protocol):
    """What a retriever asks: an ``Index`` or a ``Client``."""

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        where: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Return the best ``k`` passages for a query."""
        ...

    async def asearch(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        where: str | None = None,
        source: str | None = None,
    ) -> list[Hit]:
        """Return the best ``k`` passages for a query; other tasks go on meanwhile."""
        ...


def metadata_of(hit: Hit) -> dict[str, Any]:
    """Return what a framework keeps beside the text of a passage."""
    own = {
        "source": hit.source,
        "title": hit.title,
        "line": hit.line,
        "path": hit.path,
        "score": hit.score,
    }
    return {**hit.metadata, **{name: value for name, value in own.items() if value is not None}}
