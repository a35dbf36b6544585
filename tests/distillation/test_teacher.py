"""The teacher: where it is found, and the vectors it gives."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.distillation.teacher import model as module
from ragdoll.distillation.teacher.files import find_teacher, require_training_extra
from ragdoll.distillation.teacher.model import Teacher, Tokenized
from ragdoll.errors import MissingExtraError, TeacherError

TEXTS = ["A lock guards a resource.", "A timer.", "The event loop runs callbacks. " * 80, "?"]


@pytest.fixture(scope="module")
def loaded(small_teacher: Path) -> Teacher:
    return Teacher(find_teacher(str(small_teacher)), device="cpu", dtype="float32")


def test_a_folder_that_cannot_be_loaded_is_one_line(small_teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(small_teacher, folder)
    (folder / "config.json").write_text('{"model_type": "no-such-architecture"}')
    with pytest.raises(TeacherError, match="cannot be loaded") as error:
        Teacher(find_teacher(str(folder)), device="cpu", dtype="float32")
    assert "\n" not in error.value.message


def test_an_unknown_device_is_refused(small_teacher: Path) -> None:
    with pytest.raises(TeacherError, match="cuda:99"):
        Teacher(find_teacher(str(small_teacher)), device="cuda:99")


def test_without_the_training_extra_the_install_line_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as error:
        require_training_extra("Featurizing")
    assert error.value.message.startswith("Featurizing needs the extra 'train'")
    assert error.value.hint == "pip install 'ragdoll-cli[train]'"


def test_sentence_vectors_are_those_of_sentence_transformers(
    loaded: Teacher, small_teacher: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(small_teacher), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(loaded.encode(TEXTS, "sentence", 512), expected, atol=1e-5)


def test_mean_vectors_leave_out_the_special_tokens(loaded: Teacher, small_teacher: Path) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(small_teacher), device="cpu")
    tokens = reference.encode(TEXTS, output_value="token_embeddings")
    expected = np.stack([found[1:-1].mean(axis=0).numpy() for found in tokens])
    np.testing.assert_allclose(loaded.encode(TEXTS, "mean", 512), expected, atol=1e-5)


def test_vectors_do_not_depend_on_the_batches(loaded: Teacher) -> None:
    alone = loaded.encode(TEXTS, "mean", 1)
    together = loaded.encode(TEXTS, "mean", 10_000)
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_progress_counts_every_text(loaded: Teacher) -> None:
    seen: list[int] = []
    loaded.encode(TEXTS, "mean", 64, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(TEXTS)


@pytest.fixture
def choosing(small_teacher: Path, monkeypatch: pytest.MonkeyPatch) -> Teacher:
    """A teacher on a device that has instructions for bfloat16."""
    monkeypatch.setattr(module, "native_dtype", lambda device: "bfloat16")
    return Teacher(find_teacher(str(small_teacher)), device="cpu")


def weights_type(teacher: Teacher) -> str:
    return str(next(teacher._model.parameters()).dtype).removeprefix("torch.")


def clock_of(teacher: Teacher, **seconds: float) -> Callable[[], float]:
    """A clock by which embedding takes so many seconds in each type, whatever it takes."""
    readings = itertools.accumulate(seconds[weights_type(teacher)] for _ in itertools.count())
    return lambda: next(readings)


def vectors_at(cosine: float) -> np.ndarray:
    """Vectors of the sample that are all as they were but one, which is at this cosine to it."""
    vectors = np.tile(np.array([[3.0, 0.0]], np.float32), (16, 1))
    vectors[7] = 3 * cosine, 3 * (1 - cosine**2) ** 0.5
    return vectors


@pytest.mark.parametrize(
    ("seconds", "cosine", "settled", "said"),
    [
        (1.0, 0.9991, "bfloat16", ""),
        (1.0, 0.9989, "float32", "only at cosine 0.9989"),
        (1.03, 1.0, "float32", ""),
        (1.5, 1.0, "float32", ""),
    ],
    ids=["faster and alike", "faster but not alike", "hardly faster", "slower"],
)
def test_a_type_is_used_where_it_is_clearly_faster_and_gives_the_same_vectors(
    choosing: Teacher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    seconds: float,
    cosine: float,
    settled: str,
    said: str,
) -> None:
    vectors = {"float32": vectors_at(1.0), "bfloat16": vectors_at(cosine)}
    monkeypatch.setattr(choosing, "embed", lambda *rest: vectors[weights_type(choosing)])
    clock = clock_of(choosing, float32=1.22, bfloat16=seconds)
    assert choosing.settle_dtype(choosing.tokenize(["text"] * 256), "mean", clock) == settled
    assert choosing.dtype == weights_type(choosing) == settled
    assert said in caplog.text
    assert bool(said) == bool(caplog.text)


def test_the_vectors_of_a_real_model_are_the_same_in_bfloat16(choosing: Teacher) -> None:
    clock = clock_of(choosing, float32=2.0, bfloat16=1.0)
    assert choosing.settle_dtype(choosing.tokenize(TEXTS * 64), "mean", clock) == "bfloat16"


def test_a_type_that_was_tried_leaves_nothing_behind(choosing: Teacher, loaded: Teacher) -> None:
    clock = clock_of(choosing, float32=1.0, bfloat16=2.0)
    choosing.settle_dtype(choosing.tokenize(TEXTS * 64), "mean", clock)
    np.testing.assert_array_equal(
        choosing.encode(TEXTS, "mean", 512), loaded.encode(TEXTS, "mean", 512)
    )


@given(
    st.lists(st.integers(min_value=1, max_value=300), min_size=1, max_size=60),
    st.integers(min_value=1, max_value=1000),
)
def test_batches_keep_to_the_budget_and_hold_each_text_once(
    loaded: Teacher, lengths: list[int], budget: int
) -> None:
    batches: list[list[int]] = []

    def forward(texts: Tokenized, rows: list[int], target: str) -> np.ndarray:
        batches.append(rows)
        return np.array([[row] for row in rows], np.float32)

    texts = Tokenized({"input_ids": [[0] * length for length in lengths]}, 0)
    with mock.patch.object(loaded, "_forward", forward):
        vectors = loaded.embed(texts, "mean", budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert vectors[:, 0].tolist() == list(range(len(lengths)))
    for batch in batches:
        width = max(lengths[row] for row in batch)
        assert len(batch) == 1 or width * len(batch) <= budget


def test_a_processor_takes_no_more_at_once_than_is_fast(
    loaded: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    forward = loaded._forward

    def counted(texts: Tokenized, rows: list[int], target: str) -> np.ndarray:
        sizes.append(len(rows) * texts.lengths[rows[0]])
        return forward(texts, rows, target)

    monkeypatch.setattr(loaded, "_forward", counted)
    loaded.encode(TEXTS * 10, "mean", 100_000)
    assert max(sizes) <= 2048
    assert len(sizes) > 1


def test_a_device_short_of_memory_gets_smaller_batches(
    loaded: Teacher, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    forward = loaded._forward
    expected = loaded.encode(TEXTS * 3, "mean", 2048)

    def short_of_memory(texts: Tokenized, rows: list[int], target: str) -> np.ndarray:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(texts, rows, target)

    monkeypatch.setattr(loaded, "_forward", short_of_memory)
    np.testing.assert_allclose(loaded.encode(TEXTS * 3, "mean", 2048), expected, atol=1e-5)
    assert "smaller batches" in caplog.text


def test_a_device_without_memory_for_one_text_is_an_error(
    loaded: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def no_memory(*arguments: object) -> np.ndarray:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(loaded, "_forward", no_memory)
    with pytest.raises(TeacherError, match="no memory for one passage") as error:
        loaded.encode(TEXTS, "mean", 2048)
    assert "--device cpu" in (error.value.hint or "")


def test_a_few_texts_are_not_worth_a_choice(choosing: Teacher) -> None:
    clock = clock_of(choosing, float32=2.0, bfloat16=1.0)
    assert choosing.settle_dtype(choosing.tokenize(TEXTS), "mean", clock) == "float32"
