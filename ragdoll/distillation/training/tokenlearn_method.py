"""The method ``tokenlearn``: mean token vectors to PCA targets through a linear head, by MSE.

Trains with the library tokenlearn (MinishLab, https://github.com/MinishLab/tokenlearn), whose
``train_supervised`` owns optimiser, loss and early stopping. What is added here is what it leaves
open: a bound on the epochs, progress, and padding for tokenizers other than BERT's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenlearn import pretrain
from tokenlearn.pretrain import TextDataset, train_supervised
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import TrainingError
from ragdoll.streams import Report

BATCH_SIZE = 256
LEARNING_RATE = 1e-3

_NO_NUMBER = re.compile(r"loss: (nan|inf)")

# The library looks for the padding token by this name.
_PAD = "[PAD]"


class Result(NamedTuple):
    """The model, the number of epochs begun, and whether the keyboard ended them."""

    model: StaticModel
    epochs: int
    interrupted: bool


def fit(
    model: StaticModel,
    train: tuple[Sequence[str], Vectors],
    validation: tuple[Sequence[str], Vectors],
    *,
    batch_size: int,
    lr: float,
    patience: int,
    epochs: int | None,
    device: str,
    report: Report,
) -> Result:
    """Train token vectors and weights, and take those of the lowest validation loss.

    ``train`` and ``validation`` are texts and targets of shape (rows, dimension). ``epochs`` None:
    until the validation loss has not improved ``patience`` times.

    Raises:
        TrainingError: the loss is no number.
    """
    model = _with_pad_token(model)
    training = _Dataset(model, train, epochs=epochs, report=report)
    with _messages_of_the_library() as messages, _state_kept_by_value():
        trained = train_supervised(
            train_dataset=training,
            validation_dataset=_Dataset(model, validation),
            model=model,
            patience=patience,
            device=device,
            batch_size=batch_size,
            lr=lr,
        )
    interrupted = any("interrupted" in message for message in messages) and not training.ended
    return Result(trained, training.epochs_begun, interrupted)


@contextmanager
def _state_kept_by_value() -> Iterator[None]:
    """Let the library keep a copy of its best state, which training would go on changing."""

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
    """Collect what the library says, which is then said nowhere else.

    Raises:
        TrainingError: what it says is that the loss is no number; it would go on with that.
    """
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())
            if _NO_NUMBER.search(messages[-1]):
                raise TrainingError(
                    "The training diverged: its loss is no longer a number.",
                    hint="Lower the learning rate: --lr 1e-4",
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
    """The library's dataset; pads with the tokenizer's own token and counts the epochs."""

    def __init__(
        self,
        model: StaticModel,
        data: tuple[Sequence[str], Vectors],
        epochs: int | None = None,
        report: Report | None = None,
    ) -> None:
        texts, targets = data
        super().__init__(list(texts), torch.from_numpy(targets), model.tokenizer)
        self._pad_id = model.tokenizer.token_to_id(_PAD)
        self._epochs = epochs
        self._report = report
        self.epochs_begun = 0
        self.ended = False

    def to_dataloader(self, shuffle: bool, batch_size: int = 32) -> _Epochs:
        """Make what the library iterates once an epoch."""
        loader: DataLoader[Any] = DataLoader(
            self, collate_fn=self._collate, shuffle=shuffle, batch_size=batch_size
        )
        return _Epochs(self, loader)

    def epoch(self, loader: DataLoader[Any]) -> Iterator[Any]:
        """Yield the batches of the next epoch.

        Raises:
            KeyboardInterrupt: the last epoch is over. The library takes that for the end of the
                training and goes on to its result.
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
    """Give the model what the library takes for granted: a [PAD] token and no zero vectors."""
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
