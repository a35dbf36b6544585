"""The method ``tokenlearn``: mean token vectors to PCA targets through a linear head, by MSE.

The library tokenlearn (MinishLab, https://github.com/MinishLab/tokenlearn) trains: optimiser, loss
and early stopping are those of its ``train_supervised``. Added here are a bound on the epochs,
progress, and padding for tokenizers other than BERT's.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import compress
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
from ragdoll.streams import Report, silent

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
    # The batches lack the rows with a NaN, as the targets do.
    texts = [text for batch, _ in task.features.batches() for text in batch]
    training, held_out = compress(texts, ~task.held_out), compress(texts, task.held_out)
    targets = task.projection.training.targets
    held_out_targets = task.projection.held_out.targets
    epochs = math.inf if settings.epochs == "auto" else settings.epochs
    model = _with_pad_token(task.distillate)
    data = _Dataset(model, training, targets, epochs, report)
    with _prepared_libraries(settings.seed) as messages:
        trained = train_supervised(
            train_dataset=data,
            validation_dataset=_Dataset(model, held_out, held_out_targets),
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
def _prepared_libraries(seed: int) -> Iterator[list[str]]:
    """Prepare torch and tokenlearn for one training; yield a list that gets tokenlearn's messages.

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

    class Remembering(pretrain.StaticModelFineTuner):  # type: ignore[misc]
        """The library's model, whose best state is kept as a copy: training would change it."""

        def state_dict(self, *arguments: Any, **options: Any) -> dict[str, Any]:
            state = super().state_dict(*arguments, **options)
            return {name: value.clone() for name, value in state.items()}

    library, collector = logging.getLogger("tokenlearn.pretrain"), Collector()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    with ExitStack() as restored:
        restored.callback(torch.use_deterministic_algorithms, was_deterministic)
        restored.callback(library.setLevel, library.level)
        restored.callback(library.removeHandler, collector)
        for owner, name in ((library, "propagate"), (pretrain, "StaticModelFineTuner")):
            restored.callback(setattr, owner, name, getattr(owner, name))
        torch.manual_seed(seed)
        # Sums in a fixed order take no measurable time. A device without such an algorithm gets a
        # warning, and runs differ in their last bits.
        torch.use_deterministic_algorithms(True, warn_only=True)
        library.setLevel(logging.INFO)
        library.addHandler(collector)
        library.propagate = False
        pretrain.StaticModelFineTuner = Remembering
        yield messages


class _Dataset(TextDataset):  # type: ignore[misc]
    """The library's dataset, padded with the tokenizer's own token; it counts the epochs."""

    def __init__(
        self,
        model: StaticModel,
        texts: Iterable[str],
        targets: Vectors,
        epochs: float = math.inf,
        report: Report = silent,
    ) -> None:
        super().__init__(list(texts), torch.from_numpy(np.array(targets)), model.tokenizer)
        self._pad_id = model.tokenizer.token_to_id(_PAD)
        self.epochs = epochs
        self.report = report
        self.epochs_begun = 0
        self.ended = False

    def to_dataloader(self, shuffle: bool, batch_size: int = 32) -> _Epochs:
        """Return the batches, which the library iterates once in each epoch."""
        return _Epochs(self, batch_size, shuffle, collate_fn=self._collate)

    def _collate(self, batch: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        ids, targets = zip(*batch, strict=True)
        rows = [torch.tensor(row, dtype=torch.int32) for row in ids]
        return (
            pad_sequence(rows, batch_first=True, padding_value=self._pad_id),
            torch.stack(targets),
        )


class _Epochs(DataLoader[Any]):
    """A data loader whose every iteration is an epoch of its dataset."""

    dataset: _Dataset

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yield the batches of the next epoch.

        Raises:
            KeyboardInterrupt: the last epoch is over. The library then ends the training and goes
                on to its result.
        """
        data = self.dataset
        if data.epochs_begun >= data.epochs:
            data.ended = True
            raise KeyboardInterrupt
        data.epochs_begun += 1
        for number, batch in enumerate(super().__iter__(), start=1):
            data.report(f"training, epoch {data.epochs_begun}", number, len(self))
            yield batch


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
        config=model.config,
        normalize=model.normalize,
        max_length=model.max_length,
    )
