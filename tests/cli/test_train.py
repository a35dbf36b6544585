"""``ragdoll train``: its JSON, what it says, and the places that it writes to.

Its interruptions are in ``tests/distillation/test_train.py``, its uploads in ``test_hub.py`` there.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.conftest import Ragdoll, Trained
from tests.distillation.reading import load_features


def test_the_json_has_the_keys_of_the_contract(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    result = ragdoll(
        "train", "--features", trained.features, "--output", tmp_path / "m", "--pca-dims", 16,
        "--epochs", 2, "--json",
    )  # fmt: skip
    assert result.status == 0, result.err
    record = result.json
    assert record.keys() >= {
        *("model", "distillate", "variants", "dimension", "vocabulary", "method", "epochs"),
        *("explained_variance", "validation_loss", "heldout_agreement", "seconds"),
    }
    assert (record["dimension"], record["epochs"]) == (16, 2)
    assert Path(record["variants"]["weighted"]).is_dir()


def test_a_person_is_told_the_explained_variance_and_what_to_do_next(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    Path("my.toml").write_text('[corpus]\npath = "python:stdlib"\n')
    model = tmp_path / "m"
    result = ragdoll(
        "train", "--features", trained.features, "--output", model, "--pca-dims", 16,
        "--epochs", 1, "--config", "my.toml",
    )  # fmt: skip
    assert "explained variance" in result.out
    assert f"Next: ragdoll index --config my.toml --model {model}\n" in result.err


def test_the_teacher_of_the_settings_serves_features_that_name_none(
    ragdoll: Ragdoll, trained: Trained, small_teacher: Path, tmp_path: Path
) -> None:
    features = load_features(trained.features)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "feature_1.json").write_text(json.dumps(features.texts))
    np.save(tmp_path / "f" / "feature_1.npy", features.vectors)
    arguments = ["train", "--features", tmp_path / "f", "--output", tmp_path / "m"]
    arguments += ["--pca-dims", 8, "--epochs", 1]
    assert ragdoll(*arguments).status == 2
    Path("ragdoll.toml").write_text(f'[teacher]\nmodel = "{small_teacher}"\n')
    assert ragdoll(*arguments).status == 0


def test_a_model_behind_a_link_is_replaced_there(
    ragdoll: Ragdoll, trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "m").symlink_to(tmp_path / "disk" / "m")
    for seed in (0, 1):
        result = ragdoll(
            "train", "--features", trained.features, "--output", tmp_path / "m", "--pca-dims", 8,
            "--epochs", 1, "--seed", seed,
        )  # fmt: skip
        assert result.status == 0, result.err
    assert (tmp_path / "m").is_symlink()
    assert (tmp_path / "disk" / "m" / "model.safetensors").is_file()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["m"]


def test_what_is_missing_is_named_with_the_command_that_makes_it(ragdoll: Ragdoll) -> None:
    result = ragdoll("train")
    assert (result.status, result.out) == (1, "")
    assert "ragdoll featurize" in result.err.splitlines()[1]
