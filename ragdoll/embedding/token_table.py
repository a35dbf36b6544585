"""The tokens of a static model with their vectors, and which of them lie nearest to a word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import ModelFolder, Tensor, open_folder, read_bytes, read_json
from ragdoll.embedding.vectors import Vectors, highest, unit
from ragdoll.embedding.words import tokenizer_errors
from ragdoll.errors import ModelError, first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Nearest = list[tuple[int, float]]

_BLOCK = 4096

# The library of tokenizers keeps a place for each id up to the highest, and ends the process when
# memory does not suffice for them.
_MAX_ID = 10_000_000
_LONG_NUMBER = re.compile(rb"[\s:]\d{8,}\s*[,}]")


class TokenTable:
    """The tokenizer of a static model, and the table of its token vectors.

    The table is mapped into memory, never loaded at once. ``size`` counts the ids with a vector.
    ``dtype`` is the type of the vectors: the table's own, or float32 for integers and bfloat16.
    ``unknown`` is the id of the token that stands for an unknown word (None: there is none).
    """

    def __init__(self, folder: ModelFolder) -> None:
        """Map the table and load the tokenizer.

        Raises:
            ModelError: the model has no table, or tokenizer and table do not fit together.
        """
        table, tokenizer = folder.static_parts()
        self.path = folder.path
        # As a plain array: the class of the map makes each access slower.
        self._table = np.asarray(table.mapped())
        self._is_bfloat16 = table.dtype == "bfloat16"
        mapping, weights = folder.tensors.get("mapping"), folder.tensors.get("weights")
        self._rows = _rows(mapping, len(self._table)) if mapping else None
        self._weights = _numbers(weights) if weights else None
        self.dimension = table.shape[1]
        is_float = self._table.dtype.kind == "f"
        self.dtype = self._table.dtype if is_float else np.dtype(np.float32)
        self.size = len(self._table if self._rows is None else self._rows)
        self.tokenizer = load_tokenizer(tokenizer)
        self.unknown = _unknown_token(self.tokenizer, tokenizer)
        self._check_sizes()

    @cached_property
    def tokens(self) -> dict[int, str]:
        """The token of each id.

        Raises:
            ModelError: a token has an id that has no vector.
        """
        tokens = {number: token for token, number in self.tokenizer.get_vocab().items()}
        if max(tokens, default=-1) >= self.size:
            raise self._id_without_vector()
        return tokens

    @cached_property
    def special(self) -> frozenset[int]:
        """The ids of the tokens that stand for no text, such as padding."""
        added = self.tokenizer.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    def ids_of(self, word: str) -> list[int]:
        """Return the ids of a word's tokens, the unknown one left out."""
        with tokenizer_errors():
            ids = self.tokenizer.encode(word, add_special_tokens=False).ids
        return [number for number in ids if number != self.unknown]

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64] | slice) -> npt.NDArray[Any]:
        """Return the vectors of tokens: shape ``(len(ids), dimension)``.

        Raises:
            ModelError: an id has no vector.
        """
        try:
            vectors = self._table[ids if self._rows is None else self._rows[ids]]
            if self._is_bfloat16:
                vectors = (vectors.astype(np.uint32) << 16).view(np.float32)
            if self._weights is not None:
                vectors = vectors * self._weights[ids][:, None]
        except IndexError as error:  # looking through all ids beforehand would take a query's time
            raise self._id_without_vector() from error
        return vectors

    def all_vectors(self) -> npt.NDArray[Any]:
        """Return the vectors of all ids up to the highest.

        Raises:
            ModelError: a token has an id that has no vector.
        """
        return self.vectors(slice(max(self.tokens, default=-1) + 1))

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Yield the ids and vectors of all tokens, a few thousand at a time."""
        for start in range(0, self.size, _BLOCK):
            ids = np.arange(start, min(start + _BLOCK, self.size))
            yield ids, self.vectors(ids).astype(np.float32, copy=False)

    def nearest(
        self,
        vectors: Vectors,
        k: int,
        excluded: Sequence[Collection[int]],
        among: npt.NDArray[np.bool_] | None = None,
    ) -> list[Nearest]:
        """Find for each vector the ``k`` tokens of the highest cosine, the best first.

        ``excluded`` has for each vector the ids that do not count for it; special tokens never
        count. ``among`` tells of each id whether it counts at all (None: all do).
        """
        directions = unit(vectors)
        best: list[Nearest] = [[] for _ in directions]
        for block, others in self.blocks():
            counted = slice(None) if among is None else among[block]
            ids, cosines = block[counted], directions @ unit(others[counted]).T
            for number, row in enumerate(cosines):
                keep = k + len(excluded[number]) + len(self.special)
                hits = [
                    (int(ids[place]), float(row[place]))
                    for place in highest(row, keep)
                    if int(ids[place]) not in excluded[number]
                    and int(ids[place]) not in self.special
                    and int(ids[place]) in self.tokens
                ]
                best[number] = sorted([*best[number], *hits], key=lambda hit: -hit[1])[:k]
        return best

    def _check_sizes(self) -> None:
        tokens = self.tokenizer.get_vocab_size()
        # A mapping and weights may go on beyond the tokens; a table without a mapping must not.
        if self._rows is None and self.size != tokens:
            raise ModelError(f"{self.path} has {self.size} vectors for {tokens} tokens.")
        for name, numbers in (("rows", self._rows), ("weights", self._weights)):
            if numbers is not None and len(numbers) < tokens:
                raise ModelError(f"{self.path} has {len(numbers)} {name} for {tokens} tokens.")

    def _id_without_vector(self) -> ModelError:
        return ModelError(
            f"{self.path} has a token with an id beyond the {self.size} vectors of its table."
        )


def _numbers(tensor: Tensor) -> npt.NDArray[Any]:
    """Map a tensor that has one number for each id."""
    if len(tensor.shape) != 1:
        raise ModelError(f"{tensor.file}: the tensor '{tensor.name}' has the shape {tensor.shape}.")
    return np.asarray(tensor.mapped())


def _rows(mapping: Tensor, rows: int) -> npt.NDArray[np.integer[Any]]:
    """Map a tensor that has the row of each id in a table of ``rows`` rows."""
    numbers = _numbers(mapping)
    if numbers.dtype.kind != "i" or numbers.min() < 0 or numbers.max() >= rows:
        raise ModelError(f"{mapping.file}: its mapping names rows that the table lacks.")
    return numbers


def load_tokenizer(file: Path) -> Tokenizer:
    """Load a tokenizer, without truncation and padding.

    Raises:
        ModelError: the file holds no tokenizer, or one with an id above ten million.
    """
    from tokenizers import Tokenizer

    content = read_bytes(file)
    # Most files need no second look, which would take longer than loading them.
    if _LONG_NUMBER.search(content) and _highest_id(read_json(file)) > _MAX_ID:
        raise ModelError(f"{file} has a token with an id above {_MAX_ID:,}.")
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises no narrower one
        raise ModelError(f"{file} is no tokenizer: {first_line(error)}.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _highest_id(definition: dict[str, Any]) -> int:
    model, added = definition.get("model"), definition.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids = [*vocabulary.values()] if isinstance(vocabulary, dict) else []
    ids += [
        token.get("id")
        for token in (added if isinstance(added, list) else [])
        if isinstance(token, dict)
    ]
    return max((number for number in ids if isinstance(number, int)), default=0)


def _unknown_token(tokenizer: Any, file: Path) -> int | None:
    if hasattr(tokenizer.model, "unk_token"):
        token = tokenizer.model.unk_token
        number: int | None = None if token is None else tokenizer.token_to_id(token)
        return number
    # The object of a Unigram model does not have it.
    unknown = read_json(file)["model"].get("unk_id")
    return unknown if isinstance(unknown, int) else None


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The nearest tokens of a word by cosine, the best first; its own ``tokens`` are left out."""

    word: str
    tokens: tuple[str, ...]
    nearest: tuple[tuple[str, float], ...]


def neighbors(path: Path, word: str, k: int = 10) -> Neighbors:
    """Compare a word, embedded as the model embeds it, with every token of the model.

    Raises:
        ModelError: the folder holds no static model, or the model knows no part of the word.
    """
    table = TokenTable(open_folder(path))
    ids = table.ids_of(word)
    if not ids:
        raise ModelError(
            f"{path} has no token for '{word}'.", hint="Give a word in the model's language."
        )
    vector = table.vectors(ids).astype(np.float32).mean(axis=0, keepdims=True)
    (nearest,) = table.nearest(vector, k, [set(ids)])
    return Neighbors(
        word=word,
        tokens=tuple(table.tokens[number] for number in ids),
        nearest=tuple((table.tokens[number], cosine) for number, cosine in nearest),
    )
