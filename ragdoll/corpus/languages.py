"""The language of texts, by the words that hold its sentences together.

A few function words make up a tenth or more of nearly any text in their language, and hardly occur
in others. That is enough to choose a stemmer by, and needs neither a model nor a dictionary.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

ENGLISH = "english"

# A language whose words no stemmer here knows.
OTHER = "other"

# The share of function words from which on a text is taken to be in their language.
_LEAST_SHARE = 0.10

# The share of letters of other scripts from which on a text is not English.
_FOREIGN_LETTERS = 0.3

# Vowel signs and accents that stand in words of their scripts, but are no letters to Python.
SIGNS = (
    "\u0300-\u036f\u0591-\u05bd\u0610-\u061a\u064b-\u065f"
    "\u0900-\u0963\u0966-\u0fff\u1000-\u109f\u1780-\u17d3"
)

# Scripts that put no spaces between words: Thai, Lao, Myanmar, Khmer, Japanese and Chinese.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+")

_WORD = re.compile(rf"(?:[^\W\d_]|[{SIGNS}])+")
_NOT_LATIN = re.compile(r"[^\W\d_A-Za-z\u00aa-\u024f\u1e00-\u1eff]")

# Without single letters, which stand for variables in other texts.
_FUNCTION_WORDS = {
    "arabic": "في من على إلى أن هذا هذه التي الذي عن مع ما لا كان كانت بين هو هي أو كل قد بعد",
    "danish": "og at det er en til af på som der den med de for ikke et har fra kan hvis",
    "dutch": "de het een en van in is dat op te zijn met voor niet aan er om ook als bij wordt",
    ENGLISH: "the of and to in is that for it as with be on are by this or from an which at not",
    "finnish": "ja on se ei että joka ovat mutta tai kun voi myös ole sen hän jos kuin sekä oli",
    "french": "le la les de des du et est un une en que qui dans pour par sur avec pas ce ou au",
    "german": "der die das und ist in den von zu mit nicht ein eine für auf des dem im oder auch",
    "greek": "και το η ο να του της την με για από που είναι στο των δεν τα στην θα ένα οι",
    "hungarian": "az és hogy nem is egy van meg de ez vagy csak el ha mint már azt volt kell",
    "italian": "di il la che è un una in per non con del della sono le da si al dei come",
    "norwegian": "og det er en på til som av for med at ikke den et har de om fra kan eller",
    "portuguese": "de que do da em um para é com não uma os no se na por as dos ao ou",
    "romanian": "și de la în cu nu care pe un este din să ca pentru sunt mai sau prin şi",
    "russian": "и в не на что с по для как к из это от или его он за при также но является",
    "spanish": "de la que el en los se del las un por con no una para es al lo como su",
    "swedish": "och att det som en på är av för med till den har inte om ett de kan från eller",
    "tamil": "ஒரு என்று மற்றும் இந்த அந்த என்ற அல்லது உள்ள இது அது போன்ற வேண்டும் என",
    "turkish": "ve bir bu da de için ile olarak olan daha ne gibi çok ya en ise veya değil kadar",
}
# English words that are not among the most frequent, and say as little.
_MORE_ENGLISH = """
    a about above after again against all also am any as at be because been before being below
    between both but can could did do does doing down during each few for from further had has
    have having he her here hers herself him himself his how i if into it its itself just me
    more most my myself no nor not now off once only other our ours ourselves out over own same
    she should so some such than their theirs them themselves then there these they those
    through to too under until up very was we were what when where which while who whom why
    will with would you your yours yourself
"""
_OTHERS = {
    "catalan": "de la el que en les els un una per és amb no del al es són dels",
    "czech": "je se na že do pro jako to které nebo který jsou není od být",
    "indonesian": "yang dan di untuk dengan ini dari pada adalah itu dalam tidak atau akan ke",
    "polish": "na nie do jest się to że jak dla od przez oraz lub po są który które",
    "slovak": "je sa na že do pre ako to ktoré alebo ktorý sú nie od byť",
    "ukrainian": "і в на не що з та до для як у це від або за є про його також при але",
    "vietnamese": "và của là có các được cho trong không một với để này những người khi từ đã",
}

STEMMED = tuple(sorted(_FUNCTION_WORDS))


class Languages(NamedTuple):
    """The languages of some texts.

    ``main`` is the one that most of their words are in: one of ``STEMMED``, or ``other``; English
    where the words do not tell. ``foreign`` is the share of texts that are not English.
    """

    main: str
    foreign: float


def languages_of(texts: Iterable[str]) -> Languages:
    """Find the languages of texts; no texts are English."""
    total: Counter[str] = Counter()
    words = count = foreign = 0
    for text in texts:
        own = _WORD.findall(text.lower())
        found = Counter(language for word in own for language in _languages_by_word().get(word, ()))
        total += found
        words += len(own)
        count += 1
        foreign += _best(found, len(own)) != ENGLISH or _are_foreign("".join(own))
    share = foreign / max(1, count)
    main = _best(total, words)
    if main not in _FUNCTION_WORDS or (main == ENGLISH and share > 0.5):
        main = OTHER
    return Languages(main, share)


def stop_words(language: str) -> list[str]:
    """Return the words that an index leaves out in a language: not the 2 of "type 2 diabetes".

    Letters alone are left out, of which most are initials.
    """
    words = function_words(language) | set(string.ascii_lowercase)
    return sorted(words | set(_MORE_ENGLISH.split()) if language == ENGLISH else words)


def function_words(language: str) -> frozenset[str]:
    """Return the words of a language that say nothing about what a text is about."""
    return frozenset(_FUNCTION_WORDS.get(language, "").split())


def _best(found: Counter[str], words: int) -> str:
    """Return the language with most function words, English where all have few."""
    best = max(found, key=lambda language: (found[language], language == ENGLISH), default=ENGLISH)
    return best if found[best] >= _LEAST_SHARE * max(1, words) else ENGLISH


def _are_foreign(letters: str) -> bool:
    return len(_NOT_LATIN.findall(letters)) > _FOREIGN_LETTERS * len(letters)


@cache
def _languages_by_word() -> dict[str, list[str]]:
    languages: dict[str, list[str]] = {}
    for language, words in (_FUNCTION_WORDS | _OTHERS).items():
        for word in set(words.split()):
            languages.setdefault(word, []).append(language)
    return languages
