"""Two models side by side: which facts differ, and which tokens lie elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.inspection import ModelFacts
from ragdoll.embedding.similarity import unit
from ragdoll.embedding.token_table import TokenTable, Vectors

# A token whose cosine to where it was is lower than this has moved.
_STAYED = 0.99

_NEIGHBORS = 3

# Facts about the folder, not about the model; and the remarks on them.
_ASIDE = frozenset({"path", "remarks"})

# The marks that tokenizers set before the beginning of a word.
_BEGINNINGS = "Ġ▁"


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that two models do not share; None: the model has no such fact."""

    fact: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Move:
    """How far a token moved: ``cosine`` to where it was, and how its weight changed.

    ``weight`` is the factor by which the length of its vector changed, the median token's being 1.
    ``before`` and ``after`` are its nearest tokens in each model.
    """

    token: str
    cosine: float
    weight: float
    before: list[str]
    after: list[str]


@dataclass(frozen=True, slots=True)
class Movement:
    """What became of the tokens from one model to another that has the same.

    ``before`` and ``after`` are the models' folders, ``moved`` counts the tokens with a cosine
    below 0.99, ``most`` are the words that moved most.
    """

    before: str
    after: str
    tokens: int
    moved: int
    most: list[Move]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models side by side. ``movement`` None: they do not have the same tokens."""

    differences: list[Difference]
    movement: Movement | None


def compare(first: ModelFacts, second: ModelFacts, words: int = 15) -> Comparison:
    """Tell what differs, and which ``words`` moved most between models with the same tokens.

    A distillate is always taken as the state before, in whichever order the two are named.

    Raises:
        ModelError: a model is damaged.
    """
    flat = [_flat(asdict(facts)) for facts in (first, second)]
    differences = [
        Difference(name, flat[0].get(name), flat[1].get(name))
        for name in dict.fromkeys([*flat[0], *flat[1]])
        if flat[0].get(name) != flat[1].get(name)
    ]
    if "sentence-transformer" in (first.kind, second.kind):
        return Comparison(differences, None)
    pair = (
        (second, first) if _is_distillate(second) and not _is_distillate(first) else (first, second)
    )
    before, after = (TokenTable(open_folder(facts.path)) for facts in pair)
    same = before.size == after.size and before.tokens == after.tokens
    return Comparison(differences, movement(before, after, words) if same else None)


def movement(before: TokenTable, after: TokenTable, words: int) -> Movement:
    """Find what moved, once the second space is turned onto the first.

    Training and its PCA may turn the whole space, which changes no similarity. The best rotation
    between the two is taken out first (orthogonal Procrustes, as Hamilton, Leskovec and Jurafsky,
    2016, compare the word vectors of two times).
    """
    turn = _rotation(before, after)
    cosines, growth, ids = _changes(before, after, turn)
    order = np.argsort(cosines, kind="stable")
    chosen = [place for place in order if _is_word(before.tokens[int(ids[place])])][:words]
    numbers = [int(ids[place]) for place in chosen]
    typical = float(np.median(growth)) if len(growth) else 1.0
    neighborhoods = [_names_near(table, numbers) for table in (before, after)]
    most = [
        Move(
            token=before.tokens[number],
            cosine=float(cosines[place]),
            weight=float(growth[place]) / (typical or 1.0),
            before=old,
            after=new,
        )
        for place, number, old, new in zip(chosen, numbers, *neighborhoods, strict=True)
    ]
    moved = int((cosines < _STAYED).sum())
    return Movement(str(before.path), str(after.path), len(ids), moved, most)


def _rotation(before: TokenTable, after: TokenTable) -> Vectors:
    """The orthogonal map from the first space to the second, of shape (dimension, dimension)."""
    product = np.zeros((before.dimension, after.dimension))
    for (_, old), (_, new) in zip(before.blocks(), after.blocks(), strict=True):
        product += unit(old).T @ unit(new)
    left, _, right = np.linalg.svd(product, full_matrices=False)
    turn: Vectors = (left @ right).astype(np.float32)
    return turn


def _changes(
    before: TokenTable, after: TokenTable, turn: Vectors
) -> tuple[Vectors, Vectors, npt.NDArray[np.int64]]:
    """For each token that has a direction in both: its cosine, its growth, and its id."""
    cosines, growth, ids = [], [], []
    for (numbers, old), (_, new) in zip(before.blocks(), after.blocks(), strict=True):
        lengths = np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1)
        counted = [int(number) in before.tokens for number in numbers]
        usual = [int(number) not in before.special for number in numbers]
        kept = (lengths[0] > 0) & (lengths[1] > 0) & counted & usual
        cosines.append((unit(unit(old) @ turn) * unit(new)).sum(axis=1)[kept])
        growth.append((lengths[1] / np.where(lengths[0] > 0, lengths[0], 1))[kept])
        ids.append(numbers[kept])
    return np.concatenate(cosines), np.concatenate(growth), np.concatenate(ids)


def _names_near(table: TokenTable, numbers: list[int]) -> list[list[str]]:
    if not numbers:
        return []
    found = table.nearest(table.vectors(numbers), _NEIGHBORS, [{number} for number in numbers])
    return [[table.tokens[number] for number, _ in hits] for hits in found]


def _is_word(token: str) -> bool:
    """Whether a token can be a word for the eye: letters, and no piece of a longer one."""
    bare = token.lstrip(_BEGINNINGS)
    return len(bare) > 1 and bare.isalpha()


def _is_distillate(facts: ModelFacts) -> bool:
    return (facts.provenance or {}).get("variant") == "distillate"


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The facts of nested records, each by the path of its keys."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if prefix or key not in _ASIDE:
            if isinstance(value, Mapping):
                flat |= _flat(value, f"{prefix}{key}.")
            else:
                flat[f"{prefix}{key}"] = value
    return flat
