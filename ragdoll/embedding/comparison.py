"""Two models side by side: which facts differ, and which tokens lie elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.inspection import ModelFacts
from ragdoll.embedding.token_table import TokenTable

Exact = npt.NDArray[np.float64]

# A token whose cosine to where it was is lower than this has moved.
_STAYED = 0.99

_NEIGHBORS = 3

# The first fit weighs all tokens alike; two more leave hardly a trace of those that moved.
_FITS = 3
# A token off by less than this share of its length weighs no more than one that fits exactly.
_EXACT = 1e-3
# Keeps the equations solvable where a space does not fill its dimensions.
_DAMPING = 1e-9

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
    """How far a token moved from where what happened to all tokens would have taken it.

    ``shift`` is the distance, the median length of a vector being 1; ``cosine`` the cosine between
    the two, and ``weight`` the factor between their lengths, the median token's being 1.
    ``before`` and ``after`` are the words nearest to it in each model, among those that moved.
    """

    token: str
    cosine: float
    weight: float
    before: list[str]
    after: list[str]
    shift: float


@dataclass(frozen=True, slots=True)
class Movement:
    """What became of the tokens from one model to another that has the same.

    ``before`` and ``after`` are the models' folders, ``tokens`` counts those that have a direction
    in both, ``moved`` those with a cosine below 0.99 to where the map that fits all tokens takes
    them, ``most`` are the words among these that moved farthest.
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
    """Find the tokens that moved on their own, and how far.

    Training moves the space as a whole, too: a PCA turns it, and the method ``ridge`` stretches it.
    So the linear map that takes the tokens of the first model to those of the second is taken out.
    It is fitted by least squares, and again with each token weighed by the inverse of how far it
    is off, which comes to least absolute deviations (iteratively reweighted least squares, as
    Schlossmacher, 1973). Tokens that do not occur in the corpus then fit it exactly.

    The order is by the distance to where the map takes a token: since a static model's vector of a
    text is the mean of its token vectors, that is how much the training changed what the token adds
    to a text. By the angle alone common words would come first, whose vectors are short: they add
    little to a text, wherever they point.

    There must be several times as many tokens as dimensions, or some map fits whatever moved.
    """
    found = _changes(before, after, _common_map(before, after))
    names = [before.tokens[int(number)] for number in found.ids]
    shown = (found.cosines < _STAYED) & np.array([_is_word(name) for name in names], dtype=bool)
    order = np.argsort(-found.shifts, kind="stable")
    chosen = order[shown[order]][:words]
    among = np.zeros(before.size, dtype=bool)
    among[found.ids[shown]] = True
    neighborhoods = [_names_near(table, found.ids[chosen], among) for table in (before, after)]
    most = [
        Move(
            token=names[place],
            cosine=float(found.cosines[place]),
            weight=float(found.growth[place]),
            before=old,
            after=new,
            shift=float(found.shifts[place]),
        )
        for place, old, new in zip(chosen, *neighborhoods, strict=True)
    ]
    moved = int((found.cosines < _STAYED).sum())
    return Movement(str(before.path), str(after.path), len(found.ids), moved, most)


def _pairs(
    before: TokenTable, after: TokenTable
) -> Iterator[tuple[npt.NDArray[np.int64], Exact, Exact]]:
    """Ids and both vectors of the tokens that have a direction in both, some thousand at a time."""
    for (ids, old), (_, new) in zip(before.blocks(), after.blocks(), strict=True):
        with np.errstate(over="ignore"):
            lengths = np.linalg.norm(old, axis=1), np.linalg.norm(new, axis=1)
        usual = [int(n) in before.tokens and int(n) not in before.special for n in ids]
        kept = np.array(usual) & np.all([(each > 0) & (each < np.inf) for each in lengths], axis=0)
        yield ids[kept], old[kept].astype(np.float64), new[kept].astype(np.float64)


def _common_map(before: TokenTable, after: TokenTable) -> Exact:
    """The linear map that most tokens follow, of shape (first dimension, second dimension)."""
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
    """The weight of each token in the next fit, a column: less, the farther it is off."""
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    off = np.linalg.norm(new - expected, axis=1, keepdims=True)
    weights: Exact = lengths / np.maximum(off, _EXACT * lengths + np.finfo(np.float64).tiny)
    return weights


@dataclass(frozen=True, slots=True)
class _Changes:
    """What became of the tokens that have a direction in both models; one entry a token."""

    ids: npt.NDArray[np.int64]
    cosines: Exact
    shifts: Exact
    growth: Exact


def _changes(before: TokenTable, after: TokenTable, common: Exact) -> _Changes:
    ids, products, offs, lengths = [], [], [], []
    for numbers, old, new in _pairs(before, after):
        expected = old @ common
        ids.append(numbers)
        products.append((expected * new).sum(axis=1))
        offs.append(np.linalg.norm(new - expected, axis=1))
        lengths.append(np.linalg.norm([expected, new], axis=2))
    was, became = np.maximum(np.concatenate(lengths, axis=1), np.finfo(np.float64).tiny)
    return _Changes(
        ids=np.concatenate(ids),
        cosines=np.concatenate(products) / was / became,
        shifts=np.concatenate(offs) / _typical(was),
        growth=became / was / _typical(became / was),
    )


def _typical(values: Exact) -> float:
    return float(np.median(values)) if len(values) else 1.0


def _names_near(
    table: TokenTable, ids: npt.NDArray[np.int64], among: npt.NDArray[np.bool_]
) -> list[list[str]]:
    if not len(ids):
        return []
    themselves = [{int(number)} for number in ids]
    found = table.nearest(table.vectors(ids), _NEIGHBORS, themselves, among)
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
