"""Where a text may be cut so that its tokens are those of its parts, one after another.

Told from the definition of a tokenizer alone (its ``tokenizer.json``). Whatever is not known to
treat the parts independently is taken to let them interact; then nothing is cut.

Rows of integers of different lengths in one array, which grows.

The tokens of words, of which each distinct one is tokenized once.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import failures_told

if TYPE_CHECKING:
    import pyarrow as pa
    from tokenizers import Tokenizer

# Whitespace to Python of which a tokenizer may make something else: BERT's normalizer removes
# control characters, and the last four before U+0020 are no whitespace to Unicode.
_UNSURE = "\x0b\x0c\x1c\x1d\x1e\x1f\x85"
_SPACES = re.compile("[ \t\n\r\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")

_PUNCTUATION = r"!-/:-@\[-`{-~"

# Normalizers that look at a character and the marks on it only, and never at whitespace.
_DECOMPOSING = frozenset({"BertNormalizer", "Lowercase", "NFD", "NFKD", "StripAccents"})
_LOCAL = _DECOMPOSING | {"NFC", "NFKC"}

# Pre-tokenizers that end a piece at all whitespace, and those that only divide pieces further.
_AT_SPACES = frozenset({"BertPreTokenizer", "Whitespace", "WhitespaceSplit"})
_DIVIDING = _AT_SPACES | {"Punctuation", "Digits"}

_MODELS = frozenset({"WordPiece", "WordLevel", "BPE", "Unigram"})

# Added tokens that are looked for in every word; with more of them words are not cut.
_MAX_WHOLE = 64


@dataclass(frozen=True, slots=True)
class Boundaries:
    """Where a tokenizer lets a text be cut: at whitespace, and at ASCII punctuation too.

    ``whole`` are character sequences that punctuation must not be cut out of.
    """

    spaces: bool
    punctuation: bool
    whole: tuple[str, ...] = ()


def boundaries(definition: dict[str, Any], normalize: Callable[[str], str]) -> Boundaries:
    """Read from the definition of a tokenizer where texts may be cut for it.

    ``normalize`` is what the tokenizer does to a text first.
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
        # A token of several words is found only in a text that has them side by side. It may be
        # looked for in the normalized text, where a Chinese character has spaces around it.
        and not any(_has_space(form) for token in added for form in _forms(token, normalize))
    )
    whole = [token for token in added if re.search(f"[{_PUNCTUATION}]", token["content"])]
    punctuation = (
        spaces
        # Composing, "=" and a mark on it become one character that is no ASCII punctuation.
        and set(normalizers) <= _DECOMPOSING
        and pre_tokenizers[0] == "BertPreTokenizer"
        # "_" is a letter where an added token asks for a single word.
        and not any(token.get("single_word") for token in added)
        and not any(token.get("normalized") for token in whole)
        and len(whole) <= _MAX_WHOLE
    )
    return Boundaries(spaces, punctuation, tuple(token["content"] for token in whole))


class Words(NamedTuple):
    """The words of texts, one after another: each is at its place among the ``distinct`` ones.

    Those of a text begin at its offset; the end is the last offset.
    """

    distinct: pa.StringArray
    places: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]

    def sums(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Add up what each distinct word has, over the words of each text."""
        return np.diff(np.concatenate(([0], np.cumsum(values[self.places])))[self.offsets])


def words_of(texts: list[str]) -> Words:
    """Take texts apart at whitespace that is a boundary to every tokenizer."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if has_usual_spaces("".join(texts)):
        found = pc.utf8_split_whitespace(pa.array(texts, pa.string()))
    else:
        found = pa.array(list(map(_SPACES.split, texts)), pa.list_(pa.string()))
    words = found.values.dictionary_encode()
    return Words(words.dictionary, words.indices.to_numpy(), found.offsets.to_numpy())


def has_usual_spaces(text: str) -> bool:
    """Whether ``words_of`` and ``str.split`` find the same words in a text."""
    return not any(character in text for character in _UNSURE)


def pieces_pattern(whole: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern of the pieces in lines of a word each, and of the line ends.

    A word that contains one of ``whole`` is one piece.
    """
    pieces = f"[^\n{_PUNCTUATION}]+|[\n{_PUNCTUATION}]"
    if whole:
        contents = "|".join(re.escape(content) for content in whole)
        pieces = f"^[^\n]*?(?:{contents})[^\n]*|{pieces}"
    return re.compile(pieces, re.MULTILINE)


def _flat(part: dict[str, Any] | None, members: str) -> list[str]:
    """The types in a normalizer or pre-tokenizer, sequences resolved."""
    if part is None:
        return []
    if part.get("type") == "Sequence":
        return [name for member in part.get(members) or [] for name in _flat(member, members)]
    return [str(part.get("type"))]


def _forms(token: dict[str, Any], normalize: Callable[[str], str]) -> list[str]:
    """The forms of an added token that may be looked for."""
    content = token["content"]
    return [content, normalize(content)] if token.get("normalized") else [content]


def _has_space(text: str) -> bool:
    return any(character.isspace() for character in text)


Values = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

_Number = TypeVar("_Number", np.int32, np.int64)


class Ragged:
    """Rows of integers, known by their places in the order in which they were added."""

    def __init__(self) -> None:
        self._values: Values = np.empty(0, np.int32)
        self._offsets: Offsets = np.zeros(1, np.int64)
        self._rows = 0

    def extend(self, lengths: Offsets, values: Values) -> None:
        """Add rows of these lengths, whose values follow one another."""
        first, last = self._rows + 1, self._rows + 1 + len(lengths)
        begin = int(self._offsets[self._rows])
        self._offsets = _with_room(self._offsets, last)
        self._offsets[first:last] = begin + np.cumsum(lengths)
        self._values = _with_room(self._values, begin + len(values))
        self._values[begin : begin + len(values)] = values
        self._rows += len(lengths)

    def lengths(self, rows: Values) -> Offsets:
        """The lengths of some rows."""
        lengths: Offsets = self._offsets[rows + 1] - self._offsets[rows]
        return lengths

    def take(self, rows: Values) -> tuple[Values, Offsets]:
        """The values of some rows one after another, and where each row begins; the end is last."""
        lengths = self.lengths(rows)
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        places = np.repeat(self._offsets[rows] - offsets[:-1], lengths)
        places += np.arange(len(places))
        return self._values[places], offsets


def _with_room(array: npt.NDArray[_Number], size: int) -> npt.NDArray[_Number]:
    """The array or a larger copy of it, by twice at least, so that growing costs little."""
    if size <= len(array):
        return array
    larger = np.empty(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger


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
