"""Which full-text index a table needs for its languages, and tokens as it reads them.

LanceDB splits texts of any script by the rules of Unicode and its dictionaries for Chinese,
Japanese and Thai (``icu/split``), and stems the words of one language. In other languages than
English the tokens of the model are a second index, whose scores are added: they also match parts of
compounds and inflected words that no stemmer knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.corpus.languages import ENGLISH, OTHER, languages_of, stop_words

# The share of passages in other languages from which on the tokens are indexed too. On English
# alone they cost about 0.01 nDCG@10.
_FOREIGN = 0.1

# Ids of tokens are written to the base 32, in five digits and a space.
_DIGITS = np.frombuffer(b"0123456789abcdefghijklmnopqrstuv", np.uint8)
_VALUES = np.zeros(256, np.int32)
_VALUES[_DIGITS] = np.arange(32)
_SHIFTS = np.array([20, 15, 10, 5, 0], np.int32)
TOKEN_LENGTH = len(_SHIFTS) + 1


@dataclass(frozen=True, slots=True)
class Analysis:
    """The way in which the full-text index of a table reads texts.

    ``language`` is the one whose words are stemmed and whose stop words are left out, or ``other``
    for none. ``tokens`` tells whether the tokens of the model are indexed too. ``rows`` is the
    number of rows that the table had when this was chosen by its texts, 0 if a setting says it.
    """

    language: str = ENGLISH
    tokens: bool = False
    rows: int = 0


def analysis_of(texts: Sequence[str], language: str, rows: int) -> Analysis:
    """Choose the analysis for a table of ``rows`` rows by a sample of its texts.

    ``language`` is a language, or ``auto``.
    """
    if language != "auto":
        return Analysis(language, language != ENGLISH)
    found = languages_of(texts)
    return Analysis(found.main, found.foreign >= _FOREIGN, rows)


def word_index(analysis: Analysis) -> dict[str, Any]:
    """Return LanceDB's parameters of the full-text index over words."""
    is_known = analysis.language != OTHER
    return {
        "base_tokenizer": "icu/split",
        "language": analysis.language.title() if is_known else "English",
        "stem": is_known,
        "remove_stop_words": is_known,
        # LanceDB's own list has words of all languages at once, digits, and letters alone.
        **({"custom_stop_words": stop_words(analysis.language)} if is_known else {}),
        # By default words of more than 40 characters, such as hashes, would not be found.
        "max_token_length": None,
    }


def token_index() -> dict[str, Any]:
    """Return LanceDB's parameters of the full-text index over tokens, which are numbers."""
    return {"base_tokenizer": "whitespace", "stem": False, "remove_stop_words": False}


def tokens_as_text(ids: npt.NDArray[np.int32]) -> str:
    """Write the ids of tokens as words of five characters, for the index over tokens."""
    written = np.full((len(ids), TOKEN_LENGTH), ord(" "), np.uint8)
    written[:, :-1] = _DIGITS[(ids[:, None] >> _SHIFTS) & 31]
    return written.tobytes().decode("ascii")


def tokens_of_text(text: str) -> npt.NDArray[np.int32]:
    """Return the ids that ``tokens_as_text`` wrote; texts of several passages may be joined.

    Raises:
        ValueError: another tool wrote the text.
    """
    digits = _VALUES[np.frombuffer(text.encode(), np.uint8).reshape(-1, TOKEN_LENGTH)]
    ids: npt.NDArray[np.int32] = (digits[:, :-1] << _SHIFTS).sum(axis=1, dtype=np.int32)
    return ids
