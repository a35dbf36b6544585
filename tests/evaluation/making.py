"""Test collections that the tests of this room write."""

from __future__ import annotations

import json
from pathlib import Path


def written(folder: Path, documents: dict[str, str], queries: dict[str, str], qrels: str) -> Path:
    """Write a collection in BEIR layout, and return its folder."""
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder
