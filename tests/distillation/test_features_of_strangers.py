"""A features folder from a stranger: nothing outside it is read or written."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdoll.corpus.formats.behind_wall import wall
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.reading import open_features
from ragdoll.errors import FeaturesError
from tests.distillation.reading import load_features
from tests.distillation.test_features import write
from tests.making import featurize, featurizing, open_corpus


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Features outside the folder, which must not be read."""
    write(tmp_path / "elsewhere")
    np.save(tmp_path / "elsewhere/feature_1.npy", np.ones((1, 4), np.float32))
    (tmp_path / "elsewhere/feature_1.json").write_text('["secret"]')
    return tmp_path / "elsewhere"


@pytest.mark.parametrize("linked", ["data", "data/part-00000.parquet", "manifest.json"])
def test_features_behind_a_link_out_of_the_folder_are_not_read(
    tmp_path: Path, elsewhere: Path, linked: str
) -> None:
    folder = tmp_path / "features"
    shutil.copytree(elsewhere, folder)
    place = folder / linked
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(elsewhere / linked)
    with pytest.raises(FeaturesError, match=str(place)):
        load_features(folder)


@pytest.mark.parametrize("linked", ["feature_1.npy", "feature_1.json"])
def test_neither_are_those_of_tokenlearn(tmp_path: Path, elsewhere: Path, linked: str) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    for name in ("feature_1.npy", "feature_1.json"):
        shutil.copy(elsewhere / name, folder)
    (folder / linked).unlink()
    (folder / linked).symlink_to(elsewhere / linked)
    with pytest.raises(FeaturesError, match=linked):
        open_features(folder)


def test_links_within_the_folder_and_a_link_to_it_are_read(tmp_path: Path) -> None:
    texts, _ = write(tmp_path / "features")
    (tmp_path / "features/data").rename(tmp_path / "features/.data")
    (tmp_path / "features/data").symlink_to(".data")
    (tmp_path / "link").symlink_to("features")
    assert load_features(tmp_path / "link")[0] == texts


@pytest.mark.parametrize("name", ["manifest.json", "data"])
def test_a_link_in_a_circle_is_an_error_in_one_line(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    (tmp_path / name).rename(tmp_path / "aside")
    (tmp_path / name).symlink_to(name)
    with pytest.raises(FeaturesError, match=name):
        open_features(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        ".manifest.json.tmp",
        "data/.part-00000.parquet.tmp",
        ".featurize.lock",
        ".featurize.lock.pid",
    ],
)
def test_nothing_is_written_through_a_link(
    small_teacher: Path, docs: Path, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "features"
    (folder / "data").mkdir(parents=True)
    (folder / name).symlink_to(victim)
    settings = featurizing(small_teacher, folder, dtype="float32")
    if ".lock" in name:
        with pytest.raises(FeaturesError, match=name):
            featurize(open_corpus([str(docs)]), settings)
    else:
        featurize(open_corpus([str(docs)]), settings)
        assert load_features(folder).texts
    assert victim.read_text() == "mine"


def test_no_part_is_written_into_a_folder_elsewhere(
    small_teacher: Path, docs: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/part-00007.parquet").write_text("mine")
    (tmp_path / "features").mkdir()
    (tmp_path / "features/data").symlink_to(tmp_path / "elsewhere")
    settings = featurizing(small_teacher, tmp_path / "features")
    with pytest.raises(FeaturesError, match="data"):
        featurize(open_corpus([str(docs)]), settings)
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["part-00007.parquet"]


@pytest.mark.parametrize(
    "settings", [{"teacher": 5}, {"corpus": "x"}, {"corpus": {"path": [5]}}, {"computed_in": {}}]
)
def test_settings_of_other_types_are_an_error_before_the_training(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    write(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["settings"] |= settings
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(FeaturesError, match=r"manifest\.json"):
        open_features(tmp_path)


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self._file), "w")


@pytest.mark.parametrize("kind", ["pickle", "objects", "archive"])
def test_no_pickle_is_loaded_for_vectors(tmp_path: Path, kind: str) -> None:
    ran = tmp_path / "ran"
    objects = np.array([[Payload(ran)]], dtype=object)
    file = tmp_path / "features/feature_0.npy"
    file.parent.mkdir()
    file.with_suffix(".json").write_text('["a"]')
    with file.open("wb") as content:
        if kind == "pickle":
            pickle.dump(Payload(ran), content)
        elif kind == "objects":
            np.save(content, objects, allow_pickle=True)
        else:
            np.savez(content, objects)
    with pytest.raises(FeaturesError):
        load_features(file.parent)
    assert not ran.exists()


# Parts that are packed


def packed(folder: Path, texts: pa.Array, **options: Any) -> Path:
    """A folder with a part that is not ragdoll's own."""
    write(folder, rows=4)
    table = pa.table({"text": texts, "embedding": [[1.0] * 4] * len(texts)})
    pq.write_table(table, folder / "data/part-00000.parquet", compression="zstd", **options)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["parts"][0]["rows"] = len(texts)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.skipif(not wall.CAN_LIMIT_MEMORY, reason="the wall has no limit of memory here")
def test_a_part_that_unpacks_to_far_more_than_it_is_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wall, "MEMORY", 2**27)
    texts = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ["x" * 1_000_000])
    features = open_features(packed(tmp_path, texts, store_schema=False))
    assert (tmp_path / "data/part-00000.parquet").stat().st_size < 100_000
    with pytest.raises(FeaturesError, match=r"part-00000\.parquet"):
        list(features.batches())


def test_rows_are_read_in_the_same_batches_however_they_are_grouped(tmp_path: Path) -> None:
    folder = packed(tmp_path, pa.array(map(str, range(5000))))
    for group in (700, 5000):
        table = pq.read_table(folder / "data/part-00000.parquet")
        pq.write_table(table, folder / "data/part-00000.parquet", row_group_size=group)
        sizes = [len(texts) for texts, _ in FeaturesFolder(folder).batches()]
        assert sizes == [4096, 904]
