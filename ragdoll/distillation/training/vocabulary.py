"""Terms of a corpus that become tokens of a static model: words, and pairs of words.

A term is worth a token of its own if the teacher's tokenizer splits it: its vector is then the
teacher's for the term, and no longer an average of pieces. Terms are counted as the texts stream
by, in bounded memory.

On small collections such terms do not pay: with 1,000 of them nDCG@10 falls from 0.409 to 0.404 on
Cranfield and from 0.431 to 0.416 on CISI, because a word that occurs a few times learns less than
its pieces do. So none are added by default.
"""

from __future__ import annotations

import logging
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from ragdoll.distillation.teacher.tokenizer import StaticTokenizer
from ragdoll.errors import UsageError, first_of

logger = logging.getLogger(__name__)

# Entries of a table of counts, about 150 bytes each.
_MAX_ENTRIES = 1_000_000

# A rarer word is as often an error as a term, and occurs too seldom to learn from.
_MIN_COUNT = 3

# In docstrings and abstracts, judged by eye, most pairs of a higher association are terms.
_MIN_ASSOCIATION = 0.4

# Longer runs of letters are encoded data.
_MAX_LETTERS = 40

# Terms that a note names.
_NAMED = 5

_JOINTS = frozenset({" ", "-"})

# A term neither begins nor ends with one of these words. They are English; in other languages only
# the association tells terms from chance.
_ENGLISH = """
    a about above after again against all also although always among an and another any are as at be
    because been before being below between both but by can cannot could did do does doing done
    down during each either else etc even ever every few for from further get gets give given gives
    had has have having he her here hers him his how however i if in into is it its itself just
    least less like made make makes many may me might more most much must my neither never no none
    nor not now of off often on once one only onto or other others our out over own per quite
    rather same see set she should since so some still such than that the their them then there
    therefore these they this those though through thus to together too toward two under until up
    upon us use used uses using very via was we well were what when where whereas whether which
    while who whom whose why will with within without would yet you your
"""
_STOP_WORDS = frozenset(_ENGLISH.split())

# The letters behind one are the rest of a word, as in "doesn't" and "Bayes' rule".
_APOSTROPHES = frozenset({"'", "\u2019"})


def listed_terms(file: Path, tokenizer: StaticTokenizer) -> list[str]:
    """Return the terms of a file that can be tokens of their own; say which cannot.

    Raises:
        UsageError: the file cannot be read.
    """
    listed = read_terms(file)
    terms = dict.fromkeys(tokenizer.with_terms(listed).terms)
    others = [term for term in listed if tokenizer.as_term(term) not in terms]
    if others:
        logger.warning(
            "Not added of %s, as the teacher has a token for each, or no text would have it: %s.",
            file,
            first_of(others, _NAMED),
        )
    return list(terms)


def read_terms(file: Path) -> list[str]:
    """Read a file of terms: UTF-8, a term a line; each once, in the order of the file.

    Raises:
        UsageError: the file cannot be read, or has no term.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f"The terms in {file} cannot be read: {reason}.", hint="Give another file as `terms`."
        ) from error
    terms = list(dict.fromkeys(filter(None, map(str.strip, lines))))
    if not terms:
        raise UsageError(f"{file} has no terms: it is a file with a term on each line.")
    return terms


def terms_of(texts: Iterable[str], size: int, tokenizer: StaticTokenizer) -> list[str]:
    """Return the ``size`` terms that save the most tokens, each in the form that is matched.

    A term is a word, or a pair of words joined by a space or a hyphen. The words of a pair occur
    together much more often than by chance, by their normalized pointwise mutual information. A
    term occurs at least three times, consists of several tokens, and can be added to the tokenizer.
    No text is read if ``size`` is 0. Texts are read once, one at a time; the same texts give the
    same terms in the same order.
    """
    if not size:
        return []
    counts = TermCounts()
    for text in texts:
        counts.add(tokenizer.as_matched(text))
    if counts.words.error or counts.pairs.error:
        logger.info(
            "The corpus has more words than the table of counts: counts may be too low, by %d for "
            "words and %d for pairs.",
            counts.words.error,
            counts.pairs.error,
        )
    candidates = dict(counts.candidates())
    pieces = tokenizer.pieces(list(candidates))
    saves = {term: len(ids) - 1 for term, ids in zip(candidates, pieces, strict=True) if ids[1:]}
    costs = _costs(counts, saves)
    gains = {term: candidates[term] * each - costs[term] for term, each in saves.items()}
    useful = [term for term, gain in gains.items() if gain > 0]
    ranked = iter(sorted(useful, key=lambda term: (-gains[term], term)))
    terms: list[str] = []
    while len(terms) < size and (more := list(islice(ranked, size - len(terms)))):
        terms = list(tokenizer.with_terms([*terms, *more]).terms)
    return terms


class TermCounts:
    """Words and pairs of neighbouring words, counted text by text."""

    def __init__(self) -> None:
        self.words = BoundedCounts(_MAX_ENTRIES)
        self.pairs = BoundedCounts(_MAX_ENTRIES)
        self.total = 0

    def add(self, text: str) -> None:
        """Count the words and pairs of a text; capitals make another word."""
        # Gaps and words alternate; a gap is first and last.
        parts = _word().split(text)
        gaps, words = parts[::2], parts[1::2]
        self.total += len(words)
        self.words.add(word for word in words if len(word) <= _MAX_LETTERS)
        neighbours = zip(gaps, words, gaps[1:], words[1:], gaps[2:], strict=False)
        self.pairs.add(
            f"{first}{joint}{second}"
            for before, first, joint, second, behind in neighbours
            if joint in _JOINTS
            and not _is_weak(first)
            and not (_is_stop_word(second) if joint == "-" else _is_weak(second))
            and before[-1:] not in _APOSTROPHES
            and behind[:1] not in _APOSTROPHES
        )

    def candidates(self) -> Iterator[tuple[str, int]]:
        """Yield the frequent words, and frequent pairs of associated words, with their counts."""
        for word, count in self.words.items():
            if count >= _MIN_COUNT and not _is_weak(word):
                yield word, count
        for pair, count in self.pairs.items():
            if count >= _MIN_COUNT and self.association(pair) >= _MIN_ASSOCIATION:
                yield pair, count

    def association(self, pair: str) -> float:
        """Return the normalized pointwise mutual information of a pair's words, from -1 to 1.

        Words that occur only together have 1, words that meet by chance 0 (Bouma, "Normalized
        (pointwise) mutual information in collocation extraction", 2009).
        """
        together = self.pairs[pair]
        if not together:
            return -1.0
        first, second = (max(together, self.words[word]) for word in re.split("[ -]", pair))
        if together == self.total:
            return 1.0
        information = math.log(together * self.total / (first * second))
        return information / -math.log(together / self.total)


class BoundedCounts(Counter[str]):
    """Counts of strings, in a table of at most ``limit`` entries.

    When the table is full, its rarest half is forgotten, as in the lossy counting of Manku and
    Motwani ("Approximate frequency counts over data streams", 2002). A count is never too high, and
    too low by at most ``error``; that holds for forgotten strings too, whose count is 0. While
    ``error`` is 0, the counts are exact.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.error = 0
        self._limit = limit

    def add(self, items: Iterable[str]) -> None:
        """Count items; the table may exceed its limit while they are read."""
        self.update(items)
        if len(self) > self._limit:
            self._forget()

    def _forget(self) -> None:
        counts = np.fromiter(self.values(), dtype=np.int64, count=len(self))
        place = len(counts) - self._limit // 2 - 1
        threshold = int(np.partition(counts, place)[place])
        # A forgotten string was counted at most ``threshold`` times since it was last forgotten.
        self.error += threshold
        kept = {item: count for item, count in self.items() if count > threshold}
        self.clear()
        self.update(kept)


def _costs(counts: TermCounts, saves: Mapping[str, int]) -> Counter[str]:
    """Count the tokens that each pair costs by hiding terms.

    ``saves`` maps a term to the tokens that it saves each time it occurs. Tokenizers look for the
    longest term at a place, and go on behind it even if it turns out to end within a word: "event
    loop" hides both "event" and "loops" in "event loops".
    """
    costs: Counter[str] = Counter()
    for pair, count in counts.pairs.items():
        first, joint, second = pair.partition(" ") if " " in pair else pair.partition("-")
        hidden = saves.get(first, 0) + saves.get(second, 0)
        if not hidden or pair in saves:
            continue
        shorter = [f"{first}{joint}{second[:end]}" for end in range(1, len(second))]
        if first not in saves:
            shorter += [f"{first[start:]}{joint}{second}" for start in range(1, len(first))]
        costs.update({hiding: count * hidden for hiding in shorter if hiding in saves})
    return costs


@lru_cache(maxsize=65_536)
def _is_weak(word: str) -> bool:
    """Tell whether a term must not begin with a word."""
    return _is_stop_word(word) or not any(letter.isalpha() for letter in word)


def _is_stop_word(word: str) -> bool:
    return len(word) > _MAX_LETTERS or word.lower() in _STOP_WORDS


@cache
def _word() -> re.Pattern[str]:
    r"""Return the pattern of a word by which tokenizers match added tokens: ``\w+`` of Unicode.

    It includes marks, such as the vowel signs of Indian scripts, and joiners, unlike Python's
    ``\w``.
    """
    marks = "".join(
        chr(code) for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M"
    )
    return re.compile(rf"([\w{marks}\u200c\u200d]+)")
