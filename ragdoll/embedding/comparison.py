"""Two models side by side: the facts that differ, and the tokens that moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.inspection import ModelFacts
from ragdoll.embedding.token_table import TokenTable
from ragdoll.embedding.vectors import Vectors

Exact = npt.NDArray[np.float64]

# A token has moved if the cosine to its expected place is lower than this.
_STAYED = 0.99

_NEIGHBORS = 3

# The first fit weighs all tokens alike; after two more, those that moved hardly count.
_FITS = 3
# A token weighs no more for being off by less than this share of its length.
_EXACT = 1e-3
# Keeps the equations solvable if the vectors do not fill their dimensions.
_DAMPING = 1e-9

# Facts that are not compared: they are about the folder, not about the model.
_ASIDE = frozenset({"path", "remarks"})

# The marks that tokenizers set before the beginning of a word.
_BEGINNINGS = "Ġ▁"


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that differs between two models; None stands for a model that does not have it."""

    fact: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class Move:
    """The move of a token away from its expected place.

    That is the place to which the map that is common to all tokens takes it. ``shift`` is the
    distance from there, in median lengths of a vector. ``cosine`` is the cosine between the
    expected and the new vector, ``weight`` the ratio of their lengths over the median token's.
    ``before`` and ``after`` are the nearest words in each model, among those that moved.
    """

    token: str
    cosine: float
    weight: float
    before: list[str]
    after: list[str]
    shift: float


@dataclass(frozen=True, slots=True)
class Movement:
    """The moves of the tokens from one model to another that has the same tokens.

    ``before`` and ``after`` are the models' folders. ``tokens`` counts the tokens with a direction
    in both, ``moved`` those with a cosine below 0.99 to their expected place. ``most`` has the
    words among these that moved farthest.
    """

    before: str
    after: str
    tokens: int
    moved: int
    most: list[Move]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing two models; ``movement`` is None if their tokens differ."""

    differences: list[Difference]
    movement: Movement | None


def compare(first: ModelFacts, second: ModelFacts, words: int = 15) -> Comparison:
    """Compare the facts about two models, and the vectors of their tokens if both have the same.

    ``words`` is the largest number of moved words to list. A distillate is always taken as the
    state before, in whichever order the two are named.

    Raises:
        ModelError: a model is damaged.
    """
    one, other = _flat(asdict(first)), _flat(asdict(second))
    differences = [
        Difference(name, one.get(name), other.get(name))
        for name in one | other
        if name not in _ASIDE and one.get(name) != other.get(name)
    ]
    if "sentence-transformer" in (first.kind, second.kind):
        return Comparison(differences, None)
    # The sort is stable: two models of one sort stay in their order.
    pair = sorted((first, second), key=_is_distillate, reverse=True)
    before, after = (TokenTable(open_folder(facts.path)) for facts in pair)
    same = before.size == after.size and before.tokens == after.tokens
    return Comparison(differences, movement(before, after, words) if same else None)


def movement(before: TokenTable, after: TokenTable, words: int) -> Movement:
    """Find the tokens that moved on their own, and how far.

    Training also moves the space as a whole: a PCA turns it, and the method ``ridge`` stretches it.
    So the linear map that takes the tokens of the first model to those of the second is taken out.
    It is fitted by least squares, and again with each token weighed by the inverse of its distance,
    which comes to least absolute deviations (iteratively reweighted least squares; Schlossmacher,
    1973). Tokens that do not occur in the corpus then fit it exactly.

    Words are ordered by their distance. A static model's vector of a text is the mean of its token
    vectors, so the distance is the change in what the token adds to a text. Ordered by the angle
    alone, common words would come first: their vectors are short, and add little to any text.

    There must be several times as many tokens as dimensions, or a map fits those that moved, too.
    """
    changes = _changes(before, after, _common_map(before, after))
    names = [before.tokens[int(number)] for number in changes.ids]
    moved = changes.cosines < _STAYED
    words_moved = moved & np.array([_is_word(name) for name in names], dtype=bool)
    order = np.argsort(-changes.shifts, kind="stable")
    farthest = order[words_moved[order]][:words]
    among = np.zeros(before.size, dtype=bool)
    among[changes.ids[words_moved]] = True
    neighborhoods = [_names_near(table, changes.ids[farthest], among) for table in (before, after)]
    most = [
        Move(
            token=names[place],
            cosine=float(changes.cosines[place]),
            weight=float(changes.growth[place]),
            before=old,
            after=new,
            shift=float(changes.shifts[place]),
        )
        for place, old, new in zip(farthest, *neighborhoods, strict=True)
    ]
    return Movement(str(before.path), str(after.path), len(names), int(moved.sum()), most)


def _pairs(
    before: TokenTable, after: TokenTable
) -> Iterator[tuple[npt.NDArray[np.int64], Exact, Exact]]:
    """Yield the ids and both vectors of the tokens with a direction in both models, in blocks."""
    for (ids, old), (_, new) in zip(before.blocks(), after.blocks(), strict=True):
        ordinary = [int(n) in before.tokens and int(n) not in before.special for n in ids]
        kept = np.array(ordinary) & _has_direction(old) & _has_direction(new)
        yield ids[kept], old[kept].astype(np.float64), new[kept].astype(np.float64)


def _has_direction(vectors: Vectors) -> npt.NDArray[np.bool_]:
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    has_direction: npt.NDArray[np.bool_] = (lengths > 0) & (lengths < np.inf)
    return has_direction


def _common_map(before: TokenTable, after: TokenTable) -> Exact:
    """Fit the linear map that most tokens follow: shape ``(first, second dimension)``."""
    fitted = np.zeros((before.dimension, after.dimension))
    for fit in range(_FITS):
        products = np.zeros((before.dimension, before.dimension))
        crossed = np.zeros((before.dimension, after.dimension))
        for _, old, new in _pairs(before, after):
            weighed = old * _fit_weights(old @ fitted, new) if fit else old
            products += weighed.T @ old
            crossed += weighed.T @ new
        damping = _DAMPING * np.trace(products) / len(products) + np.finfo(np.float64).tiny
        products[np.diag_indices_from(products)] += damping
        fitted = np.asarray(np.linalg.solve(products, crossed), dtype=np.float64)
    return fitted


def _fit_weights(expected: Exact, new: Exact) -> Exact:
    """Weigh each token for the next fit, the less the farther it is off: shape ``(tokens, 1)``."""
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    off = np.linalg.norm(new - expected, axis=1, keepdims=True)
    weights: Exact = lengths / np.maximum(off, _EXACT * lengths + np.finfo(np.float64).tiny)
    return weights


@dataclass(frozen=True, slots=True)
class _Changes:
    """The changes of the tokens that have a direction in both models, one entry a token."""

    ids: npt.NDArray[np.int64]
    cosines: Exact
    shifts: Exact
    growth: Exact


def _changes(before: TokenTable, after: TokenTable, common: Exact) -> _Changes:
    blocks = []
    for numbers, old, new in _pairs(before, after):
        expected = old @ common
        lengths = (np.linalg.norm(each, axis=1) for each in (new - expected, expected, new))
        blocks.append((numbers, (expected * new).sum(axis=1), *lengths))
    ids, products, offs, *both = map(np.concatenate, zip(*blocks, strict=True))
    was, became = np.maximum(both, np.finfo(np.float64).tiny)
    return _Changes(
        ids=ids,
        cosines=products / was / became,
        shifts=offs / _typical(was),
        growth=became / was / _typical(became / was),
    )


def _typical(values: Exact) -> float:
    return float(np.median(values)) if len(values) else 1.0


def _names_near(
    table: TokenTable, ids: npt.NDArray[np.int64], among: npt.NDArray[np.bool_]
) -> list[list[str]]:
    themselves = [{int(number)} for number in ids]
    vectors = table.vectors(ids).astype(np.float32)
    nearest = table.nearest(vectors, _NEIGHBORS, themselves, among)
    return [[table.tokens[number] for number, _ in hits] for hits in nearest]


def _is_word(token: str) -> bool:
    """Tell whether a token looks like a word: letters only, and not a piece of a longer word."""
    bare = token.lstrip(_BEGINNINGS)
    return len(bare) > 1 and bare.isalpha()


def _is_distillate(facts: ModelFacts) -> bool:
    return (facts.provenance or {}).get("variant") == "distillate"


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten nested records: each fact by the path of its keys."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{path}": fact for path, fact in _flat(value).items()}
        else:
            flat[key] = value
    return flat
