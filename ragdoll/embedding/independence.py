"""Where a text may be cut so that its tokens are those of its parts, one after another.

Told from the definition of a tokenizer alone (its ``tokenizer.json``). Whatever is not known to
treat the parts independently is taken to let them interact; then nothing is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

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
