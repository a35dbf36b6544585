"""The weight of the vector in a hybrid search, chosen for a table without labels.

A hybrid search has two legs, by vector and by words, and which one to trust depends on the texts
and on the model. Both legs are tested on known items: pieces are taken out of some passages, and
each leg looks for the passage by its piece. Weights are proportional to the square of a leg's mean
reciprocal rank. Wu, Bi, Zeng and Han found such powers of performance to serve a linear combination
best, "Assigning appropriate weights for the linear combination data fusion method in information
retrieval" (2009).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ragdoll.corpus.pieces import choose, shared_pieces
from ragdoll.embedding.identity import Metric
from ragdoll.embedding.vectors import Vectors, similarity
from ragdoll.retrieval.reading.fusion import CANDIDATES
from ragdoll.retrieval.storage.schema import DEFAULT_ALPHA, HybridWeight, TableState
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing.rows import text_table

Encode = Callable[[Sequence[str]], Vectors]

# Passages that are searched, and pieces that are searched for. With these the choice takes about a
# second, and other samples of a table lead to weights that differ by a few hundredths.
_PASSAGES = 1000
_QUESTIONS = 200

# Fewer pieces than this decide nothing. To any larger number of pieces, imagined ones are added,
# which speak for the default.
_LEAST_QUESTIONS = 30
_IMAGINED = 20

_POWER = 2

# A model that was trained on the passages has seen their pieces too. It finds a passage more easily
# by its piece than by the question of a person. So only beyond this ratio does the vector count as
# the better leg. On three labelled collections the ratio was up to 1.5 where neither leg deserved
# more than the other. Going by the ranks alone would cost 0.010 to 0.024 nDCG@10 on NPL.
_FAMILIARITY = 2.0

# A table is weighed anew when it has this many times the rows.
_MOST_GROWTH = 2

_SEED = 0


def sample_places(count: int) -> list[int]:
    """Draw the passages, out of ``count``, that a weight is chosen by; return ascending places."""
    if count <= _PASSAGES:
        return list(range(count))
    return sorted(random.Random(_SEED).sample(range(count), _PASSAGES))  # noqa: S311


def choose_weight(texts: Sequence[str], encode: Encode, metric: Metric) -> HybridWeight:
    """Choose a weight by texts; the same texts in any order have the same one."""
    passages, questions = _known_items(sorted(set(texts)))
    if len(questions) < _LEAST_QUESTIONS:
        return HybridWeight(questions=len(questions))
    vector = round(_mean_by_vector(passages, questions, encode, metric), 4)
    text = round(_mean_by_text(passages, questions), 4)
    return HybridWeight(weight_of(vector, text, len(questions)), len(questions), vector, text)


def weight_of(vector: float, text: float, questions: int) -> float:
    """Return the weight of the vector, to two decimals.

    ``vector`` and ``text`` are the mean reciprocal ranks of both legs on ``questions`` questions.
    """
    if vector > text:
        vector = max(text, vector / _FAMILIARITY)
    total = vector**_POWER + text**_POWER
    chosen = vector**_POWER / total if total else DEFAULT_ALPHA
    trust = questions / (questions + _IMAGINED)
    return round(DEFAULT_ALPHA + trust * (chosen - DEFAULT_ALPHA), 2)


def weigh(table: Table, state: TableState, encode: Encode) -> HybridWeight:
    """Return the weight of a table, chosen anew if it has none or if the table has doubled."""
    rows = table.count()
    if state.weight is not None and rows < _MOST_GROWTH * state.weight.rows:
        return state.weight
    texts = table.texts_at(sample_places(rows))
    return replace(choose_weight(texts, encode, table.identity.metric), rows=rows)


def _known_items(texts: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Take pieces out of some passages; return all passages and the pieces, by the same names."""
    shared = shared_pieces((text, "") for text in texts)
    passages = {str(number): text for number, text in enumerate(texts)}
    questions: dict[str, str] = {}
    draw = random.Random(_SEED)  # noqa: S311
    for name in draw.sample(list(passages), len(passages)):
        if len(questions) == _QUESTIONS:
            break
        piece = choose(passages[name], "", shared, draw)
        if piece is not None:
            questions[name] = piece.text
            passages[name] = passages[name].replace(piece.text, " ")
    return passages, questions


def _mean_by_vector(
    passages: Mapping[str, str], questions: Mapping[str, str], encode: Encode, metric: Metric
) -> float:
    scores = similarity(encode(list(questions.values())), encode(list(passages.values())), metric)
    places = {name: place for place, name in enumerate(passages)}
    own = scores[np.arange(len(questions)), [places[name] for name in questions]]
    # A tie counts against the passage: a model that gives all passages the same vector finds none.
    return float((1 / (scores >= own[:, None]).sum(axis=1)).mean())


def _mean_by_text(passages: Mapping[str, str], questions: Mapping[str, str]) -> float:
    reciprocal_ranks = []
    table = text_table(passages)
    for name, piece in questions.items():
        rows, scores = table.matching(piece, CANDIDATES, ["id"])
        found = dict(zip(rows["id"].to_pylist(), scores.tolist(), strict=True))
        own = found.get(name, np.inf)
        rank = sum(score >= own for score in found.values())
        reciprocal_ranks.append(1 / rank if rank else 0.0)
    return float(np.mean(reciprocal_ranks))
