"""The tokenizer of a static model: every kind of tokenizer finds the terms that are added to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer

from ragdoll.distillation.teacher.tokenizer import StaticTokenizer
from tests.distillation.tokenizer_families import (
    CORPUS,
    FAMILIES,
    TERMS,
    ids,
    lower_casing_unigram,
    static_tokenizer,
    wordpiece,
)


@pytest.fixture(params=FAMILIES, ids=lambda make: make.__name__, scope="module")
def own(request: pytest.FixtureRequest) -> Tokenizer:
    return request.param()


@pytest.fixture(scope="module")
def extended(own: Tokenizer) -> StaticTokenizer:
    found = static_tokenizer(own).with_terms(TERMS)
    assert found.terms == tuple(TERMS)
    return found


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_one_token_wherever_it_stands(
    own: Tokenizer, extended: StaticTokenizer, term: str
) -> None:
    number = own.get_vocab_size() + TERMS.index(term)
    before = ids(own, "run the")
    behind = ids(own, "run the timer")[len(before) :]
    assert ids(extended.tokenizer, term) == [number]
    assert ids(extended.tokenizer, f"run the {term}") == [*before, number]
    assert ids(extended.tokenizer, f"run the {term} timer") == [*before, number, *behind]
    for text in ("run ({}), timer", "run: {}.", "“{}”!", "run\n{}\n", "{0} {0}"):
        assert number in ids(extended.tokenizer, text.format(term)), text


@pytest.mark.parametrize("text", ["the event loops", "an event looping", "microcoroutines"])
def test_a_longer_word_keeps_its_pieces(
    own: Tokenizer, extended: StaticTokenizer, text: str
) -> None:
    assert ids(extended.tokenizer, text) == ids(own, text)


@pytest.mark.parametrize("make", [wordpiece, lower_casing_unigram])
def test_capitals_count_for_nothing_where_the_tokenizer_lower_cases(
    make: Callable[[], Tokenizer],
) -> None:
    extended = static_tokenizer(make()).with_terms(["Event Loop"])
    number = extended.tokenizer.token_to_id("event loop")
    for text in ("Event loop", "the EVENT LOOP runs", "event loop"):
        assert number in ids(extended.tokenizer, text)


def test_a_tokenizer_with_terms_stays_one_when_saved(extended: StaticTokenizer) -> None:
    again = Tokenizer.from_str(extended.tokenizer.to_str())
    assert again.get_vocab() == extended.tokenizer.get_vocab()
    for text in CORPUS:
        assert ids(again, text) == ids(extended.tokenizer, text)


def test_a_term_of_a_script_without_spaces_is_one_token_within_a_sentence() -> None:
    extended = static_tokenizer(wordpiece()).with_terms(["机器学习", "event loop"])
    assert extended.terms == ("机器学习", "event loop")
    tokens = extended.tokenizer.encode("我们研究机器学习算法。", add_special_tokens=False).tokens
    assert "机器学习" in tokens


def test_a_word_that_the_teacher_does_not_know_can_be_a_term() -> None:
    extended = static_tokenizer(wordpiece()).with_terms(["☃☃", "event loop"])
    assert extended.terms == ("☃☃", "event loop")
