"""The nearest tokens of a word, against plain numpy over the whole table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ragdoll.embedding import token_table
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.token_table import TokenTable, neighbors
from tests.conftest import Ragdoll
from tests.embedding.making import vocabulary, write_model

WORDS = ["wing", "flap", "##s", "tail", "rudder", "soup"]


def table(dtype: type[np.generic] = np.float32) -> npt.NDArray[Any]:
    values = np.random.default_rng(0).normal(size=(len(WORDS) + 2, 5)) * 20
    return values.astype(dtype)


def expected(vectors: npt.NDArray[Any], ids: list[int], k: int) -> list[tuple[str, float]]:
    tokens = vocabulary(*WORDS)
    wanted = vectors[ids].astype(np.float64).mean(axis=0)
    cosines = vectors @ wanted / np.linalg.norm(vectors, axis=1) / np.linalg.norm(wanted)
    order = [i for i in np.argsort(-cosines) if i > 1 and i not in ids]
    return [(tokens[i], float(cosines[i])) for i in order[:k]]


def agree(found: tuple[tuple[str, float], ...], wanted: list[tuple[str, float]]) -> None:
    assert [token for token, _ in found] == [token for token, _ in wanted]
    assert [c for _, c in found] == pytest.approx([c for _, c in wanted], abs=1e-3)


@pytest.mark.parametrize("block", [1, 3, 4096])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int8])
def test_the_nearest_tokens_are_those_of_the_highest_cosine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: type[np.generic], block: int
) -> None:
    monkeypatch.setattr(token_table, "_BLOCK", block)
    model = write_model(tmp_path / "m", WORDS, table(dtype))
    near = neighbors(model, "Wing", k=3)
    assert (near.word, near.tokens) == ("Wing", ("wing",))
    agree(near.nearest, expected(table(dtype).astype(np.float64), [2], 3))


def test_a_word_of_several_tokens_is_their_mean_and_none_of_them_is_its_neighbour(
    tmp_path: Path,
) -> None:
    found = neighbors(write_model(tmp_path / "m", WORDS, table()), "wings", k=9)
    assert found.tokens == ("wing", "##s")
    agree(found.nearest, expected(table(), [2, 4], 9))


def test_a_table_in_bfloat16_is_read_to_its_precision(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    model = write_model(tmp_path / "m", WORDS, table())
    vectors = torch.tensor(table()).bfloat16()
    save_file({"embeddings": vectors}, model / "model.safetensors")
    agree(neighbors(model, "wing", 4).nearest, expected(vectors.float().numpy(), [2], 4))


def test_rows_that_tokens_share_and_their_weights_count(tmp_path: Path) -> None:
    rows = np.array([0, 0, 1, 2, 1, 3, 3, 2], dtype=np.int64)
    weights = np.linspace(0.5, 4, 8).astype(np.float32)
    model = write_model(tmp_path / "m", WORDS, table()[:4], mapping=rows, weights=weights)
    found = neighbors(model, "wings", k=4)
    agree(found.nearest, expected(table()[rows] * weights[:, None], [2, 4], 4))


def test_tokens_without_a_direction_are_nobodys_neighbours_before_others(tmp_path: Path) -> None:
    vectors = np.abs(table())
    vectors[3], vectors[4] = 0, np.nan
    found = neighbors(write_model(tmp_path / "m", WORDS, vectors), "wing", k=9)
    assert {token for token, _ in found.nearest[-2:]} == {"flap", "##s"}
    assert all(np.isfinite(cosine) for _, cosine in found.nearest)


def test_the_table_is_mapped_and_not_loaded(tmp_path: Path) -> None:
    opened = TokenTable(open_folder(write_model(tmp_path / "m", WORDS, table())))
    assert isinstance(opened._table.base, np.memmap)


# The command


def test_a_person_sees_the_word_its_tokens_and_the_nearest(
    ragdoll: Ragdoll, tmp_path: Path
) -> None:
    model = write_model(tmp_path / "m", WORDS, table())
    result = ragdoll("inspect-model", model, "--neighbors", "wings")
    assert (result.status, result.err) == (0, "")
    lines = {line[:20].strip(): line[20:] for line in result.out.splitlines()}
    assert lines["word"] == "wings (wing + ##s)"
    token, cosine = neighbors(model, "wings").nearest[0]
    assert lines["nearest"].startswith(f"{token} {cosine:.2f}, ")


def test_the_record_has_the_neighbours_with_their_cosines(ragdoll: Ragdoll, tmp_path: Path) -> None:
    model = write_model(tmp_path / "m", WORDS, table())
    found = ragdoll("inspect-model", model, "--neighbors", "wing", "--json").json["neighbors"]
    assert (found["word"], found["tokens"]) == ("wing", ["wing"])
    wanted = neighbors(model, "wing").nearest
    assert [(hit["token"], hit["cosine"]) for hit in found["nearest"]] == [
        (token, round(cosine, 4)) for token, cosine in wanted
    ]


@pytest.mark.parametrize("word", ["zebra", "", "  "])
def test_a_word_that_the_model_does_not_know_is_an_error(
    ragdoll: Ragdoll, tmp_path: Path, word: str
) -> None:
    model = write_model(tmp_path / "m", WORDS, table())
    result = ragdoll("inspect-model", model, "--neighbors", word)
    assert (result.status, result.out) == (1, "")
    assert f"'{word}'" in result.err


def test_a_model_without_a_table_has_no_neighbours(ragdoll: Ragdoll, small_teacher: Path) -> None:
    result = ragdoll("inspect-model", small_teacher, "--neighbors", "wing")
    assert (result.status, result.out) == (1, "")
    assert str(small_teacher) in result.err
