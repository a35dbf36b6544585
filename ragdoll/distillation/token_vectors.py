"""A teacher's vector for each token of a static model, by one pass over the vocabulary."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.device import native_dtype
from ragdoll.distillation.static_tokenizer import open_tokenizer
from ragdoll.distillation.teacher import Teacher
from ragdoll.distillation.teacher_files import TeacherFiles
from ragdoll.distillation.tokenized import Tokenized
from ragdoll.distillation.weighting import smooth_inverse_frequency
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import TrainingError, first_line
from ragdoll.progress import Report, silent

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STAGE = "distilling the teacher"

# The teacher's tokens in a batch. A processor works on one with each of its cores, and is fastest
# where the activations of a batch stay in a core's own cache.
_BATCH_TOKENS = 16_384
_CPU_BATCH_TOKENS = 384

# Smooth inverse frequency, Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence
# embeddings", 2017: a / (a + p). The coefficient is model2vec's.
SIF_COEFFICIENT = 1e-4


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """What the teacher says of each token, before any reduction.

    ``vectors`` is float32 of shape (tokens, teacher's dimension), a row for each id of
    ``tokenizer``: the mean of the teacher's output over the token and the special tokens around it.
    The last ``len(terms)`` rows are those of the terms that were added.
    """

    tokenizer: Tokenizer
    terms: tuple[str, ...]
    vectors: Vectors

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """A weight for each token, shape (tokens,): the rarer, the nearer to 1.

        How often a token occurs is estimated by its id alone, as vocabularies are in the order of
        frequency: by Zipf's law, as ``model2vec.distill`` does.
        """
        frequency = 1 / np.arange(2, len(self.vectors) + 2)
        return smooth_inverse_frequency(frequency / frequency.sum(), SIF_COEFFICIENT)


def token_vectors(
    teacher: TeacherFiles,
    terms: Sequence[str],
    device: str,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    report: Report = silent,
) -> TokenVectors:
    """Let the teacher read each token of its vocabulary, and each term, between special tokens.

    Terms that the tokenizer cannot take as one token are left out. ``dtype`` is what the teacher
    computes in. The same processor gives the same bytes, whatever the number of its cores.

    Raises:
        TeacherError: the teacher cannot be loaded, or the device has no memory for it.
        TrainingError: the tokenizer cannot be used, or the teacher gives no vectors.
    """
    report(STAGE, 0, None)
    tokenizer = open_tokenizer(teacher, trust_remote_code).with_terms(terms)
    sequences = tokenizer.teacher_sequences()
    loaded = Teacher(teacher, device, dtype, trust_remote_code)
    loaded.settle_dtype(Tokenized({}, 0), "mean")
    try:
        vectors = _embed(loaded, sequences, report)
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise TrainingError(f"{teacher.name} cannot be distilled: {first_line(error)}.") from error
    return TokenVectors(tokenizer.tokenizer, tokenizer.terms, vectors)


def dtype_for(settled: str | None, device: str) -> str:
    """The type to compute in, where the teacher settled on one when it made the features.

    bfloat16 where it proved faster then and the device has it too; otherwise float32.
    """
    return "bfloat16" if settled == native_dtype(device) == "bfloat16" else "float32"


def _embed(teacher: Teacher, sequences: Sequence[Sequence[int]], report: Report) -> Vectors:
    """Average the teacher's output over whole sequences; the mean of all for an empty one."""
    known = sum(1 for sequence in sequences if sequence)
    if not known:
        raise ValueError("its tokenizer has no token that it knows")
    vectors: Vectors | None = None
    done = 0
    with closing(_passes(teacher, sequences)) as passes:
        for rows, found in passes:
            if vectors is None:
                vectors = np.zeros((len(sequences), found.shape[1]), dtype=np.float32)
            vectors[rows] = np.nan_to_num(found)
            done += len(rows)
            report(STAGE, done, known)
    if vectors is None:
        raise ValueError("the teacher gave no vectors")
    if known < len(sequences):
        empty = [row for row, sequence in enumerate(sequences) if not sequence]
        vectors[empty] = vectors.sum(axis=0, dtype=np.float64) / known
    return vectors


def _passes(
    teacher: Teacher, sequences: Sequence[Sequence[int]]
) -> Generator[tuple[list[int], Vectors]]:
    """Yield rows and their vectors, batch by batch.

    On a processor each core works on a batch of its own. Batches are small and cores are seldom
    all free: where several share each product of matrices, all wait for the slowest at every one.
    """
    import torch

    def embed(rows: list[int]) -> tuple[list[int], Vectors]:
        ids = [list(sequences[row]) for row in rows]
        columns = {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            # None is left out of the mean: special tokens are all the context that a token has.
            "special_tokens_mask": [[0] * len(row) for row in ids],
        }
        return rows, teacher.embed(Tokenized(columns, 0), "mean", _BATCH_TOKENS)

    if teacher.device != "cpu":
        yield from map(embed, _batches(sequences, _BATCH_TOKENS))
        return
    cores = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(cores, "ragdoll-token", torch.set_num_threads, (1,)) as pool:
            batches = _batches(sequences, _CPU_BATCH_TOKENS)
            # The longest alone: what some models keep for each length is made then, for all.
            yield from pool.map(embed, islice(batches, 1))
            found: Any = pool.map(embed, batches)
            # Closing cancels what has not begun, so that an interruption need not wait for it.
            with closing(found):
                yield from found
    finally:
        torch.set_num_threads(cores)


def _batches(sequences: Sequence[Sequence[int]], tokens: int) -> Iterator[list[int]]:
    """Yield the rows of sequences of one length, so that nothing is padded, the longest first."""
    by_length: dict[int, list[int]] = {}
    for row, sequence in enumerate(sequences):
        by_length.setdefault(len(sequence), []).append(row)
    for length in sorted(by_length.keys() - {0}, reverse=True):
        rows, size = by_length[length], max(1, tokens // length)
        yield from (rows[start : start + size] for start in range(0, len(rows), size))
