"""Two models side by side: what differs, and which tokens moved."""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ragdoll.embedding import token_table
from ragdoll.embedding.comparison import Comparison, compare
from ragdoll.embedding.inspection import inspect
from tests.conftest import Ragdoll, Trained
from tests.embedding.making import write_model

WORDS = [f"word{first}{second}" for first in ascii_lowercase for second in "abcdefgh"]
VECTORS = np.random.default_rng(1).normal(size=(2 + len(WORDS), 6)).astype(np.float32)
TURN = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0].astype(np.float32)
STRETCH = TURN * np.array([8, 5, 3, 2, 1, 0.5], dtype=np.float32)
MOVED = (9, 4)


def moved() -> npt.NDArray[Any]:
    """The same vectors, two of them elsewhere and one of those twice as long."""
    vectors = VECTORS.copy()
    vectors[9] = -VECTORS[9]
    vectors[4] = 2 * np.roll(VECTORS[4], 1)
    return vectors


def compared(folder: Path, first: Any, second: Any, **options: Any) -> Comparison:
    models = [
        write_model(folder / name, WORDS, vectors, **options)
        for name, vectors in (("first", first), ("second", second))
    ]
    return compare(inspect(models[0]), inspect(models[1]))


def word(number: int) -> str:
    return WORDS[number - 2]


@pytest.mark.parametrize("block", [50, 4096])
@pytest.mark.parametrize(
    "change", [np.eye(6, dtype=np.float32), TURN, STRETCH], ids=["as it was", "turned", "stretched"]
)
def test_the_tokens_that_moved_are_found_whatever_became_of_the_whole_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: npt.NDArray[Any], block: int
) -> None:
    monkeypatch.setattr(token_table, "_BLOCK", block)
    found = compared(tmp_path, VECTORS, moved() @ change).movement
    assert found is not None
    assert (found.before, found.after) == (str(tmp_path / "first"), str(tmp_path / "second"))
    assert (found.tokens, found.moved) == (len(WORDS), 2)
    expected, new = VECTORS @ change, moved() @ change
    shifts = np.linalg.norm(new - expected, axis=1)
    order = sorted(MOVED, key=lambda number: -shifts[number])
    assert [move.token for move in found.most] == [word(number) for number in order]
    for move, number in zip(found.most, order, strict=True):
        lengths = np.linalg.norm(expected[number]), np.linalg.norm(new[number])
        cosine = expected[number] @ new[number] / lengths[0] / lengths[1]
        assert move.cosine == pytest.approx(cosine, abs=0.02)
        assert move.weight == pytest.approx(lengths[1] / lengths[0], rel=0.02)
        typical = np.median(np.linalg.norm(expected[2:], axis=1))
        assert move.shift == pytest.approx(shifts[number] / typical, rel=0.02)


def test_a_short_vector_that_turned_counts_for_less_than_a_long_one(tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[9] *= -0.01
    vectors[4] = 3 * (VECTORS[4] + np.roll(VECTORS[4], 1))
    found = compared(tmp_path, VECTORS, vectors).movement
    assert found is not None
    assert [move.token for move in found.most] == [word(4), word(9)]
    assert found.most[0].cosine > found.most[1].cosine


def test_a_token_that_only_grew_did_not_move(tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[4] *= 2
    found = compared(tmp_path, VECTORS, vectors).movement
    assert found is not None
    assert (found.moved, found.most) == (0, [])


def test_the_neighbours_are_words_that_moved_in_each_model(tmp_path: Path) -> None:
    from ragdoll.embedding.token_table import neighbors

    vectors = moved()
    vectors[[6, 7, 8]] *= -1
    found = compared(tmp_path, VECTORS, vectors).movement
    assert found is not None
    tokens = {move.token for move in found.most}
    assert tokens == {word(number) for number in (*MOVED, 6, 7, 8)}
    for move in found.most:
        for folder, names in (("first", move.before), ("second", move.after)):
            nearest = neighbors(tmp_path / folder, move.token, k=len(WORDS)).nearest
            assert names == [token for token, _ in nearest if token in tokens][:3]


@pytest.mark.parametrize("change", [TURN, STRETCH], ids=["turned", "stretched"])
def test_nothing_moves_where_only_the_whole_space_does(
    tmp_path: Path, change: npt.NDArray[Any]
) -> None:
    found = compared(tmp_path, VECTORS, VECTORS @ change).movement
    assert found is not None
    assert (found.moved, found.most) == (0, [])


def test_models_of_other_dimensions_are_compared_too(tmp_path: Path) -> None:
    padded = np.hstack([VECTORS @ TURN, np.zeros((len(VECTORS), 3), np.float32)])
    found = compared(tmp_path, VECTORS, padded)
    assert found.movement is not None
    assert found.movement.moved == 0
    assert ("dimension", 6, 9) in [(d.fact, d.first, d.second) for d in found.differences]


@pytest.mark.parametrize("value", [0, np.inf, np.nan])
def test_tokens_without_a_direction_are_not_counted(tmp_path: Path, value: float) -> None:
    vectors = moved()
    vectors[5] = value
    found = compared(tmp_path, VECTORS, vectors).movement
    assert found is not None
    assert found.tokens == len(WORDS) - 1
    assert {move.token for move in found.most} == {word(number) for number in MOVED}


def test_pieces_of_words_are_counted_and_not_shown(tmp_path: Path) -> None:
    words = ["##piece", "7", *WORDS[2:]]
    vectors = moved()
    vectors[[2, 3]] *= -1
    models = [
        write_model(tmp_path / name, words, values)
        for name, values in (("first", VECTORS), ("second", vectors))
    ]
    found = compare(inspect(models[0]), inspect(models[1])).movement
    assert found is not None
    assert found.moved == 4
    for move in found.most:
        (other,) = {word(number) for number in MOVED} - {move.token}
        assert (move.before, move.after) == ([other], [other])


@pytest.mark.parametrize("order", [("model", "model/distillate"), ("model/distillate", "model")])
def test_the_distillate_is_the_state_before_in_either_order(
    tmp_path: Path, order: tuple[str, str]
) -> None:
    write_model(tmp_path / "model", WORDS, moved(), provenance={"epochs": 3})
    record = {"epochs": 3, "variant": "distillate"}
    write_model(tmp_path / "model/distillate", WORDS, VECTORS, provenance=record)
    found = compare(*(inspect(tmp_path / name) for name in order))
    assert found.movement is not None
    assert found.movement.before == str(tmp_path / "model/distillate")
    assert {d.fact for d in found.differences} == {"fingerprint", "provenance.variant"}


def test_other_tokens_cannot_be_compared(tmp_path: Path) -> None:
    first = write_model(tmp_path / "first", WORDS, VECTORS)
    second = write_model(tmp_path / "second", [*WORDS[:-1], "other"], VECTORS)
    assert compare(inspect(first), inspect(second)).movement is None


# The command


def test_a_person_learns_what_the_training_did(ragdoll: Ragdoll, trained: Trained) -> None:
    distillate = trained.model / "distillate"
    result = ragdoll("inspect-model", distillate, trained.model)
    assert (result.status, result.err) == (0, "")
    heading = next(line for line in result.out.splitlines() if line.startswith("From "))
    assert heading.startswith(f"From {distillate} to {trained.model}, ")
    found = compare(inspect(distillate), inspect(trained.model)).movement
    assert found is not None
    table = result.out[result.out.index("moved most") :]
    assert all(move.token in table for move in found.most)


def test_a_person_sees_how_far_each_word_moved(ragdoll: Ragdoll, tmp_path: Path) -> None:
    vectors = moved()
    vectors[[6, 7, 8]] *= -1
    found = compared(tmp_path, VECTORS, vectors).movement
    assert found is not None
    lines = ragdoll("inspect-model", tmp_path / "first", tmp_path / "second").out.splitlines()
    rows = {cells[0]: cells[1:] for line in lines if (cells := line.replace(",", "").split())}
    assert rows["moved"][1:4] == ["shift", "cosine", "weight"]
    for move in found.most:
        numbers = [f"{move.shift:.2f}", f"{move.cosine:.2f}", "×", f"{move.weight:.2f}"]
        assert rows[move.token] == [*numbers, *move.before, *move.after]


def test_the_tokens_that_moved_are_those_of_the_corpus(trained: Trained) -> None:
    from tokenizers import Tokenizer

    from ragdoll.distillation.features.reading import open_features

    tokenizer = Tokenizer.from_file(str(trained.model / "tokenizer.json"))
    texts = list(open_features(trained.features).texts())
    occur = {token for encoding in tokenizer.encode_batch(texts) for token in encoding.tokens}
    distillate = inspect(trained.model / "distillate")
    found = compare(distillate, inspect(trained.model), words=tokenizer.get_vocab_size()).movement
    assert found is not None
    assert found.moved == len(occur) < found.tokens / 2
    assert {move.token for move in found.most} <= occur


def test_two_models_are_one_record(ragdoll: Ragdoll, tmp_path: Path) -> None:
    first = write_model(tmp_path / "first", WORDS, VECTORS)
    second = write_model(tmp_path / "second", WORDS, moved(), config={"max_length": 9})
    record = ragdoll("inspect-model", first, second, "--json").json
    assert [model["path"] for model in record["models"]] == [str(first), str(second)]
    assert {"fact": "max_length", "first": 512, "second": 9} in record["differences"]
    movement = record["movement"]
    assert (movement["before"], movement["after"]) == (str(first), str(second))
    assert movement["moved"] == 2
    assert set(movement["most"][0]) == {*("token", "cosine", "weight", "before", "after", "shift")}


def test_a_model_and_its_copy_do_not_differ(ragdoll: Ragdoll, tmp_path: Path) -> None:
    first = write_model(tmp_path / "first", WORDS, VECTORS)
    second = write_model(tmp_path / "second", WORDS, VECTORS)
    record = ragdoll("inspect-model", first, second, "--json").json
    assert (record["differences"], record["movement"]["moved"]) == ([], 0)
    assert (
        f"0 of {len(WORDS)} tokens moved on their own"
        in ragdoll("inspect-model", first, second).out
    )


def test_a_full_model_is_set_beside_a_static_one(
    ragdoll: Ragdoll, tmp_path: Path, small_teacher: Path
) -> None:
    static = write_model(tmp_path / "static", WORDS, VECTORS)
    record = ragdoll("inspect-model", static, small_teacher, "--json").json
    assert record["movement"] is None
    assert {"kind", "dimension"} <= {item["fact"] for item in record["differences"]}
    result = ragdoll("inspect-model", static, small_teacher)
    assert (result.status, result.err) == (0, "")
    assert "sentence-transformer" in result.out
