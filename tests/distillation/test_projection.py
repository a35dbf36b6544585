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
from ragdoll.distillation.training import methods, tokenlearn_method
from ragdoll.distillation.training.projection import Projection, Wanted, held_out_rows, project
from ragdoll.distillation.training.token_bags import bags
from ragdoll.distillation.training.tokenlearn_method import Result
from ragdoll.distillation.training.train import TrainSettings
from ragdoll.errors import FeaturesError, TrainingError
from ragdoll.streams import silent
from tests.conftest import Trained
from tests.distillation.reading import load_features
from tests.embedding.making import write_model

WANTED = Wanted(dimension=16, unit=True, max_held_out=50, seed=0)


@pytest.fixture
def projection(trained: Trained, tmp_path: Path) -> Projection:
    return made(trained, trained.features, tmp_path)


def made(trained: Trained, features: Path | Features, folder: Path, key: str = "a") -> Projection:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(trained.model / "distillate")
    opened = open_features(features) if isinstance(features, Path) else features
    return project(opened, model, WANTED, folder, key, silent)


def test_the_targets_are_the_pca_of_unit_vectors(trained: Trained, projection: Projection) -> None:
    from sklearn.decomposition import PCA

    vectors = load_features(trained.features).vectors
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pca = PCA(16, svd_solver="full")
    expected = pca.fit_transform(vectors)
    held = held_out_rows(len(vectors), WANTED)
    for part, mask in ((projection.training, ~held), (projection.held_out, held)):
        # The sign of a component is arbitrary.
        sign = np.sign((part.targets * expected[mask]).sum(axis=0))
        np.testing.assert_allclose(part.targets * sign, expected[mask], atol=1e-5)
    explained = float(pca.explained_variance_ratio_.sum())
    assert projection.explained_variance == pytest.approx(explained, rel=1e-5)
    np.testing.assert_allclose(projection.spread, expected.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(projection.teacher_vectors, vectors[held], atol=1e-6)


def test_bags_times_token_vectors_are_what_the_model_encodes(
    trained: Trained, projection: Projection
) -> None:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(trained.model / "distillate")
    texts = load_features(trained.features).texts
    held = held_out_rows(len(texts), WANTED)
    kept = [text for text, out in zip(texts, held, strict=True) if out]
    expected = model.encode(kept, normalize=False)
    matrix = projection.held_out.bags.rows(0, len(projection.held_out.bags))
    np.testing.assert_allclose(matrix @ model.embedding, expected, atol=1e-5)


def test_texts_longer_than_the_model_reads_are_cut_off_as_the_model_does(trained: Trained) -> None:
    from model2vec import StaticModel

    from ragdoll.distillation.training.token_bags import tokenize

    model = StaticModel.from_pretrained(trained.model)
    texts = ["delay " * 2000 + "lock " * 2000, "a" * 30_000, "word. " * 511 + "x y z"]
    matrix = bags(tokenize(model, texts), len(model.embedding))
    vectors = matrix @ model.embedding
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-32
    np.testing.assert_allclose(vectors, model.encode(texts), atol=1e-5)


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
    # What was begun for the other key is not taken for the first one's.
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
    model, wanted = StaticModel.from_pretrained(words), Wanted(3, True, 10, 0)
    whole = project(features, model, wanted, folder, "a", silent)
    before = np.array(whole.training.targets)
    file = folder / name
    rest = file.read_bytes()
    file.write_bytes(rest.replace(b'"rows": 40', b'"rows": "x"') if content is None else content)
    again = project(features, model, wanted, folder, "a", silent)
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
    with pytest.raises(TrainingError, match="there are 15"):
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
    wanted = Wanted(dimension=16, unit=False, max_held_out=9, seed=0)
    projection = project(features, model, wanted, tmp_path, "a", silent)
    given_over: list[tuple[list[str], np.ndarray]] = []

    def fit(model: object, training: Any, held_out: Any, **options: object) -> Result:
        given_over.extend([training, held_out])
        return Result(StaticModel.from_pretrained(trained.model / "distillate"), 1, False)

    monkeypatch.setattr(tokenlearn_method, "fit", fit)
    task = methods.Task(model, features, projection, wanted, tmp_path, "a")
    methods.run(task, TrainSettings(tmp_path, tmp_path, method="tokenlearn"), silent)
    texts = [text for some, _ in given_over for text in some]
    rows = [int(text.removeprefix("task ")) for text in texts]
    assert sorted(rows) == [row for row in range(90) if row not in {0, 7, 30}]
    targets = np.concatenate([some for _, some in given_over])
    # Targets are an affine image of the vectors, of which there are many more than dimensions.
    known = np.column_stack([vectors[rows], np.ones(len(rows))])
    image = known @ np.linalg.lstsq(known, targets, rcond=None)[0]
    np.testing.assert_allclose(image, targets, atol=1e-3)


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
        np.testing.assert_allclose(row, expected, atol=1e-6)


@given(rows=st.integers(10, 3000), dimension=st.integers(1, 3000))
def test_the_dimensions_that_a_refusal_names_are_possible(rows: int, dimension: int) -> None:
    try:
        held_out_rows(rows, replace(WANTED, dimension=dimension))
    except TrainingError as refused:
        named = re.search(r"lower --pca-dims to (\d+) or less", str(refused.hint))
        assert named
        held_out_rows(rows, replace(WANTED, dimension=int(named[1])))
