"""Making the answers to a search of the rows that it found."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ragdoll.corpus.documents import line_of
from ragdoll.corpus.names import files_of
from ragdoll.embedding.folder import parse_json
from ragdoll.embedding.vectors import Vectors
from ragdoll.retrieval.answers import Copy, Hit
from ragdoll.retrieval.storage.schema import KEY_LENGTH, Root

# Copies of a text that a hit names, at most.
_MAX_COPIES = 20


class HitMaker:
    """Makes hits of the rows of a table, whose ``roots`` say where files are now."""

    def __init__(self, roots: Mapping[str, Root], joins_copies: bool = True) -> None:
        """Prepare; ``joins_copies`` makes one hit of rows of the same text."""
        self.joins_copies = joins_copies
        self._roots = roots

    def hits(
        self,
        rows: Iterable[Mapping[str, Any]],
        scores: Vectors,
        by_vector: Vectors | None,
        by_text: Vectors | None,
        by_tokens: Vectors | None,
        k: int,
    ) -> list[Hit]:
        """Make hits of the best ``k`` rows; rows of the same text are one."""
        groups: dict[Any, list[int]] = {}
        read: list[Mapping[str, Any]] = []
        for number, row in enumerate(rows):
            text = row["text"] if self.joins_copies else None
            content = " ".join(text.split()) if text else number
            if content not in groups and len(groups) == k:
                break  # Reading the texts of all candidates would take longer than the search.
            groups.setdefault(content, []).append(number)
            read.append(row)
        return [
            Hit(
                rank=rank,
                score=float(scores[number]),
                vector_score=None if by_vector is None else float(by_vector[number]),
                text_score=None if by_text is None else float(by_text[number]),
                token_score=None if by_tokens is None else float(by_tokens[number]),
                copies=[self._copy(read[other]) for other in others[:_MAX_COPIES]],
                **self.facts(read[number]),
            )
            for rank, (number, *others) in enumerate(groups.values(), 1)
        ]

    def _copy(self, row: Mapping[str, Any]) -> Copy:
        facts = self.facts(row)
        line = line_of(facts["metadata"])
        return Copy(facts["id"], facts["source"], facts.get("root", ""), facts.get("path"), line)

    def facts(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that a hit takes from a row, and the root and the path of its file.

        The table may be another tool's work: any value may be missing.
        """
        facts = {name: row[name] or "" for name in ("id", "source", "title", "text")}
        facts |= {name: row[name] or 0 for name in ("start", "end")}
        facts["metadata"] = _fields(row["metadata"] or "{}")
        root = self._roots.get(facts["id"][:KEY_LENGTH])
        if root is None:
            return facts
        file = None
        if "parts" in root.told:
            file = _file(root.path, facts["source"])
        elif os.path.isabs(root.path):  # noqa: PTH117
            file = root.path.partition("#")[0]
        return {**facts, "root": root.path, "path": file}


def _file(folder: str, source: str) -> str:
    """Return the path of a source's file, whose own name may have a ``#``, too."""
    paths = [f"{folder}/{name}" for name in files_of(source)]
    if len(paths) == 1:
        return paths[0]
    # Not Path.is_file, which raises for a record whose id is too long for a file name.
    return next((path for path in paths if os.path.isfile(path)), paths[0])  # noqa: PTH113


def _fields(metadata: str) -> dict[str, Any]:
    """Read the metadata of a row; none if another tool wrote something else into the table."""
    try:
        fields = parse_json(metadata.encode())
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
