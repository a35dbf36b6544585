"""The training methods by name: what each reads, which options it has, and running it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ragdoll.distillation.features.reading import Features
from ragdoll.distillation.teacher.model import choose_device
from ragdoll.distillation.training.agreement import HeldOut
from ragdoll.distillation.training.projection import Projection, Wanted, held_out_rows
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import UsageError
from ragdoll.streams import Report

if TYPE_CHECKING:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    from ragdoll.distillation.training.train import TrainSettings

logger = logging.getLogger(__name__)

Method = Literal["ridge", "tokenlearn"]

# As tokenlearn: a tenth of the passages, at most this many, is held out.
_TOKENLEARN_HELD_OUT = 10_000


@dataclass(frozen=True, slots=True)
class Trained:
    """A token vector for each entry of a tokenizer.

    ``measured`` never saw the held-out passages; ``vectors``, which are saved, may have.
    """

    measured: Vectors
    vectors: Vectors
    tokenizer: Tokenizer
    epochs: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What a method works on. ``folder`` may hold an earlier run's work of the same ``key``."""

    distillate: StaticModel
    features: Features
    projection: Projection
    wanted: Wanted
    folder: Path
    key: str


def wanted(settings: TrainSettings) -> Wanted:
    """How a method wants the features projected.

    Raises:
        UsageError: an option was given that the method does not have.
    """
    ridge = settings.method == "ridge"
    if ridge:
        from ragdoll.distillation.training.ridge_method import MAX_HELD_OUT

        for option, value in (("--lr", settings.lr), ("--batch-size", settings.batch_size)):
            if value is not None:
                raise UsageError(
                    f"The method ridge solves for its vectors; it has no {option} ({value}).",
                    hint=f"Leave {option} out, or train with --method tokenlearn.",
                )
    return Wanted(
        dimension=settings.pca_dims,
        unit=ridge,
        max_held_out=MAX_HELD_OUT if ridge else _TOKENLEARN_HELD_OUT,
        seed=settings.seed,
    )


def run(task: Task, settings: TrainSettings, report: Report) -> Trained:
    """Train by the method of the settings.

    Raises:
        KeyboardInterrupt: interrupted before there was anything to keep.
        TrainingError: the loss is no number.
    """
    return (_ridge if settings.method == "ridge" else _tokenlearn)(task, settings, report)


def _ridge(task: Task, settings: TrainSettings, report: Report) -> Trained:
    from ragdoll.distillation.training.ridge_method import Job, fit

    fitted = fit(
        Job(
            distillate=np.asarray(task.distillate.embedding, dtype=np.float32),
            projection=task.projection,
            passes=settings.epochs,
            patience=settings.patience,
            folder=task.folder,
            key=task.key,
            agreement=HeldOut(task.projection).agreement,
            report=report,
        )
    )
    return Trained(
        measured=fitted.measured,
        vectors=fitted.vectors,
        tokenizer=task.distillate.tokenizer,
        epochs=fitted.passes,
        interrupted=fitted.interrupted,
    )


def _tokenlearn(task: Task, settings: TrainSettings, report: Report) -> Trained:
    """Train with the library, which holds texts and targets in memory."""
    from ragdoll.distillation.training import tokenlearn_method as method

    held = held_out_rows(task.features.rows, task.wanted)
    training: list[str] = []
    held_out: list[str] = []
    # Of the rows that have targets; those with a NaN have none.
    texts = (text for batch, _ in task.features.batches() for text in batch)
    for text, is_held in zip(texts, held, strict=False):
        (held_out if is_held else training).append(text)
    projection = task.projection
    with _reproducible(settings.seed):
        result = method.fit(
            task.distillate,
            (training, np.array(projection.training.targets)),
            (held_out, np.array(projection.held_out.targets)),
            batch_size=settings.batch_size or method.BATCH_SIZE,
            lr=settings.lr or method.LEARNING_RATE,
            patience=settings.patience,
            epochs=settings.epochs,
            device=_tokenlearn_device(settings.device),
            report=report,
        )
    vectors = np.asarray(result.model.embedding, dtype=np.float32)
    return Trained(vectors, vectors, result.model.tokenizer, result.epochs, result.interrupted)


def _tokenlearn_device(device: str) -> str:
    """Resolve the device; tokenlearn refuses MPS with the torch that is required."""
    chosen = choose_device(device)
    if chosen == "mps":
        logger.warning("Training runs on the CPU: tokenlearn does not train on MPS.")
        return "cpu"
    return chosen


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed torch and let it add up in a fixed order, which costs nothing that can be measured."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(seed)
    # Only a warning where a device has no such algorithm: then runs differ in the last bits.
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
