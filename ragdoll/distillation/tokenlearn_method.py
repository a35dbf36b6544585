"""The method ``tokenlearn``: mean token vectors to PCA targets through a linear head, by MSE.

Trains with the library tokenlearn (MinishLab, https://github.com/MinishLab/tokenlearn), whose
``train_supervised`` owns optimiser, loss and early stopping. What is added here is what it leaves
open: a bound on the epochs, progress, and padding for tokenizers other than BERT's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from model2vec import StaticModel
from tokenizers import Tokenizer
from tokenlearn.pretrain import TextDataset, train_supervised
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

from ragdoll.progress import Report

Vectors = npt.NDArray[np.float32]

BATCH_SIZE = 256
LEARNING_RATE = 1e-3

# The library looks for the padding token by this name.
_PAD = "[PAD]"


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
) -> tuple[StaticModel, int]:
    """Train token vectors and weights; return the model and the number of epochs begun.

    ``train`` and ``validation`` are texts and targets of shape (rows, dimension). ``epochs`` None:
    until the validation loss has not improved ``patience`` times.

    Raises:
        KeyboardInterrupt: the training was interrupted; the library keeps that to itself.
    """
    model = _with_pad_token(model)
    training = _Dataset(model, train, epochs=epochs, report=report)
    with _messages_of_the_library() as messages:
        trained = train_supervised(
            train_dataset=training,
            validation_dataset=_Dataset(model, validation),
            model=model,
            patience=patience,
            device=device,
            batch_size=batch_size,
            lr=lr,
        )
    if any("interrupted" in message for message in messages) and not training.ended:
        raise KeyboardInterrupt
    return trained, training.epochs_begun


@contextmanager
def _messages_of_the_library() -> Iterator[list[str]]:
    """Collect what the library says, which is then said nowhere else."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

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
