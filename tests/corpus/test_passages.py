"""Documents into passages: where they are cut, and what holds of every cut."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Sequence
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragdoll.corpus import passages as module
from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import Passage, cut

often = settings(derandomize=True, deadline=None, max_examples=200)


def thirds(words: Sequence[str]) -> list[int]:
    """One token for each three characters begun, as a tokenizer of word pieces has it."""
    return [-(-len(word) // 3) for word in words]


def characters(words: Sequence[str]) -> list[int]:
    return [len(word) for word in words]


def bytewise(words: Sequence[str]) -> list[int]:
    """As a tokenizer has it that falls back to bytes: more tokens than characters."""
    return [2 * len(word.encode()) for word in words]


def ones(words: Sequence[str]) -> list[int]:
    return [1 for _ in words]


def document(text: str) -> Document:
    return Document(text, "title", "source", root="root")


def spans(text: str, size: int, count: object, stretch: int) -> list[tuple[int, int]]:
    """Cut with so many characters looked at together; return where."""
    with mock.patch.object(module, "_STRETCH", stretch):
        passages = list(cut(document(text), size, count))  # type: ignore[arg-type]
    checked(text, passages, size, count)
    return [(passage.start, passage.end) for passage in passages]


def texts(text: str, size: int, count: object = ones) -> list[str]:
    return [passage.text for passage in cut(document(text), size, count)]  # type: ignore[arg-type]


# What holds of every cut

PIECES = st.sampled_from(
    [
        *["a", "bc", "def", "word", "longer-word", "x" * 17, "3.14", "e.g."],
        *[" ", "  ", "\n", "\n\n", " \n \n", "\t", "\r\n", "\u3000", "\x1f"],
        *[". ", "! ", "?\n", '." ', "…) ", ".", "\n# Title\n", "\n## Part one\n", "#"],
        *["東京は大きい。", "人が多い！", "「本当？」", "中文句子．", "日本", "é", "😀"],
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(max_size=60))
SIZES = st.integers(1, 12)


def checked(text: str, passages: list[Passage], size: int, count: object) -> None:
    position = 0
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text
        assert passage.text
        assert passage.text == passage.text.strip()
        assert passage.start >= position
        assert not text[position : passage.start].strip(), "something was left out"
        tokens = sum(count(passage.text.split()))  # type: ignore[operator]
        assert tokens <= size or len(passage.text) == 1
        position = passage.end
    assert not text[position:].strip(), "something was left out at the end"


@given(text=TEXTS, size=SIZES)
@example(text="", size=1)
@example(text=" \n ", size=1)
@often
@pytest.mark.parametrize("count", [thirds, characters, ones])
def test_passages_are_the_text_in_order_and_none_is_too_long(
    count: object, text: str, size: int
) -> None:
    passages = list(cut(document(text), size, count))  # type: ignore[arg-type]
    checked(text, passages, size, count)


@given(text=TEXTS, size=SIZES)
@often
def test_a_character_of_many_tokens_is_a_passage_alone(text: str, size: int) -> None:
    def count(words: Sequence[str]) -> list[int]:
        return [len(word) + 20 * len(re.findall("[東é😀]", word)) for word in words]

    passages = list(cut(document(text), size, count))
    checked(text, passages, size, count)


@given(text=TEXTS)
@often
def test_a_text_that_fits_is_one_passage(text: str) -> None:
    passages = list(cut(document(text), 10_000, thirds))
    assert [passage.text for passage in passages] == ([text.strip()] if text.strip() else [])


@given(text=TEXTS, size=SIZES)
@often
def test_the_same_text_is_cut_the_same_way(text: str, size: int) -> None:
    assert texts(text, size, thirds) == texts(text, size, thirds)


@given(text=TEXTS, size=SIZES)
@often
def test_a_count_that_is_known_beforehand_changes_nothing(text: str, size: int) -> None:
    words = text.split()
    known = None if max(map(len, words), default=0) > size else sum(thirds(words))
    given = list(cut(document(text), size, thirds, known))
    assert [passage.text for passage in given] == texts(text, size, thirds)


def test_a_text_whose_count_is_known_is_not_counted_again() -> None:
    def count(words: Sequence[str]) -> list[int]:
        raise AssertionError("counted again")

    (passage,) = cut(document(" One two. "), 8, count, 3)
    assert (passage.start, passage.end) == (1, 9)


@given(
    words=st.lists(st.sampled_from(["a", "bc", "def", "ghij"]), min_size=1),
    size=st.integers(4, 12),
)
@often
def test_words_fill_each_passage_as_far_as_they_fit(words: list[str], size: int) -> None:
    found = [passage.split() for passage in texts(" ".join(words), size, ones)]
    assert [len(passage) for passage in found[:-1]] == [size] * (len(found) - 1)
    assert [word for passage in found for word in passage] == words


def test_no_word_the_counter_sees_has_whitespace_or_is_empty_or_very_long() -> None:
    seen: list[str] = []

    def count(words: Sequence[str]) -> list[int]:
        seen.extend(words)
        return thirds(words)

    text = "One two.\n\nthree\tfour\u3000five " + "x" * 1000 + " 東京は大きい。" * 20
    list(cut(document(text), 16, count))
    assert seen
    assert all(word and not re.search(r"\s", word) and len(word) <= 16 for word in seen)


def test_an_empty_text_has_no_passage_and_needs_no_counting() -> None:
    def count(words: Sequence[str]) -> list[int]:
        raise AssertionError("there is nothing to count")

    assert list(cut(document(""), 8, count)) == []
    assert list(cut(document(" \n\n\t "), 8, count)) == []


@given(
    words=st.lists(st.sampled_from(["a", "b.", "c\n", "d.\n\n", "f。"]), min_size=1),
    size=st.integers(4, 12),
)
@often
def test_no_passage_but_the_last_is_smaller_than_half_of_what_fits(
    words: list[str], size: int
) -> None:
    found = [len(passage.split()) for passage in texts(" ".join(words), size, ones)]
    assert all(2 * number >= size for number in found[:-1])


# Where it cuts


def test_a_text_is_cut_at_headings_first() -> None:
    text = "# One\n\na b. c d.\n\n# Two\n\ne f.\n\ng h."
    assert texts(text, 8) == ["# One\n\na b. c d.", "# Two\n\ne f.\n\ng h."]


@pytest.mark.parametrize("mark", ["#", "##", "######"])
def test_headings_of_every_level_are_boundaries(mark: str) -> None:
    text = f"a b c d\n{mark} Two\n\nf g h"
    assert texts(text, 6) == ["a b c d", f"{mark} Two\n\nf g h"]


@pytest.mark.parametrize("line", ["#include x", "####### x", "a # x", "#"])
def test_what_only_looks_like_a_heading_is_no_better_than_a_paragraph(line: str) -> None:
    text = f"a b c d\n{line}\n\ne f g h"
    assert texts(text, 8) == [f"a b c d\n{line}", "e f g h"]


def test_small_sections_stay_together_while_they_fit() -> None:
    text = "# One\n\na b\n\n# Two\n\nc d\n\n# Three\n\ne f"
    assert texts(text, 8) == ["# One\n\na b\n\n# Two\n\nc d", "# Three\n\ne f"]
    assert texts(text, 12) == [text]


def test_where_no_heading_is_in_reach_a_text_is_cut_at_a_paragraph() -> None:
    text = "a b. c d.\n\ne f. g h.\n \t\ni j. k l."
    assert texts(text, 6) == ["a b. c d.", "e f. g h.", "i j. k l."]


def test_paragraphs_are_put_together_while_they_fit() -> None:
    text = "a b.\n\nc d.\n\ne f.\n\ng h."
    assert texts(text, 4) == ["a b.\n\nc d.", "e f.\n\ng h."]


def test_a_boundary_that_would_leave_a_fragment_is_passed_over() -> None:
    assert texts("a.\n\nb c d e f g h i", 8) == ["a.\n\nb c d e f g h", "i"]
    assert texts("a\n# Two d e f g h i j k", 10) == ["a\n# Two d e f g h i j", "k"]
    assert texts("a b c\n# Two d e f g h i j", 6) == ["a b c", "# Two d e f", "g h i j"]


def test_within_a_paragraph_a_text_is_cut_at_sentences() -> None:
    text = 'a b c. d e f! g "h i?" j k… l.'
    assert texts(text, 3) == ["a b c.", "d e f!", 'g "h i?"', "j k… l."]
    assert texts(text, 5) == ["a b c.", "d e f!", 'g "h i?" j k…', "l."]
    assert texts('g "h i?" j k l', 4) == ['g "h i?"', "j k l"]
    assert texts("(g h i.) j k l", 4) == ["(g h i.)", "j k l"]


def test_a_line_break_is_a_boundary_only_where_no_sentence_ends() -> None:
    assert texts("a b c.\nd e\nf g.", 5) == ["a b c.", "d e\nf g."]
    assert texts("a b c\nd e f\ng h", 5) == ["a b c", "d e f\ng h"]


def test_a_sentence_that_is_too_long_is_cut_between_words() -> None:
    assert texts("a b c d e f g.", 3) == ["a b c", "d e f", "g."]


def test_a_number_is_not_taken_for_the_end_of_a_sentence() -> None:
    assert texts("It is 3.14 at most. It is.", 5) == ["It is 3.14 at most.", "It is."]
    assert texts("a b c d 3.14 e", 5) == ["a b c d 3.14", "e"]


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (
            "東京は日本の首都です。人口が多い！本当ですか？はい。",
            12,
            ["東京は日本の首都です。", "人口が多い！本当ですか？", "はい。"],
        ),
        (
            "彼は「はい。」と言った。彼女は笑った。",
            10,
            ["彼は「はい。」", "と言った。", "彼女は笑った。"],
        ),
        ("今天天气很好。我们去公园。", 12, ["今天天气很好。", "我们去公园。"]),
    ],
    ids=["japanese", "quotes", "chinese"],
)
def test_languages_without_spaces_are_cut_at_the_ends_of_sentences(
    text: str, size: int, expected: list[str]
) -> None:
    assert texts(text, size, characters) == expected


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("यह एक वाक्य है। यह दूसरा वाक्य है।", 5, ["यह एक वाक्य है।", "यह दूसरा वाक्य है।"]),
        ("ما هذا الشيء؟ هذا كتاب كبير جدا.", 5, ["ما هذا الشيء؟", "هذا كتاب كبير جدا."]),
        ("یہ کتاب ہے۔ وہ قلم ہے۔", 4, ["یہ کتاب ہے۔", "وہ قلم ہے۔"]),
        ("ይህ መጽሐፍ ነው። ያ ብዕር ነው።", 4, ["ይህ መጽሐፍ ነው።", "ያ ብዕር ነው።"]),
    ],
    ids=["hindi", "arabic", "urdu", "amharic"],
)
def test_other_scripts_are_cut_at_the_ends_of_their_sentences(
    text: str, size: int, expected: list[str]
) -> None:
    assert texts(text, size) == expected


def test_a_language_without_spaces_or_stops_is_cut_anywhere_but_evenly() -> None:
    found = texts("東" * 100, 10, characters)
    assert "".join(found) == "東" * 100
    assert all(5 <= len(passage) <= 10 for passage in found)


def test_a_blob_is_cut_and_the_text_around_it_is_not() -> None:
    found = texts("a b. " + "x" * 40 + ". c d.", 12, characters)
    assert found == ["a b.", "x" * 12, "x" * 12, "x" * 12, "xxxx. c d."]


def test_a_word_of_more_tokens_than_fit_is_cut_into_parts_that_fit() -> None:
    found = texts("a b. " + "é" * 12, 12, lambda words: [3 * len(word) for word in words])
    assert found == ["a b.", "ééé", "ééé", "ééé", "ééé"]


def test_a_passage_knows_its_document() -> None:
    whole = document("a b c d")
    assert [passage.document for passage in cut(whole, 2, ones)] == [whole, whole]


# Stretch by stretch


@given(text=TEXTS, size=SIZES)
@often
@pytest.mark.parametrize("count", [characters, ones])
def test_a_short_text_is_cut_as_any_other(text: str, size: int, count: object) -> None:
    with mock.patch.object(module, "_SHORT", 0):
        expected = spans(text, size, count, 1 << 18)
    assert spans(text, size, count, 1 << 18) == expected


@given(text=TEXTS, size=SIZES, stretch=st.integers(1, 60))
@often
@pytest.mark.parametrize("count", [thirds, characters, bytewise, ones])
def test_how_much_is_looked_at_together_makes_no_difference(
    count: object, text: str, size: int, stretch: int
) -> None:
    found = spans(text, size, count, stretch)
    # Only of a word that does not fit into a stretch the parts may be others.
    if max(map(len, text.split()), default=0) <= stretch:
        assert found == spans(text, size, count, 1_000_000)


@pytest.mark.parametrize("count", [thirds, bytewise])
@pytest.mark.parametrize("stretch", [200, 1000, 5000])
@pytest.mark.parametrize("size", [8, 60, 1500])
def test_a_long_text_is_cut_as_it_would_be_as_a_whole(
    size: int, stretch: int, count: object
) -> None:
    prose = "One two, three four. Five six!\nSeven (eight).\n\n" * 60
    marked = "# Title\n\n" + prose + "\n    code = 1\n    more = 2\n" * 30 + "## End\n\n" + prose
    japanese = "東京は日本の首都です。人口が多い！「本当ですか？」と彼は言った。" * 5
    text = f"{marked}\n{japanese}\n{'東' * 150} {prose}{japanese} {marked}"
    whole = spans(text, size, count, 1_000_000)
    assert spans(text, size, count, stretch) == whole
    assert len(whole) > 3


@pytest.mark.parametrize("stretch", range(5, 60))
def test_a_heading_is_seen_wherever_a_stretch_ends(stretch: int) -> None:
    text = "a b c d\n###### Two\n\ne f g\n\nh i\n# Three\n\nj k l m"
    whole = spans(text, 7, ones, 1_000_000)
    assert [text[start:end] for start, end in whole] == [
        "a b c d",
        "###### Two\n\ne f g\n\nh i",
        "# Three\n\nj k l m",
    ]
    assert spans(text, 7, ones, stretch) == whole


@pytest.mark.parametrize("size", range(4, 13))
def test_a_long_word_is_divided_the_same_way_wherever_a_stretch_ends(size: int) -> None:
    def uneven(words: Sequence[str]) -> list[int]:
        return [-(-len(word) // 5) + 3 * len(re.findall("[東日é😀]", word)) for word in words]

    xs = "x" * 17
    text = f"{xs}😀{xs}. 😀a . 東éxéxéxéx\n。\n日本 日本日本 éé。東日本 日本bc éééabcax{xs}日本a"
    whole = spans(text, size, uneven, 1_000_000)
    for stretch in range(36, len(text)):
        assert spans(text, size, uneven, stretch) == whole


def test_words_that_do_not_fit_into_a_stretch_are_cut_all_the_same() -> None:
    text = f"a b. {'x' * 500} c d. {'東京は大きい。' * 60} e f."
    passages = spans(text, 16, characters, 20)
    assert len(passages) > 50


def test_a_word_that_does_not_fit_into_a_stretch_is_looked_at_once() -> None:
    counted = 0

    def count(words: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, words))
        return thirds(words)

    with mock.patch.object(module, "_STRETCH", 1_000):
        list(cut(document("x" * 100_000), 64, count))
    assert counted <= 200_000


def test_a_longer_text_takes_no_more_memory_beside_its_own() -> None:
    def taken(lines: int) -> int:
        whole = document("Some words of a text that is long.\n" * lines)
        tracemalloc.start()
        try:
            for _ in cut(whole, 64, ones):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    with mock.patch.object(module, "_STRETCH", 10_000):
        taken(1_000)  # what is made once
        assert taken(8_000) < 1.2 * taken(1_000)


# How much work it is


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "東京は大きい。" * 50_000,
        "word " * 80_000,
        "A b. " * 80_000,
        "\n" * 1_000_000,
        "# A\n" * 80_000,
        "a\n\n" * 100_000,
    ],
    ids=["word", "no spaces", "words", "sentences", "blank", "headings", "paragraphs"],
)
def test_the_work_grows_with_the_length_of_a_text_and_not_faster(text: str) -> None:
    counted = 0

    def count(words: Sequence[str]) -> list[int]:
        nonlocal counted
        counted += sum(map(len, words))
        return thirds(words)

    passages = list(cut(document(text), 256, count))
    checked(text, passages, 256, thirds)
    assert counted <= 20 * len(text)
