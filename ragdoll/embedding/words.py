"""The tokens of words, of which each distinct one is tokenized once."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.independence import (
    Boundaries,
    boundaries,
    has_usual_spaces,
    pieces_pattern,
    words_of,
)
from ragdoll.embedding.ragged import Offsets, Ragged, Values
from ragdoll.embedding.tokenizer_file import failures_told

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Remembered at most, give or take one call; beyond this the cache starts anew.
_MAX_WORDS = 500_000
_MAX_CHARACTERS = 16_000_000


class WordTokens:
    """The tokens that a tokenizer makes of single words, special tokens left out.

    ``boundaries`` says whether the tokens of a text are those of its words. Threads may share one.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        from tokenizers import Tokenizer

        definition = json.loads(tokenizer.to_str())
        definition["truncation"] = definition["padding"] = None
        # Through its serialisation: copying is the only way to undo truncation without a trace.
        self._tokenizer = Tokenizer.from_str(json.dumps(definition))
        normalizer = self._tokenizer.normalizer
        self.boundaries: Boundaries = boundaries(
            definition, normalizer.normalize_str if normalizer else str
        )
        self._pattern = pieces_pattern(())
        self._whole_pattern = pieces_pattern(self.boundaries.whole)
        self._lock = threading.Lock()
        self._forget()

    def count(self, words: Sequence[str]) -> list[int]:
        """Count the tokens of each word."""
        with self._lock:
            rows = self._rows(words)
            counts: list[int] = self._tokens.lengths(rows).tolist()
        return counts

    def count_in(self, texts: Sequence[str], longest: int) -> list[int | None]:
        """Count the tokens of the words of each text, all texts at once.

        None for a text whose words are not easily told apart, or of which one has more than
        ``longest`` characters; those words are not tokenized.
        """
        import pyarrow.compute as pc

        usual = [has_usual_spaces(text) for text in texts]
        words = words_of([text if good else "" for text, good in zip(texts, usual, strict=True)])
        is_long = np.asarray(pc.greater(pc.utf8_length(words.distinct), longest))
        distinct = words.distinct.to_pylist()
        counts = np.zeros(len(distinct), np.int64)
        counts[~is_long] = self.count(
            [w for w, long in zip(distinct, is_long, strict=True) if not long]
        )
        known = np.array(usual, np.bool_) & (words.sums(is_long) == 0)
        totals = words.sums(counts)
        return [int(n) if good else None for n, good in zip(totals, known, strict=True)]

    def tokens(self, words: Sequence[str]) -> tuple[Values, Offsets]:
        """The ids of words one after another, and where each word begins; the end is last."""
        with self._lock:
            rows = self._rows(words)
            return self._tokens.take(rows)

    def _forget(self) -> None:
        self._words, self._tokens = _Numbers(), Ragged()
        self._pieces, self._piece_tokens = _Numbers(), Ragged()
        self._characters = 0
        # The end of a word is the first piece, and has no tokens.
        self._pieces["\n"] = 0
        self._piece_tokens.extend(np.zeros(1, np.int64), np.empty(0, np.int32))

    def _rows(self, words: Sequence[str]) -> npt.NDArray[np.int32]:
        """The rows of ``_tokens`` that words have, the unknown ones tokenized first."""
        if len(self._words) > _MAX_WORDS or self._characters > _MAX_CHARACTERS:
            self._forget()
        try:
            rows = np.fromiter(map(self._words.__getitem__, words), np.int32, len(words))
            if self._words.new:
                self._tokenize(self._words.take_new())
        except BaseException:
            self._forget()  # some words have a number and no tokens
            raise
        return rows

    def _tokenize(self, words: list[str]) -> None:
        self._characters += sum(map(len, words))
        if not self.boundaries.punctuation:
            self._tokens.extend(*self._encode(words))
            return
        lines = "\n".join([*words, ""])
        if lines.count("\n") > len(words):
            # Whitespace like any other to a tokenizer that is cut for here.
            lines = "\n".join([*(word.replace("\n", " ") for word in words), ""])
        whole = any(content in lines for content in self.boundaries.whole)
        found = (self._whole_pattern if whole else self._pattern).findall(lines)
        pieces = np.fromiter(map(self._pieces.__getitem__, found), np.int32, len(found))
        if self._pieces.new:
            self._piece_tokens.extend(*self._encode(self._pieces.take_new()))
        ids, offsets = self._piece_tokens.take(pieces)
        self._tokens.extend(np.diff(offsets[:-1][pieces == 0], prepend=0), ids)

    def _encode(self, texts: list[str]) -> tuple[Offsets, Values]:
        with failures_told():
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return lengths, np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))


class _Numbers(dict[str, int]):
    """Strings by number, in the order in which they are first asked for."""

    def __init__(self) -> None:
        self.new: list[str] = []

    def __missing__(self, string: str) -> int:
        number = self[string] = len(self)
        self.new.append(string)
        return number

    def take_new(self) -> list[str]:
        """The strings that got a number since the last call."""
        new, self.new = self.new, []
        return new
