"""The vocabulary of a corpus: which terms are taken, and a model that has them as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.training.distillate import distillate_of, token_vectors
from ragdoll.distillation.training.vocabulary import TermCounts, corpus_vocabulary, terms_of
from ragdoll.embedding.inspection import inspect
from tests.distillation.tokenizer_families import (
    CORPUS,
    FAMILIES,
    TERMS,
    static_tokenizer,
    wordpiece,
)


@pytest.mark.parametrize("make", FAMILIES, ids=lambda make: make.__name__)
def test_every_kind_of_tokenizer_gets_as_many_terms_as_asked_for(
    make: Callable[[], Tokenizer],
) -> None:
    own = make()
    terms = terms_of(CORPUS, 4, static_tokenizer(own))
    assert len(terms) == 4
    assert set(terms) <= {*TERMS, "event", "loop", "blocking"}
    added = static_tokenizer(own).with_terms(terms).tokenizer
    assert added.get_vocab_size() == own.get_vocab_size() + 4


def test_the_best_terms_come_first() -> None:
    tokenizer = static_tokenizer(wordpiece())
    every = terms_of(CORPUS, 100, tokenizer)
    assert every[:3] == terms_of(CORPUS, 3, tokenizer)
    assert every == terms_of(reversed(CORPUS), 100, tokenizer)
    counts = TermCounts()
    for text in CORPUS:
        counts.add(tokenizer.as_matched(text))
    found = dict(counts.candidates())
    pieces = tokenizer.pieces(every)
    saved = [found[term] * (len(own) - 1) for term, own in zip(every, pieces, strict=True)]
    assert saved == sorted(saved, reverse=True)
    assert min(saved) > 0


@pytest.mark.parametrize(
    ("pair", "longer"),
    [("coroutines loop", "coroutines loop{}"), ("loop coroutines", "{}loop coroutines")],
)
def test_a_pair_that_hides_more_than_it_saves_is_no_term(pair: str, longer: str) -> None:
    tokenizer = static_tokenizer(wordpiece())
    others = [longer.format(letters) for letters in ("er", "ing", "ab", "cd")]
    rest = ["it is of the"] * 50
    assert pair in terms_of([*rest, *[pair] * 30, *others * 2], 9, tokenizer)
    assert terms_of([*rest, *[pair] * 3, *others * 2], 9, tokenizer) == ["coroutines"]


def test_no_terms_are_wanted_and_nothing_is_read(small_teacher: Path) -> None:
    def unread() -> Iterator[str]:
        raise AssertionError("read")
        yield ""

    assert corpus_vocabulary(unread(), 0, find_teacher(str(small_teacher))) == []


def test_a_corpus_without_terms_has_none(small_teacher: Path) -> None:
    assert corpus_vocabulary(iter(["", "of the", "!"]), 5, find_teacher(str(small_teacher))) == []


def test_a_model_with_terms_loads_elsewhere_with_the_same_vectors(
    small_teacher: Path, tmp_path: Path
) -> None:
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer

    files = find_teacher(str(small_teacher))
    terms = corpus_vocabulary(iter(CORPUS), 4, files)
    assert sorted(terms) == sorted(TERMS)
    model = distillate_of(token_vectors(files, terms, "cpu"), 32, files.name)
    model.save_pretrained(tmp_path)
    again = StaticModel.from_pretrained(tmp_path)
    facts = inspect(tmp_path)
    assert (facts.vocabulary, facts.remarks) == (len(again.embedding), [])
    assert again.tokens[-4:] == tuple(terms)
    np.testing.assert_array_equal(again.encode(CORPUS), model.encode(CORPUS))
    other = SentenceTransformer(str(tmp_path), device="cpu").encode(CORPUS)
    np.testing.assert_allclose(other, model.encode(CORPUS), atol=1e-5)
    row = model.embedding[again.tokenizer.token_to_id("event loop")]
    expected = row / np.linalg.norm(row)
    np.testing.assert_allclose(again.encode(["Event loop"])[0], expected, atol=1e-6)
