"""The static model at work: its vectors are the library's own, and nothing leaves the machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from ragdoll.embedding import static
from ragdoll.embedding.static import StaticEncoder, TokenCounter
from ragdoll.errors import ModelError
from tests.conftest import Trained

TEXTS = ["the event loop runs callbacks", "A lock.", "loop " * 3000, "call_later(5, print)"]
UNKNOWN = "☃☃☃"


@pytest.fixture
def tokenizer(trained: Trained) -> Tokenizer:
    return Tokenizer.from_file(str(trained.model / "tokenizer.json"))


def test_vectors_are_those_of_model2vec(trained: Trained) -> None:
    vectors = StaticEncoder(trained.model).encode(TEXTS)
    assert vectors.shape == (4, 32)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, StaticModel.from_pretrained(trained.model).encode(TEXTS))


def test_vectors_have_unit_length_where_the_model_normalizes(trained: Trained) -> None:
    lengths = np.linalg.norm(StaticEncoder(trained.model).encode(TEXTS), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_vectors_are_the_plain_means_where_it_does_not(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "normalize": False}))
    vectors = StaticEncoder(model).encode(TEXTS)
    np.testing.assert_array_equal(vectors, StaticModel.from_pretrained(model).encode(TEXTS))
    assert not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("dtype", [np.float16, np.int8], ids=["float16", "int8"])
def test_smaller_tables_give_float32_vectors_too(model: Path, dtype: type[np.generic]) -> None:
    file = model / "model.safetensors"
    save_file({"embeddings": (load_file(file)["embeddings"] * 50).astype(dtype)}, file)
    vectors = StaticEncoder(model).encode(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_no_texts_have_no_vectors(trained: Trained) -> None:
    vectors = StaticEncoder(trained.model).encode([])
    assert vectors.shape == (0, 32)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("text", [UNKNOWN, "", " \n"], ids=["unknown", "empty", "blank"])
def test_a_text_without_a_known_token_has_the_zero_vector(trained: Trained, text: str) -> None:
    vectors = StaticEncoder(trained.model).encode([text, "event loop"])
    assert not vectors[0].any()
    assert vectors[1].any()


def test_a_static_model_of_sentence_transformers_is_encoded_with(model: Path) -> None:
    before = StaticEncoder(model).encode(TEXTS)
    table = load_file(model / "model.safetensors")["embeddings"]
    save_file({"embedding.weight": table}, model / "model.safetensors")
    (model / "config.json").unlink()
    (model / "config_sentence_transformers.json").write_text("{}")
    encoder = StaticEncoder(model)
    assert encoder.identity.normalize
    np.testing.assert_array_equal(encoder.encode(TEXTS), before)


def test_loading_and_encoding_open_no_socket(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"a socket was opened: {arguments} {options}")

    monkeypatch.setattr(socket.socket, "__init__", refused)
    assert StaticEncoder(trained.model).encode(["event loop"]).any()


def keep_half_the_table(model: Path) -> None:
    file = model / "model.safetensors"
    save_file({"embeddings": load_file(file)["embeddings"][::2]}, file)


def damage_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").write_text('{"model": {"type": "unheard of"}}')


def limit_by_a_word(model: Path) -> None:
    (model / "config.json").write_text('{"normalize": true, "max_length": "long"}')


@pytest.mark.parametrize("damage", [keep_half_the_table, damage_tokenizer, limit_by_a_word])
def test_parts_that_do_not_fit_together_are_a_model_error(
    model: Path, damage: Callable[[Path], None]
) -> None:
    damage(model)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        StaticEncoder(model)
    assert str(model) in caught.value.message
    assert "\n" not in caught.value.message


def test_words_are_counted_in_the_tokens_of_the_tokenizer(tokenizer: Tokenizer) -> None:
    words = ["loop", "call_later(5,", "asynchronously", UNKNOWN, "", "loop"]
    plain = [len(tokenizer.encode(word, add_special_tokens=False).ids) for word in words]
    assert plain[2] > 1
    assert TokenCounter(tokenizer)(words) == plain


def test_counts_are_not_truncated_and_the_tokenizer_is_left_as_it_was(
    tokenizer: Tokenizer,
) -> None:
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    counter = TokenCounter(tokenizer)
    assert counter(["loop", "loop " * 1000]) == [1, 1000]
    assert tokenizer.truncation["max_length"] == 4
    assert tokenizer.padding["length"] == 9


def test_no_words_have_no_counts(tokenizer: Tokenizer) -> None:
    assert TokenCounter(tokenizer)([]) == []


def test_counts_stay_right_when_the_memory_of_them_is_full(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "_MAX_WORDS", 3)
    counter, fresh = TokenCounter(tokenizer), TokenCounter(tokenizer)
    for words in (["loop", "lock"], ["lock", "asynchronously", "task"], ["a", "b", "c", "d"]):
        assert counter(words) == [fresh([word])[0] for word in words]
