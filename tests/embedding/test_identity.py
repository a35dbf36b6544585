"""The identity of a static model: its dimension, and how its vectors are to be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import (
    ModelIdentity,
    identify,
    metric_of,
    normalizes,
    truncates_at,
)
from ragdoll.errors import ModelError
from tests.conftest import Trained
from tests.embedding.making import change_json as put
from tests.embedding.making import load_table

SIMILARITY = "config_sentence_transformers.json"


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A trained model that may be changed, without ragdoll's own record of it."""
    ignored = shutil.ignore_patterns("variants", "distillate", "ragdoll.json")
    return Path(shutil.copytree(trained.model, tmp_path / "model", ignore=ignored))


@pytest.fixture
def static(model: Path) -> Path:
    """The same model as sentence-transformers would write it."""
    save_file({"embedding.weight": load_table(model)}, model / "model.safetensors")
    (model / "config.json").unlink()
    put(model / SIMILARITY, model_type="SentenceTransformer", similarity_fn_name=None)
    return model


def test_a_trained_model_is_identified(trained: Trained) -> None:
    identity = identify(trained.model)
    assert (identity.path, identity.dimension) == (trained.model, 32)
    assert (identity.metric, identity.normalize, identity.max_length) == ("cosine", True, 512)
    assert "trained" in identity.metric_reason
    assert len(identity.fingerprint) == 64


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_the_metric_is_the_one_recorded_at_training_before_any_other(
    model: Path, metric: str
) -> None:
    put(model / "ragdoll.json", metric=metric)
    put(model / SIMILARITY, similarity_fn_name="euclidean")
    assert metric_of(open_folder(model)) == (metric, "recorded when the model was trained")


@pytest.mark.parametrize(
    ("similarity", "metric"), [("cosine", "cosine"), ("dot", "dot"), ("euclidean", "l2")]
)
def test_the_metric_is_the_models_similarity_function(
    model: Path, similarity: str, metric: str
) -> None:
    put(model / SIMILARITY, similarity_fn_name=similarity)
    chosen, reason = metric_of(open_folder(model))
    assert chosen == metric
    assert similarity in reason


def test_the_metric_of_a_model_that_normalizes_is_cosine(model: Path) -> None:
    assert metric_of(open_folder(model)) == ("cosine", "it normalizes its vectors")


def test_the_metric_is_cosine_where_nothing_says_otherwise(model: Path) -> None:
    put(model / "config.json", normalize=False)
    assert metric_of(open_folder(model)) == ("cosine", "nothing says otherwise")


@pytest.mark.parametrize("value", [None, 3, "unheard of", ["cosine"], {}], ids=str)
@pytest.mark.parametrize(
    ("file", "key"), [("ragdoll.json", "metric"), (SIMILARITY, "similarity_fn_name")]
)
def test_a_metric_that_is_none_is_passed_over(
    model: Path, file: str, key: str, value: object
) -> None:
    put(model / file, **{key: value})
    assert metric_of(open_folder(model)) == ("cosine", "it normalizes its vectors")


@pytest.mark.parametrize("stated", [3, "many", None], ids=str)
def test_the_dimension_is_the_tables_whatever_the_config_says(model: Path, stated: object) -> None:
    put(model / "config.json", hidden_dim=stated)
    assert identify(model).dimension == 32


def test_a_static_model_of_sentence_transformers_is_identified(static: Path) -> None:
    identity = identify(static)
    assert (identity.dimension, identity.metric, identity.max_length) == (32, "cosine", 512)


def test_a_static_model_with_further_modules_is_refused(static: Path) -> None:
    modules = json.loads((static / "modules.json").read_text())
    modules.insert(1, {"path": "1_Dense", "type": "sentence_transformers.models.Dense"})
    (static / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=r"models\.Dense' behind its token vectors"):
        identify(static)


def test_whether_a_static_model_normalizes_is_told_by_its_modules(static: Path) -> None:
    assert normalizes(open_folder(static))
    first = json.loads((static / "modules.json").read_text())[:1]
    (static / "modules.json").write_text(json.dumps(first))
    assert not normalizes(open_folder(static))
    (static / "modules.json").unlink()
    assert not normalizes(open_folder(static))


@pytest.mark.parametrize(
    ("config", "length"),
    [({"max_length": 99}, 99), ({"max_length": None}, None), ({"max_length": ...}, 512)],
    ids=["stated", "unlimited", "not stated"],
)
def test_texts_are_cut_where_the_library_cuts_them(
    model: Path, config: dict[str, Any], length: int | None
) -> None:
    content = {**json.loads((model / "config.json").read_text()), **config}
    content = {key: value for key, value in content.items() if value is not ...}
    (model / "config.json").write_text(json.dumps(content))
    from model2vec import StaticModel

    assert truncates_at(open_folder(model)) == length
    assert StaticModel.from_pretrained(model).max_length == length


def test_a_sentence_transformer_says_where_it_cuts_texts(small_teacher: Path) -> None:
    assert truncates_at(open_folder(small_teacher)) == 256


@pytest.mark.parametrize(
    ("settings", "config", "length"),
    [
        ({"sentence_roberta_config.json": {"max_seq_length": 32}}, {}, 32),
        ({"sentence_bert_config.json": {"tokenizer_args": {"model_max_length": 16}}}, {}, 16),
        ({"sentence_bert_config.json": {"max_seq_length": 40, "document_length": 12}}, {}, 12),
        ({}, {"model_type": "xmod", "max_position_embeddings": 50, "pad_token_id": 1}, 48),
        ({}, {"model_type": "led", "max_encoder_position_embeddings": 50}, 50),
        ({}, {"text_config": {"max_position_embeddings": 50}}, 50),
    ],
    ids=["another name", "arguments", "documents", "padding", "encoder", "text"],
)
def test_the_limit_of_a_sentence_transformer_may_stand_in_several_places(
    small_teacher: Path,
    tmp_path: Path,
    settings: dict[str, dict[str, Any]],
    config: dict[str, Any],
    length: int,
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_teacher, folder)
    for name in ("sentence_bert_config.json", "config.json"):
        (folder / name).unlink()
    for name, content in {**settings, "config.json": config}.items():
        (folder / name).write_text(json.dumps(content))
    assert truncates_at(open_folder(folder)) == length


def test_the_first_module_of_a_sentence_transformer_holds_its_weights(
    small_teacher: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(small_teacher, folder)
    (folder / "text").mkdir()
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        (folder / file).rename(folder / "text" / file)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "text"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert open_folder(folder).transformer == folder / "text"
    modules[0]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="no safetensors file"):
        open_folder(folder)


def test_an_encoder_of_ones_own_needs_a_fingerprint_and_a_dimension() -> None:
    identity = ModelIdentity(fingerprint="my-encoder-1", dimension=384)
    assert (identity.path, identity.max_length, identity.normalize) == (None, None, False)
    assert identity.metric == "cosine"


def test_models_that_differ_in_how_they_make_vectors_have_different_fingerprints(
    model: Path,
) -> None:
    fingerprints = {identify(model).fingerprint}
    for change in ({"normalize": False}, {"max_length": 7}, {"max_length": None}):
        put(model / "config.json", **change)
        fingerprints.add(identify(model).fingerprint)
    assert len(fingerprints) == 4
