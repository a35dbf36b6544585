"""The weight of a hybrid search: how it is chosen, when, and who goes by it."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.embedding.static import StaticModel
from ragdoll.retrieval.storage.schema import DEFAULT_ALPHA, KEY, HybridWeight
from ragdoll.retrieval.writing.weight import choose_weight, sample_places, weight_of
from tests.conftest import CORPUS, Trained
from tests.making import open_corpus
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
    """Embed texts like a model to which all texts are the same."""
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


def weight(indexed: Indexed) -> HybridWeight:
    chosen = indexed.open().state.weight
    assert chosen is not None
    return chosen


def test_a_table_has_the_weight_of_its_texts(indexed: Indexed, trained: Trained) -> None:
    table = indexed.at(indexed.database / "many")
    corpus = [document.text for document in open_corpus([CORPUS])]
    for number, text in enumerate(corpus[:90]):
        (table.docs / f"{number}.txt").write_text(text)
    table.index()
    rows = table.rows()
    encoder = StaticModel.load(trained.model)
    by_texts = choose_weight([row["text"] for row in rows], encoder.encode, "cosine")
    assert by_texts.questions >= 30
    assert weight(table) == replace(by_texts, rows=len(rows))


def add(indexed: Indexed, *names: str) -> HybridWeight:
    for name in names:
        (indexed.docs / f"{name}.txt").write_text(f"Something about {name}.")
    indexed.index()
    return weight(indexed)


def test_a_table_is_weighed_anew_when_it_has_doubled_or_is_rebuilt(indexed: Indexed) -> None:
    rows = len(indexed.rows())
    assert weight(indexed).rows == rows
    assert add(indexed, *(f"one{n}" for n in range(rows - 1))).rows == rows
    assert add(indexed, "the last").rows == 2 * rows
    assert add(indexed, "another").rows == 2 * rows
    indexed.index(overwrite=True)
    assert weight(indexed).rows == 2 * rows + 1


def test_a_table_from_before_weights_were_chosen_gets_one(indexed: Indexed) -> None:
    table = indexed.open()
    state = json.loads(table._inner.schema.field("vector").metadata[KEY.encode()])
    del state["weight"]
    table._inner.update_field_metadata({"path": "vector", "metadata": {KEY: json.dumps(state)}})
    assert (indexed.open().state.weight, indexed.open().state.alpha) == (None, DEFAULT_ALPHA)
    assert indexed.search("event loop")
    indexed.index()
    assert weight(indexed).rows == len(indexed.rows())


def test_a_query_goes_by_the_table_unless_it_says_otherwise(indexed: Indexed) -> None:
    def scores(alpha: float | None = None) -> list[float]:
        return [hit.score for hit in indexed.search("a lock guards data", alpha=alpha)]

    by_alpha = {alpha: scores(alpha) for alpha in (0, 0.5, 1)}
    assert scores() == by_alpha[0.5]
    table = indexed.open()
    for alpha in (0, 1):
        table.write_state(replace(table.state, weight=HybridWeight(alpha=float(alpha))))
        assert scores() == by_alpha[alpha]
        assert scores(0.5) == by_alpha[0.5] != by_alpha[alpha]
