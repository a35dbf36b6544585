"""The facts about a model, read from its files: no tensor is loaded and nothing is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragdoll.embedding.folder import (
    Kind,
    ModelFolder,
    open_folder,
    read_header,
    read_json,
    read_modules,
)
from ragdoll.embedding.identity import (
    Metric,
    fingerprint,
    metric_of,
    normalizes,
    truncates_at,
    weights_fingerprint,
)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about a model folder.

    ``vocabulary`` counts tokens, ``parameters`` numbers in tensors, ``bytes`` is the size of the
    weights' files. ``tokenizer`` is the family (WordPiece, BPE, Unigram …). ``corpus_tokens``
    counts the tokens that were added from the words of the corpus (None: not recorded).
    ``max_length`` is in tokens (None: texts are never cut off). ``provenance`` is None for a model
    that ragdoll did not make. Each of ``remarks`` is a sentence on what does not fit together.
    """

    path: Path
    kind: Kind
    dimension: int | None
    metric: Metric
    metric_reason: str
    vocabulary: int | None
    tokenizer: str | None
    corpus_tokens: int | None
    dtype: str
    normalize: bool
    max_length: int | None
    parameters: int
    bytes: int
    fingerprint: str
    provenance: dict[str, Any] | None
    remarks: list[str] = field(default_factory=list)


def inspect(path: Path) -> ModelFacts:
    """Read the facts about a model2vec model, a static or a full sentence-transformer.

    Raises:
        ModelError: the folder holds no model, or a damaged one.
    """
    folder = open_folder(path)
    normalize = normalizes(folder)
    max_length = truncates_at(folder)
    metric, reason = metric_of(folder)
    size, family = _tokenizer(folder)
    dimension = _dimension(folder)
    return ModelFacts(
        path=path,
        kind=folder.kind,
        dimension=dimension,
        metric=metric,
        metric_reason=reason,
        vocabulary=size,
        tokenizer=family,
        corpus_tokens=_corpus_tokens(folder),
        dtype=_dtype(folder),
        normalize=normalize,
        max_length=max_length,
        parameters=sum(tensor.size for tensor in folder.tensors.values()),
        bytes=sum(file.stat().st_size for file in folder.weights),
        fingerprint=(
            fingerprint(folder, normalize, max_length)
            if folder.is_static
            else weights_fingerprint(folder)
        ),
        provenance=folder.provenance,
        remarks=[*_remarks_on_dimension(folder, dimension), *_remarks(folder, normalize, size)],
    )


def _dimension(folder: ModelFolder) -> int | None:
    """Return the length of the vectors: the table's, or that which the last module states."""
    if folder.embedding is not None:
        return folder.embedding.shape[1]
    for pattern, key in (("*_Dense", "out_features"), ("*_Pooling", "word_embedding_dimension")):
        modules = sorted(folder.path.glob(pattern), key=lambda module: len(module.name))
        for config in (module / "config.json" for module in reversed(modules)):
            value = read_json(config).get(key) if config.is_file() else None
            if isinstance(value, int):
                return value
    size = folder.config.get("hidden_size")
    return size if isinstance(size, int) else None


def _tokenizer(folder: ModelFolder) -> tuple[int | None, str | None]:
    """Return the number of tokens and the family of the tokenizer."""
    if folder.tokenizer is None:
        size = folder.config.get("vocab_size")
        return (size if isinstance(size, int) else None), None
    content = read_json(folder.tokenizer)
    model = content.get("model")
    model = model if isinstance(model, dict) else {}
    family = str(model.get("type") or "unknown")
    vocabulary = model.get("vocab")
    if isinstance(vocabulary, list):  # Unigram: pairs of token and score
        vocabulary = [str(pair[0]) for pair in vocabulary if isinstance(pair, list) and pair]
    elif not isinstance(vocabulary, dict):
        return None, family
    added = content.get("added_tokens")
    extra = {
        str(token.get("content"))
        for token in (added if isinstance(added, list) else [])
        if isinstance(token, dict)
    }
    return len(extra.union(vocabulary)), family


def _dtype(folder: ModelFolder) -> str:
    """Return the type of the table, or that of most parameters."""
    if folder.embedding is not None:
        return folder.embedding.dtype
    sizes: dict[str, int] = {}
    for tensor in folder.tensors.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size
    return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else "unknown"


def _corpus_tokens(folder: ModelFolder) -> int | None:
    recorded = (folder.provenance or {}).get("distillate")
    count = recorded.get("extra_words") if isinstance(recorded, dict) else None
    return count if isinstance(count, int) else None


def _remarks_on_dimension(folder: ModelFolder, dimension: int | None) -> list[str]:
    """Remark that the configuration and the tensors have different dimensions."""
    if folder.embedding is not None:
        stated = folder.config.get("hidden_dim")
        if stated not in (None, dimension):
            return [f"config.json says hidden_dim {stated}; the vectors have {dimension}."]
        return []
    shapes = [tensor.shape for tensor in folder.tensors.values()]
    for file in folder.path.glob("*_Dense/model.safetensors"):
        if file.is_file():
            shapes += [tensor.shape for tensor in read_header(file).values()]
    if dimension is not None and not any(dimension in shape for shape in shapes):
        return [f"The configuration says {dimension} dimensions; no tensor has that many."]
    return []


def _remarks(folder: ModelFolder, normalize: bool, vocabulary: int | None) -> list[str]:
    remarks = []
    if vocabulary is None and folder.tokenizer is not None:
        remarks.append(f"{folder.tokenizer.name} has no vocabulary.")
    if folder.embedding is not None:
        rows = folder.embedding.shape[0]
        if "mapping" not in folder.tensors and vocabulary not in (None, rows):
            remarks.append(f"The tokenizer has {vocabulary} tokens, the table {rows} rows.")
    modules = read_modules(folder.path)
    if folder.kind == "model2vec" and modules:
        elsewhere = any("Normalize" in module.type for module in modules)
        if elsewhere != normalize:
            remarks.append(
                f"config.json says normalize {str(normalize).lower()}, modules.json the contrary: "
                "model2vec and sentence-transformers will make different vectors."
            )
    return remarks
