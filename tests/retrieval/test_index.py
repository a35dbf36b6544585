"""The class ``Index``: documents of a program's own, encoders of its own, and searches."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdoll import Document, Index, IndexSettings, ModelIdentity, StaticModel, read
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import CorpusError, ModelError, ModelMismatchError, TableError, UsageError
from tests.conftest import Trained
from tests.making import open_corpus
from tests.retrieval.conftest import Indexed

WORDS = ("lock", "loop", "timer", "queue")


class Counting:
    """An encoder of a program's own: how often a text has each of some words."""

    def __init__(self, fingerprint: str = "counting", dimension: int = len(WORDS)) -> None:
        self.identity = ModelIdentity(fingerprint=fingerprint, dimension=dimension)
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return np.array([[t.count(w) for w in WORDS] for t in texts], dtype=np.float32)


@pytest.fixture
def index(tmp_path: Path, trained: Trained) -> Index:
    """A table of three documents."""
    index = Index.create(tmp_path / "database", model=trained.model)
    index.update(
        [
            "A lock guards a shared resource.",
            {"id": "timer", "title": "Timers", "text": "Timers\n\nSet a timer.", "year": 2020},
            Document("The loop runs callbacks.", source="loop.md", metadata={"year": 2024}),
        ]
    )
    return index


def sources(index: Index, query: str, **options: Any) -> set[str]:
    return {hit.source for hit in index.search(query, **options)}


def counts(result: Any) -> dict[str, int]:
    names = ("added", "changed", "unchanged", "removed", "documents", "chunks_embedded")
    return {name: getattr(result, name) for name in names if getattr(result, name)}


# Filling


def test_strings_mappings_and_documents_become_passages(index: Index) -> None:
    assert len(index) == 3
    hits = {hit.source: hit for hit in index.search("timer", 3, mode="vector")}
    assert hits.keys() > {"timer", "loop.md"}
    assert (hits["timer"].title, hits["timer"].metadata) == ("Timers", {"year": 2020})
    assert hits["loop.md"].metadata == {"year": 2024}
    (own,) = hits.keys() - {"timer", "loop.md"}
    assert re.fullmatch("[0-9a-f]{16}", own)
    assert hits[own].text == "A lock guards a shared resource."


def test_documents_are_added_or_replaced_and_others_stay(index: Index) -> None:
    result = index.update([{"id": "timer", "text": "Wait for a queue."}, "A new string."])
    assert counts(result) == {"added": 1, "changed": 1, "documents": 4, "chunks_embedded": 2}
    texts = {hit.text for hit in index.search("anything", 9, mode="vector")}
    assert "Wait for a queue." in texts
    assert "The loop runs callbacks." in texts
    assert not any("Set a timer" in text for text in texts)


def test_the_same_text_twice_is_one_document(index: Index) -> None:
    again = index.update(["A lock guards a shared resource."] * 2)
    assert counts(again) == {"unchanged": 1, "documents": 3}
    assert len(index) == 3
    assert [item.reason for item in again.skipped] == ["given twice"]


def test_documents_are_read_from_any_iterable(index: Index) -> None:
    assert index.update(f"Number {number}." for number in range(5)).added == 5


def test_a_dry_run_writes_nothing(index: Index) -> None:
    assert counts(index.update(["A new string."], dry_run=True))["added"] == 1
    assert len(index) == 3


def test_no_documents_are_an_error(index: Index) -> None:
    with pytest.raises(CorpusError):
        index.update([])
    with pytest.raises(CorpusError):
        index.update(["", {"title": "no text"}])
    assert len(index) == 3


@pytest.mark.parametrize("documents", ["one text", {"text": "one"}, [7]])
def test_what_are_no_documents_is_a_type_error(index: Index, documents: Any) -> None:
    with pytest.raises(TypeError):
        index.update(documents)


def test_documents_of_places_and_of_a_program_share_a_table(index: Index, docs: Path) -> None:
    corpus = open_corpus([docs])
    assert counts(index.update(corpus)) == {"added": 4, "documents": 7, "chunks_embedded": 4}
    (docs / "locks.txt").unlink()
    result = index.update(open_corpus([docs]))
    assert (result.removed, result.documents, len(index)) == (1, 6, 6)
    assert set(index.roots.values()) == {"given:", str(docs)}


def test_overwriting_drops_other_documents_once(index: Index, tmp_path: Path) -> None:
    new = Index.create(tmp_path / "database", model=index.model.path, overwrite=True)
    assert new.update(["Alone."]).rebuilt
    assert len(new) == 1
    assert not new.update(["Together."]).rebuilt
    assert len(new) == 2


def test_the_settings_name_what_a_call_leaves_out(tmp_path: Path, trained: Trained) -> None:
    settings = IndexSettings(database=str(tmp_path / "db"), table="t", model=str(trained.model))
    Index.create(settings=replace(settings, chunk_size=8)).update(["A lock. " * 20])
    index = Index.open(settings=settings)
    assert len(index) > 1
    assert index.update(["More. " * 20]).chunks > 2  # of 8 tokens, as the table has them
    assert len(Index.open(tmp_path / "db", table="t")) == len(index)
    with pytest.raises(TableError):
        Index.open(tmp_path / "db")


# Searching


def test_an_index_sees_what_it_was_updated_with(index: Index) -> None:
    assert "queue" not in sources(index, "queue", k=9, mode="vector")
    index.update([{"id": "queue", "text": "A queue hands over items."}])
    assert index.search("queue", 1)[0].source == "queue"
    assert "queue" in sources(index, "queue", k=9, mode="vector")


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_an_index_sees_what_others_write(
    index: Index, tmp_path: Path, trained: Trained, pause: float
) -> None:
    reader = Index.open(tmp_path / "database")
    for number in range(10):  # the last ones search rows in memory
        time.sleep(pause)
        assert f"new{number}" not in sources(reader, "semaphore")
        index.update([{"id": f"new{number}", "text": f"A semaphore counts {number}."}])
        assert f"new{number}" in sources(reader, "semaphore", k=20)
    Index.create(tmp_path / "database", model=trained.model, overwrite=True).update(
        ["A semaphore."]
    )
    assert len(reader) == 1
    assert len(sources(reader, "semaphore")) == 1


def test_it_follows_the_table_to_another_model(
    index: Index, tmp_path: Path, trained: Trained
) -> None:
    assert index.search("timer")
    reader = Index.open(tmp_path / "database")
    before = reader.model
    named = Index.open(tmp_path / "database", model=trained.model)
    other = trained.model / "distillate"
    Index.create(tmp_path / "database", model=other, overwrite=True).update(["Set a timer."])
    (hit,) = reader.search("timer")
    assert hit.vector_score is not None
    assert reader.model.fingerprint not in ("", before.fingerprint)
    with pytest.raises(ModelMismatchError):
        named.search("timer")
    with pytest.raises(ModelMismatchError):
        index.search("timer")


def test_a_table_is_opened_once_while_nobody_writes(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.sleep(0.1)
    reader = Index.open(tmp_path / "database")
    searcher = reader._search
    for _ in range(3):
        assert reader.search("timer")
    assert reader._search is searcher


def test_filters_belong_to_a_call(tmp_path: Path, trained: Trained) -> None:
    settings = IndexSettings(metadata={"year": "integer"})
    index = Index.create(tmp_path, model=trained.model, settings=settings)
    index.update(
        {"id": f"{year}.md", "text": f"A lock of {year}.", "year": year}
        for year in range(2000, 2020)
    )
    for _ in range(3):
        assert sources(index, "lock", where="year < 2002") == {"2000.md", "2001.md"}
        assert len(sources(index, "lock", k=99)) == 20
        assert sources(index, "lock", source="2003*") == {"2003.md"}
        assert sources(index, "lock", where="year < 2002", source="2001*") == {"2001.md"}
        with pytest.raises(UsageError):
            index.search("lock", where="years < 2002")


def test_a_list_is_a_column_that_can_be_filtered(tmp_path: Path, trained: Trained) -> None:
    settings = IndexSettings(metadata={"tags": "list"})
    index = Index.create(tmp_path / "database", model=trained.model, settings=settings)
    (tmp_path / "docs").mkdir()
    for name, tags in (("a", "[cache, server]"), ("b", "[garden]"), ("c", "cache"), ("d", "")):
        (tmp_path / f"docs/{name}.md").write_text(f"---\ntags: {tags}\n---\nA lock {name}.\n")
    index.update(read(tmp_path / "docs"))
    assert sources(index, "lock", where="array_has(tags, 'cache')") == {"a.md", "c.md"}
    assert sources(index, "lock", where="tags IS NULL") == {"d.md"}
    with pytest.raises(UsageError) as caught:
        index.search("lock", where="'cache' IN tags")
    assert "array_has(tags, 'x')" in str(caught.value.hint)


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_many_queries_are_answered_in_turn(index: Index, mode: Any) -> None:
    queries = ["a lock", "a timer", "the loop"] * 5
    together = list(index.search_many(queries, 2, mode=mode))
    assert [[hit.source for hit in hits] for hits in together] == [
        [hit.source for hit in index.search(query, 2, mode=mode)] for query in queries
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"k": -1},
        {"mode": "sound"},
        {"alpha": 1.5},
        {"alpha": float("nan")},
        {"where": ""},
    ],
)
def test_what_has_no_meaning_is_refused(index: Index, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        index.search("lock", **options)
    with pytest.raises(UsageError):
        index.search_many(["lock"], **options)


def test_one_query_is_not_a_list_of_queries(index: Index) -> None:
    with pytest.raises(TypeError):
        index.search_many("lock")


def test_a_table_that_is_not_made_yet_cannot_be_searched(tmp_path: Path, trained: Trained) -> None:
    index = Index.create(tmp_path, model=trained.model)
    with pytest.raises(TableError):
        index.search("lock")


LINE = "Tasks wait for their turn, and locks guard what they share."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("one.txt", " ".join(f"{number} {LINE}" for number in range(100))),
        ("wide.txt", "\r\n\r\n".join(f"{number} {LINE} {LINE}" for number in range(50))),
        ("code.py", "\n\n".join(f"class C{n}:\n\n    # {LINE}\n    x = {n}" for n in range(50))),
        ("blank.txt", f"{LINE * 8}\n\n\n\n{LINE * 8}"),
    ],
)
def test_the_text_of_a_file_is_that_of_its_passages_together(
    trained: Trained, tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_bytes(text.encode())
    index = Index.create(tmp_path / "database", model=trained.model)
    assert index.update(read(tmp_path / name)).chunks > 1
    (document,) = index.documents(name)
    assert document.text == text


# Encoders


def test_an_encoder_of_ones_own_embeds_documents_and_queries(tmp_path: Path) -> None:
    encoder = Counting()
    index = Index.create(tmp_path, model=encoder)
    index.update([{"id": word, "text": f"A {word} of some kind."} for word in WORDS])
    assert index.model == encoder.identity
    assert len(encoder.texts) == 4
    opened = Index.open(tmp_path, model=Counting())
    for one in (index, opened):
        hits = one.search("a timer", 4, mode="vector")
        assert hits[0].source == "timer"
        assert hits[0].score == pytest.approx(1)
        assert one.search("queue", 1, mode="hybrid")[0].source == "queue"
        assert one.search("nothing", mode="vector") == []
    assert counts(opened.update([{"id": "lock", "text": "No key."}]))["changed"] == 1


def test_its_documents_are_cut_by_words(tmp_path: Path) -> None:
    index = Index.create(tmp_path, model=Counting(), settings=IndexSettings(chunk_size=8))
    assert index.update(["One lock. " * 20]).chunks == 5


def test_a_table_without_a_folder_of_its_model_asks_for_the_encoder(tmp_path: Path) -> None:
    Index.create(tmp_path, model=Counting()).update(["A lock."])
    with pytest.raises(ModelMismatchError) as caught:
        Index.open(tmp_path)
    assert "`model`" in str(caught.value.hint)


def test_another_encoder_is_refused(index: Index, tmp_path: Path) -> None:
    database = tmp_path / "database"
    with pytest.raises(ModelMismatchError) as caught:
        Index.open(database, model=Counting())
    assert "counting" in caught.value.message
    other = Index.create(database, model=Counting("another", index.model.dimension))
    for attempt in (lambda: other.update(["A queue."]), lambda: other.search("lock")):
        with pytest.raises(ModelMismatchError):
            attempt()
    assert len(index) == 3


@pytest.mark.parametrize("dimension", [3, 5])
def test_vectors_of_another_shape_are_refused(tmp_path: Path, dimension: int) -> None:
    with pytest.raises(ModelError) as caught:
        Index.create(tmp_path, model=Counting(dimension=dimension)).update(["A lock."])
    assert f"(1, {dimension})" in caught.value.message


def test_fewer_vectors_than_texts_are_refused(tmp_path: Path) -> None:
    class Lazy(Counting):
        def encode(self, texts: Sequence[str]) -> Vectors:
            return super().encode(texts)[:1]

    with pytest.raises(ModelError):
        Index.create(tmp_path, model=Lazy()).update(["A lock.", "A timer."])


def test_a_loaded_model_is_an_encoder_of_its_folder(indexed: Indexed) -> None:
    model = StaticModel.load(indexed.model)
    opened = Index.open(indexed.database, model=model)
    assert opened.search("a lock", 1) == indexed.search("a lock", 1)
    assert opened.update(open_corpus([indexed.docs])).unchanged == 4
    assert indexed.open().state.model == str(indexed.model)
