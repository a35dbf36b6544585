"""Retrievers for frameworks: each searches with an ``Index``, or a ``Client`` of a service."""

from __future__ import annotations

from typing import Any

from ragdoll.retrieval.answers import Hit


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
