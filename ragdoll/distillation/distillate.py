"""The untrained distillate: a teacher's token vectors, reduced and weighted."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragdoll.distillation.teacher_files import TeacherFiles
from ragdoll.distillation.token_vectors import (
    SIF_COEFFICIENT,
    TokenVectors,
    token_vectors,
)
from ragdoll.distillation.training_extra import quiet_transformers
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.vectors import Vectors
from ragdoll.errors import ModelError, TrainingError, first_line
from ragdoll.progress import Report, silent

if TYPE_CHECKING:
    from model2vec import StaticModel

logger = logging.getLogger(__name__)

# Counted up when the same inputs give another distillate.
_VERSION = 2

# Rows that are reduced at a time, to bound the memory.
_ROWS = 8192


def recipe(
    teacher: TeacherFiles, vocabulary: Sequence[str], dimension: int, dtype: str = "float32"
) -> dict[str, Any]:
    """Everything that a distillate depends on."""
    words = hashlib.sha256("\n".join(vocabulary).encode("utf-8", "surrogatepass")).hexdigest()
    return {
        "version": _VERSION,
        "teacher_fingerprint": teacher.fingerprint,
        "dimension": dimension,
        "extra_words": len(vocabulary),
        "vocabulary": words,
        "computed_in": dtype,
    }


def distil(
    teacher: TeacherFiles,
    vocabulary: Sequence[str],
    dimension: int,
    device: str,
    trust_remote_code: bool,
    dtype: str = "float32",
    report: Report = silent,
) -> StaticModel:
    """Make the model that ``model2vec.distill`` makes: PCA to ``dimension``, SIF weights, float32.

    ``vocabulary`` are terms to add to the teacher's own; ``dtype`` is what the teacher computes in.
    This is ``token_vectors`` and ``distillate_of``, which are there for who wants the teacher's
    token vectors too. A teacher that does not give these that way is left to the library, but only
    without a ``vocabulary``: the library would find its words inside of longer ones.

    Raises:
        TeacherError: the teacher cannot be loaded, or the device has no memory for it.
        TrainingError: the teacher cannot be distilled.
    """
    try:
        tokens = token_vectors(teacher, vocabulary, device, trust_remote_code, dtype, report)
    except TrainingError as error:
        if vocabulary:
            raise TrainingError(
                error.message, hint="It may be possible without terms of the corpus: --vocab-size 0"
            ) from error
        logger.warning("%s Trying model2vec, which takes longer.", error.message)
        return _by_model2vec(teacher, dimension, device, trust_remote_code)
    return distillate_of(tokens, dimension, teacher.name)


def distillate_of(tokens: TokenVectors, dimension: int, teacher: str) -> StaticModel:
    """Reduce token vectors by a PCA, weight them, and make a static model of them.

    As in ``model2vec.distill``, the dimension is at most the teacher's, and stays the teacher's
    where there are no more tokens than ``dimension``. ``teacher`` is the name it is known by.
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


def reuse(model_folder: Path, wanted: dict[str, Any]) -> StaticModel | None:
    """Load the distillate of an earlier training where it was made by the same recipe."""
    from model2vec import StaticModel

    try:
        provenance = open_folder(model_folder).provenance
        if not provenance or provenance.get("distillate") != wanted:
            return None
        return StaticModel.from_pretrained(model_folder / "distillate")
    except (ModelError, OSError, ValueError):
        return None


def _by_model2vec(
    teacher: TeacherFiles, dimension: int, device: str, trust_remote_code: bool
) -> StaticModel:
    from model2vec.distill import distill

    quiet_transformers()
    try:
        model = distill(
            str(teacher.path),
            pca_dims=dimension,
            device="cpu" if device == "mps" else device,  # which the library refuses
            trust_remote_code=trust_remote_code,
            quantize_to="float32",
        )
    except Exception as error:  # a teacher can be wrong in as many ways as there are models
        raise TrainingError(f"{teacher.name} cannot be distilled: {first_line(error)}") from error
    model.base_model_name = teacher.name
    # As written by the library this is the path of a folder on this machine.
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
    found: Vectors = reduced.numpy()
    return found


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute in one thread.

    The sums do not depend on the number of cores then. And where these are busy, threads that wait
    for each other make seconds of an eigenvalue problem of milliseconds.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
