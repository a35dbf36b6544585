"""What indexing asks of the tokenizer: every distinct word once, and batch by batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel

from ragdoll.embedding.words import WordTokens
from tests.conftest import Trained
from tests.retrieval.conftest import Indexed


def test_indexing_tokenizes_each_distinct_word_once_in_one_call(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = WordTokens._encode, []

    def watched(self: WordTokens, texts: list[str]) -> Any:
        calls.append(texts)
        return encode(self, texts)

    monkeypatch.setattr(WordTokens, "_encode", watched)
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.txt").write_text(f"The event loop runs task {number} (of 300).")
    table = Indexed(tmp_path / "database", folder, trained.model)
    assert table.index().chunks == 300
    assert len(calls) == 1
    assert len(calls[0]) == len(set(calls[0]))
    rows = table.rows()
    expected = StaticModel.from_pretrained(trained.model).encode([row["text"] for row in rows])
    np.testing.assert_allclose([row["vector"] for row in rows], expected, rtol=0, atol=2e-6)
