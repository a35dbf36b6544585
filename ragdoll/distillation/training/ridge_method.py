"""The method ``ridge``: as many passes as the held-out passages call for, with checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ragdoll.distillation.training.projection import Projection
from ragdoll.distillation.training.ridge import Ridge, State
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import TrainingError
from ragdoll.files import atomic_write
from ragdoll.streams import Report

Measure = Callable[[Vectors], float]

MAX_PASSES = 40
MAX_HELD_OUT = 2_000
# A lower held-out loss restarts the patience where it is lower by this share.
_IMPROVEMENT = 1e-3
# Of passes whose held-out losses are within this share, the last knows the rare tokens best.
_AS_GOOD = 1e-2
# The held-out passages are learned from, too, where they are more than one in so many.
_WORTH_ANOTHER_FIT = 50
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """Token vectors: ``measured`` never saw the held-out passages; ``vectors`` may have.

    ``passes`` over the passages made either. ``interrupted``: from the keyboard.
    """

    measured: Vectors
    vectors: Vectors
    passes: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained on, how long, and where checkpoints go.

    ``distillate`` holds a vector for each token. ``passes`` None: 40 at most. Checkpoints of the
    same ``key`` in ``folder`` are resumed. ``agreement`` of token vectors is for the person who
    waits.
    """

    distillate: Vectors
    projection: Projection
    passes: int | None
    patience: int
    folder: Path
    key: str
    agreement: Measure
    report: Report


def fit(job: Job) -> Fitted:
    """Find the number of passes on the held-out passages, then learn from all by as many.

    The passes end when ``patience`` of them have not lowered the held-out loss. An interruption
    ends them with the best so far.

    Raises:
        KeyboardInterrupt: interrupted before the first pass was over.
        TrainingError: the loss is no number.
    """
    fitted = _choose(job)
    held_out = len(job.projection.held_out.bags)
    if fitted.interrupted or held_out * _WORTH_ANOTHER_FIT < job.projection.rows:
        return fitted
    try:
        return replace(fitted, vectors=_fit_all(job, fitted.passes))
    except KeyboardInterrupt:
        return replace(fitted, interrupted=True)


@dataclass(frozen=True, slots=True)
class _Progress:
    """Conjugate gradients with what is known of their passes.

    ``losses`` are the held-out ones, a pass each; ``best`` is the solution of ``best_passes``.
    """

    state: State
    best: Vectors
    best_passes: int = 0
    losses: tuple[float, ...] = ()

    def after(self, state: State, loss: float) -> _Progress:
        losses = (*self.losses, loss)
        if loss <= min(losses) * (1 + _AS_GOOD):
            return _Progress(state, state.solution, len(losses), losses)
        return _Progress(state, self.best, self.best_passes, losses)

    def is_over(self, patience: int) -> bool:
        """Whether the last ``patience`` passes were of no use."""
        before, last = self.losses[:-patience], self.losses[-patience:]
        return bool(before) and min(last) > min(before) * (1 - _IMPROVEMENT)


def _choose(job: Job) -> Fitted:
    job.report("preparing the regression", 0, None)
    projection = job.projection
    ridge = Ridge(job.distillate, projection, [projection.training])
    checkpoint = _Checkpoint(job.folder / "choosing.safetensors", job.key)
    limit = job.passes or MAX_PASSES
    begin = ridge.begin()
    progress = checkpoint.load(begin) or _Progress(begin, begin.solution)
    shown = ""
    interrupted = False
    try:
        while len(progress.losses) < limit and not progress.is_over(job.patience):
            job.report("training", len(progress.losses), limit, shown)
            state = ridge.step(progress.state)
            vectors = ridge.vectors(state.solution)
            loss = _finite(ridge.loss(vectors, projection.held_out))
            progress = progress.after(state, loss)
            shown = f"loss {loss:.3f}, agreement {job.agreement(ridge.damped(vectors)):.1%}"
            checkpoint.save_when_due(progress)
    except KeyboardInterrupt:
        if not progress.losses:
            raise
        interrupted = True
    checkpoint.save(progress)
    vectors = ridge.damped(ridge.vectors(progress.best))
    return Fitted(vectors, vectors, progress.best_passes, interrupted)


def _fit_all(job: Job, passes: int) -> Vectors:
    """Fit training and held-out passages together."""
    projection = job.projection
    ridge = Ridge(job.distillate, projection, [projection.training, projection.held_out])
    checkpoint = _Checkpoint(job.folder / "all.safetensors", job.key)
    begin = ridge.begin()
    progress = checkpoint.load(begin) or _Progress(begin, begin.solution)
    while len(progress.losses) < passes:
        job.report("training on the held-out passages, too", len(progress.losses), passes)
        state = ridge.step(progress.state)
        # No loss is measured: there is no passage left that it could be measured on.
        progress = progress.after(state, 0.0)
        checkpoint.save_when_due(progress)
    return ridge.damped(ridge.vectors(progress.best))


def _finite(loss: float) -> float:
    if not np.isfinite(loss):
        raise TrainingError(
            "The training diverged: its loss is no number.",
            hint="The features or the teacher's token vectors hold values that are too large.",
        )
    return loss


class _Checkpoint:
    """Progress on disk: of the last pass that was saved, or of the one before."""

    def __init__(self, file: Path, key: str) -> None:
        self._file = file
        self._key = key
        self._last = time.monotonic()

    def save_when_due(self, progress: _Progress) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_CHECKPOINTS:
            self.save(progress)

    def save(self, progress: _Progress) -> None:
        from safetensors.numpy import save_file

        state = progress.state
        tensors = {
            "solution": state.solution,
            "residual": state.residual,
            "direction": state.direction,
            "best": progress.best,
        }
        facts = {
            "key": self._key,
            "losses": json.dumps(progress.losses),
            "best_passes": str(progress.best_passes),
        }
        with atomic_write(self._file) as aside:
            save_file(tensors, aside, metadata=facts)
        self._last = time.monotonic()

    def load(self, begin: State) -> _Progress | None:
        """Read it; None where there is none, or none of the training that begins like this."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._file, framework="np") as file:
                facts = file.metadata() or {}
                if facts.get("key") != self._key:
                    return None
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                losses = tuple(map(float, json.loads(facts["losses"])))
                best_passes = int(facts["best_passes"])
            best = arrays.pop("best")
            state = State(**arrays)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RecursionError):
            return None
        kinds = {(array.shape, array.dtype) for array in (*arrays.values(), best)}
        if kinds != {(begin.solution.shape, begin.solution.dtype)}:
            return None
        return _Progress(state, best, best_passes, losses)
