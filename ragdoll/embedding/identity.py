"""The identity of a static model: what a table must know to be searched with the same model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ragdoll.embedding.fingerprint import fingerprint
from ragdoll.embedding.folder import ModelFolder, open_folder, read_json, read_modules
from ragdoll.errors import ModelError

Metric = Literal["cosine", "dot", "l2"]

# model2vec truncates here where a model's config.json does not say otherwise.
_DEFAULT_MAX_LENGTH = 512

# sentence-transformers' names of similarity functions.
_SIMILARITIES: dict[str, Metric] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """A static model and how its vectors are to be compared.

    ``metric`` is what the model was made for, ``metric_reason`` says how that is known.
    ``max_length`` is in tokens; None means that texts are never truncated.
    """

    path: Path
    fingerprint: str
    dimension: int
    metric: Metric
    metric_reason: str
    normalize: bool
    max_length: int | None


def identify(path: Path) -> ModelIdentity:
    """Read a static model's identity from its files.

    Raises:
        ModelError: the folder holds no static model that can be read.
    """
    folder = open_folder(path)
    if folder.embedding is None:
        raise ModelError(
            f"{path} is a full sentence-transformer, not a static model.",
            hint="Distil it first: ragdoll run --teacher " + str(path),
        )
    normalize = normalizes(folder)
    max_length = truncates_at(folder)
    metric, reason = metric_of(folder)
    return ModelIdentity(
        path=folder.path,
        fingerprint=fingerprint(folder, normalize, max_length),
        dimension=folder.embedding.shape[1],
        metric=metric,
        metric_reason=reason,
        normalize=normalize,
        max_length=max_length,
    )


def normalizes(folder: ModelFolder) -> bool:
    """Whether the model's vectors have unit length."""
    if folder.kind == "model2vec":
        return bool(folder.config.get("normalize", False))
    return any("Normalize" in module.type for module in read_modules(folder.path))


def truncates_at(folder: ModelFolder) -> int | None:
    """The number of tokens after which a text is cut off, special tokens included."""
    if folder.is_static:
        length = folder.config.get("max_length", _DEFAULT_MAX_LENGTH)
        return length if isinstance(length, int) else None
    for name in ("sentence_bert_config.json", "tokenizer_config.json"):
        file = folder.path / name
        if file.is_file():
            settings = read_json(file)
            length = settings.get("max_seq_length", settings.get("model_max_length"))
            # Tokenizers write a huge number for "no limit".
            if isinstance(length, int) and length < 10**6:
                return length
    length = folder.config.get("max_position_embeddings")
    return length if isinstance(length, int) else None


def metric_of(folder: ModelFolder) -> tuple[Metric, str]:
    """The metric a model was made for, and how that is known."""
    recorded = (folder.provenance or {}).get("metric")
    if isinstance(recorded, str) and recorded in get_args(Metric):
        return cast(Metric, recorded), "recorded when the model was trained"
    file = folder.path / "config_sentence_transformers.json"
    settings: dict[str, Any] = read_json(file) if file.is_file() else {}
    similarity = str(settings.get("similarity_fn_name"))
    if similarity in _SIMILARITIES:
        return _SIMILARITIES[similarity], f"its similarity function is {similarity}"
    if similarity == "manhattan":
        return "l2", "its similarity function is manhattan, to which l2 is the nearest"
    if normalizes(folder):
        return "cosine", "it normalizes its vectors"
    return "cosine", "nothing says otherwise"
