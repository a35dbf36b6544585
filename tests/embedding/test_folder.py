"""What kind of model a folder holds, and that what is no model is refused with a reason."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ragdoll.embedding.folder import open_folder, read_json
from ragdoll.errors import ModelError


def test_a_trained_model_is_told_as_model2vec(model: Path) -> None:
    folder = open_folder(model)
    assert (folder.kind, folder.is_static) == ("model2vec", True)
    assert folder.weights == (model / "model.safetensors",)
    assert folder.tokenizer == model / "tokenizer.json"
    assert folder.embedding is not None
    assert folder.embedding.shape == load_file(model / "model.safetensors")["embeddings"].shape
    assert folder.config["hidden_dim"] == 32
    assert folder.provenance is not None
    assert folder.provenance["format"] == "ragdoll-model"


@pytest.mark.parametrize("subfolder", ["", "0_StaticEmbedding"], ids=["at the root", "nested"])
def test_a_static_model_of_sentence_transformers_is_told(
    model: Path, tmp_path: Path, subfolder: str
) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    vectors = np.ones((tokenizer.get_vocab_size(), 8), dtype=np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=vectors)
    path = tmp_path / "static"
    SentenceTransformer(modules=[module], device="cpu").save(str(path))
    if subfolder:  # as older versions wrote it
        (path / subfolder).mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (path / name).rename(path / subfolder / name)

    folder = open_folder(path)

    assert folder.kind == "sentence-transformers-static"
    assert folder.embedding is not None
    assert folder.embedding.shape == vectors.shape
    assert folder.weights == (path / subfolder / "model.safetensors",)
    assert folder.tokenizer == path / subfolder / "tokenizer.json"
    assert (folder.config, folder.provenance) == ({}, None)


def test_a_full_sentence_transformer_is_told(small_teacher: Path) -> None:
    folder = open_folder(small_teacher)
    assert (folder.kind, folder.is_static) == ("sentence-transformer", False)
    assert folder.embedding is None
    assert "embeddings.word_embeddings.weight" in folder.tensors
    assert folder.config["num_hidden_layers"] == 2


def test_weights_only_as_a_pickle_are_refused_and_never_opened(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"not even a pickle")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin") as caught:
        open_folder(model)
    assert "safetensors" in (caught.value.hint or "")


def remove_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def remove_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()


def cut_weights(model: Path) -> None:
    file = model / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def flatten_table(model: Path) -> None:
    save_file({"embeddings": np.ones(7, dtype=np.float32)}, model / "model.safetensors")


def write_config(content: str) -> Callable[[Path], None]:
    def write(model: Path) -> None:
        (model / "config.json").write_text(content)

    return write


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(shutil.rmtree, "No model folder", id="missing folder"),
        pytest.param(remove_weights, "no safetensors", id="no weights"),
        pytest.param(remove_tokenizer, "tokenizer.json", id="no tokenizer"),
        pytest.param(cut_weights, "cut short", id="weights cut short"),
        pytest.param(flatten_table, "two dimensions", id="table of one dimension"),
        pytest.param(write_config("{"), "not valid JSON", id="config that is no JSON"),
        pytest.param(write_config("[]"), "JSON object", id="config that is a list"),
        pytest.param(write_config("[" * 200_000), "not valid JSON", id="config nested too deeply"),
    ],
)
def test_what_is_no_whole_model_is_refused_with_the_reason(
    model: Path, damage: Callable[[Path], object], words: str
) -> None:
    damage(model)
    with pytest.raises(ModelError, match=words) as caught:
        open_folder(model)
    assert str(model) in caught.value.message


def test_an_empty_folder_is_no_model_and_the_hint_says_what_one_holds(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no model") as caught:
        open_folder(tmp_path)
    assert "tokenizer.json" in (caught.value.hint or "")


def test_a_file_is_no_model_folder(model: Path) -> None:
    with pytest.raises(ModelError, match="No model folder"):
        open_folder(model / "model.safetensors")


def test_a_static_model_needs_no_config(model: Path) -> None:
    (model / "config.json").unlink()
    assert open_folder(model).kind == "model2vec"


def test_json_of_unbounded_size_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragdoll.embedding.folder._MAX_JSON_BYTES", 10)
    (tmp_path / "config.json").write_text(json.dumps({"key": "a long value"}))
    with pytest.raises(ModelError, match="too large"):
        read_json(tmp_path / "config.json")
