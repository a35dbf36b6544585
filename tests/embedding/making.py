"""Small static models, written as model2vec writes them, and safetensors files of any content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
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
    vectors: npt.NDArray[Any] | None = None,
    config: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    **beside: npt.NDArray[Any],
) -> Path:
    """Write a model; ``vectors`` has a row for each of ``vocabulary(*words)`` (None: ones)."""
    folder.mkdir(parents=True)
    tokens = {token: number for number, token in enumerate(vocabulary(*words))}
    tokenizer = Tokenizer(WordPiece(tokens, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = np.ones((len(tokens), 3), np.float32) if vectors is None else vectors
    save_file({"embeddings": vectors, **beside}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"normalize": True, **(config or {})}))
    if provenance is not None:
        (folder / "ragdoll.json").write_text(json.dumps(provenance))
    return folder


def write_static(model: Path, folder: Path, **settings: Any) -> int:
    """Write a static model as sentence-transformers does; return the number of its tokens."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokens: int = tokenizer.get_vocab_size()
    module = StaticEmbedding(tokenizer, embedding_weights=np.ones((tokens, 8), np.float32))
    SentenceTransformer(modules=[module], device="cpu", **settings).save(str(folder))
    return tokens


def change_json(file: Path, **values: Any) -> None:
    """Set values at the top of a JSON object; the file may be missing."""
    before = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps({**before, **values}))


def change_tokenizer(model: Path, **parts: Any) -> None:
    """Set values in the model of a tokenizer."""
    file = model / "tokenizer.json"
    change_json(file, model={**json.loads(file.read_text())["model"], **parts})


def change_table(model: Path, dtype: Any, factor: int = 50) -> None:
    """Write a model's table in another type."""
    file = model / "model.safetensors"
    save_file({"embeddings": (load_table(model) * factor).astype(dtype)}, file)


def load_table(model: Path) -> npt.NDArray[Any]:
    """Read the table of a model that model2vec would write."""
    from safetensors.numpy import load_file

    return load_file(model / "model.safetensors")["embeddings"]


def encoded(header: Any, data: bytes = b"") -> bytes:
    """The content of a safetensors file with any header."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(content).to_bytes(8, "little") + content + data
