"""Two models side by side: what differs, and which tokens moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ragdoll.embedding import token_table
from ragdoll.embedding.comparison import Comparison, compare
from ragdoll.embedding.inspection import inspect
from tests.conftest import Ragdoll, Trained
from tests.embedding.making import write_model

WORDS = [f"word{chr(97 + number)}" for number in range(26)]
VECTORS = np.random.default_rng(1).normal(size=(28, 6)).astype(np.float32)
TURN = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0].astype(np.float32)
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


@pytest.mark.parametrize("block", [5, 4096])
@pytest.mark.parametrize("turn", [np.eye(6, dtype=np.float32), TURN], ids=["as it was", "turned"])
def test_the_tokens_that_moved_are_found_even_if_the_whole_space_was_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: npt.NDArray[Any], block: int
) -> None:
    monkeypatch.setattr(token_table, "_BLOCK", block)
    found = compared(tmp_path, VECTORS, moved() @ turn).movement
    assert found is not None
    assert (found.before, found.after) == (str(tmp_path / "first"), str(tmp_path / "second"))
    assert found.tokens == len(WORDS)
    first, second = found.most[:2]
    assert {first.token, second.token} == {WORDS[number - 2] for number in MOVED}
    assert second.cosine < 0.9 < found.most[2].cosine
    doubled = next(move for move in found.most if move.token == WORDS[4 - 2])
    assert doubled.weight == pytest.approx(2, rel=1e-4)
    assert found.most[2].weight == pytest.approx(1, rel=1e-4)


def test_the_neighbours_before_and_after_are_those_of_each_model(tmp_path: Path) -> None:
    from ragdoll.embedding.neighbors import neighbors

    found = compared(tmp_path, VECTORS, moved()).movement
    assert found is not None
    for move in found.most:
        for folder, names in (("first", move.before), ("second", move.after)):
            nearest = neighbors(tmp_path / folder, move.token, k=3).nearest
            assert names == [token for token, _ in nearest]


def test_nothing_moves_where_only_the_space_is_turned(tmp_path: Path) -> None:
    found = compared(tmp_path, VECTORS, VECTORS @ TURN).movement
    assert found is not None
    assert found.moved == 0
    assert min(move.cosine for move in found.most) == pytest.approx(1, abs=1e-4)


def test_models_of_other_dimensions_are_compared_too(tmp_path: Path) -> None:
    padded = np.hstack([VECTORS @ TURN, np.zeros((28, 3), np.float32)])
    found = compared(tmp_path, VECTORS, padded)
    assert found.movement is not None
    assert found.movement.moved == 0
    assert ("dimension", 6, 9) in [(d.fact, d.first, d.second) for d in found.differences]


def test_tokens_without_a_direction_are_not_counted(tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[5] = 0
    found = compared(tmp_path, VECTORS, vectors).movement
    assert found is not None
    assert found.tokens == len(WORDS) - 1
    assert WORDS[5 - 2] not in [move.token for move in found.most]


def test_pieces_of_words_are_counted_and_not_shown(tmp_path: Path) -> None:
    words = ["##piece", "7", *WORDS[2:]]
    models = [
        write_model(tmp_path / name, words, vectors)
        for name, vectors in (("first", VECTORS), ("second", -VECTORS * np.arange(28)[:, None]))
    ]
    found = compare(inspect(models[0]), inspect(models[1])).movement
    assert found is not None
    assert found.tokens == len(words)
    assert {"##piece", "7"}.isdisjoint(move.token for move in found.most)


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
    assert found.moved > 0
    table = result.out[result.out.index("moved most") :]
    assert all(move.token in table for move in found.most)


def test_two_models_are_one_record(ragdoll: Ragdoll, tmp_path: Path) -> None:
    first = write_model(tmp_path / "first", WORDS, VECTORS)
    second = write_model(tmp_path / "second", WORDS, moved(), config={"max_length": 9})
    record = ragdoll("inspect-model", first, second, "--json").json
    assert [model["path"] for model in record["models"]] == [str(first), str(second)]
    assert {"fact": "max_length", "first": 512, "second": 9} in record["differences"]
    movement = record["movement"]
    assert (movement["before"], movement["after"]) == (str(first), str(second))
    assert movement["moved"] == 2
    assert set(movement["most"][0]) == {"token", "cosine", "weight", "before", "after"}


def test_a_model_and_its_copy_do_not_differ(ragdoll: Ragdoll, tmp_path: Path) -> None:
    first = write_model(tmp_path / "first", WORDS, VECTORS)
    second = write_model(tmp_path / "second", WORDS, VECTORS)
    record = ragdoll("inspect-model", first, second, "--json").json
    assert (record["differences"], record["movement"]["moved"]) == ([], 0)
    assert f"0 of {len(WORDS)} tokens moved" in ragdoll("inspect-model", first, second).out


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
