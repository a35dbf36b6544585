"""A test made of documents: what becomes a question, and that its answer cannot be read off."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus import pieces
from ragdoll.corpus.documents import Document
from ragdoll.errors import CorpusError
from ragdoll.evaluation import known_items as module
from ragdoll.evaluation.collection import TestCollection
from ragdoll.evaluation.known_items import known_items


def document(number: int, text: str, title: str = "") -> Document:
    return Document(text, title, f"d{number}", root="root")


def words(seed: int, count: int) -> str:
    """Return words that no other seed has."""
    return " ".join(f"w{seed}x{number}" for number in range(count))


LONG = [
    document(n, f"Title of {n}\n\n{words(n, 12)}. {words(100 + n, 12)}.", f"Title of {n}")
    for n in range(20)
]


def made(documents: list[Document], **options: int) -> TestCollection:
    return known_items(documents, "name", **options)


def answers(collection: TestCollection) -> Iterator[tuple[str, str]]:
    """Yield each question with all searched text of the document that answers it."""
    for query, text in collection.queries.items():
        (answer,) = collection.qrels[query]
        searched = [
            passage
            for part, passage in collection.documents.items()
            if collection.parts.get(part, part) == answer
        ]
        yield text, "\n".join(searched)


def test_a_question_is_a_piece_of_its_answer_and_is_taken_out_of_what_is_searched() -> None:
    collection = made(LONG)
    assert len(collection.queries) == collection.size == len(LONG)
    texts = {document.source: document.text for document in LONG}
    for query, text in collection.queries.items():
        (answer,) = collection.qrels[query]
        assert text in texts[answer]
    for text, searched in answers(collection):
        assert searched
        assert text not in searched


@pytest.mark.parametrize(
    ("document", "question"),
    [
        (document(1, f"A fine title\n\n{words(1, 60)}", "A fine title"), "A fine title"),
        (document(1, f"# One two three\n\n{words(1, 60)}"), "One two three"),
        (document(1, f"{words(1, 60)}\n\n## One two three ##\n\nEnd"), "One two three"),
        (document(1, f"{words(1, 50)}. One two three! {words(2, 50)}"), "One two three!"),
        (document(1, f"{words(1, 50)}。今日は雨。{words(2, 50)}"), "今日は雨。"),
    ],
    ids=["title", "heading", "heading below", "sentence", "sentence in Japanese"],
)
def test_titles_headings_and_sentences_are_questions(document: Document, question: str) -> None:
    collection = made([document])
    assert list(collection.queries.values()) == [question]


def test_a_text_without_sentences_is_asked_for_by_some_words_in_a_row() -> None:
    collection = made([document(1, words(1, 60))])
    ((question, searched),) = answers(collection)
    assert 5 <= len(question.split()) <= 10
    assert question in words(1, 60)
    assert question not in searched
    assert len(searched.split()) == 60 - len(question.split())


def test_a_title_that_comes_again_is_taken_out_everywhere() -> None:
    text = f"A fine title\n\n# A fine title\n\n{words(1, 60)} A fine title {words(2, 9)}"
    ((question, searched),) = answers(made([document(1, text, "A fine title")]))
    assert question == "A fine title"
    assert question not in searched


def test_what_two_documents_have_is_no_question() -> None:
    documents = [
        document(
            n, f"# See the licence text\n\n{words(n, 30)}. See the licence TEXT. {words(90 + n, 9)}"
        )
        for n in range(5)
    ]
    assert not any("licence" in text.lower() for text in made(documents).queries.values())


@pytest.mark.parametrize(
    "text", ["", "   ", "One. Two.", "a b c d e", "!!! ??? ...", words(1, 12)], ids=repr
)
def test_documents_too_short_to_ask_for_are_an_error(text: str) -> None:
    with pytest.raises(CorpusError) as caught:
        made([document(1, text)])
    assert "name" in caught.value.message


def test_a_qualified_name_is_no_question() -> None:
    collection = made([document(1, f"a.b.c.d\n\n{words(1, 60)}", "a.b.c.d")])
    assert list(collection.queries.values()) != ["a.b.c.d"]


def test_texts_without_spaces_are_cut_into_passages_too() -> None:
    text = "".join(f"{chr(0x4E00 + number) * 20}。" for number in range(30))
    collection = made([document(1, text)], passage_words=100)
    assert len(collection.documents) > 4
    ((question, searched),) = answers(collection)
    assert len(question) == 21
    assert question not in searched


def test_a_title_that_the_text_does_not_hold_is_no_question() -> None:
    collection = made([document(1, f"{words(1, 50)}. {words(2, 10)}.", "name of file.txt")])
    assert "name of file.txt" not in collection.queries.values()


def test_long_documents_are_searched_by_passages_and_found_as_documents() -> None:
    documents = [document(n, f"{words(n, 100)}. {words(90 + n, 9)}.") for n in range(3)]
    collection = made(documents, passage_words=20)
    assert collection.size == 3 < len(collection.documents)
    assert set(collection.parts.values()) == {"d0", "d1", "d2"}
    assert all(len(text.split()) <= 20 for text in collection.documents.values())
    best = collection.by_document(
        "q1", {"d0 [1]": 0.2, "d1 [1]": 0.3, "d0 [3]": 0.9, "d1 [2]": 0.1}
    )
    assert best == {"d0": 0.9, "d1": 0.3}


def test_the_same_seed_makes_the_same_test_and_another_another() -> None:
    assert made(LONG, seed=1) == made(LONG, seed=1)
    assert made(LONG, seed=1).queries != made(LONG, seed=2).queries


def test_no_more_questions_than_asked_for() -> None:
    assert len(made(LONG, questions=7).queries) == 7
    assert made(LONG, questions=7).size == len(LONG)


def test_of_too_much_a_random_part_is_searched_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_CHARACTERS", sum(len(d.text) for d in LONG) // 2)
    collection = made(LONG, seed=3)
    assert 8 <= collection.size <= 11
    assert any(f"{20 - collection.size} other documents" in note for note in collection.notes)
    assert list(collection.documents) == sorted(collection.documents, key=lambda d: int(d[1:]))
    others = made(LONG, seed=4)
    assert set(others.documents) != set(collection.documents)


def test_documents_of_the_same_name_are_kept_apart() -> None:
    twins = [document(1, f"{words(n, 20)}. {words(90 + n, 20)}.") for n in range(2)]
    collection = made(twins)
    assert list(collection.documents) == ["d1", "d1~2"]
    assert [list(judged) for judged in collection.qrels.values()] == [["d1"], ["d1~2"]]


def test_the_notes_say_how_it_was_made_and_what_it_cannot_show() -> None:
    text = " ".join(made(LONG, seed=5).notes)
    assert "seed 5" in text
    counts = re.findall(r"(\d+) (title|sentence)s?\b", text)
    assert sum(int(count) for count, _ in counts) == len(LONG)
    assert "cannot show" in text


TEXTS = st.text(st.sampled_from("ab \n.#!?。é😀"), max_size=120)


@given(texts=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_any_documents_make_a_fair_test_or_none(texts: list[tuple[str, str]], seed: int) -> None:
    documents = [document(n, f"{title}\n{text}", title) for n, (title, text) in enumerate(texts)]
    try:
        collection = made(documents, seed=seed)
    except CorpusError:
        return
    assert set(collection.queries) == set(collection.qrels)
    for text, searched in answers(collection):
        assert text.strip() == text != ""
        assert text not in searched
        assert searched.strip()


def test_a_text_of_many_headings_has_no_more_pieces_than_are_counted_soon() -> None:
    text = "".join(f"# Heading number {n}\n\nWords {n} of it.\n\n" for n in range(5000))
    assert sum(1 for _ in pieces._pieces(text, "")) <= 2000


def test_the_words_of_a_long_text_are_not_counted_for_each_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    count = pieces._length

    def counted(text: str) -> int:
        read.append(len(text))
        return count(text)

    monkeypatch.setattr(pieces, "_length", counted)
    text = " ".join(f"Sentence {n} is about thing {n}." for n in range(900))
    assert pieces.choose(text, "", set(), random.Random(0)) is not None
    assert sum(read) < 3 * len(text)
