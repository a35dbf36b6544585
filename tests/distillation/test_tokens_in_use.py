"""A large vocabulary, of which a model keeps what its corpus needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer

from ragdoll.distillation.teacher import tokens_in_use as module
from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.tokenizer import open_tokenizer
from ragdoll.distillation.teacher.tokens_in_use import for_texts
from tests.conftest import Ragdoll, Trained
from tests.distillation import architectures
from tests.distillation.tokenizer_families import CORPUS, FAMILIES


@pytest.fixture(autouse=True)
def none_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep no token for its frequency alone."""
    monkeypatch.setattr(module, "_KEPT", 0)


def copied(tokenizer: Tokenizer) -> Tokenizer:
    return Tokenizer.from_str(tokenizer.to_str())


@pytest.fixture(params=FAMILIES, ids=lambda make: make.__name__, scope="module")
def whole(request: pytest.FixtureRequest) -> Tokenizer:
    tokenizer: Tokenizer = request.param()
    tokenizer.add_tokens([AddedToken("c++", single_word=True)])
    return tokenizer


@given(st.lists(st.sampled_from(" ".join(CORPUS).split()), min_size=1, max_size=12))
def test_texts_are_cut_into_the_same_tokens(whole: Tokenizer, words: list[str]) -> None:
    texts = [" ".join(words), *words]
    reduced = for_texts(copied(whole), texts)
    for text in [*texts, f"{texts[0]} c++"]:
        expected = whole.encode(text, add_special_tokens=False).tokens
        assert reduced.encode(text, add_special_tokens=False).tokens == expected


def test_the_others_are_left_out_but_the_letters(whole: Tokenizer) -> None:
    reduced = for_texts(copied(whole), [CORPUS[4]])
    kept = reduced.get_vocab()
    assert sorted(kept.values()) == list(range(len(kept)))
    assert len(kept) < whole.get_vocab_size()
    assert "c++" in kept
    # Words that no text had still have tokens.
    found = "".join(reduced.encode("sockets and threads", add_special_tokens=False).tokens)
    assert "[UNK]" not in found
    assert "k" in found


def test_the_most_frequent_tokens_of_the_scripts_in_use_fill_the_rest(
    whole: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = for_texts(copied(whole), [CORPUS[4]]).get_vocab_size()
    monkeypatch.setattr(module, "_KEPT", least + 5)
    assert for_texts(copied(whole), [CORPUS[4]]).get_vocab_size() in range(least + 5, least + 9)


def test_a_token_of_another_script_is_left_out(tmp_path: Path) -> None:
    texts = ["ein lock und ein task", "задача и замок", "zwei"]
    tokenizer = architectures.unigram(["<unk>"])
    definition = json.loads(tokenizer.to_str())
    definition["model"]["vocab"] += [["\u2581задача", -3.0], ["з", -9.0], ["ひ", -9.0]]
    whole = Tokenizer.from_str(json.dumps(definition))
    latin = for_texts(copied(whole), texts[:1]).get_vocab()
    assert {"\u2581задача", "з", "ひ"}.isdisjoint(latin)
    both = for_texts(copied(whole), texts).get_vocab()
    assert {"\u2581задача", "з"} <= both.keys()
    assert "ひ" not in both


def test_only_a_large_vocabulary_is_reduced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architectures.xlm_roberta(tmp_path)
    files = find_teacher(str(tmp_path))
    every = open_tokenizer(files).own_tokens
    assert open_tokenizer(files, texts=iter(["a task"])).own_tokens == every
    monkeypatch.setattr("ragdoll.distillation.teacher.tokenizer.SMALL", 10)
    reduced = open_tokenizer(files, texts=iter(["a task"])).own_tokens
    assert set(reduced) < set(every)
    assert reduced == [token for token in every if token in set(reduced)]


def test_training_keeps_the_tokens_of_the_corpus_or_all(
    trained: Trained, ragdoll: Ragdoll, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {}
    for number, (small, vocabulary) in enumerate([(10, "auto"), (10, "all"), (1 << 16, "auto")]):
        monkeypatch.setattr("ragdoll.distillation.teacher.tokenizer.SMALL", small)
        model = tmp_path / str(number)
        options = ("--pca-dims", 16, "--epochs", 1, "--vocabulary", vocabulary, "--output", model)
        done = ragdoll("train", "--features", trained.features, *options, "--json")
        assert done.status == 0, done.err
        sizes[small, vocabulary] = done.json["vocabulary"]
        provenance = json.loads((model / "ragdoll.json").read_text())
        kept = provenance["distillate"].get("kept_tokens")
        assert kept == (done.json["vocabulary"] if (small, vocabulary) == (10, "auto") else None)
    assert sizes[10, "auto"] < sizes[10, "all"] == sizes[1 << 16, "auto"]
