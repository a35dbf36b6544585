"""The tokens of words, each distinct word tokenized once.

They make the tokens of a text if the tokenizer treats the words of a text independently. That is
read from its definition (its ``tokenizer.json``); a part that is not known to treat them
independently is taken to let them interact.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ragdoll.errors import ModelError, first_line

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

# Python splits words at these too, and some tokenizers do not: BERT's normalizer removes control
# characters, and the last four before U+0020 are no whitespace to Unicode.
_UNUSUAL_SPACES = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
_SPACES = re.compile("[ \t\n\r\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

_PUNCTUATION = r"!-/:-@\[-`{-~"

# Normalizers that look at one character and the marks on it, and never at whitespace.
_DECOMPOSING = frozenset({"BertNormalizer", "Lowercase", "NFD", "NFKD", "StripAccents"})
_LOCAL = _DECOMPOSING | {"NFC", "NFKC"}

# Pre-tokenizers that end a piece at all whitespace, and others that only divide pieces further.
_AT_SPACES = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_DIVIDING = _AT_SPACES | {"Punctuation", "Digits"}

_MODELS = frozenset({"WordPiece", "WordLevel", "BPE", "Unigram"})

# Added tokens with punctuation, each looked for in every word. With more of them, words are not cut
# at punctuation.
_MAX_UNCUT = 64

# Words and characters whose tokens are remembered, give or take one call. Then the memory is
# emptied.
_MAX_WORDS = 500_000
_MAX_CHARACTERS = 16_000_000

Values = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

_Number = TypeVar("_Number", np.int32, np.int64)


@contextmanager
def tokenizer_errors() -> Iterator[None]:
    """Turn a tokenizer's failure at a text into an error of one line.

    Raises:
        ModelError: the search for tokens took too long, or the unknown token is missing. The
            library raises a mere ``Exception`` then, or a ``BaseException``.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise ModelError(
            f"The tokenizer of the model fails at a text: {first_line(error)}.",
            hint="The tokenizer is damaged; take another model.",
        ) from error


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The places where a text may be cut so that its tokens are those of its parts.

    They are at whitespace (``spaces``) and at ASCII ``punctuation``, except within the strings
    ``uncut``.
    """

    spaces: bool
    punctuation: bool
    uncut: tuple[str, ...] = ()


def boundaries(definition: dict[str, Any], normalize: Callable[[str], str]) -> Boundaries:
    """Read from the definition of a tokenizer where texts may be cut.

    ``normalize`` is the tokenizer's normalizer, as a function.
    """
    normalizers = _flat(definition.get("normalizer"), "normalizers")
    pre_tokenizers = _flat(definition.get("pre_tokenizer"), "pretokenizers")
    model = definition.get("model") or {}
    added = definition.get("added_tokens") or []
    spaces = (
        set(normalizers) <= _LOCAL
        and bool(pre_tokenizers)
        and pre_tokenizers[0] in _AT_SPACES
        and set(pre_tokenizers) <= _DIVIDING
        and model.get("type") in _MODELS
        and not model.get("dropout")
        # An added token of several words is matched only in a text that has them side by side. It
        # may be matched in the normalized text, where a Chinese character has spaces around it.
        and not any(_has_space(form) for token in added for form in _forms(token, normalize))
    )
    uncut = [token for token in added if re.search(f"[{_PUNCTUATION}]", token["content"])]
    punctuation = (
        spaces
        # A normalizer that composes makes of "=" and a mark one character, which is not ASCII.
        and set(normalizers) <= _DECOMPOSING
        and pre_tokenizers[0] == "BertPreTokenizer"
        # To an added token that must be a single word, "_" is a letter.
        and not any(token.get("single_word") for token in added)
        and not any(token.get("normalized") for token in uncut)
        and len(uncut) <= _MAX_UNCUT
    )
    return Boundaries(spaces, punctuation, tuple(token["content"] for token in uncut))


def _flat(part: dict[str, Any] | None, members: str) -> list[str]:
    """List the types in a normalizer or pre-tokenizer, those of sequences one by one."""
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [name for member in part.get(members) or [] for name in _flat(member, members)]
    return [str(part.get("type"))]


def _forms(token: dict[str, Any], normalize: Callable[[str], str]) -> list[str]:
    """List the forms in which an added token may be matched."""
    content = token["content"]
    return [content, normalize(content)] if token.get("normalized") else [content]


def _has_space(text: str) -> bool:
    return any(character.isspace() for character in text)


class Words(NamedTuple):
    """The words of texts, one text after another.

    Each of ``places`` is the place of a word among the ``distinct`` ones. The words of text ``i``
    are at ``places[offsets[i] : offsets[i + 1]]``.
    """

    distinct: pa.StringArray
    places: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]

    def sums(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Add up over the words of each text the value that each distinct word has."""
        return np.diff(np.concatenate(([0], np.cumsum(values[self.places])))[self.offsets])


def words_of(texts: list[str]) -> Words:
    """Split texts at the whitespace that is a boundary to every tokenizer."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if _has_usual_spaces("".join(texts)):
        lists = pc.utf8_split_whitespace(pa.array(texts, pa.string()))
    else:
        lists = pa.array(list(map(_SPACES.split, texts)), pa.list_(pa.string()))
    words = lists.values.dictionary_encode()
    return Words(words.dictionary, words.indices.to_numpy(), lists.offsets.to_numpy())


def _has_usual_spaces(text: str) -> bool:
    """Tell whether ``words_of`` and ``str.split`` find the same words in a text."""
    return not any(character in text for character in _UNUSUAL_SPACES)


def _pieces_pattern(uncut: tuple[str, ...]) -> re.Pattern[str]:
    """Make a pattern of the pieces in lines of one word each, and of the line ends.

    A word that contains one of ``uncut`` is one piece.
    """
    pieces = f"[^\n{_PUNCTUATION}]+|[\n{_PUNCTUATION}]"
    if uncut:
        contents = "|".join(re.escape(content) for content in uncut)
        pieces = f"^[^\n]*?(?:{contents})[^\n]*|{pieces}"
    return re.compile(pieces, re.MULTILINE)


class Ragged:
    """Rows of integers of different lengths in one array that grows."""

    def __init__(self) -> None:
        self._values: Values = np.empty(0, np.int32)
        self._offsets: Offsets = np.zeros(1, np.int64)
        self._rows = 0

    def extend(self, lengths: Offsets, values: Values) -> None:
        """Add rows of these lengths; ``values`` has their values one row after another."""
        first, last = self._rows + 1, self._rows + 1 + len(lengths)
        begin = int(self._offsets[self._rows])
        self._offsets = _with_room(self._offsets, last)
        self._offsets[first:last] = begin + np.cumsum(lengths)
        self._values = _with_room(self._values, begin + len(values))
        self._values[begin : begin + len(values)] = values
        self._rows += len(lengths)

    def lengths(self, rows: Values) -> Offsets:
        """Return the length of each of these rows."""
        lengths: Offsets = self._offsets[rows + 1] - self._offsets[rows]
        return lengths

    def take(self, rows: Values) -> tuple[Values, Offsets]:
        """Return the values of rows one row after another, and the offsets at which they begin.

        The last offset is the end.
        """
        lengths = self.lengths(rows)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        places = np.repeat(self._offsets[rows] - offsets[:-1], lengths)
        places += np.arange(len(places))
        return self._values[places], offsets


def _with_room(array: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """Return the array, or a copy of twice the size at least, so that growing costs little."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger


class WordTokens:
    """The tokens that a tokenizer makes of single words, without special tokens.

    ``boundaries`` tells whether the tokens of a text are those of its words. Threads may share one.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        from tokenizers import Tokenizer

        definition = json.loads(tokenizer.to_str())
        definition["truncation"] = definition["padding"] = None
        # A copy, for undoing the truncation would change the tokenizer for its owner.
        self._tokenizer = Tokenizer.from_str(json.dumps(definition))
        normalizer = self._tokenizer.normalizer
        self.boundaries: Boundaries = boundaries(
            definition, normalizer.normalize_str if normalizer else str
        )
        self._pattern = _pieces_pattern(())
        self._uncut_pattern = _pieces_pattern(self.boundaries.uncut)
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

        The count is None for a text with unusual whitespace, or with a word of more than
        ``longest`` characters; that word is not tokenized.
        """
        import pyarrow.compute as pc

        usual = [_has_usual_spaces(text) for text in texts]
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
        """Return the ids of words one word after another, and the offsets at which they begin.

        The last offset is the end.
        """
        with self._lock:
            rows = self._rows(words)
            return self._tokens.take(rows)

    def tokens_in(self, words: Words) -> tuple[Values, Offsets]:
        """Return the ids of texts one text after another, and the offsets at which they begin."""
        with self._lock:
            rows = self._rows(words.distinct.to_pylist())
            ids, offsets = self._tokens.take(rows[words.places])
        return ids, offsets[words.offsets]

    def _forget(self) -> None:
        self._words, self._tokens = _Numbers(), Ragged()
        self._pieces, self._piece_tokens = _Numbers(), Ragged()
        self._characters = 0
        # The end of a word is piece 0, and has no tokens.
        self._pieces["\n"] = 0
        self._piece_tokens.extend(np.zeros(1, np.int64), np.empty(0, np.int32))

    def _rows(self, words: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the row of each word in ``_tokens``; new words are tokenized first."""
        if len(self._words) > _MAX_WORDS or self._characters > _MAX_CHARACTERS:
            self._forget()
        try:
            rows = np.fromiter(map(self._words.__getitem__, words), np.int32, len(words))
            if self._words.new:
                self._tokenize(self._words.take_new())
        except BaseException:
            self._forget()  # some words have a number but no tokens
            raise
        return rows

    def _tokenize(self, words: list[str]) -> None:
        self._characters += sum(map(len, words))
        if not self.boundaries.punctuation:
            self._tokens.extend(*self._encode(words))
            return
        lines = "\n".join([*words, ""])
        if lines.count("\n") > len(words):
            # A tokenizer with boundaries at punctuation treats all whitespace alike.
            lines = "\n".join([*(word.replace("\n", " ") for word in words), ""])
        has_uncut = any(content in lines for content in self.boundaries.uncut)
        strings = (self._uncut_pattern if has_uncut else self._pattern).findall(lines)
        pieces = np.fromiter(map(self._pieces.__getitem__, strings), np.int32, len(strings))
        if self._pieces.new:
            self._piece_tokens.extend(*self._encode(self._pieces.take_new()))
        ids, offsets = self._piece_tokens.take(pieces)
        self._tokens.extend(np.diff(offsets[:-1][pieces == 0], prepend=0), ids)

    def _encode(self, texts: list[str]) -> tuple[Offsets, Values]:
        with tokenizer_errors():
            encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return lengths, np.fromiter(chain.from_iterable(ids), np.int32, int(lengths.sum()))


class _Numbers(dict[str, int]):
    """A number for each string, in the order in which they are first looked up."""

    def __init__(self) -> None:
        self.new: list[str] = []

    def __missing__(self, string: str) -> int:
        number = self[string] = len(self)
        self.new.append(string)
        return number

    def take_new(self) -> list[str]:
        """Return the strings that got a number since the last call."""
        new, self.new = self.new, []
        return new
