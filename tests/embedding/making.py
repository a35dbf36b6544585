"""Small static models, written as model2vec writes them, with the words and vectors one wants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

SPECIAL = ("[PAD]", "[UNK]")


def vocabulary(*words: str) -> list[str]:
    """The tokens of a model with these words, in the order of their ids."""
    return [*SPECIAL, *words]


def write_model(
    folder: Path,
    words: list[str],
    vectors: npt.NDArray[Any],
    config: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    **beside: npt.NDArray[Any],
) -> Path:
    """Write a model; ``vectors`` has a row for each of ``vocabulary(*words)``."""
    folder.mkdir(parents=True)
    tokens = {token: number for number, token in enumerate(vocabulary(*words))}
    tokenizer = Tokenizer(WordPiece(tokens, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({"embeddings": vectors, **beside}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"normalize": True, **(config or {})}))
    if provenance is not None:
        (folder / "ragdoll.json").write_text(json.dumps(provenance))
    return folder
