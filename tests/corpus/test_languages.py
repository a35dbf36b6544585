"""The language of texts, by their function words and letters."""

from __future__ import annotations

from typing import get_args

import pytest

from ragdoll.corpus.languages import OTHER, STEMMED, function_words, languages_of
from ragdoll.settings import Language

SENTENCES = {
    "danish": "Et program der viser alle filer, som ikke er blevet gemt på den anden disk.",
    "dutch": "Een programma dat alle bestanden toont die niet op de andere schijf zijn bewaard.",
    "english": "A program that shows all the files which are not saved on the other disk.",
    "finnish": "Tämä on ohjelma, joka ei tallenna tiedostoja, mutta sen voi avata ja sulkea.",
    "french": "Un programme qui montre tous les fichiers de la base dans une fenêtre du système.",
    "german": "Ein Programm, das alle Dateien zeigt, die nicht auf der anderen Platte sind.",
    "greek": "Ένα πρόγραμμα που δεν είναι για το σύστημα και την οθόνη του χρήστη.",
    "hungarian": "Ez egy program, és a fájlokat nem csak el kell menteni, de meg is mutatja.",
    "italian": "Un programma che mostra tutti i file della base in una finestra di sistema.",
    "portuguese": "Um programa que mostra os ficheiros da base em uma janela do sistema.",
    "romanian": "Un program care nu este din sistem și arată fișierele pe o fereastră cu un nume.",
    "russian": "Программа для системы, которая не показывает файлы, но и это не ошибка.",
    "spanish": "Un programa que muestra los archivos de la base en una ventana del sistema.",
    "swedish": "Ett program som visar alla filer och inte är för den som har en annan disk.",
    "tamil": "இது ஒரு நிரல் மற்றும் இந்த கோப்பு என்று காட்டும்.",
    "turkish": "Bu program bir dosya için çok iyi ve sistem ile olan ne varsa gösterir.",
    OTHER: "Program, który nie jest dla systemu i pokazuje pliki, które są na dysku.",
}


@pytest.mark.parametrize("language", list(SENTENCES))
def test_a_language_is_known_by_its_function_words(language: str) -> None:
    found = languages_of([SENTENCES[language]])
    assert found == (language, 0.0 if language == "english" else 1.0)


@pytest.mark.parametrize("text", ["全文検索の仕組みを説明する。", "全文检索的原理", "전문 검색"])
def test_scripts_without_a_stemmer_are_another_language(text: str) -> None:
    assert languages_of([text]) == (OTHER, 1.0)


@pytest.mark.parametrize("texts", [[], [""], ["wing flutter boundary layer", "x = y + 1; 12"]])
def test_texts_without_function_words_are_english(texts: list[str]) -> None:
    assert languages_of(texts) == ("english", 0.0)


def test_the_main_language_of_many_is_that_of_most_words() -> None:
    texts = [SENTENCES["german"]] * 3 + [SENTENCES["english"]]
    assert languages_of(texts) == ("german", 0.75)


def test_the_setting_has_the_languages_that_can_be_stemmed() -> None:
    assert set(get_args(Language)) == {"auto", *STEMMED, OTHER}
    assert {"the", "of"} <= function_words("english")
    assert function_words(OTHER) == frozenset()
