"""Tests of phrases, of numbers in their order, of divided words, and of copies of a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ragdoll
from ragdoll.corpus.terms import searchable, undivided
from ragdoll.retrieval.reading.phrases import holding, phrases_of
from ragdoll.settings import Mode
from tests.conftest import Trained

BY_WORDS: list[Mode] = ["text", "hybrid"]

TEXTS = {
    "a": "Man bites dog. The dog, a man said, bites.",
    "b": "A man walks the dog, which bites nobody; bites are rare, man.",
    "c": "Nothing happened in town, except that near the mill a Dog\nbites *man* after man.",
    "hamlet": "To be or not to be, that is the question.",
    "band": "The Who played in Leeds, but who knows the band?",
    "parrot": "The captain’s parrot doesn’t speak.",
    "date": "An entry of 2024-03-05 in the journal.",
    "other date": "An entry of 2024-05-03 in the journal.",
    "address": "Host 10.1.2.3 prints.",
    "other address": "Host 10.3.2.1 prints.",
    "slashes": "Due on 05/03/2024, they said.",
    "other slashes": "Due on 03/05/2024, they said.",
    "divided": "The gov-\nernment grew well-\nknown.",
    "soft": "The regu\u00ad\nlation of COVID\u201119, sig\u00adned.",
    "ligature": "The ﬁnancial oﬃcer can’t waﬄe.",
    "arabic": "كَتَبَ مُحَمَّد رسالة",
    "chinese": "数据库的备份每天晚上进行。",
    "type 1": "Insulin for type 1 diabetes.",
    "type 2": "Insulin for type 2 diabetes.",
    "vitamin C": "Juice has vitamin C, says J. D. Doe.",
    "vitamin D": "Fish has vitamin D.",
    "accent": "Le re\u0301sume\u0301 de la re\u0301union.",
    "street": "Die große Straße und die Überführung.",
    "port": "The host 192.168.23.17:8080 answers.",
    "other port": "The host 192.168.17.23:8080 answers.",
    "file": "Fetch foo-19.7.8.tar.gz now.",
    "other file": "Fetch foo-19.8.7.tar.gz now.",
    "time": "Seen at 2031-08-07T01:02:03+02:00, sharp.",
    "other time": "Seen at 2031-07-08T03:02:01+02:00, sharp.",
    "card": "The card 0a:1b:2c:3d:4e:5f is new.",
    "other card": "The card 5f:4e:3d:2c:1b:0a is new.",
    "score": "They won 9:16 at home.",
    "other score": "They won 16:9 at home.",
    "day": "会议是2035年5月3日。",
    "other day": "会议是2035年3月5日。",
    "heart": "Le cœur de la ville bat.",
    "name": "Søren Kierkegaard wrote it; Đoković did not.",
    "tree": "Ёлка зелёная стоит.",
    "greek": "Η Ελληνική Δημοκρατία είναι ο Σωκράτης.",
    "half": "ｻｰﾊﾞｰの障害が発生した。",
    "commits": "See abc1234..def5678 for it.",
    "other commits": "See def5678..abc1234 for it.",
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> ragdoll.Index:
    index = ragdoll.Index.create(tmp_path_factory.mktemp("phrases"), model=trained.model)
    index.update([{"id": name, "text": text} for name, text in TEXTS.items()])
    return index


@pytest.mark.parametrize("mode", BY_WORDS)
@pytest.mark.parametrize(
    ("query", "first"),
    [
        ('"dog bites man"', "c"),
        ("“dog bites man”", "c"),
        ('"man said bites" "bites dog"', "a"),
        ("to be or not to be", "hamlet"),
        ("the who", "band"),
        ("doesn't", "parrot"),
        ('"doesn\'t speak"', "parrot"),
        ("2024-03-05", "date"),
        ("2024-05-03", "other date"),
        ("10.3.2.1", "other address"),
        ("05/03/2024", "slashes"),
        ("03/05/2024", "other slashes"),
        ("type 2 diabetes", "type 2"),
        ("type 1 diabetes", "type 1"),
        ("vitamin D", "vitamin D"),
        ("vitamin c", "vitamin C"),
        ("government", "divided"),
        ("known", "divided"),
        ("regulation", "soft"),
        ("COVID-19", "soft"),
        ("signed", "soft"),
        ("financial", "ligature"),
        ('"financial officer"', "ligature"),
        ('"résumé de la reunion"', "accent"),
        ('"grosse strasse"', "street"),
        ('"STRASSE und die uberfuhrung"', "street"),
        ('"government grew"', "divided"),
        ('"regulation of"', "soft"),
        ("192.168.23.17", "port"),
        ("192.168.17.23", "other port"),
        ("19.7.8", "file"),
        ("19.8.7", "other file"),
        ("2031-08-07", "time"),
        ("03:02:01", "other time"),
        ("0a:1b:2c:3d:4e:5f", "card"),
        ("5f:4e:3d:2c:1b:0a", "other card"),
        ("9:16", "score"),
        ("16:9", "other score"),
        ("2035年5月3日", "day"),
        ("2035年3月5日", "other day"),
        ("abc1234..def5678", "commits"),
        ("def5678..abc1234", "other commits"),
        ("officer", "ligature"),
        ("waffle", "ligature"),
        ("محمد", "arabic"),
        ('"备份每天"', "chinese"),
        ("『备份每天』", "chinese"),
        *(
            (f"{mark[0]}dog bites man{mark[1]}", "c")
            for mark in ("»«", "»»", "‹›", "””", "＂＂", "‘’", "''")
        ),
        ('"dog bites man', "c"),
        ('"coeur de la ville"', "heart"),
        ('"SOREN kierkegaard"', "name"),
        ('"елка зеленая"', "tree"),
        ('"ελληνικη δημοκρατια"', "greek"),
        ('"محمد رسالة"', "arabic"),
        ('"サーバーの障害"', "half"),
        ('"résumé de la réunion"', "accent"),
    ],
)
def test_exact_things_come_first(table: ragdoll.Index, query: str, first: str, mode: Mode) -> None:
    hits = table.search(query, 5, mode=mode)
    assert hits[0].source == first
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    if mode == "hybrid":
        assert all(0 <= hit.score <= 1 for hit in hits)


def test_a_phrase_that_no_passage_has_is_searched_by_its_words(table: ragdoll.Index) -> None:
    assert table.search('"question the is"', 3)[0].source == "hamlet"


def test_a_phrase_meets_filters(table: ragdoll.Index) -> None:
    hits = table.search('"dog bites man"', 5, where="id IS NOT NULL", source="b")
    assert [hit.source for hit in hits] == ["b"]


def test_several_queries_are_answered_in_their_order(table: ragdoll.Index) -> None:
    queries = ["question", '"dog bites man"', "captain"]
    first = [hits[0].source for hits in table.search_many(queries, 1)]
    assert first == ["hamlet", "c", "parrot"]


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ('what does the term "phage display" refer to in this text', []),
        ('how do I stop "time out of memory" errors', ["time out of memory"]),
        ('5" of rain', []),
        ('5" of rain or 6" of snow', []),
        ('the doctor said "no more', ["no more"]),
        ("don't say it's the dog's", []),
        ("‘the dog doesn’t bite’", ["the dog doesn’t bite"]),
        ('""', []),
        ('"!"', []),
        ("which is it", ["which is it"]),
        ("which way is it", []),
        ("", []),
    ],
)
def test_what_is_asked_for_as_a_phrase(query: str, phrases: list[str]) -> None:
    assert phrases_of(query, "english") == phrases


@given(st.text(min_size=1))
@settings(derandomize=True, deadline=None)
def test_any_phrase_is_a_pattern_that_finds_itself(text: str) -> None:
    for phrase in phrases_of(f'"{text}"', "english"):
        (condition,) = holding([phrase])
        pattern = condition.partition(", '")[2].removesuffix("')").replace("''", "'")
        if len(phrase) < 100 and not re.search(r"[\u0300-\u036f]", phrase):
            assert re.search(pattern, phrase), (pattern, phrase)


@pytest.mark.parametrize("word", ["financial", "officer", "regulation", "government"])
def test_words_are_whole_for_the_vector_too(table: ragdoll.Index, word: str) -> None:
    found = table.search(word, 3, mode="vector")
    assert {"financial": "ligature", "officer": "ligature", "regulation": "soft"}.get(
        word, "divided"
    ) in [hit.source for hit in found]


def test_words_that_were_divided_are_whole_and_compounds_are_found() -> None:
    assert undivided("The gov-\nernment of self-driving cars, Anglo-\nSaxon") == (
        "The government of self-driving cars, Anglo-\nSaxon"
    )
    assert undivided("ｻｰﾊﾞｰ ＡＢ é") == "サーバー AB é"
    words = searchable("well-\n known").split()
    assert {"known", "wellknown"} <= set(words)
    assert searchable("aa - bb\n- cc") == "aa - bb\n- cc"


@pytest.mark.parametrize("mode", get_args(Mode))
def test_copies_of_a_text_are_one_hit_with_its_places(
    tmp_path: Path, trained: Trained, mode: Mode
) -> None:
    for number in range(4):
        (tmp_path / f"docs/{number}").mkdir(parents=True)
        (tmp_path / f"docs/{number}/LICENCE.md").write_text("A lock guards  what tasks share.\n")
    (tmp_path / "docs/use.md").write_text("Tasks share a resource under a lock.")
    index = ragdoll.Index.create(tmp_path / "database", model=trained.model)
    index.update(ragdoll.read(tmp_path / "docs"))
    hits = index.search("a lock of tasks", 2, mode=mode)
    assert [hit.rank for hit in hits] == [1, 2]
    (copied,) = [hit for hit in hits if "LICENCE" in hit.source]
    places = {copied.source, *(copy.source for copy in copied.copies)}
    assert places == {f"{number}/LICENCE.md" for number in range(4)}
    copy = copied.copies[0]
    assert copy.path == str(tmp_path / "docs" / copy.source)
    assert copy.line == 1
    assert copied.record()["copies"][0]["source"] == copy.source


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Tom &amp; Jerry&#39;s caf&eacute; &#x2014; 5&nbsp;km", "Tom & Jerry's café — 5\xa0km"),
        (
            "?a=1&copy=2 AT&T &; &no-entity; &unknown; R&D;",
            "?a=1&copy=2 AT&T &; &no-entity; &unknown; R&D;",
        ),
    ],
)
def test_characters_by_their_names_in_html_are_those_characters(written: str, meant: str) -> None:
    assert undivided(written) == meant
    assert searchable(written) == searchable(meant)
