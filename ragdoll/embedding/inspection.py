"""The facts about a model, read from its files: no tensor is loaded and nothing is run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragdoll.embedding.folder import (
    Kind,
    ModelFolder,
    read_header,
    read_json,
    read_modules,
)
from ragdoll.embedding.identity import (
    Metric,
    fingerprint,
    metric_of,
    normalizes,
    open_with_base,
    teacher_fingerprint,
    truncates_at,
)
from ragdoll.embedding.token_table import load_tokenizer


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
    folder = open_with_base(path)
    metric, reason = metric_of(folder)
    dimension = stated_dimension(folder)
    vocabulary, family = _tokenizer(folder)
    return ModelFacts(
        path=path,
        kind=folder.kind,
        dimension=dimension,
        metric=metric,
        metric_reason=reason,
        vocabulary=vocabulary,
        tokenizer=family,
        corpus_tokens=_corpus_tokens(folder),
        dtype=_dtype(folder),
        normalize=normalizes(folder) and not _is_cut(folder),
        max_length=truncates_at(folder),
        parameters=sum(tensor.size for tensor in folder.tensors.values()),
        bytes=sum(file.stat().st_size for file in folder.weights),
        fingerprint=(fingerprint if folder.is_static else teacher_fingerprint)(folder),
        provenance=folder.provenance,
        remarks=list(_remarks(folder, dimension, vocabulary)),
    )


def stated_dimension(folder: ModelFolder) -> int | None:
    """Return the length of the vectors: the table's, or that which the configurations state."""
    if folder.embedding is not None:
        return folder.embedding.shape[1]
    dimension = _whole_dimension(folder)
    cut = read_json(folder.path / "config_sentence_transformers.json").get("truncate_dim")
    return min(dimension, cut) if dimension and isinstance(cut, int) else dimension


def _whole_dimension(folder: ModelFolder) -> int | None:
    """Return the dimension of a sentence-transformer's vectors before they are cut off."""
    dimension = folder.hidden_size
    for size, copies in _sizes(folder):
        dimension = size * copies
    return dimension


def _is_cut(folder: ModelFolder) -> bool:
    """Tell whether vectors are cut off after the last module, which takes their unit length."""
    return not folder.is_static and stated_dimension(folder) != _whole_dimension(folder)


def _sizes(folder: ModelFolder) -> Iterator[tuple[int, int]]:
    """Yield the dimension that each module states, and the number of such vectors that it joins."""
    for module in read_modules(folder.path):
        config = read_json(folder.path / module.path / "config.json")
        for key in ("out_features", "embedding_dimension", "word_embedding_dimension"):
            if isinstance(config.get(key), int):
                # A list in files of today; before, a key for each kind of pooling.
                modes = config.get("pooling_mode")
                earlier = [key for key in config if key.startswith("pooling_mode_") and config[key]]
                yield config[key], max(1, len(modes if isinstance(modes, list) else earlier))
                break


def _tokenizer(folder: ModelFolder) -> tuple[int | None, str | None]:
    """Return the number of tokens and the family of the tokenizer."""
    if folder.tokenizer is None:
        return folder.vocab_size, None
    tokenizer = load_tokenizer(folder.tokenizer)
    return tokenizer.get_vocab_size(), type(tokenizer.model).__name__


def _dtype(folder: ModelFolder) -> str:
    """Return the type of the table, or that of most parameters."""
    if folder.embedding is not None:
        return folder.embedding.dtype
    sizes: Counter[str] = Counter()
    for tensor in folder.tensors.values():
        sizes[tensor.dtype] += tensor.size
    return max(sizes, key=sizes.__getitem__, default="unknown")


def _corpus_tokens(folder: ModelFolder) -> int | None:
    recorded = (folder.provenance or {}).get("distillate")
    count = recorded.get("extra_words") if isinstance(recorded, dict) else None
    return count if isinstance(count, int) else None


def _remarks(folder: ModelFolder, dimension: int | None, vocabulary: int | None) -> Iterator[str]:
    """Remark on the configuration where the tensors, the tokenizer or the modules differ."""
    if folder.base:
        yield f"It is an adapter (PEFT) of {folder.base.path}: its parameters come on top."
        return
    if folder.embedding is None:
        shapes = [tensor.shape for tensor in folder.tensors.values()]
        for module in read_modules(folder.path):
            file = folder.path / module.path / "model.safetensors"
            if file.is_file() and file not in folder.weights:
                shapes += [tensor.shape for tensor in read_header(file).values()]
        for size in dict.fromkeys((folder.hidden_size, *(size for size, _ in _sizes(folder)))):
            if size is not None and not any(size in shape for shape in shapes):
                yield f"The configuration says {size} dimensions; no tensor has that many."
        return
    stated = folder.config.get("hidden_dim")
    if stated not in (None, dimension):
        yield f"config.json says hidden_dim {stated}; the vectors have {dimension}."
    rows = folder.embedding.shape[0]
    if "mapping" not in folder.tensors and vocabulary != rows:
        yield f"The tokenizer has {vocabulary} tokens, the table {rows} rows."
    modules, normalize = read_modules(folder.path), normalizes(folder)
    elsewhere = any("Normalize" in module.type for module in modules)
    if folder.kind == "model2vec" and modules and elsewhere != normalize:
        yield (
            f"config.json says normalize {str(normalize).lower()}, modules.json the contrary: "
            "model2vec and sentence-transformers will make different vectors."
        )
