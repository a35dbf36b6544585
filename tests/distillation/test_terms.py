"""Counting terms: which words and pairs there are, and what a bounded table forgets."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ragdoll.distillation.training.vocabulary import BoundedCounts, TermCounts


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
def test_what_is_streamed_is_counted_exactly_while_nothing_is_forgotten(found: list[str]) -> None:
    counts = TermCounts()
    for text in found:
        counts.add(text)
    words = Counter(word for text in found for word in re.findall(r"\w+", text))
    pairs = Counter(
        f"{first}{joint}{second}"
        for text in found
        for first, joint, second in re.findall(r"(?<!\w)(?=(\w+)([ -])(\w+))", text)
        if "a" not in {first, second}  # a stop word
    )
    assert (dict(counts.words.items()), dict(counts.pairs.items())) == (words, pairs)
    assert (counts.total, counts.words.error, counts.pairs.error) == (words.total(), 0, 0)


@given(st.lists(st.lists(st.sampled_from("abcdefghij"), max_size=8)), st.integers(1, 8))
def test_what_is_forgotten_is_bounded_and_said(batches: list[list[str]], limit: int) -> None:
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
