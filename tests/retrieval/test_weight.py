"""The weight of a hybrid search: how it is chosen, when, and who goes by it."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.reading import open_corpus
from ragdoll.embedding.static import StaticEncoder
from ragdoll.errors import TableError
from ragdoll.retrieval.reading.fusion import DEFAULT_ALPHA
from ragdoll.retrieval.reading.search import Searcher
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.schema import KEY, HybridWeight
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.weight import choose_weight, sample_places, weight_of
from tests.conftest import CORPUS, Ragdoll, Trained
from tests.retrieval.conftest import Indexed

MEAN = st.floats(0, 1)
MANY = 10**6


def texts_of_words(count: int = 60) -> list[str]:
    """Texts of two sentences that share their words, by which a text search tells them apart."""
    draw = random.Random(0)
    return [
        " ".join(f"{draw.choice('bdgkmp')}{n}ax" for _ in range(8))
        + ". "
        + " ".join(f"{draw.choice('bdgkmp')}{n}ax" for _ in range(12))
        + "."
        for n in range(count)
    ]


def texts_without_spaces(count: int = 60) -> list[str]:
    """Texts whose sentences a text search takes for one word each, but which share characters."""
    draw = random.Random(0)
    texts = []
    for _ in range(count):
        own = [chr(draw.randrange(0x4E00, 0x9FFF)) for _ in range(12)]
        texts.append("".join("".join(draw.sample(own, 11)) + "。" for _ in range(3)))
    return texts


def blind(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """A model to which all texts are the same."""
    return np.ones((len(texts), 4), np.float32)


def by_characters(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    vectors = np.zeros((len(texts), 4096), np.float32)
    for row, text in enumerate(texts):
        for character in text:
            vectors[row, ord(character) % 4096] += character != "。"
    return vectors


# From what the legs achieve to the weight


@given(vector=MEAN, text=MEAN, questions=st.integers(0, 1000))
def test_a_weight_is_a_share(vector: float, text: float, questions: int) -> None:
    assert 0 <= weight_of(vector, text, questions) <= 1


@given(text=MEAN, vectors=st.tuples(MEAN, MEAN))
def test_a_better_vector_never_weighs_less(text: float, vectors: tuple[float, float]) -> None:
    low, high = sorted(vectors)
    assert weight_of(low, text, MANY) <= weight_of(high, text, MANY)


@given(vector=MEAN, text=MEAN)
def test_fewer_questions_leave_a_weight_nearer_to_the_default(vector: float, text: float) -> None:
    far, near = (abs(weight_of(vector, text, n) - DEFAULT_ALPHA) for n in (MANY, 40))
    assert near <= far


@pytest.mark.parametrize(
    ("vector", "text", "weight"),
    [
        pytest.param(0.3, 0.3, 0.5, id="equal"),
        pytest.param(0.2, 0.4, 0.2, id="half as good: the square of a half, against one"),
        pytest.param(0.4, 0.2, 0.5, id="twice as good, which having seen the texts explains"),
        pytest.param(0.8, 0.2, 0.8, id="twice as good as that"),
        pytest.param(0.0, 0.3, 0.0, id="useless"),
        pytest.param(0.3, 0.0, 1.0, id="the only one of use"),
        pytest.param(0.0, 0.0, 0.5, id="neither of use"),
    ],
)
def test_weights_go_by_the_square_of_what_is_achieved(
    vector: float, text: float, weight: float
) -> None:
    assert weight_of(vector, text, MANY) == weight


# From texts to the weight


def test_a_vector_that_tells_nothing_apart_hardly_weighs() -> None:
    chosen = choose_weight(texts_of_words(), blind, "cosine")
    assert chosen.questions == 60
    assert chosen.vector == pytest.approx(1 / 60, abs=1e-4)
    assert chosen.text > 0.9
    assert chosen.alpha < 0.2


def test_a_text_search_that_knows_no_word_hardly_weighs() -> None:
    chosen = choose_weight(texts_without_spaces(), by_characters, "cosine")
    assert chosen.text == 0
    assert chosen.vector > 0.9
    assert chosen.alpha > 0.8


def test_the_piece_that_is_asked_for_is_not_searched() -> None:
    """Texts whose sentences have nothing in common are found by none of them."""
    texts = [f"{' '.join(f'a{n}x{i}' for i in range(9))}. " * 2 for n in range(60)]
    texts = [f"{text}{' '.join(f'b{n}x{i}' for i in range(12))}." for n, text in enumerate(texts)]
    assert choose_weight(texts, blind, "cosine").text == 0


def test_no_room_on_a_disk_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert choose_weight(texts_of_words(), blind, "cosine").text > 0.9


def test_the_same_texts_have_the_same_weight_in_any_order() -> None:
    texts = texts_of_words()
    shuffled = random.Random(1).sample(texts, len(texts))
    assert choose_weight(texts, blind, "cosine") == choose_weight(
        [*shuffled, texts[0]], blind, "cosine"
    )


def test_of_few_texts_nothing_is_concluded() -> None:
    assert choose_weight(texts_of_words(29), blind, "cosine") == HybridWeight(questions=29)
    assert choose_weight([], blind, "cosine") == HybridWeight()


def test_of_many_passages_a_part_is_searched_the_same_in_every_run() -> None:
    places = sample_places(100_000)
    assert places == sample_places(100_000) == sorted(set(places))
    assert len(places) < 10_000
    assert max(places) > 50_000
    assert sample_places(7) == list(range(7))


# The weight of a table


def opened(indexed: Indexed) -> Table:
    return Database(str(indexed.database)).open("documents")


def weight(indexed: Indexed) -> HybridWeight:
    found = opened(indexed).state.weight
    assert found is not None
    return found


def test_a_table_has_the_weight_of_its_texts(indexed: Indexed, trained: Trained) -> None:
    table = indexed.at(indexed.database / "many")
    corpus = [document.text for document in open_corpus([CORPUS])]
    for number, text in enumerate(corpus[:90]):
        (table.docs / f"{number}.txt").write_text(text)
    table.index()
    rows = table.rows()
    encoder = StaticEncoder(trained.model)
    by_texts = choose_weight([row["text"] for row in rows], encoder.encode, "cosine")
    assert by_texts.questions >= 30
    assert weight(table) == replace(by_texts, rows=len(rows))


def add(indexed: Indexed, *names: str) -> HybridWeight:
    for name in names:
        (indexed.docs / f"{name}.txt").write_text(f"Something about {name}.")
    indexed.index()
    return weight(indexed)


def test_a_table_is_weighed_anew_when_it_has_doubled_or_is_rebuilt(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    rows = len(indexed.rows())
    assert weight(indexed).rows == rows
    assert add(indexed, *(f"one{n}" for n in range(rows - 1))).rows == rows
    assert add(indexed, "the last").rows == 2 * rows
    assert add(indexed, "another").rows == 2 * rows
    overwritten = ragdoll("index", indexed.docs, *indexed.options, "--overwrite", "--quiet")
    assert (overwritten.status, weight(indexed).rows) == (0, 2 * rows + 1)


def put(indexed: Indexed, found: object) -> None:
    """Write a weight into the metadata of a table, or with None leave none there."""
    table = opened(indexed)
    field = table._inner.schema.field("vector")
    state = json.loads(field.metadata[KEY.encode()])
    del state["weight"]
    if found is not None:
        state["weight"] = found
    content = {"path": "vector", "metadata": {KEY: json.dumps(state)}}
    table._inner.update_field_metadata(content)


def test_a_table_from_before_weights_were_chosen_gets_one(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    put(indexed, None)
    inspected = ragdoll("inspect-model", "--database", indexed.database)
    assert "the vector weighs 0.50 (the default; the next ragdoll index chooses)" in inspected.out
    assert ragdoll("query", "event loop", "--database", indexed.database).status == 0
    indexed.index()
    assert weight(indexed).rows == len(indexed.rows())


@pytest.mark.parametrize(
    "found", [{"alpha": 7.0}, {"alpha": "much"}, {"alpha": float("nan")}, {"beta": 1}, [0.5], 0.5]
)
def test_a_weight_that_is_none_is_damage(indexed: Indexed, found: Any) -> None:
    good = {"alpha": 0.5, "questions": 0, "vector": 0.0, "text": 0.0, "rows": 1}
    put(indexed, {**good, **found} if isinstance(found, dict) else found)
    with pytest.raises(TableError, match="damaged metadata"):
        opened(indexed)


def test_a_query_goes_by_the_table_unless_it_says_otherwise(
    ragdoll: Ragdoll, indexed: Indexed
) -> None:
    def scores(*options: object) -> list[float]:
        asked = ragdoll(
            *("query", "a lock guards data", "--database", indexed.database, "--json", *options)
        )
        return [hit["score"] for hit in asked.json["hits"]]

    by_alpha = {alpha: scores("--alpha", alpha) for alpha in (0, 0.5, 1)}
    assert scores() == by_alpha[0.5]
    table = opened(indexed)
    for alpha in (0, 1):
        table.write_state(replace(table.state, weight=HybridWeight(alpha=float(alpha))))
        assert scores() == scores("--alpha", "auto") == by_alpha[alpha]
        assert scores("--alpha", 0.5) == by_alpha[0.5] != by_alpha[alpha]
        hits = Searcher(opened(indexed)).search("a lock guards data", 10)
        assert [round(hit.score, 6) for hit in hits] == by_alpha[alpha]


def test_inspection_tells_the_weight_and_why(ragdoll: Ragdoll, indexed: Indexed) -> None:
    def inspect(*options: object) -> Any:
        return ragdoll("inspect-model", "--database", indexed.database, *options)

    small = inspect().out
    assert "the vector weighs 0.50 (the default; the table is too small to choose by)" in small
    table = opened(indexed)
    chosen = HybridWeight(alpha=0.31, questions=200, vector=0.28, text=0.44, rows=4000)
    table.write_state(replace(table.state, weight=chosen))
    shown = inspect().out
    assert (
        "the vector weighs 0.31 (chosen on 200 known items; MRR: vector 0.28, text 0.44)" in shown
    )
    (record,) = inspect("--json").json["tables"]
    assert record["alpha"] == 0.31
    assert record["weight"] == {
        "alpha": 0.31,
        "questions": 200,
        "vector": 0.28,
        "text": 0.44,
        "rows": 4000,
    }
