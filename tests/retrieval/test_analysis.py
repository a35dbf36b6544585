"""Words as they are indexed and searched: identifiers, forms of characters, languages."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.letters import folded
from ragdoll.corpus.terms import searchable
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.storage.analysis import tokens_as_text, tokens_of_text
from ragdoll.settings import IndexSettings
from tests.conftest import Trained
from tests.retrieval.conftest import Indexed
from tests.retrieval.test_index import Counting

SHA = "9f2feb0f1ef425b292f2f94bc8482494df430413"
TEXTS = {
    "snake": "Call set_timer_delay before the loop.",
    "camel": "The method callLater of HTTPServer is asynchronous.",
    "dotted": "Import asyncio.subprocess for pipes.",
    "option": "Run it with --dry-run-only first.",
    "plus": "Bindings for C++ are elsewhere.",
    "sharp": "Bindings for C# are elsewhere.",
    "version": "Since version 3.11.7 this is deprecated.",
    "error": "It fails with ORA-00942 at times.",
    "file": "Write it to settings.yaml there.",
    "hash": f"Broken by {SHA} last week.",
    "accents": "Un re\u0301sume\u0301 de la the\u0300se.",
    "halfwidth": "ﾊﾝｶｸ の文字。",
    "japanese": "日本語の全文検索を説明する。",
    "thai": "ราคาสินค้าถูกมาก",
    "tree": "Ёлка ещё стоит.",
    "stress": "Старый за\u0301мок.",
    "greek": "Ο Σωκράτης ήταν εδώ, ΟΔΟΣ.",
    "children": "كتب للأطفال والأطفال يلعبون",
    "player": "Novak Đoković won in Łódź.",
    "street": "Die Straße in Weimar.",
    "other": "Nothing of the kind is here.",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Index:
    settings = IndexSettings(language="english")
    index = Index.create(tmp_path_factory.mktemp("words"), model=trained.model, settings=settings)
    index.update([{"id": name, "text": text} for name, text in TEXTS.items()])
    return index


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("set_timer_delay", "snake"),
        ("timer", "snake"),
        ("callLater", "camel"),
        ("later", "camel"),
        ("http server", "camel"),
        ("asyncio.subprocess", "dotted"),
        ("subprocess", "dotted"),
        ("--dry-run-only", "option"),
        ("C++", "plus"),
        ("c#", "sharp"),
        ("3.11.7", "version"),
        ("ORA-00942", "error"),
        ("00942", "error"),
        ("settings.yaml", "file"),
        ("yaml", "file"),
        (SHA, "hash"),
        ("résumé", "accents"),
        ("ハンカク", "halfwidth"),
        ("検索", "japanese"),
        ("ถูก", "thai"),
        ("елка", "tree"),
        ("замок", "stress"),
        ("σωκρατησ", "greek"),
        ("οδος", "greek"),
        ("والاطفال", "children"),
        ("Dokovic", "player"),
        ("lodz", "player"),
        ("strasse", "street"),
    ],
)
def test_words_are_found_as_people_type_them(index: Index, query: str, source: str) -> None:
    hits = index.search(query, 1, mode="text")
    assert [hit.source for hit in hits] == [source]
    assert hits[0].text == TEXTS[source]


@pytest.mark.parametrize("text", ["(The) end.", "A (short) note: done!", ""])
def test_plain_words_are_read_as_they_are(text: str) -> None:
    assert searchable(text) == text


NUMBERS = {
    "memory": "It has 16GB of memory.",
    "more memory": "With 32 GB of memory.",
    "ohm": "A resistor of 10kΩ.",
    "bolt": "A bolt of 5mm length.",
    "ticket": "Fixed in PROJ-1234 now.",
    "screen": "At 1920x1080 pixels.",
    "wide screen": "At 2560×1440 pixels.",
    "joined": "They co-operate well in UTF-8.",
    "mail": "Send an e-mail soon.",
    "hash": f"Broken by {SHA} last week.",
    "short hash": "Repaired by 0a1b2c3d4e now.",
    "uuid": "Of 123e4567-e89b-12d3-a456-426614174000 it is.",
    "isbn": "The book 978-3-16-148410-0 tells.",
    "hexadecimal": "It fails with 0x80070005 here.",
}


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory, trained: Trained) -> Index:
    index = Index.create(tmp_path_factory.mktemp("numbers"), model=trained.model)
    index.update([{"id": name, "text": text} for name, text in NUMBERS.items()])
    return index


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("16 GB", "memory"),
        ("32GB", "more memory"),
        ("10 kΩ", "ohm"),
        ("5 mm", "bolt"),
        ("proj1234", "ticket"),
        ("1920×1080", "screen"),
        ("2560x1440", "wide screen"),
        ("cooperate", "joined"),
        ("utf8", "joined"),
        ("email", "mail"),
        (SHA[:7], "hash"),
        (SHA[:9], "hash"),
        (SHA[:12], "hash"),
        ("0a1b2c3d4e5f60718293a4b5c6d7e8f901234567", "short hash"),
        ("123e4567e89b12d3a456426614174000", "uuid"),
        ("9783161484100", "isbn"),
        ("80070005", "hexadecimal"),
    ],
)
def test_numbers_are_found_as_others_write_them(numbers: Index, query: str, source: str) -> None:
    assert [hit.source for hit in numbers.search(query, 1, mode="text")] == [source]


@pytest.mark.parametrize("text", ["H2O", "第3回会議"])
def test_letters_and_digits_alone_are_no_words_of_their_own(text: str) -> None:
    assert searchable(text) == text


@given(st.text())
def test_letters_are_folded_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert len({folded(form) for form in (text, unicodedata.normalize("NFD", text))}) == 1


def test_katakana_of_either_width_have_the_same_vector(index: Index) -> None:
    for query in ("ハンカク", "ﾊﾝｶｸ"):
        hits = index.search(query, 3, mode="vector")
        assert hits
        assert hits[0].source == "halfwidth"


@given(st.text())
def test_a_text_is_read_alike_in_its_composed_and_its_decomposed_form(text: str) -> None:
    forms = {unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    assert len({searchable(form) for form in forms}) == 1


@given(st.lists(st.integers(0, 2**25 - 1)), st.lists(st.integers(0, 2**25 - 1)))
def test_tokens_are_read_as_they_were_written(first: list[int], second: list[int]) -> None:
    both = "".join(tokens_as_text(np.array(ids, np.int32)) for ids in (first, second))
    assert tokens_of_text(both).tolist() == first + second
    assert len(both.split()) == len(first + second)


@pytest.fixture
def fresh(tmp_path: Path, docs: Path, trained: Trained) -> Indexed:
    """A table that is not made yet."""
    return Indexed(tmp_path / "database", docs, trained.model)


GERMAN = [
    "Das Programm zeigt die Wetterdaten der Stationen und ist für den Schreibtisch gemacht.",
    "Mit dem Werkzeug werden Bilder in einem Verzeichnis umbenannt, oder auch verkleinert.",
    "Ein Spiel, bei dem die Figuren nicht auf den Boden fallen und das mit der Maus geht.",
]


def test_a_table_chooses_the_language_of_its_texts(fresh: Indexed) -> None:
    index = Index.create(fresh.database, model=fresh.model)
    index.update(GERMAN)
    analysis = fresh.open().state.analysis
    assert (analysis.language, analysis.tokens, analysis.rows) == ("german", True, 3)
    assert index.search("Verzeichnisse", 1, mode="text")[0].text == GERMAN[1]
    assert index.search("Wetter", 1, mode="text")[0].text == GERMAN[0]


def test_a_table_that_doubles_chooses_anew(fresh: Indexed) -> None:
    index = Index.create(fresh.database, model=fresh.model)
    index.update(["A program that shows the files of the disk, and is for all of us."])
    assert fresh.open().state.analysis.language == "english"
    index.update(GERMAN)
    assert fresh.open().state.analysis.language == "german"
    index.update(["The lock of the loop is for all of the tasks that are in it."])
    assert fresh.open().state.analysis.language == "german"


def test_an_encoder_without_tokens_is_searched_by_words_and_vector(tmp_path: Path) -> None:
    index = Index.create(tmp_path / "database", model=Counting())
    index.update([*GERMAN, "Eine Kammer mit einem lock ist nicht leer und nicht gut."])
    (hit, *_) = index.search("lock", 1)
    assert hit.token_score is None
    assert (hit.vector_score, "lock" in hit.text) == (1.0, True)
