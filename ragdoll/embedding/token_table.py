"""The token vectors of a static model, read from its file block by block.

Which tokens of a model lie nearest to a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import (
    ModelFolder,
    failures_told,
    load_tokenizer,
    mapped,
    mapped_places,
    mapped_row,
    open_folder,
    read_json,
    widened,
)
from ragdoll.embedding.vectors import Vectors, unit
from ragdoll.errors import ModelError, first_line

Nearest = list[tuple[int, float]]

_BLOCK = 4096


class TokenTable:
    """The tokens of a static model and their vectors; the file is mapped, never loaded whole.

    ``size`` counts the ids that have a vector, ``tokens`` maps an id to its token, ``special`` has
    the ids of those that stand for no text (padding, unknown …).
    """

    def __init__(self, folder: ModelFolder) -> None:
        """Read the tokenizer and map the table.

        Raises:
            ModelError: the model has no table, or tokenizer and table do not fit together.
        """
        if folder.embedding is None or folder.tokenizer is None:
            raise ModelError(
                f"{folder.path} is a full sentence-transformer: it has no table of token vectors.",
                hint="Name a static model, such as one that ragdoll train writes.",
            )
        self.path = folder.path
        self.dimension = folder.embedding.shape[1]
        file = folder.weights[0]
        self._vectors = mapped(file, folder.embedding)
        self._is_bfloat16 = folder.embedding.dtype == "bfloat16"
        self._rows = mapped_places(file, folder.tensors.get("mapping"), len(self._vectors))
        self._weights = mapped_row(file, folder.tensors.get("weights"))
        self._tokenizer, settings = _tokenizer(folder.tokenizer)
        self.tokens: dict[int, str] = {
            number: token for token, number in self._tokenizer.get_vocab().items()
        }
        self.size = len(self._vectors) if self._rows is None else len(self._rows)
        self._check()
        self.special = _special(settings)
        unknown = settings["model"].get("unk_token")
        self._unknown = self._tokenizer.token_to_id(unknown) if isinstance(unknown, str) else None

    def ids_of(self, word: str) -> list[int]:
        """The tokens that a word has for this model; empty where it knows none of them."""
        with failures_told():
            ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        return [number for number in ids if number != self._unknown]

    def vectors(self, ids: Sequence[int] | npt.NDArray[np.int64]) -> Vectors:
        """The vectors of some tokens: float32, shape ``(len(ids), dimension)``."""
        places = np.asarray(ids, dtype=np.int64)
        found = self._float(self._vectors[places if self._rows is None else self._rows[places]])
        if self._weights is not None:
            found = found * self._weights[places].astype(np.float32)[:, None]
        return found

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Every token's id and vector, some thousand at a time."""
        for start in range(0, self.size, _BLOCK):
            ids = np.arange(start, min(start + _BLOCK, self.size))
            yield ids, self.vectors(ids)

    def nearest(
        self,
        wanted: Vectors,
        k: int,
        leave_out: Sequence[Collection[int]],
        among: npt.NDArray[np.bool_] | None = None,
    ) -> list[Nearest]:
        """For each vector the ``k`` tokens of the highest cosine, the best first.

        ``leave_out`` has for each the ids that do not count; special tokens never do. ``among``
        says of each id whether it counts for any (None: all do).
        """
        wanted = unit(wanted)
        best: list[Nearest] = [[] for _ in wanted]
        for block, vectors in self.blocks():
            counted = slice(None) if among is None else among[block]
            ids, cosines = block[counted], wanted @ unit(vectors[counted]).T
            for number, row in enumerate(cosines):
                keep = k + len(leave_out[number]) + len(self.special)
                top = np.argpartition(-row, keep)[:keep] if keep < len(row) else np.arange(len(row))
                found = [
                    (int(ids[place]), float(row[place]))
                    for place in top
                    if int(ids[place]) not in leave_out[number]
                    and int(ids[place]) not in self.special
                    and int(ids[place]) in self.tokens
                ]
                best[number] = sorted([*best[number], *found], key=lambda hit: -hit[1])[:k]
        return best

    def _check(self) -> None:
        highest = max(self.tokens, default=-1)
        if highest >= self.size:
            raise ModelError(
                f"{self.path}: the tokenizer has tokens up to {highest}, the table {self.size}."
            )
        if self._weights is not None and len(self._weights) < self.size:
            raise ModelError(
                f"{self.path} has {len(self._weights)} weights for {self.size} tokens."
            )

    def _float(self, block: npt.NDArray[Any]) -> Vectors:
        if self._is_bfloat16:
            return widened(block)
        return block.astype(np.float32)


def _tokenizer(file: Path) -> tuple[Any, dict[str, Any]]:
    """The tokenizer without truncation, and its settings."""
    settings = read_json(file)
    try:
        tokenizer = load_tokenizer(file)
    except ModelError:
        raise
    except Exception as error:  # it raises bare exceptions
        raise ModelError(f"{file} is no tokenizer: {first_line(error)}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, settings


def _special(settings: dict[str, Any]) -> frozenset[int]:
    """The ids of the special tokens; the settings were read by the tokenizer: their types fit."""
    added = settings.get("added_tokens") or []
    return frozenset(token["id"] for token in added if token.get("special"))


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
    vector = table.vectors(ids).mean(axis=0, keepdims=True)
    (found,) = table.nearest(vector, k, [set(ids)])
    return Neighbors(
        word=word,
        tokens=tuple(table.tokens[number] for number in ids),
        nearest=tuple((table.tokens[number], cosine) for number, cosine in found),
    )
