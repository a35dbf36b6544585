"""The account of a reading: documents, how far it is, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdoll.corpus import documents as module
from ragdoll.corpus.documents import Corpus, Document, Reading, Skipped, Source, count_skipped
from ragdoll.corpus.sources.dataset import DatasetSource
from ragdoll.corpus.sources.folder import FileSource
from ragdoll.corpus.sources.python_package import PythonSource


@dataclass
class Fixed:
    """A source of documents of ten bytes each; ``bytes`` is what it says that there are."""

    root: str
    number: int
    bytes: int | None
    asked: list[str] = field(default_factory=list)

    def documents(self, reading: Reading) -> Iterator[Document]:
        for number in range(self.number):
            yield Document("text", source=str(number), root=self.root)
            reading.done += 10

    def size(self) -> int | None:
        self.asked.append(self.root)
        return self.bytes

    def signature(self) -> str | None:
        return None


def shares(corpus: Corpus) -> list[float | None]:
    return [corpus.share_read() for _ in corpus]


# How far it is


def test_the_share_is_that_of_all_sources_together() -> None:
    corpus = Corpus([Fixed("a", 3, 30), Fixed("b", 1, 10)])
    assert shares(corpus) == [0.0, 0.25, 0.5, 0.75]
    assert corpus.share_read() == 1.0


def test_a_share_is_not_known_where_one_source_does_not_know_its_size() -> None:
    corpus = Corpus([Fixed("a", 2, 20), Fixed("b", 1, None)])
    assert shares(corpus) == [None, None, None]
    assert corpus.share_read() == 1.0


def test_sources_that_grew_are_never_read_beyond_their_end() -> None:
    assert shares(Corpus([Fixed("a", 4, 20)])) == [0.0, 0.5, 1.0, 1.0]


def test_a_corpus_of_no_bytes_is_at_its_beginning_until_it_is_at_its_end() -> None:
    corpus = Corpus([Fixed("a", 2, 0)])
    assert shares(corpus) == [0.0, 0.0]
    assert corpus.share_read() == 1.0


def test_before_the_first_reading_nothing_is_read() -> None:
    corpus = Corpus([Fixed("a", 2, 20)])
    assert (corpus.share_read(), corpus.documents, corpus.skipped) == (0.0, 0, [])


def test_sizes_are_asked_for_only_when_needed_and_once_a_reading() -> None:
    source = Fixed("a", 3, 30)
    corpus = Corpus([source])
    list(corpus)
    assert source.asked == []
    shares(corpus)
    assert source.asked == ["a"]
    shares(corpus)
    assert source.asked == ["a", "a"]


def test_every_reading_begins_anew() -> None:
    corpus = Corpus([Fixed("a", 2, 20)])
    assert shares(corpus) == shares(corpus) == [0.0, 0.5]
    assert corpus.documents == 2


def test_documents_are_counted_as_they_are_read() -> None:
    corpus = Corpus([Fixed("a", 2, 20), Fixed("b", 1, 10)])
    assert [corpus.documents for _ in corpus] == [1, 2, 3]
    assert {root: reading.documents for root, reading in corpus.readings.items()} == {
        "a": 2,
        "b": 1,
    }


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Source]:
    """One of each kind, of more than one document."""
    import datasets

    lines = "".join(f'{{"text": "{"x" * 100}"}}\n' for _ in range(50))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("text " * 100)
    (tmp_path / "docs" / "b.txt").write_text("")
    (tmp_path / "docs" / "c.png").write_text("x" * 10_000)
    (tmp_path / "docs" / "d.jsonl").write_text(lines)
    datasets.Dataset.from_dict({"text": [f"row {n}" for n in range(50)]}).save_to_disk(
        tmp_path / "saved"
    )
    return {
        "folder": FileSource(tmp_path / "docs"),
        "file": FileSource(tmp_path / "docs" / "d.jsonl"),
        "package": PythonSource("json"),
        "dataset": DatasetSource(str(tmp_path / "saved")),
    }


@pytest.mark.parametrize("kind", ["folder", "file", "package", "dataset"])
def test_a_reading_goes_from_nothing_to_all_in_small_steps(
    kind: str, sources: dict[str, Source]
) -> None:
    corpus = Corpus([sources[kind]])
    found = [share or 0.0 for share in shares(corpus)]
    assert found == sorted(found)
    assert 0 < found[len(found) // 2] < 1
    assert len(set(found)) > 3
    (reading,) = corpus.readings.values()
    assert reading.done == sources[kind].size()


def test_a_file_that_cannot_be_read_is_done_with_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\0" * 100)
    (tmp_path / "b.txt").write_text("b" * 300)
    assert shares(Corpus([FileSource(tmp_path)])) == [0.25]


def test_a_stream_whose_length_is_not_written_down_has_no_size(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = pa.table({"text": ["a", "b"]})
    pq.write_table(rows, tmp_path / "data" / "train-00000.parquet")
    assert DatasetSource(str(tmp_path)).size() is None
    assert DatasetSource(str(tmp_path), streaming=False).size() == rows.nbytes
    card = "dataset_info:\n  splits:\n  - name: train\n    num_bytes: 80\n    num_examples: 2\n"
    (tmp_path / "README.md").write_text(f"---\n{card}---\n")
    corpus = Corpus([DatasetSource(str(tmp_path))])
    assert shares(corpus) == [0.5, 1.0]


# What was left out


def test_what_is_left_out_is_listed_by_source() -> None:
    reading = Reading()
    reading.skip("a.png", "format .png")
    reading.skip("b.jsonl", "line 12: not JSON")
    assert reading.skipped == [
        Skipped("a.png", "format .png"),
        Skipped("b.jsonl", "line 12: not JSON"),
    ]


@pytest.mark.parametrize(
    ("reason", "place", "kind"),
    [
        ("empty", "", "empty"),
        ("line 12: not JSON", "line 12", "not JSON"),
        ("row 3: 'text' is not a string", "row 3", "'text' is not a string"),
        ("record 1: no key 'text'", "record 1", "no key 'text'"),
        ("damaged: line 3: x", "", "damaged: line 3: x"),
        ("line 3", "", "line 3"),
    ],
)
def test_a_reason_is_told_from_its_place(reason: str, place: str, kind: str) -> None:
    item = Skipped("a", reason)
    assert (item.place, item.kind) == (place, kind)


def test_beyond_a_number_what_is_left_out_is_counted_by_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_NAMED", 2)
    reading = Reading()
    for number in range(1, 6):
        reading.skip("a.jsonl", f"line {number}: not JSON")
    reading.skip("b.txt", "empty")
    assert reading.skipped == [
        Skipped("a.jsonl", "line 1: not JSON"),
        Skipped("a.jsonl", "line 2: not JSON"),
        Skipped("", "not JSON", 3),
        Skipped("", "empty", 1),
    ]
    assert count_skipped(reading.skipped) == 6


def test_even_the_reasons_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_NAMED", 0)
    reading = Reading()
    for number in range(1_000):
        reading.skip("a", f"format .{number}")
        reading.skip("b", "format .0")
    assert len(reading.skipped) < 200
    assert count_skipped(reading.skipped) == 2_000
    assert reading.skipped[0] == Skipped("", "format .0", 1_001)


def test_a_file_of_bad_lines_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("bad\n" * 15_000 + '{"text": "good"}\n')
    corpus = Corpus([FileSource(tmp_path)])
    assert [document.source for document in corpus] == ["a.jsonl#15001"]
    assert len(corpus.skipped) == 10_001
    assert count_skipped(corpus.skipped) == 15_000
