"""The method ``ridge`` against its definition, solved with dense matrices."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ragdoll.distillation.training import ridge, ridge_method
from ragdoll.distillation.training.projection import Passages, Projection, Task, Trained
from ragdoll.distillation.training.ridge import Ridge
from ragdoll.distillation.training.token_bags import Bags
from ragdoll.errors import TrainingError
from ragdoll.settings import TrainSettings
from ragdoll.streams import Report, silent
from tests.closeness import assert_alike

ROWS, TOKENS, DIMENSION = 120, 40, 6
UNSEEN = 7


def problem(seed: int = 0, held_out: int = 20) -> tuple[np.ndarray, Projection, np.ndarray]:
    """A distillate, a projection, and the projection's bags as a dense matrix."""
    random = np.random.default_rng(seed)
    counts = random.poisson(0.2, size=(ROWS, TOKENS)).astype(np.float32)
    counts[:, 0] += 1
    counts[:, UNSEEN] = 0
    dense = counts / counts.sum(axis=1, keepdims=True)
    truth = random.normal(size=(TOKENS, DIMENSION)) * [5, 3, 2, 1, 1, 0.5]
    targets = (dense @ truth + random.normal(size=(ROWS, DIMENSION)) * 0.02).astype(np.float32)
    targets -= targets.mean(axis=0)
    distillate = (truth @ random.normal(size=(DIMENSION, 8))).astype(np.float32)

    def passages(start: int, stop: int) -> Passages:
        matrix = csr_matrix(dense[start:stop])
        offsets = matrix.indptr.astype(np.int64)
        return Passages(Bags(matrix.indices, matrix.data, offsets, TOKENS), targets[start:stop])

    projection = Projection(
        training=passages(held_out, ROWS),
        held_out=passages(0, held_out),
        teacher_vectors=targets[:held_out],
        spread=targets.std(axis=0),
        occurrences=counts.sum(axis=0).astype(np.float64),
        documents=(counts > 0).sum(axis=0).astype(np.float64),
        explained_variance=1.0,
        rows=ROWS,
        skipped=0,
    )
    return distillate, projection, dense


def defined(distillate: np.ndarray, projection: Projection, dense: np.ndarray) -> np.ndarray:
    """The minimum of the objective in the module's docstring."""
    targets = np.concatenate([projection.held_out.targets, projection.training.targets])
    spread = projection.spread.astype(np.float64)
    scaled = targets * (spread / spread[0]) ** -ridge.FLATTENING
    scaled = scaled / np.sqrt((scaled**2).sum(axis=1).mean())
    means = dense @ distillate
    gram = means.T @ means
    gram += 1e-3 * np.trace(gram) / len(gram) * np.eye(len(gram))
    start = ridge.FROM_DISTILLATE * distillate @ np.linalg.solve(gram, means.T @ scaled)
    rarity = np.log(ROWS / np.maximum(projection.documents, 1)) + 0.5
    weighed = dense * rarity
    penalty = ridge.PENALTY * (weighed**2).sum() / ROWS
    moved = np.linalg.solve(
        weighed.T @ weighed + penalty * np.eye(TOKENS), weighed.T @ (scaled - dense @ start)
    )
    return start + rarity[:, None] * moved


def solved(distillate: np.ndarray, projection: Projection, passes: int = 60) -> np.ndarray:
    solver = Ridge(distillate, projection, [projection.training, projection.held_out])
    state = solver.begin()
    for _ in range(passes):
        state = solver.step(state)
    return solver.vectors(state.solution)


def test_enough_passes_give_the_minimum_of_the_objective() -> None:
    distillate, projection, dense = problem()
    expected = defined(distillate, projection, dense)
    assert_alike(solved(distillate, projection), expected)


def test_a_token_that_the_corpus_lacks_stays_where_the_distillate_has_it() -> None:
    distillate, projection, _ = problem()
    before, after = (solved(distillate, projection, passes) for passes in (0, 10))
    np.testing.assert_array_equal(before[UNSEEN], after[UNSEEN])
    assert np.abs(before - after).max() > 0.1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_blocks_and_threads_do_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    distillate, projection, _ = problem()
    expected = solved(distillate, projection, passes=3)
    monkeypatch.setattr(ridge, "_cores", lambda: threads)
    monkeypatch.setattr(ridge, "_TOKENS_OF_BLOCK", 1)
    assert_alike(solved(distillate, projection, passes=3), expected)


def test_only_words_that_most_passages_hold_are_damped() -> None:
    distillate, projection, _ = problem()
    solver = Ridge(distillate, projection, [projection.training])
    damped = solver.damped(np.ones((TOKENS, 1), np.float32))[:, 0]
    np.testing.assert_allclose(damped, 1 / (1 + projection.documents / ROWS), rtol=1e-5)
    assert (damped[0], damped[UNSEEN]) == (0.5, 1)


def fit(
    folder: Path,
    distillate: np.ndarray | None = None,
    key: str = "k",
    report: Report = silent,
    **settings: Any,
) -> Trained:
    own, projection, _ = problem()
    model: Any = SimpleNamespace(embedding=own if distillate is None else distillate, tokenizer="")
    nothing: Any = None
    task = Task(model, nothing, projection, nothing, folder, key)
    return ridge_method.fit(task, TrainSettings(**{"patience": 3, **settings}), report)


def test_the_passes_end_when_they_are_of_no_use(tmp_path: Path) -> None:
    short, long = (fit(tmp_path, patience=patience, key=str(patience)) for patience in (1, 8))
    assert short.epochs < long.epochs < ridge_method.MAX_PASSES


def test_the_number_of_passes_is_bounded(tmp_path: Path) -> None:
    assert fit(tmp_path, epochs=2).epochs == 2


def test_held_out_passages_are_learned_from_in_the_end_but_not_measured(tmp_path: Path) -> None:
    trained = fit(tmp_path)
    assert np.abs(trained.vectors - trained.measured).max() > 1e-3


def test_few_held_out_passages_are_not_worth_another_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ridge_method, "_WORTH_ANOTHER_FIT", 2)
    trained = fit(tmp_path)
    assert trained.vectors is trained.measured


def test_a_person_sees_the_loss_fall_and_the_agreement(tmp_path: Path) -> None:
    reports = []

    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        reports.append((stage, done, total, detail))

    fit(tmp_path, epochs=4, report=report)
    training = [entry for entry in reports if entry[0] == "training"]
    assert [entry[1] for entry in training] == [0, 1, 2, 3]
    details = [entry[3].replace("%", "").replace(",", "").split() for entry in training[1:]]
    losses = [float(loss) for _, loss, _, _ in details]
    assert losses == sorted(losses, reverse=True)
    assert all(50 < float(agreement) <= 100 for *_, agreement in details)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    distillate, _, _ = problem()
    distillate[3] = np.nan
    with pytest.raises(TrainingError, match="nan"):
        fit(tmp_path, distillate=distillate)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_checkpoint_is_not_gone_on_from(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "choosing.safetensors").write_bytes(content)
    again = fit(tmp_path)
    np.testing.assert_array_equal(again.vectors, fit(tmp_path, key="other").vectors)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"residual", b"other_of"),
        (b"[0.5]", b"[[5]]"),
        (b"[0.5]", b"[nul]"),
        (b'"shape":[4,3]', b'"shape":[3,4]'),
    ],
)
def test_a_damaged_checkpoint_is_not_gone_on_with(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    begin = ridge.State(*(np.ones((4, 3), np.float32) for _ in range(3)))
    file = tmp_path / "checkpoint"
    checkpoint = ridge_method._Checkpoint(file, "key")
    checkpoint.save(ridge_method._Progress(begin, begin.solution, 1, (0.5,)))
    assert checkpoint.load(begin).losses == (0.5,)
    content = file.read_bytes()
    assert before in content
    file.write_bytes(content.replace(before, after))
    assert checkpoint.load(begin).losses == ()
