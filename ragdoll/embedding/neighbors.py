"""Which tokens of a model lie nearest to a word."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.token_table import TokenTable
from ragdoll.errors import ModelError


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
