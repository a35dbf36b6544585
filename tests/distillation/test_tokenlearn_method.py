"""The method ``tokenlearn``: the library's training, bounded, observed and padded."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ragdoll.distillation.training import tokenlearn_method
from ragdoll.distillation.training.projection import Task, Trained
from ragdoll.errors import TrainingError
from ragdoll.settings import TrainSettings
from ragdoll.streams import silent
from tests.conftest import Trained as TrainedModel
from tests.making import train, train_settings

TOKENLEARN = {"method": "tokenlearn", "pca_dims": 32, "batch_size": 32, "epochs": 8}
TEXTS = ["the event loop", "a lock", "a timer", "a stream"]


def test_the_method_tokenlearn_brings_the_model_nearer_too(
    trained: TrainedModel, tmp_path: Path
) -> None:
    settings = train_settings(trained.features, tmp_path / "m", **TOKENLEARN)
    result = train(settings, replaces=trained.model)
    assert result.method == "tokenlearn"
    assert result.agreement[result.recommended] > result.agreement["distillate"] + 0.01


def test_a_failed_training_leaves_the_old_model(trained: TrainedModel, tmp_path: Path) -> None:
    shutil.copytree(trained.model, tmp_path / "m")
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match=r"loss: (nan|inf)"):
        train(train_settings(trained.features, tmp_path / "m", **TOKENLEARN, lr=1e15))
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def fit(distillate: Any, targets: np.ndarray, held_out: np.ndarray, **settings: Any) -> Trained:
    """Train on the texts with these targets, and validate on the same texts with others."""
    passages = [(TEXTS * 2, None)]
    projection: Any = SimpleNamespace(
        training=SimpleNamespace(targets=targets), held_out=SimpleNamespace(targets=held_out)
    )
    features: Any = SimpleNamespace(batches=lambda: passages)
    mask = np.repeat([False, True], len(TEXTS))
    task = Task(distillate, features, projection, mask, Path(), "key")
    settings = {"batch_size": 4, "device": "cpu", **settings}
    return tokenlearn_method.fit(task, TrainSettings(**settings), silent)


def test_a_tokenizer_without_a_pad_token_is_trained_and_its_distillate_stays(
    trained: TrainedModel,
) -> None:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    content = (trained.model / "tokenizer.json").read_text().replace("[PAD]", "<pad>")
    vectors = StaticModel.from_pretrained(trained.model / "distillate").embedding
    distillate = StaticModel(vectors, Tokenizer.from_str(content))
    targets = np.eye(4, 8, dtype=np.float32)
    result = fit(distillate, targets, targets, patience=1, epochs=2)
    assert (result.epochs, result.interrupted) == (2, False)
    assert np.isfinite(result.vectors).all()
    assert len(result.vectors) == result.tokenizer.get_vocab_size()
    assert len(distillate.embedding) == distillate.tokenizer.get_vocab_size()


def test_the_state_of_the_lowest_loss_is_restored_not_the_last(trained: TrainedModel) -> None:
    from model2vec import StaticModel

    distillate = StaticModel.from_pretrained(trained.model / "distillate")
    targets = np.eye(4, 8, dtype=np.float32)
    # Learning the training targets soon makes the validation worse.
    short, long = (
        fit(distillate, targets, -targets, lr=1e-2, patience=50, epochs=epochs)
        for epochs in (16, 32)
    )
    np.testing.assert_array_equal(short.vectors, long.vectors)


def test_an_interrupted_training_gives_its_best_state(
    trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: object, batch: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenlearn_method._Dataset, "_collate", interrupted)
    result = train(
        train_settings(trained.features, tmp_path / "m", **TOKENLEARN), replaces=trained.model
    )
    assert result.interrupted
    assert (tmp_path / "m" / "model.safetensors").is_file()
