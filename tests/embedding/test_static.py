"""The static model at work: its vectors are the library's own, and nothing leaves the machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import model2vec
import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from ragdoll.embedding import static
from ragdoll.embedding.static import Encoder, StaticModel
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import ModelError
from tests.closeness import assert_alike
from tests.conftest import Trained
from tests.embedding.making import (
    change_json,
    change_table,
    change_tokenizer,
    load_table,
    write_model,
)
from tests.embedding.tokenizers_of_each_kind import INDEPENDENT, INTERACTING

TEXTS = ["the event loop runs callbacks", "A lock.", "loop " * 3000, "call_later(5, print)"]
UNKNOWN = "☃☃☃"


def library(model: Path, texts: list[str]) -> Any:
    """The vectors of ``model2vec``."""
    return model2vec.StaticModel.from_pretrained(model).encode(texts).astype(np.float32)


def test_vectors_are_those_of_model2vec(trained: Trained) -> None:
    encoder: Encoder = StaticModel.load(str(trained.model))
    vectors = encoder.encode(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((4, encoder.identity.dimension), np.float32)
    assert_alike(vectors, library(trained.model, TEXTS))


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_have_unit_length_if_the_model_normalizes(model: Path, normalize: bool) -> None:
    change_json(model / "config.json", normalize=normalize)
    vectors = StaticModel.load(model).encode(TEXTS)
    assert_alike(vectors, library(model, TEXTS))
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.allclose(lengths, 1, atol=1e-3) is normalize


def test_no_texts_have_no_vectors(trained: Trained) -> None:
    vectors = StaticModel.load(trained.model).encode([])
    assert vectors.shape == (0, 32)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize("text", [UNKNOWN, "", " \n"], ids=["unknown", "empty", "blank"])
def test_a_text_without_a_known_token_has_the_zero_vector(trained: Trained, text: str) -> None:
    vectors = StaticModel.load(trained.model).encode([text, "event loop"])
    assert not vectors[0].any()
    assert vectors[1].any()


def test_a_static_model_of_sentence_transformers_is_encoded_with(model: Path) -> None:
    before = StaticModel.load(model).encode(TEXTS)
    save_file({"embedding.weight": load_table(model)}, model / "model.safetensors")
    (model / "config.json").unlink()
    (model / "config_sentence_transformers.json").write_text("{}")
    encoder = StaticModel.load(model)
    assert encoder.identity.normalize
    np.testing.assert_array_equal(encoder.encode(TEXTS), before)


def test_loading_and_encoding_open_no_socket(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise AssertionError(f"a socket was opened: {arguments} {options}")

    monkeypatch.setattr(socket.socket, "__init__", refused)
    assert StaticModel.load(trained.model).encode(["event loop"]).any()


def test_words_are_counted_in_the_tokens_of_the_tokenizer(trained: Trained) -> None:
    assert StaticModel.load(trained.model).count_tokens(["loop", UNKNOWN, "call_later"]) == [
        1,
        1,
        3,
    ]


def many(count: int) -> list[str]:
    """More texts than ``count``, some of them cut off and some empty."""
    short = [" ".join(["loop", "a lock.", "call_later(5,", UNKNOWN][: n % 5]) for n in range(count)]
    return [*short, *TEXTS, "x, " * 300, f"{UNKNOWN} " * 511 + "loop lock", "[PAD] lock [UNK]"]


def with_fewer_vectors(model: Path) -> None:
    """As vocabulary quantization leaves a model: tokens share vectors, and have weights."""
    table = load_table(model)
    mapping = np.arange(len(table), dtype=np.int64) // 2
    weights = np.linspace(0.5, 2, len(table), dtype=np.float32)
    content = {"embeddings": table[::2].copy(), "mapping": mapping, "weights": weights}
    save_file(content, model / "model.safetensors")


KINDS: dict[str, Callable[[Path], object]] = {
    "float32": lambda model: None,
    "float16": partial(change_table, dtype=np.float16),
    "int8": partial(change_table, dtype=np.int8),
    "quantized": with_fewer_vectors,
}


def check_many(model: Path, texts: list[str] | None = None) -> None:
    """Check that many texts have the library's vectors, but for the order of adding up."""
    texts = texts or many(300)
    vectors, expected = StaticModel.load(model).encode(texts), library(model, texts)
    assert vectors.dtype == np.float32
    lengths, right = (np.linalg.norm(each, axis=1) for each in (vectors, expected))
    np.testing.assert_allclose(lengths, right, rtol=1e-3)
    cosines = (vectors * expected).sum(axis=1)[right > 0] / (lengths * right)[right > 0]
    assert cosines.min() >= 0.9999


@pytest.mark.parametrize("max_length", [512, 7, None])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_table_gives_the_vectors_of_the_library(
    model: Path, kind: str, max_length: int | None, normalize: bool
) -> None:
    KINDS[kind](model)
    change_json(model / "config.json", max_length=max_length, normalize=normalize)
    few = many(30)
    assert_alike(StaticModel.load(model).encode(few), library(model, few))
    check_many(model)


def with_tokenizer(folder: Path, tokenizer: Tokenizer) -> Path:
    table = np.random.default_rng(0).normal(size=(tokenizer.get_vocab_size(), 8))
    model2vec.StaticModel(table.astype(np.float32), tokenizer, normalize=True).save_pretrained(
        folder
    )
    return folder


# No two encodings by the one that is left out are the same.
@pytest.mark.parametrize("kind", [*INDEPENDENT, *(k for k in INTERACTING if k != "random-bpe")])
def test_every_kind_of_tokenizer_gives_the_vectors_of_the_library(
    tmp_path: Path, kind: str
) -> None:
    model = with_tokenizer(tmp_path, (INDEPENDENT | INTERACTING)[kind]())
    few = ["a lock  中 event loop", "☃ loop", "", "\u2603", "İstanbul " * 700]
    assert_alike(StaticModel.load(model).encode(few), library(model, few))
    check_many(model, [f" a lock  中 event\x0bloop {n}, (or " for n in range(300)])


def test_a_table_in_bfloat16_is_read_as_the_numbers_it_has(model: Path) -> None:
    import torch
    from safetensors.torch import save_file as save_tensors

    file = model / "model.safetensors"
    table = torch.from_numpy(load_table(model)).bfloat16()
    save_file({"embeddings": table.float().numpy()}, file)
    texts = many(300)
    expected = [StaticModel.load(model).encode(batch) for batch in (TEXTS, texts)]
    save_tensors({"embeddings": table}, file)
    for batch, vectors in zip((TEXTS, texts), expected, strict=True):
        np.testing.assert_array_equal(StaticModel.load(model).encode(batch), vectors)


def test_texts_of_several_batches_stay_in_order(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "_TEXTS", 7)
    monkeypatch.setattr(static, "_CHARACTERS", 200)
    check_many(trained.model)


def test_words_are_what_many_texts_are_tokenized_by(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the texts that are cut off are tokenized as a whole."""
    encode, given = StaticModel._encode_one_by_one, []

    def watched(self: StaticModel, texts: list[str]) -> Any:
        given.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(StaticModel, "_encode_one_by_one", watched)
    StaticModel.load(trained.model).encode(["loop lock"] * 300 + ["x, " * 300])
    assert given == ["x, " * 300]


@pytest.mark.parametrize("texts", [[""] * 300, [" \n", ""] * 200], ids=["empty", "blank"])
def test_many_texts_without_a_word_have_zero_vectors(trained: Trained, texts: list[str]) -> None:
    assert not StaticModel.load(trained.model).encode(texts).any()


def test_what_was_prepared_is_not_tokenized_again(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized = watch_tokenizer(monkeypatch)
    encoder = StaticModel.load(trained.model)
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
    assert StaticModel.load(trained.model).prepare(texts, 200) == [None, None, 2, 2]
    assert StaticModel.load(trained.model).prepare(texts[2:], 3) == [None, None]
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
    model = write_model(tmp_path / "model", ["wing", "flap"])
    change_tokenizer(model, vocab={"[PAD]": 0, "[UNK]": 1, "wing": 2, "flap": 1_000_000})
    encoder = StaticModel.load(model)  # the number of tokens is that of the rows
    assert encoder.encode(["wing"]).any()
    for texts in (["flap"], ["flap"] * 300):
        with pytest.raises(ModelError, match=str(model)):
            encoder.encode(texts)


@pytest.mark.parametrize("row", [0.5, -1, 10**9])
def test_a_mapping_to_rows_that_are_not_there_is_a_model_error(tmp_path: Path, row: float) -> None:
    model = write_model(tmp_path / "model", ["wing", "flap"], mapping=np.full(4, row))
    with pytest.raises(ModelError, match=str(model)):
        StaticModel.load(model)
