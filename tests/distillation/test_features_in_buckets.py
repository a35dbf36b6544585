"""Features in object storage: made, resumed, read and learned from as those of a folder are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ragdoll
from ragdoll.distillation.features import teacher_pass
from ragdoll.distillation.features.bucket import features_at
from ragdoll.distillation.features.reading import open_features
from ragdoll.errors import FeaturesError, UsageError
from ragdoll.settings import TeacherSettings, TrainSettings
from tests.closeness import assert_alike
from tests.conftest import Bucket
from tests.distillation.reading import load_features

TEXTS = [f"Task {number} waits {number % 7} seconds for a lock." for number in range(120)]


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_pass, "WINDOW", 16)


def run(
    teacher: Path, output: Path | str, texts: list[str] | None = None, **options: Any
) -> ragdoll.FeaturizeResult:
    settings = TeacherSettings(model=str(teacher), dtype="float32", device="cpu")
    return ragdoll.featurize(texts or TEXTS, output, teacher=settings, **options)


def test_features_are_those_of_a_folder(
    small_teacher: Path, tmp_path: Path, bucket: Bucket
) -> None:
    uri = f"{bucket.uri}/some/features"
    result = run(small_teacher, uri)
    run(small_teacher, tmp_path / "here")
    assert result.features == uri
    local = load_features(tmp_path / "here")
    there = list(open_features(uri).batches())
    assert [text for texts, _ in there for text in texts] == local.texts
    for (_, vectors), start in zip(there, range(0, len(TEXTS), 16), strict=True):
        assert_alike(vectors, local.vectors[start : start + 16])
    parts = {f"some/features/data/part-{number:05}.parquet" for number in range(8)}
    assert set(bucket.objects()) == {"some/features/manifest.json", *parts}
    assert run(small_teacher, uri).rows_resumed == len(TEXTS)
    trained = ragdoll.train(uri, tmp_path / "model", settings=TrainSettings(pca_dims=4))
    assert trained.dimension == 4


def test_a_corpus_in_the_current_folder_is_the_same_the_next_time(
    small_teacher: Path, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/locks.txt").write_text("A lock guards a resource.\n")
    settings = TeacherSettings(model=str(small_teacher), dtype="float32", device="cpu")
    for resumed in (0, 1):
        documents = ragdoll.read("docs")
        result = ragdoll.featurize(documents, f"{bucket.uri}/features", teacher=settings)
        assert result.rows_resumed == resumed


def test_an_interrupted_run_goes_on(small_teacher: Path, bucket: Bucket) -> None:
    uri = f"{bucket.uri}/features"

    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "passages" and done >= 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(small_teacher, uri, report=report)
    with pytest.raises(FeaturesError, match="incomplete"):
        open_features(uri)
    assert run(small_teacher, uri).rows_resumed >= 48
    # A part that is lost, and those after it, are made again.
    features_at(uri).remove(["part-00002.parquet"])
    assert run(small_teacher, uri).rows_resumed == 32


def test_features_that_are_made_anew_leave_no_old_part(small_teacher: Path, bucket: Bucket) -> None:
    uri = f"{bucket.uri}/features"
    run(small_teacher, uri)
    run(small_teacher, uri, TEXTS[:20], restart=True)
    # The library leaves empty objects in the place of folders.
    assert sum(1 for content in bucket.objects().values() if content) == 3


def test_other_objects_are_left_alone(small_teacher: Path, bucket: Bucket) -> None:
    features_at(f"{bucket.uri}/mine")._remove("none")
    with features_at(f"{bucket.uri}/mine")._writing("notes.txt") as file:
        file.write(b"mine")
    with pytest.raises(FeaturesError, match="holds other files"):
        run(small_teacher, f"{bucket.uri}/mine")
    assert set(bucket.objects()) == {"mine/notes.txt"}


def test_what_is_not_there_is_named(bucket: Bucket) -> None:
    with pytest.raises(FeaturesError, match=f"No features in {bucket.uri}/none"):
        open_features(f"{bucket.uri}/none")
    with pytest.raises(UsageError, match="Features cannot be at ftp://host/x"):
        features_at("ftp://host/x")


def test_a_server_that_refuses_is_named(
    small_teacher: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FeaturesError, match="s3://no-such-bucket/x: ") as told:
        run(small_teacher, "s3://no-such-bucket/x")
    assert told.value.hint is not None
    assert "AWS_ACCESS_KEY_ID" in told.value.hint
