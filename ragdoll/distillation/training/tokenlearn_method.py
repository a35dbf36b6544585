"""The method ``tokenlearn``: mean token vectors to PCA targets through a linear head, by MSE.

The library tokenlearn (MinishLab, https://github.com/MinishLab/tokenlearn) trains: optimiser, loss
and early stopping are those of its ``train_supervised``. Added here are a bound on the epochs,
progress, and padding for tokenizers other than BERT's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenlearn import pretrain
from tokenlearn.pretrain import TextDataset, train_supervised
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from ragdoll.distillation.teacher.model import choose_device
from ragdoll.distillation.training.projection import Task, Trained
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import TrainingError
from ragdoll.settings import TrainSettings
from ragdoll.streams import Report

logger = logging.getLogger(__name__)

BATCH_SIZE = 256
LEARNING_RATE = 1e-3

_NO_NUMBER = re.compile(r"loss: (nan|inf)")

# The library looks for the padding token by this name.
_PAD = "[PAD]"


def fit(task: Task, settings: TrainSettings, report: Report) -> Trained:
    """Train token vectors and weights, and return those of the lowest validation loss.

    The library holds texts and targets in memory. Training ends when the validation loss has not
    improved ``settings.patience`` times, or after ``settings.epochs``.

    Raises:
        TrainingError: the loss is not a number.
    """
    training: list[str] = []
    held_out: list[str] = []
    # The batches lack the rows with a NaN, as the targets do.
    texts = (text for batch, _ in task.features.batches() for text in batch)
    for text, is_held in zip(texts, task.held_out, strict=False):
        (held_out if is_held else training).append(text)
    projection = task.projection
    model = _with_pad_token(task.distillate)
    data = _Dataset(
        model,
        training,
        np.array(projection.training.targets),
        epochs=None if settings.epochs == "auto" else settings.epochs,
        report=report,
    )
    with (
        _reproducible(settings.seed),
        _messages_of_the_library() as messages,
        _state_kept_by_value(),
    ):
        trained = train_supervised(
            train_dataset=data,
            validation_dataset=_Dataset(model, held_out, np.array(projection.held_out.targets)),
            model=model,
            patience=settings.patience,
            device=_device(settings.device),
            batch_size=BATCH_SIZE if settings.batch_size == "auto" else settings.batch_size,
            lr=LEARNING_RATE if settings.lr == "auto" else settings.lr,
        )
    interrupted = any("interrupted" in message for message in messages) and not data.ended
    vectors = np.asarray(trained.embedding, dtype=np.float32)
    return Trained(vectors, vectors, trained.tokenizer, data.epochs_begun, interrupted)


def _device(device: str) -> str:
    """Resolve the device; tokenlearn does not train on MPS with the torch that ragdoll needs."""
    chosen = choose_device(device)
    if chosen == "mps":
        logger.warning("Training runs on the CPU: tokenlearn does not train on MPS.")
        return "cpu"
    return chosen


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed torch and let it add up in a fixed order, at no measurable cost."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.manual_seed(seed)
    # A device without such an algorithm gets a warning, and runs differ in their last bits.
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


@contextmanager
def _state_kept_by_value() -> Iterator[None]:
    """Let the library keep a copy of its best state, which training would otherwise change."""

    class Remembering(pretrain.StaticModelFineTuner):  # type: ignore[misc]
        def state_dict(self, *arguments: Any, **options: Any) -> dict[str, Any]:
            state = super().state_dict(*arguments, **options)
            return {name: value.clone() for name, value in state.items()}

    original = pretrain.StaticModelFineTuner
    pretrain.StaticModelFineTuner = Remembering
    try:
        yield
    finally:
        pretrain.StaticModelFineTuner = original


@contextmanager
def _messages_of_the_library() -> Iterator[list[str]]:
    """Collect the log messages of the library, and keep them from other handlers.

    Raises:
        TrainingError: a message says that the loss is not a number, with which the library would
            go on.
    """
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())
            if nothing := _NO_NUMBER.search(messages[-1]):
                raise TrainingError(
                    f"The training diverged: its {nothing[0]}.",
                    hint="Lower the learning rate: `lr=1e-4`.",
                )

    library = logging.getLogger("tokenlearn.pretrain")
    collector = Collector()
    before = (library.level, library.propagate)
    library.setLevel(logging.INFO)
    library.propagate = False
    library.addHandler(collector)
    try:
        yield messages
    finally:
        library.removeHandler(collector)
        library.setLevel(before[0])
        library.propagate = before[1]


class _Dataset(TextDataset):  # type: ignore[misc]
    """The library's dataset, padded with the tokenizer's own token; it counts the epochs."""

    def __init__(
        self,
        model: StaticModel,
        texts: Sequence[str],
        targets: Vectors,
        epochs: int | None = None,
        report: Report | None = None,
    ) -> None:
        super().__init__(list(texts), torch.from_numpy(targets), model.tokenizer)
        self._pad_id = model.tokenizer.token_to_id(_PAD)
        self._epochs = epochs
        self._report = report
        self.epochs_begun = 0
        self.ended = False

    def to_dataloader(self, shuffle: bool, batch_size: int = 32) -> _Epochs:
        """Return the batches, which the library iterates once in each epoch."""
        loader: DataLoader[Any] = DataLoader(
            self, collate_fn=self._collate, shuffle=shuffle, batch_size=batch_size
        )
        return _Epochs(self, loader)

    def epoch(self, loader: DataLoader[Any]) -> Iterator[Any]:
        """Yield the batches of the next epoch.

        Raises:
            KeyboardInterrupt: the last epoch is over. The library then ends the training and goes
                on to its result.
        """
        if self._epochs is not None and self.epochs_begun >= self._epochs:
            self.ended = True
            raise KeyboardInterrupt
        self.epochs_begun += 1
        for number, batch in enumerate(loader, start=1):
            if self._report:
                self._report(f"training, epoch {self.epochs_begun}", number, len(loader))
            yield batch

    def _collate(self, batch: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        ids, targets = zip(*batch, strict=True)
        rows = [torch.tensor(row, dtype=torch.int32) for row in ids]
        return (
            pad_sequence(rows, batch_first=True, padding_value=self._pad_id),
            torch.stack(targets),
        )


class _Epochs:
    """A data loader whose every iteration is an epoch of its dataset."""

    def __init__(self, dataset: _Dataset, loader: DataLoader[Any]) -> None:
        self._dataset = dataset
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return self._dataset.epoch(self._loader)

    def __len__(self) -> int:
        return len(self._loader)


def _with_pad_token(model: StaticModel) -> StaticModel:
    """Give the model a [PAD] token and no zero vectors, as the library expects."""
    # A copy: the distillate itself is saved as it is.
    tokenizer = Tokenizer.from_str(model.tokenizer.to_str())
    vectors = np.array(model.embedding, dtype=np.float32)
    if tokenizer.token_to_id(_PAD) is None:
        tokenizer.add_special_tokens([_PAD])
        vectors = np.concatenate([vectors, vectors.mean(axis=0, keepdims=True)])
    # The library divides each vector by its length.
    vectors[np.linalg.norm(vectors, axis=1) == 0] = 1e-6
    return StaticModel(
        vectors=vectors,
        tokenizer=tokenizer,
        config={**model.config},
        normalize=model.normalize,
        max_length=model.max_length,
    )
