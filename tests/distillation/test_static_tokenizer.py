"""The tokenizer of a static model: every kind of tokenizer finds the terms that are added to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.distillation.teacher.tokenizer import StaticTokenizer, open_tokenizer
from tests.distillation import architectures
from tests.distillation.tokenizer_families import (
    CORPUS,
    FAMILIES,
    TERMS,
    ids,
    lower_casing_unigram,
    static_tokenizer,
    wordpiece,
)
from tests.embedding.making import change_json


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


@pytest.fixture(params=["gap", "line"])
def with_gaps(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A teacher that lowercases, whose ids have a gap, or whose vocab.txt has a line twice."""
    architectures.bert(tmp_path)
    file = tmp_path / "tokenizer.json"
    definition = json.loads(file.read_text())
    vocabulary = definition["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    if request.param == "gap":
        moved = {token: number + 7 * (number > 60) for token, number in vocabulary.items()}
        definition["model"]["vocab"] = moved
        definition["normalizer"]["lowercase"] = False
        file.write_text(json.dumps(definition))
    else:
        lines = [*tokens[:60], tokens[70], *tokens[60:]]
        (tmp_path / "vocab.txt").write_text("\n".join(lines))
        file.unlink()
        settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": False}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    change_json(tmp_path / "sentence_bert_config.json", do_lower_case=True)
    weights = load_file(tmp_path / "model.safetensors")
    table = weights["embeddings.word_embeddings.weight"]
    weights["embeddings.word_embeddings.weight"] = np.concatenate([table, table[:7]])
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    change_json(tmp_path / "config.json", vocab_size=len(table) + 7)
    return tmp_path


def test_gaps_between_ids_are_closed_and_print_nothing(
    with_gaps: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = find_teacher(str(with_gaps))
    Teacher(files, "cpu", "float32").count_tokens(["lock"])
    opened = open_tokenizer(files).with_terms(["event loop"])
    assert capfd.readouterr().out == ""
    numbers = sorted(opened.tokenizer.get_vocab().values())
    assert numbers == list(range(len(numbers)))
    assert opened.terms == ("event loop",)
    for text in ("Timer Lock", "the Event Loop"):
        assert ids(opened.tokenizer, text) == ids(opened.tokenizer, text.lower())
    assert len(opened.teacher_sequences()) == len(numbers)
    assert all(opened.teacher_sequences())
