"""The static model at work: its vectors are the library's own, and nothing leaves the machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file

from ragdoll.embedding import static
from ragdoll.embedding import static as pooling
from ragdoll.embedding.static import StaticEncoder, TokenMeans
from ragdoll.embedding.token_table import neighbors
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import ModelError
from tests.conftest import Trained
from tests.embedding.making import write_model
from tests.embedding.tokenizers_of_each_kind import INDEPENDENT, INTERACTING

TEXTS = ["the event loop runs callbacks", "A lock.", "loop " * 3000, "call_later(5, print)"]
UNKNOWN = "☃☃☃"


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


def with_mapping(mapping: np.ndarray) -> Callable[[Path], None]:
    def write(model: Path) -> None:
        file = model / "model.safetensors"
        table = load_file(file)["embeddings"]
        save_file({"embeddings": table, "mapping": np.resize(mapping, len(table))}, file)

    return write


@pytest.mark.parametrize(
    "damage",
    [
        keep_half_the_table,
        damage_tokenizer,
        limit_by_a_word,
        with_mapping(np.array([0.5])),
        with_mapping(np.array([-1])),
        with_mapping(np.array([10**9])),
    ],
)
def test_parts_that_do_not_fit_together_are_a_model_error(
    model: Path, damage: Callable[[Path], None]
) -> None:
    damage(model)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        StaticEncoder(model)
    assert str(model) in caught.value.message
    assert "\n" not in caught.value.message


def test_words_are_counted_in_the_tokens_of_the_tokenizer(trained: Trained) -> None:
    assert StaticEncoder(trained.model).count_tokens(["loop", UNKNOWN, "call_later"]) == [1, 1, 3]


def many(count: int) -> list[str]:
    """So many texts that are embedded by way of their words; some are cut off, some empty."""
    short = [" ".join(["loop", "a lock.", "call_later(5,", UNKNOWN][: n % 5]) for n in range(count)]
    return [*short, *TEXTS, "x, " * 300, f"{UNKNOWN} " * 511 + "loop lock", "[PAD] lock [UNK]"]


@pytest.mark.parametrize("max_length", [512, 7, None])
@pytest.mark.parametrize("normalize", [True, False])
def test_many_texts_have_the_vectors_of_the_library(
    model: Path, max_length: int | None, normalize: bool
) -> None:
    config = json.loads((model / "config.json").read_text())
    config |= {"normalize": normalize, "max_length": max_length}
    (model / "config.json").write_text(json.dumps(config))
    check_many(model)


def with_smaller_table(model: Path, dtype: type[np.generic]) -> None:
    file = model / "model.safetensors"
    save_file({"embeddings": (load_file(file)["embeddings"] * 50).astype(dtype)}, file)


def with_fewer_vectors(model: Path) -> None:
    """As vocabulary quantization leaves a model: tokens share vectors, and have weights."""
    file = model / "model.safetensors"
    table = load_file(file)["embeddings"]
    mapping = np.arange(len(table), dtype=np.int64) // 2
    weights = np.linspace(0.5, 2, len(table), dtype=np.float32)
    save_file({"embeddings": table[::2].copy(), "mapping": mapping, "weights": weights}, file)


@pytest.mark.parametrize(
    ("change", "tolerance"),
    [
        (partial(with_smaller_table, dtype=np.float16), 1e-3),
        (partial(with_smaller_table, dtype=np.int8), 4e-6),
        (with_fewer_vectors, 4e-6),
    ],
    ids=["float16", "int8", "quantized"],
)
def test_every_kind_of_table_gives_many_texts_the_vectors_of_the_library(
    model: Path, change: Callable[[Path], None], tolerance: float
) -> None:
    change(model)
    check_many(model, tolerance)


@pytest.mark.parametrize("max_length", [512, 7, None])
@pytest.mark.parametrize(
    "change",
    [
        lambda model: None,
        partial(with_smaller_table, dtype=np.float16),
        partial(with_smaller_table, dtype=np.int8),
        with_fewer_vectors,
    ],
    ids=["float32", "float16", "int8", "quantized"],
)
def test_few_texts_have_the_very_vectors_of_the_library(
    model: Path, change: Callable[[Path], None], max_length: int | None
) -> None:
    change(model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_length": max_length}))
    texts = many(30)
    vectors = StaticEncoder(model).encode(texts)
    expected = StaticModel.from_pretrained(model).encode(texts).astype(np.float32)
    np.testing.assert_array_equal(vectors, expected)


@pytest.mark.parametrize("kind", [*INDEPENDENT, *(k for k in INTERACTING if k != "random-bpe")])
def test_few_texts_have_them_with_any_tokenizer(tmp_path: Path, kind: str) -> None:
    tokenizer = (INDEPENDENT | INTERACTING)[kind]()
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8))
    model = StaticModel(table.astype(np.float32), tokenizer, normalize=True)
    model.save_pretrained(tmp_path)
    texts = ["a lock  中 event loop", "☃ loop", "", "\u2603", "İstanbul " * 700]
    np.testing.assert_array_equal(StaticEncoder(tmp_path).encode(texts), model.encode(texts))


def test_a_table_in_bfloat16_is_read_as_the_numbers_it_has(model: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    file = model / "model.safetensors"
    table = torch.from_numpy(load_file(file)["embeddings"]).bfloat16()
    save_file({"embeddings": table.float().numpy()}, file)
    expected = StaticEncoder(model).encode(TEXTS)
    save_tensors({"embeddings": table}, file)
    np.testing.assert_array_equal(StaticEncoder(model).encode(TEXTS), expected)


def check_many(model: Path, tolerance: float = 4e-6, texts: list[str] | None = None) -> None:
    texts = texts or many(300)
    vectors = StaticEncoder(model).encode(texts)
    expected = StaticModel.from_pretrained(model).encode(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=5e-6, atol=tolerance)


def test_texts_of_several_batches_stay_in_order(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooling, "_TEXTS", 7)
    monkeypatch.setattr(pooling, "_CHARACTERS", 200)
    check_many(trained.model)


def test_words_are_what_many_texts_are_tokenized_by(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the texts that are cut off are tokenized whole."""
    encode, given = TokenMeans.encode, []

    def watched(self: TokenMeans, texts: list[str]) -> Any:
        given.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TokenMeans, "encode", watched)
    StaticEncoder(trained.model).encode(["loop lock"] * 300 + ["x, " * 300])
    assert given == ["x, " * 300]


@pytest.mark.parametrize("texts", [[""] * 300, [" \n", ""] * 200], ids=["empty", "blank"])
def test_many_texts_without_a_word_have_zero_vectors(trained: Trained, texts: list[str]) -> None:
    assert not StaticEncoder(trained.model).encode(texts).any()


# No two encodings by the one that is left out are the same.
@pytest.mark.parametrize("kind", [kind for kind in INTERACTING if kind != "random-bpe"])
def test_where_words_interact_texts_are_tokenized_whole(tmp_path: Path, kind: str) -> None:
    tokenizer = INTERACTING[kind]()
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8))
    model = StaticModel(table.astype(np.float32), tokenizer, normalize=True)
    model.save_pretrained(tmp_path)
    check_many(tmp_path, texts=[f" a lock  中 event loop {n}" for n in range(300)])


@pytest.mark.parametrize("kind", INDEPENDENT)
def test_where_they_do_not_the_vectors_are_the_same(tmp_path: Path, kind: str) -> None:
    tokenizer = INDEPENDENT[kind]()
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8))
    model = StaticModel(table.astype(np.float32), tokenizer, normalize=True)
    model.save_pretrained(tmp_path)
    check_many(tmp_path, texts=[f" a lock  中 event\x0bloop {n}, (or " for n in range(300)])


def test_what_was_prepared_is_not_tokenized_again(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized = watch_tokenizer(monkeypatch)
    encoder = StaticEncoder(trained.model)
    assert encoder.prepare(["loop lock", "asynchronously loop", ""], 100) == [2, 6, 0]
    assert tokenized == ["loop", "lock", "asynchronously"]
    encoder.count_tokens(["lock", "loop"])
    encoder.encode(["asynchronously loop"] * 300)
    assert len(tokenized) == 3


def test_neither_blobs_nor_long_texts_are_prepared(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "_MAX_PREPARED", 200)
    tokenized = watch_tokenizer(monkeypatch)
    texts = ["loop " + "x" * 101, "lock " * 100, "loop lock", "loop " * 2]
    assert StaticEncoder(trained.model).prepare(texts, 200) == [None, None, 2, 2]
    assert StaticEncoder(trained.model).prepare(texts[2:], 3) == [None, None]
    assert tokenized == ["loop", "lock"]


def watch_tokenizer(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what word by word is given to the tokenizer."""
    encode, given = WordTokens._encode, []

    def watched(self: WordTokens, texts: list[str]) -> Any:
        given.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(WordTokens, "_encode", watched)
    return given


def test_a_token_beyond_the_table_is_a_model_error(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", ["wing", "flap"], np.ones((4, 3), np.float32))
    file = model / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"]["flap"] = 1_000_000  # the number of tokens is that of the rows
    file.write_text(json.dumps(content))
    encoder = StaticEncoder(model)
    assert encoder.encode(["wing"]).any()
    for texts in (["flap"], ["flap"] * 300):
        with pytest.raises(ModelError, match="tokens beyond the 4 rows"):
            encoder.encode(texts)


@pytest.mark.parametrize("identifier", [2**32 - 1, 10**8])
def test_a_token_with_a_very_high_id_is_a_model_error(tmp_path: Path, identifier: int) -> None:
    # The library would end the process for want of memory.
    model = write_model(tmp_path / "model", ["wing", "flap"], np.ones((4, 3), np.float32))
    file = model / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"]["flap"] = identifier
    file.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="an id above 10,000,000"):
        StaticEncoder(model)
    with pytest.raises(ModelError, match="an id above 10,000,000"):
        neighbors(model, "wing")
