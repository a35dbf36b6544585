"""The untrained distillate: the teacher's vector of each token, reduced by a PCA and weighted.

It is the model that ``model2vec.distill`` makes, in less time: the teacher reads its vocabulary
once, in batches without padding.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.teacher.files import TeacherFiles, silence_transformers
from ragdoll.distillation.teacher.model import Teacher, Tokenized, native_dtype
from ragdoll.distillation.teacher.tokenizer import StaticTokenizer, open_tokenizer
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import ModelError, TrainingError, first_line
from ragdoll.settings import Target
from ragdoll.streams import Report, silent

if TYPE_CHECKING:
    from model2vec import StaticModel
    from tokenizers import Tokenizer

logger = logging.getLogger(__name__)

STAGE = "distilling the teacher"

# Counted up when the same inputs give another distillate.
_VERSION = 3

# Coefficients of the smooth inverse frequency: that of model2vec for a distillate, and that of the
# paper's experiments for trained vectors.
SIF_COEFFICIENT = 1e-4
_SIF_OF_TRAINED = 1e-3

# The teacher's tokens in a batch. Each core of a processor works on a batch of its own, and is
# fastest while the activations of the batch stay in its cache.
_BATCH_TOKENS = 16_384
_CPU_BATCH_TOKENS = 384

# Rows that are reduced at a time, to bound the memory.
_ROWS = 8192


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """The teacher's vectors of all tokens, before any reduction.

    ``vectors`` is float32 of shape (tokens, teacher's dimension), a row for each id of
    ``tokenizer``: the mean of the teacher's output over the token and the special tokens around it,
    or its sentence vector of them if it gives no vectors of tokens.
    The last ``len(terms)`` rows are those of the terms that were added.
    """

    tokenizer: Tokenizer
    terms: tuple[str, ...]
    vectors: Vectors

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """A weight for each token, shape (tokens,): the rarer, the nearer to 1.

        The frequency of a token is estimated from its id alone by Zipf's law, as in
        ``model2vec.distill``: vocabularies are in the order of frequency.
        """
        frequency = 1 / np.arange(2, len(self.vectors) + 2)
        return smooth_inverse_frequency(frequency / frequency.sum(), SIF_COEFFICIENT)


def distil(
    teacher: TeacherFiles,
    vocabulary: Sequence[str],
    dimension: int,
    device: str,
    trust_remote_code: bool,
    dtype: str = "float32",
    report: Report = silent,
    tokenizer: StaticTokenizer | None = None,
) -> StaticModel:
    """Make the model that ``model2vec.distill`` makes: PCA to ``dimension``, SIF weights, float32.

    ``vocabulary`` has terms to add to the tokens of ``tokenizer``; None opens the teacher's with
    all of its tokens. ``dtype`` is the type that the teacher computes in. A teacher that cannot be
    read token by token is left to the library model2vec, but only without a ``vocabulary``: the
    library would match its words inside longer ones; and never an adapter, whose base the library
    may take for it.

    Raises:
        TeacherError: the teacher cannot be loaded, or the device has no memory for it.
        TrainingError: the teacher cannot be distilled.
    """
    try:
        tokens = token_vectors(
            teacher, vocabulary, device, trust_remote_code, dtype, report, tokenizer
        )
    except TrainingError as error:
        if teacher.folder.base:
            raise
        if vocabulary:
            raise TrainingError(
                error.message,
                hint="It may be possible without terms of the corpus: `vocab_size=0`.",
            ) from error
        logger.warning("%s Trying model2vec, which takes longer.", error.message)
        return _by_model2vec(teacher, dimension, device, trust_remote_code)
    return distillate_of(tokens, dimension, teacher.name)


def token_vectors(
    teacher: TeacherFiles,
    terms: Sequence[str],
    device: str,
    trust_remote_code: bool = False,
    dtype: str = "float32",
    report: Report = silent,
    tokenizer: StaticTokenizer | None = None,
) -> TokenVectors:
    """Let the teacher read each token of its vocabulary, and each term, between special tokens.

    ``tokenizer`` has the tokens to read; None stands for all of the teacher's.

    Terms that the tokenizer cannot read as one token are dropped. ``dtype`` is the type that the
    teacher computes in. The same processor gives the same bytes, whatever the number of its cores.

    Raises:
        TeacherError: the teacher cannot be loaded, or the device has no memory for it.
        TrainingError: the tokenizer cannot be used, or the teacher gives no vectors.
    """
    report(STAGE, 0, None)
    tokenizer = (tokenizer or open_tokenizer(teacher, trust_remote_code)).with_terms(terms)
    sequences = tokenizer.teacher_sequences()
    loaded = Teacher(teacher, device, dtype, trust_remote_code)
    loaded.settle_dtype(Tokenized({}), "mean")
    try:
        vectors = _embed(loaded, sequences, report)
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise TrainingError(f"{teacher.name} cannot be distilled: {first_line(error)}.") from error
    return TokenVectors(tokenizer.tokenizer, tokenizer.terms, vectors)


def distillate_of(tokens: TokenVectors, dimension: int, teacher: str) -> StaticModel:
    """Reduce token vectors by a PCA, weight them, and make a static model of them.

    As in ``model2vec.distill``, the dimension is at most the teacher's, and stays the teacher's
    where there are no more tokens than ``dimension``. ``teacher`` is its name.
    """
    from model2vec import StaticModel

    vectors = _reduced(tokens.vectors, dimension)
    vectors *= tokens.weights[:, None].astype(np.float32)
    return StaticModel(
        vectors=vectors,
        tokenizer=tokens.tokenizer,
        config={
            "model_type": "model2vec",
            "architectures": ["StaticModel"],
            "tokenizer_name": teacher,
            "apply_pca": dimension,
            "sif_coefficient": SIF_COEFFICIENT,
            "hidden_dim": int(vectors.shape[1]),
            "seq_length": 1_000_000,
            "normalize": True,
            "pooling": "mean",
        },
        base_model_name=teacher,
        normalize=True,
    )


def recipe(
    teacher: TeacherFiles,
    vocabulary: Sequence[str],
    dimension: int,
    dtype: str = "float32",
    kept: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return everything that a distillate depends on.

    ``kept`` has the teacher's tokens that are in it; None stands for all.
    """
    return {
        "version": _VERSION,
        "teacher_fingerprint": teacher.fingerprint,
        "dimension": dimension,
        "extra_words": len(vocabulary),
        "vocabulary": _hash(vocabulary),
        **({} if kept is None else {"kept_tokens": len(kept), "kept": _hash(kept)}),
        "computed_in": dtype,
    }


def _hash(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass")).hexdigest()


def reuse(model_folder: Path, made_by: dict[str, Any]) -> tuple[StaticModel, dict[str, Any]] | None:
    """Load the distillate of an earlier training with its recipe; None without one of this recipe.

    The type that the teacher computed in may be another. On a busy machine the faster one changes,
    which is no reason to make a distillate anew.
    """
    from model2vec import StaticModel

    try:
        earlier = (open_folder(model_folder).provenance or {}).get("distillate")
        if not isinstance(earlier, dict):
            return None
        if {**earlier, "computed_in": None} != {**made_by, "computed_in": None}:
            return None
        return StaticModel.from_pretrained(model_folder / "distillate"), earlier
    except (ModelError, OSError, ValueError):
        return None


def dtype_for(settled: str | None, device: str) -> str:
    """Return the type to distil in: bfloat16 if the features were made in it, else float32.

    ``settled`` is the type that the teacher made the features in. A device without instructions
    for bfloat16 gets float32.
    """
    return "bfloat16" if settled == native_dtype(device) == "bfloat16" else "float32"


def weighted(vectors: Vectors, occurrences: npt.NDArray[np.float64]) -> Vectors:
    """Scale each token's vector by its smooth inverse frequency.

    ``occurrences`` counts each token in the corpus; tokens beyond its end occur nowhere.
    """
    frequency = np.zeros(len(vectors))
    frequency[: len(occurrences)] = occurrences / max(1.0, float(occurrences.sum()))
    return vectors * smooth_inverse_frequency(frequency).astype(np.float32)[:, None]


def smooth_inverse_frequency(
    frequency: npt.NDArray[np.float64], a: float = _SIF_OF_TRAINED
) -> npt.NDArray[np.float64]:
    """Return ``a / (a + frequency)``, the weight of a token by its share of all tokens.

    Arora, Liang and Ma, "A simple but tough-to-beat baseline for sentence embeddings", 2017.
    """
    return np.asarray(a / (a + frequency))


def _embed(teacher: Teacher, sequences: Sequence[Sequence[int]], report: Report) -> Vectors:
    """Average the teacher's output over each sequence; an empty one gets the mean of all others."""
    empty = [row for row, sequence in enumerate(sequences) if not sequence]
    known = len(sequences) - len(empty)
    if not known:
        raise ValueError("its tokenizer has no token that it knows")
    vectors: Vectors | None = None
    done = 0
    with closing(_passes(teacher, sequences)) as passes:
        for rows, embedded in passes:
            if vectors is None:
                vectors = np.zeros((len(sequences), embedded.shape[1]), dtype=np.float32)
            vectors[rows] = np.nan_to_num(embedded)
            done += len(rows)
            report(STAGE, done, known)
    if vectors is None:
        raise ValueError("the teacher gave no vectors")
    if empty:
        vectors[empty] = vectors.sum(axis=0, dtype=np.float64) / known
    return vectors


def _passes(
    teacher: Teacher, sequences: Sequence[Sequence[int]]
) -> Generator[tuple[list[int], Vectors]]:
    """Yield rows and their vectors, batch by batch.

    On a processor each core works on a batch of its own. Batches are small and cores are seldom
    all free: if several shared each product of matrices, all would wait for the slowest each time.
    """
    import torch

    def embed(rows: list[int]) -> tuple[list[int], Vectors]:
        ids = [list(sequences[row]) for row in rows]
        columns = {
            "input_ids": ids,
            "attention_mask": [[1] * len(row) for row in ids],
            # The mean includes special tokens: they are all the context that a token has.
            "special_tokens_mask": [[0] * len(row) for row in ids],
        }
        return rows, teacher.embed(Tokenized(columns), target, _BATCH_TOKENS)

    target: Target = "mean" if teacher.has_token_vectors() else "sentence"
    if teacher.device != "cpu":
        yield from map(embed, _batches(sequences, _BATCH_TOKENS))
        return
    cores = torch.get_num_threads()
    with (
        _one_thread(),
        ThreadPoolExecutor(cores, "ragdoll-token", torch.set_num_threads, (1,)) as pool,
    ):
        batches = _batches(sequences, _CPU_BATCH_TOKENS)
        # The longest batch alone: some models make tables for its length, which serve all.
        yield from pool.map(embed, islice(batches, 1))
        others: Any = pool.map(embed, batches)
        # Closing cancels what has not begun, so that an interruption need not wait for it.
        with closing(others):
            yield from others


def _batches(sequences: Sequence[Sequence[int]], tokens: int) -> Iterator[list[int]]:
    """Yield the rows of sequences of one length, so that nothing is padded, the longest first."""
    by_length: dict[int, list[int]] = {}
    for row, sequence in enumerate(sequences):
        by_length.setdefault(len(sequence), []).append(row)
    for length in sorted(by_length.keys() - {0}, reverse=True):
        rows, size = by_length[length], max(1, tokens // length)
        yield from (rows[start : start + size] for start in range(0, len(rows), size))


def _by_model2vec(
    teacher: TeacherFiles, dimension: int, device: str, trust_remote_code: bool
) -> StaticModel:
    from model2vec.distill import distill

    silence_transformers()
    try:
        model = distill(
            str(teacher.path),
            pca_dims=dimension,
            device="cpu" if device == "mps" else device,  # the library refuses MPS
            trust_remote_code=trust_remote_code,
            quantize_to="float32",
        )
    except Exception as error:  # a teacher can be wrong in as many ways as there are models
        raise TrainingError(f"{teacher.name} cannot be distilled: {first_line(error)}") from error
    model.base_model_name = teacher.name
    # The library writes the path of a folder on this machine.
    model.config["tokenizer_name"] = teacher.name
    model.config["pooling"] = "mean"
    return model


def _reduced(vectors: Vectors, dimension: int) -> Vectors:
    """Project on the principal components, by the eigenvectors of the covariance.

    Each column's largest value is positive, which makes the signs those of ``model2vec.distill``.
    """
    import torch

    dimension = min(dimension, vectors.shape[1])
    if dimension >= len(vectors):
        return np.array(vectors)
    table = torch.from_numpy(vectors)
    parts = [slice(start, start + _ROWS) for start in range(0, len(table), _ROWS)]
    with _one_thread(), torch.inference_mode():
        mean = torch.zeros(table.shape[1], dtype=torch.float64)
        for part in parts:
            mean += table[part].sum(dim=0, dtype=torch.float64)
        mean = (mean / len(table)).float()
        covariance = torch.zeros(table.shape[1], table.shape[1], dtype=torch.float64)
        for part in parts:
            centred = table[part] - mean
            covariance += centred.T @ centred
        _, components = torch.linalg.eigh(covariance)
        components = components[:, -dimension:].flip(1).float()
        reduced = torch.empty(len(table), dimension)
        for part in parts:
            torch.mm(table[part] - mean, components, out=reduced[part])
        flipped = reduced.amax(dim=0) < -reduced.amin(dim=0)
        reduced *= 1 - 2 * flipped.float()
    projected: Vectors = reduced.numpy()
    return projected


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread.

    Then sums do not depend on the number of cores. And where the cores are busy, threads that wait
    for each other turn an eigenvalue problem of milliseconds into one of seconds.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
