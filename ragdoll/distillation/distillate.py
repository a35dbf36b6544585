"""The untrained distillate: a vector for each token, by one pass of the teacher over them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdoll.distillation.teacher import quiet_transformers
from ragdoll.distillation.teacher_files import TeacherFiles
from ragdoll.embedding.folder import open_folder
from ragdoll.errors import ModelError, TrainingError, first_line

if TYPE_CHECKING:
    from model2vec import StaticModel


def recipe(teacher: TeacherFiles, vocabulary: Sequence[str], dimension: int) -> dict[str, Any]:
    """Everything that a distillate depends on."""
    words = hashlib.sha256("\n".join(vocabulary).encode("utf-8", "surrogatepass")).hexdigest()
    return {
        "teacher_fingerprint": teacher.fingerprint,
        "dimension": dimension,
        "extra_words": len(vocabulary),
        "vocabulary": words,
    }


def distil(
    teacher: TeacherFiles,
    vocabulary: Sequence[str],
    dimension: int,
    device: str,
    trust_remote_code: bool,
) -> StaticModel:
    """Distil with ``model2vec.distill`` (PCA to ``dimension``, SIF weights), in float32.

    Raises:
        TrainingError: the teacher cannot be distilled.
    """
    from model2vec.distill import distill

    quiet_transformers()
    try:
        model = distill(
            model_name=str(teacher.path),
            vocabulary=list(vocabulary) or None,
            pca_dims=dimension,
            device=device,
            trust_remote_code=trust_remote_code,
            quantize_to="float32",
        )
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise TrainingError(f"{teacher.name} cannot be distilled: {first_line(error)}") from error
    model.base_model_name = teacher.name
    # As written by the library this is the path of a folder on this machine.
    model.config["tokenizer_name"] = teacher.name
    model.config["pooling"] = str(getattr(model.config["pooling"], "value", "mean"))
    return model


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
