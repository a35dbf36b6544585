"""A features folder from anyone: nothing outside it is read or written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragdoll.corpus.formats import decoding, parquet
from ragdoll.corpus.reading import open_corpus
from ragdoll.distillation.features.featurize import FeaturizeSettings, featurize
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.reading import open_features
from ragdoll.distillation.model import card as model_card
from ragdoll.distillation.model import folder as model_folder
from ragdoll.distillation.model.folder import workplace
from ragdoll.errors import FeaturesError, RagdollError, TrainingError
from tests.distillation.reading import load_features
from tests.distillation.test_features import write


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Features that are nobody's business."""
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
    with pytest.raises(FeaturesError, match=rf"{place}\S* is a link out of the folder"):
        load_features(folder)


@pytest.mark.parametrize("linked", ["feature_1.npy", "feature_1.json"])
def test_neither_are_those_of_tokenlearn(tmp_path: Path, elsewhere: Path, linked: str) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    for name in ("feature_1.npy", "feature_1.json"):
        shutil.copy(elsewhere / name, folder)
    (folder / linked).unlink()
    (folder / linked).symlink_to(elsewhere / linked)
    with pytest.raises(FeaturesError, match="link out of the folder"):
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
    with pytest.raises(FeaturesError, match=f"{name}.* cannot be read: .*symbolic links"):
        open_features(tmp_path)


def test_a_manifest_without_an_end_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(FeaturesError, match="is no file"):
        FeaturesFolder(tmp_path).manifest()


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
    settings = FeaturizeSettings(str(small_teacher), folder, corpus={}, dtype="float32")
    try:
        featurize(open_corpus([str(docs)]), settings)
    except RagdollError as error:
        assert ".lock" in name
        assert "is a link" in error.message  # noqa: PT017
    else:
        assert load_features(folder)[0]
    assert victim.read_text() == "mine"


def test_no_part_is_written_into_a_folder_elsewhere(
    small_teacher: Path, docs: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/part-00007.parquet").write_text("mine")
    (tmp_path / "features").mkdir()
    (tmp_path / "features/data").symlink_to(tmp_path / "elsewhere")
    settings = FeaturizeSettings(str(small_teacher), tmp_path / "features", corpus={})
    with pytest.raises(FeaturesError, match="link out of the folder"):
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
    with pytest.raises(FeaturesError, match="is damaged"):
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


def packed(folder: Path, texts: list[str], dimension: int = 4) -> Path:
    """A part that is not ragdoll's own, where a text or a vector takes a few bytes."""
    write(folder, rows=4)
    columns = {"text": texts, "embedding": [[1.0] * dimension] * len(texts)}
    pq.write_table(pa.table(columns), folder / "data/part-00000.parquet", compression="zstd")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["parts"][0]["rows"] = len(texts)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("text", "dimension"), [("x" * 1_000_000, 4), ("x", 500_000)], ids=["text", "vector"]
)
def test_a_part_that_unpacks_to_far_more_than_it_is_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, dimension: int
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 100_000)
    features = open_features(packed(tmp_path, [text] * 4, dimension))
    with pytest.raises(FeaturesError, match="unpacks to far more than it is"):
        list(features.batches())


def test_a_text_of_many_rows_is_read_a_few_rows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "HELD", 1_000_000)
    features = FeaturesFolder(packed(tmp_path, ["x" * 100_000] * 100))
    sizes = [len(texts) for texts, _ in features.batches()]
    assert sum(sizes) == 100
    assert max(sizes) <= 20
    assert sum(1 for _ in features.texts()) == 100


def test_rows_are_read_in_the_same_batches_however_they_are_grouped(tmp_path: Path) -> None:
    folder = packed(tmp_path, [str(number) for number in range(5000)])
    for group in (700, 5000):
        table = pq.read_table(folder / "data/part-00000.parquet")
        pq.write_table(table, folder / "data/part-00000.parquet", row_group_size=group)
        sizes = [len(texts) for texts, _ in FeaturesFolder(folder).batches()]
        assert sizes == [4096, 904]


# Model folders


def made(folder: Path) -> None:
    folder.mkdir()
    (folder / "new").touch()


@pytest.mark.parametrize("role", ["old", "partial"])
@pytest.mark.parametrize(
    "plant", [Path.symlink_to, lambda place, to: made(place)], ids=["link", "folder"]
)
def test_what_stands_in_the_way_of_a_new_model_is_removed_and_not_followed(
    tmp_path: Path, role: str, plant: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine").touch()
    output = tmp_path / "model"
    output.mkdir()
    plant(model_folder.beside(output, role), tmp_path / "elsewhere")
    made(tmp_path / "by")
    model_folder.discard(model_folder.beside(output, "partial"))
    model_folder.replace(output, tmp_path / "by")
    assert [file.name for file in output.iterdir()] == ["new"]
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["mine"]
    assert {file.name for file in tmp_path.iterdir()} == {"elsewhere", "model"}


def test_no_work_of_a_training_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    model_folder.beside(tmp_path / "model", "training").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(TrainingError, match="is a link, and is not written through"),
        workplace(tmp_path / "model"),
    ):
        pytest.fail("it is written through")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_model_behind_a_link_is_replaced_there() -> None:
    from ragdoll import config
    from ragdoll.cli import settings

    Path("model").symlink_to("elsewhere")
    wanted = settings.train(config.load(None, {"train.output": "model"}))
    assert wanted.output == Path("elsewhere").absolute()


def test_names_are_no_markup_in_a_model_card() -> None:
    record = {
        "teacher": {"name": "<b>x</b>|\n# y\x1b[2J\u202e", "fingerprint": "f"},
        "features": {"corpus": {"path": ["docs/<img src=x>|[a](b)"]}},
        "metric": "cosine",
        "method": "ridge",
        "settings": {},
        "versions": {},
        "rows": 1,
        "epochs": 1,
        "explained_variance": 1.0,
        "validation_loss": 1.0,
        "recommended": "weighted",
        "heldout_agreement": {"distillate": 1.0, "weighted": 1.0, "unweighted": 1.0},
    }
    card = model_card.card((1, 1), record, None)
    assert "| teacher | \\<b\\>x\\</b\\>\\| \\# y\ufffd\\[2J\ufffd |" in card
    assert r"| corpus | \<img src=x\>\|\[a\](b) |" in card
