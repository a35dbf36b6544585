"""The terms of a corpus: how they are counted and chosen, and a model that has them as tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.tokenizer import open_tokenizer
from ragdoll.distillation.training.distillate import distillate_of, token_vectors
from ragdoll.distillation.training.vocabulary import (
    BoundedCounts,
    TermCounts,
    listed_terms,
    read_terms,
    terms_of,
)
from ragdoll.embedding.inspection import inspect
from ragdoll.errors import UsageError
from tests.closeness import assert_alike
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
    occurrences = dict(counts.candidates())
    pieces = tokenizer.pieces(every)
    saved = [occurrences[term] * (len(own) - 1) for term, own in zip(every, pieces, strict=True)]
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

    assert terms_of(unread(), 0, open_tokenizer(find_teacher(str(small_teacher)))) == []


def test_a_corpus_without_terms_has_none(small_teacher: Path) -> None:
    tokenizer = open_tokenizer(find_teacher(str(small_teacher)))
    assert terms_of(iter(["", "of the", "!"]), 5, tokenizer) == []


def test_listed_terms_are_added_and_the_others_are_named(
    small_teacher: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "terms.txt"
    file.write_bytes("\ufeffCOVID-19\r\n\r\n  epoll selector \nloop\nCOVID-19\n".encode())
    tokenizer = open_tokenizer(find_teacher(str(small_teacher)))
    assert listed_terms(file, tokenizer) == ["covid-19", "epoll selector"]
    assert caplog.messages[0].endswith(": loop.")
    assert str(file) in caplog.messages[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\n \n", "no terms"), (b"\xff\xfe\xff", "not UTF-8")],
)
def test_a_file_without_terms_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "terms.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        read_terms(file)


def test_a_model_with_terms_loads_elsewhere_with_the_same_vectors(
    small_teacher: Path, tmp_path: Path
) -> None:
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer

    files = find_teacher(str(small_teacher))
    terms = terms_of(iter(CORPUS), 4, open_tokenizer(files))
    assert sorted(terms) == sorted(TERMS)
    model = distillate_of(token_vectors(files, terms, "cpu"), 32, files.name)
    model.save_pretrained(tmp_path)
    again = StaticModel.from_pretrained(tmp_path)
    facts = inspect(tmp_path)
    assert (facts.vocabulary, facts.remarks) == (len(again.embedding), [])
    assert again.tokens[-4:] == tuple(terms)
    np.testing.assert_array_equal(again.encode(CORPUS), model.encode(CORPUS))
    other = SentenceTransformer(str(tmp_path), device="cpu").encode(CORPUS)
    assert_alike(other, model.encode(CORPUS))
    row = model.embedding[again.tokenizer.token_to_id("event loop")]
    assert_alike(again.encode(["Event loop"])[0], row / np.linalg.norm(row))


# Counting


def test_stop_words_numbers_and_chance_make_no_pairs() -> None:
    counts = TermCounts()
    for number in range(200):
        counts.add(f"of the loop, as in section 5, is it word{number} loop word{number + 1}?")
        counts.add("a rare disease is covid-19; state-of-the-art, not mark's own rule")
    found = [term for term, _ in counts.candidates()]
    assert {"rare disease", "covid-19", "loop"} <= set(found)
    pairs = [term for term in found if not term.replace("_", "").isalnum()]
    assert sorted(pairs) == ["covid-19", "rare disease"]


def test_words_are_whole_in_scripts_that_write_vowels_as_marks() -> None:
    counts = TermCounts()
    for _ in range(3):
        counts.add("हिन्दी भाषा")
    assert [term for term, _ in counts.candidates()][:2] == ["हिन्दी", "भाषा"]


@given(st.lists(st.text(alphabet="ab- .", max_size=12), max_size=30))
def test_a_stream_is_counted_exactly_while_nothing_is_forgotten(texts: list[str]) -> None:
    counts = TermCounts()
    for text in texts:
        counts.add(text)
    words = Counter(word for text in texts for word in re.findall(r"\w+", text))
    pairs = Counter(
        f"{first}{joint}{second}"
        for text in texts
        for first, joint, second in re.findall(r"(?<!\w)(?=(\w+)([ -])(\w+))", text)
        if "a" not in {first, second}  # a stop word
    )
    assert (dict(counts.words.items()), dict(counts.pairs.items())) == (words, pairs)
    assert (counts.total, counts.words.error, counts.pairs.error) == (words.total(), 0, 0)


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=8)), st.integers(1, 8))
def test_the_error_of_forgotten_counts_is_bounded_and_known(
    batches: list[list[str]], limit: int
) -> None:
    counts, exact = BoundedCounts(limit), Counter[str]()
    for batch in batches:
        counts.add(batch)
        exact.update(batch)
        assert len(counts) <= limit
        for item in "abcdefghij":
            assert counts[item] <= exact[item] <= counts[item] + counts.error
    if len(exact) <= limit:
        assert counts.error == 0
        assert dict(counts.items()) == exact
