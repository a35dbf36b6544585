"""The tokens of words: those of the tokenizer, and together those of the text."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragdoll.embedding import words
from ragdoll.embedding.words import WordTokens, words_of
from tests.conftest import Trained
from tests.embedding.tokenizers_of_each_kind import INDEPENDENT, INTERACTING

UNKNOWN = "☃☃☃"

# Control characters, whitespace of all kinds, marks, what normalizers fold, remove or take apart.
_NASTY = (
    "\x00\x01\x0b\x0c\r\n\t \x1c\x1d\x1e\x1f\x7f\x85\xa0\xad\u1680\u180e\u2003\u200b\u200d\u2028"
    "\u2029\u202f\u205f\u2060\u3000\ufeff\ufffd\u0301\u0338\u0345\u0130\u03a3\u00df\u00b4\ufb01"
    "\u4e2d\u6587\uac00\u1100\u0e33\U0001f600\ue000\U0010ffff=<>_'\"[]()#"
)
_WORDS = [
    *("event", "loop", "LOOP", "a lock", "call_later", "don't", "1,000.5", "##p", "(or", "(OR"),
    *("(o\x00r", "[UNK]", "[PAD]", "[unk]", "x" * 101, "中 ", "=\u0338", "event_qzx"),
]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(_NASTY),
        st.sampled_from(_WORDS),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    ),
    max_size=15,
).map("".join)


def check_concatenation(tokenizer: Tokenizer, texts: st.SearchStrategy[str]) -> None:
    """Check that the tokens of texts are those of their words, one after another."""
    tokens = WordTokens(tokenizer)
    assert tokens.boundaries.spaces
    tokenizer.no_truncation()

    @example(_WORDS)
    @example([f"event{character}loop" for character in _NASTY])
    @settings(max_examples=60)
    @given(st.lists(texts, max_size=4))
    def check(texts: list[str]) -> None:
        words = words_of(texts)
        every = words.distinct.take(words.places).to_pylist()
        for number, text in enumerate(texts):
            ids, _ = tokens.tokens(every[slice(*words.offsets[number : number + 2])])
            assert ids.tolist() == tokenizer.encode(text, add_special_tokens=False).ids

    check()


@pytest.mark.parametrize("kind", INDEPENDENT)
def test_the_tokens_of_a_text_are_those_of_its_words(kind: str) -> None:
    check_concatenation(INDEPENDENT[kind](), TEXTS)


@example(_WORDS, 100)
@example([f"event{character}loop" for character in _NASTY], 100)
@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, max_size=5), st.integers(1, 12))
@pytest.mark.parametrize("kind", ["bert", "byte-level-bpe", "whole-text-unigram"])
def test_texts_are_counted_as_their_words_are(kind: str, texts: list[str], longest: int) -> None:
    tokens = WordTokens((INDEPENDENT | INTERACTING)[kind]())
    for text, counted in zip(texts, tokens.count_in(texts, longest), strict=True):
        words = text.split()
        if max(map(len, words), default=0) > longest:
            assert counted is None
        elif counted is None:
            assert not text.isprintable(), "whitespace that tokenizers do not agree on"
        else:
            assert counted == sum(tokens.count(words))


@pytest.mark.parametrize("part", [".", "distillate"])
def test_so_they_are_for_models_as_they_are_saved(trained: Trained, part: str) -> None:
    tokenizer = Tokenizer.from_file(str(trained.model / part / "tokenizer.json"))
    check_concatenation(tokenizer, TEXTS)


def test_the_usual_tokenizer_is_cut_at_punctuation_too(trained: Trained) -> None:
    """Words repeat, so that the distinct ones are few; the other tests would pass without."""
    assert WordTokens(load(trained.model)).boundaries.punctuation


@pytest.mark.parametrize("kind", INTERACTING)
def test_where_words_interact_texts_are_not_cut(kind: str) -> None:
    assert not WordTokens(INTERACTING[kind]()).boundaries.spaces


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "model"])
def test_what_is_not_known_is_not_cut(trained: Trained, part: str) -> None:
    from ragdoll.embedding.words import boundaries

    definition = json.loads((trained.model / "tokenizer.json").read_text())
    assert boundaries(definition, str).spaces
    definition[part]["type"] = "Unheard"
    assert not boundaries(definition, str).spaces


@pytest.fixture
def tokenizer(trained: Trained) -> Tokenizer:
    return load(trained.model)


def load(model: Path) -> Tokenizer:
    return Tokenizer.from_file(str(model / "tokenizer.json"))


def test_words_are_counted_in_the_tokens_of_the_tokenizer(tokenizer: Tokenizer) -> None:
    words = ["loop", "call_later(5,", "asynchronously", UNKNOWN, "", "loop", "[UNK]."]
    plain = [len(tokenizer.encode(word, add_special_tokens=False).ids) for word in words]
    assert plain[2] > 1
    assert WordTokens(tokenizer).count(words) == plain


def test_counts_are_not_truncated_and_the_tokenizer_is_left_as_it_was(
    tokenizer: Tokenizer,
) -> None:
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    tokens = WordTokens(tokenizer)
    assert tokens.count(["loop", "loop " * 1000, "loop\n" * 3]) == [1, 1000, 3]
    assert tokenizer.truncation["max_length"] == 4
    assert tokenizer.padding["length"] == 9


def test_no_words_have_no_counts(tokenizer: Tokenizer) -> None:
    assert WordTokens(tokenizer).count([]) == []


@pytest.mark.parametrize("limit", ["_MAX_WORDS", "_MAX_CHARACTERS"])
def test_tokens_stay_right_when_the_memory_of_them_is_full(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(words, limit, 3)
    tokens, fresh = WordTokens(tokenizer), WordTokens(tokenizer)
    for batch in (["loop", "lock"], ["lock", "asynchronously", "task"], ["a", "b", "c", "d"]):
        assert tokens.count(batch) == [fresh.count([word])[0] for word in batch]
        assert len(tokens._words) <= 4


def test_a_word_that_cannot_be_tokenized_leaves_no_trace(tokenizer: Tokenizer) -> None:
    tokens = WordTokens(tokenizer)
    with pytest.raises(TypeError):
        tokens.count(["loop", "\ud800"])
    assert tokens.count(["loop", "asynchronously"]) == WordTokens(tokenizer).count(
        ["loop", "asynchronously"]
    )


def test_each_distinct_word_and_piece_is_tokenized_once(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, given = WordTokens(tokenizer), []
    encode = tokens._encode
    monkeypatch.setattr(tokens, "_encode", lambda texts: given.extend(texts) or encode(texts))
    tokens.count(["loop", "lock.", "(loop)"])
    tokens.count(["lock", "loop.", "task"])
    assert given == ["loop", "lock", ".", "(", ")", "task"]


def test_threads_share_the_memory(tokenizer: Tokenizer) -> None:
    tokens = WordTokens(tokenizer)
    batches = [[f"word{number}x{thread % 3}" for number in range(200)] for thread in range(6)]
    expected = [WordTokens(tokenizer).count(batch) for batch in batches]
    found: list[list[int]] = [[] for _ in batches]

    def count(place: int) -> None:
        found[place] = tokens.count(batches[place])

    threads = [Thread(target=count, args=(place,)) for place in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
