"""Features projected for training: the same numbers as the libraries', in flat memory."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest
from ragdoll.distillation.features.reading import Features, open_features
from ragdoll.distillation.training import tokenlearn_method
from ragdoll.distillation.training.projection import (
    Projection,
    ProjectionSettings,
    Task,
    held_out_rows,
    project,
)
from ragdoll.distillation.training.token_bags import bags, tokenize
from ragdoll.errors import FeaturesError, TrainingError
from ragdoll.streams import silent
from tests.closeness import assert_alike
from tests.conftest import Trained
from tests.distillation.reading import load_features
from tests.embedding.making import write_model
from tests.making import train_settings

SETTINGS = ProjectionSettings(dimension=16, unit=True, max_held_out=50, seed=0)


@pytest.fixture
def projection(trained: Trained, tmp_path: Path) -> Projection:
    return made(trained, trained.features, tmp_path)


def made(trained: Trained, features: Path | Features, folder: Path, key: str = "a") -> Projection:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(trained.model / "distillate")
    opened = open_features(features) if isinstance(features, Path) else features
    return project(opened, model, SETTINGS, folder, key, silent)


def test_the_targets_are_the_pca_of_unit_vectors(trained: Trained, projection: Projection) -> None:
    from sklearn.decomposition import PCA

    vectors = load_features(trained.features).vectors
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pca = PCA(16, svd_solver="full")
    expected = pca.fit_transform(vectors)
    held = held_out_rows(len(vectors), SETTINGS)
    for part, mask in ((projection.training, ~held), (projection.held_out, held)):
        # The sign of a component is arbitrary.
        sign = np.sign((part.targets * expected[mask]).sum(axis=0))
        assert_alike(part.targets * sign, expected[mask])
    explained = float(pca.explained_variance_ratio_.sum())
    assert projection.explained_variance == pytest.approx(explained, rel=1e-4)
    assert_alike(projection.spread, expected.std(axis=0))
    assert_alike(projection.teacher_vectors, vectors[held])


def test_bags_times_token_vectors_are_what_the_model_encodes(
    trained: Trained, projection: Projection
) -> None:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(trained.model / "distillate")
    texts = load_features(trained.features).texts
    held = held_out_rows(len(texts), SETTINGS)
    kept = [text for text, out in zip(texts, held, strict=True) if out]
    expected = model.encode(kept, normalize=False)
    matrix = projection.held_out.bags.rows(0, len(projection.held_out.bags))
    assert_alike(matrix @ model.embedding, expected)


def test_texts_longer_than_the_model_reads_are_cut_off_as_the_model_does(trained: Trained) -> None:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(trained.model)
    texts = ["delay " * 2000 + "lock " * 2000, "a" * 30_000, "word. " * 511 + "x y z"]
    matrix = bags(tokenize(model, texts), len(model.embedding))
    vectors = matrix @ model.embedding
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-32
    assert_alike(vectors, model.encode(texts))


def test_tokens_are_counted_over_all_passages(trained: Trained, projection: Projection) -> None:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(trained.model / "distillate")
    ids = model.tokenize(load_features(trained.features).texts)
    token = model.tokenizer.token_to_id("the")
    assert projection.occurrences[token] == pytest.approx(sum(row.count(token) for row in ids))
    assert projection.documents[token] == sum(token in row for row in ids)


def test_a_projection_of_the_same_key_is_used_again(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.features, tmp_path / "features")
    features = open_features(tmp_path / "features")
    folder = tmp_path / "work"
    folder.mkdir()
    made(trained, features, folder)
    for part in (tmp_path / "features" / "data").iterdir():
        part.unlink()
    assert made(trained, features, folder).rows > 1000
    with pytest.raises(FeaturesError, match="part-00000"):
        made(trained, features, folder, key="b")
    # The projection begun for the other key is not taken for the first one's.
    with pytest.raises(FeaturesError, match="part-00000"):
        made(trained, features, folder)


class Payload:
    """Makes a folder in the current one when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("RAN",)


def objects() -> bytes:
    content = io.BytesIO()
    np.save(content, np.array([Payload()], dtype=object), allow_pickle=True)
    return content.getvalue()


# A header in a line, and a pickle.
OBJECTS = objects()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("projection.json", None),
        ("training.columns", b"\xff" * 4000),  # it would be read beyond its end
        ("training.offsets", b"abc"),
        ("held-out.targets", bytes(12)),
        ("spread.npy", b"\x93NUMPY\x01\x00\x04\x00((((" + bytes(8)),
        ("documents.npy", b""),
        ("documents.npy", OBJECTS),
        ("documents.npy", OBJECTS.partition(b"\n")[2]),
    ],
)
def test_a_damaged_projection_is_made_again(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    from model2vec import StaticModel

    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    write(tmp_path / "f", vectors)
    features, folder = open_features(tmp_path / "f"), tmp_path / "work"
    folder.mkdir()
    words = write_model(tmp_path / "m", ["task", "row"], vectors[:4])
    model, settings = StaticModel.from_pretrained(words), ProjectionSettings(3, True, 10, 0)
    before = np.array(project(features, model, settings, folder, "a", silent).training.targets)
    file = folder / name
    rest = file.read_bytes()
    file.write_bytes(rest.replace(b'"rows": 40', b'"rows": "x"') if content is None else content)
    again = project(features, model, settings, folder, "a", silent)
    assert np.array_equal(again.training.targets, before)
    assert file.read_bytes() == rest
    assert not Path("RAN").exists()


def test_rows_with_nan_are_counted_and_too_few_without_them_are_refused(
    trained: Trained, tmp_path: Path
) -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 24)).astype(np.float32)
    vectors[:5, 3] = np.nan
    write(tmp_path / "f", vectors)
    projection = made(trained, tmp_path / "f", tmp_path)
    assert (projection.rows, projection.skipped) == (35, 5)
    vectors[:25, 3] = np.inf
    write(tmp_path / "g", vectors)
    with pytest.raises(TrainingError, match="15"):
        made(trained, tmp_path / "g", tmp_path, key="b")


def test_texts_keep_to_their_targets_where_rows_with_nan_are_left_out(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library trains on texts, which are read apart from the targets."""
    from model2vec import StaticModel

    vectors = np.random.default_rng(0).normal(size=(90, 24)).astype(np.float32)
    vectors[[0, 7, 30], 3] = np.nan
    write(tmp_path / "f", vectors)
    features = open_features(tmp_path / "f")
    model = StaticModel.from_pretrained(trained.model / "distillate")
    settings = ProjectionSettings(dimension=16, unit=False, max_held_out=9, seed=0)
    projection = project(features, model, settings, tmp_path, "a", silent)
    task = Task(model, features, projection, held_out_rows(90, settings), tmp_path, "a")
    datasets: list[tokenlearn_method._Dataset] = []

    def untrained(model: StaticModel, **options: Any) -> StaticModel:
        datasets.extend([options["train_dataset"], options["validation_dataset"]])
        return model

    monkeypatch.setattr(tokenlearn_method, "train_supervised", untrained)
    tokenlearn_method.fit(task, train_settings(tmp_path, tmp_path, method="tokenlearn"), silent)
    texts = [text for dataset in datasets for text in dataset.texts]
    rows = [int(text.removeprefix("task ")) for text in texts]
    assert sorted(rows) == [row for row in range(90) if row not in {0, 7, 30}]
    targets = np.concatenate([dataset.targets for dataset in datasets])
    # Targets are an affine image of the vectors, of which there are many more than dimensions.
    known = np.column_stack([vectors[rows], np.ones(len(rows))])
    assert_alike(known @ np.linalg.lstsq(known, targets, rcond=None)[0], targets)


def write(folder: Path, vectors: np.ndarray) -> None:
    features = FeaturesFolder(folder)
    name = features.write_part(0, [f"task {row}" for row in range(len(vectors))], vectors)
    part = {"file": name, "rows": len(vectors), "tokens": 1, "hash": NO_HASH}
    features.write_manifest(Manifest({"teacher": "t"}, vectors.shape[1], [part], complete=True))


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=8))
def test_a_row_of_a_bag_is_the_share_of_each_token(ids: list[list[int]]) -> None:
    dense = bags(ids, 10).toarray()
    for row, tokens in zip(dense, ids, strict=True):
        expected = np.bincount(tokens, minlength=10) / max(1, len(tokens))
        assert row == pytest.approx(expected)


@given(rows=st.integers(10, 3000), dimension=st.integers(1, 3000))
def test_the_dimensions_that_a_refusal_names_are_possible(rows: int, dimension: int) -> None:
    try:
        held_out_rows(rows, replace(SETTINGS, dimension=dimension))
    except TrainingError as refused:
        named = re.search(r"`pca_dims` to (\d+) or less", str(refused.hint))
        assert named
        held_out_rows(rows, replace(SETTINGS, dimension=int(named[1])))
