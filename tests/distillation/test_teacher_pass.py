"""Windows of passages: in the order of the corpus, each text once, tokenized where they are new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ragdoll.distillation.features import teacher_pass as module
from ragdoll.distillation.features.manifest import NO_HASH, rolling_hash
from ragdoll.distillation.features.teacher_pass import Windows
from ragdoll.distillation.teacher.model import Tokenized
from tests.making import open_corpus


class Words:
    """A teacher for which a word is a token, and which keeps the texts that it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def count_tokens(self, words: Sequence[str]) -> list[int]:
        return [1] * len(words)

    def tokenize(self, texts: Sequence[str]) -> Tokenized:
        self.read.extend(texts)
        return Tokenized({"input_ids": [[0] * len(text.split()) for text in texts]})


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "WINDOW", 2)
    file = tmp_path / "lines.jsonl"
    texts = ["one", "two two", "one", "three", "four a b c d e", "two two"]
    file.write_text("".join(f'{{"text": "{text}"}}\n' for text in texts))
    return file


def test_each_text_comes_once_and_no_passage_is_too_long(lines: Path) -> None:
    windows = Windows(open_corpus([str(lines)]), Words(), size=4, limit=100)
    read = list(windows)
    assert [window.texts for window in read] == [
        ["one", "two two"],
        ["three", "four a b c"],
        ["d e"],
    ]
    assert windows.duplicates == 2
    assert read[-1].share == 1.0
    assert [window.tokens and window.tokens.lengths for window in read] == [[1, 2], [1, 4], [2]]


def test_no_more_passages_come_than_the_limit(lines: Path) -> None:
    windows = Windows(open_corpus([str(lines)]), Words(), size=4, limit=3)
    assert [window.texts for window in windows] == [["one", "two two"], ["three"]]


def test_finished_windows_are_cut_as_before_and_not_read_by_the_teacher(lines: Path) -> None:
    words = Words()
    windows = list(Windows(open_corpus([str(lines)]), words, 4, 100, finished=[1, 3]))
    assert [window.texts for window in windows] == [
        ["one"],
        ["two two", "three", "four a b c"],
        ["d e"],
    ]
    assert [window.tokens is None for window in windows] == [True, True, False]
    assert words.read == ["d e"]


def test_windows_grow_with_the_corpus() -> None:
    rows, sizes = 0, []
    while rows < 2_000_000:
        sizes.append(module.window_size(rows))
        assert sizes[-1] == module.WINDOW or sizes[-1] <= rows / 100
        rows += sizes[-1]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1024, 8192)


def test_new_windows_are_numbered_from_a_given_number_on(lines: Path) -> None:
    corpus = open_corpus([str(lines)])
    windows = Windows(corpus, Words(), 4, 100, finished=[2, 2], next_number=7)
    assert [window.number for window in windows][2:] == [7]


def test_the_hash_does_not_depend_on_the_sizes_of_the_windows(lines: Path) -> None:
    one, parts = (
        list(Windows(open_corpus([str(lines)]), Words(), 4, 100, finished))
        for finished in ([5], [1, 1])
    )
    assert one[-1].hash == parts[-1].hash
    assert parts[0].hash == rolling_hash(NO_HASH, ["one"])
