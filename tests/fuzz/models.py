"""Model folders: their JSON files, and the safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from ragdoll.embedding.folder import read_header
from ragdoll.embedding.static import StaticModel
from tests.embedding.making import write_model
from tests.fuzz.command import check_output, run
from tests.fuzz.harness import Case, Prepare
from tests.fuzz.mutation import as_json, mutated, mutated_json

_PROVENANCE: dict[str, Any] = {
    "format": "ragdoll-model",
    "version": 1,
    "teacher": {"name": "teacher", "fingerprint": "ab"},
    "metric": "cosine",
    "method": "ridge",
    "settings": {"pca_dims": 3, "seed": 0},
    "features": {"corpus": {"path": ["docs"]}, "identity": "x"},
    "rows": 10,
    "distillate": {"extra_words": 2},
    "explained_variance": 0.9,
    "validation_loss": 0.1,
    "heldout_agreement": {"distillate": 0.1, "weighted": 0.2, "unweighted": 0.2},
    "recommended": "weighted",
    "epochs": 3,
    "versions": {"ragdoll": "0.1"},
}
_WORDS = ["wing", "flap", "##s", "lift", "drag", "é"]
_OTHERS: dict[str, Any] = {
    "modules.json": [{"idx": 0, "type": "a.StaticEmbedding"}, {"idx": 1, "type": "a.Normalize"}],
    "config_sentence_transformers.json": {"similarity_fn_name": "cosine", "prompts": {}},
}


def _model(folder: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(len(_WORDS) + 2, 3)).astype(np.float32)
    return write_model(folder / "model", _WORDS, vectors, {"max_length": 8}, _PROVENANCE)


def _header(folder: Path) -> Case:
    file = folder / "model.safetensors"
    entries: dict[str, Any] = {
        "__metadata__": {"format": "pt"},
        "embeddings": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]},
        "mapping": {"dtype": "I64", "shape": [2], "data_offsets": [48, 64]},
        "other": {"dtype": "F4", "shape": [2, 2], "data_offsets": [64, 66]},
    }

    def case(draw: Random) -> None:
        header = mutated_json(entries, draw)
        length = len(header) if draw.random() < 0.9 else draw.choice((0, 1, 2**32, 2**63))
        content = length.to_bytes(8, "little") + header + bytes(66)
        file.write_bytes(mutated(content, draw) if draw.random() < 0.1 else content)
        for tensor in read_header(file).values():
            str(tensor.size)

    return case


def _json_files(folder: Path) -> Case:
    model = _model(folder)
    for name, content in _OTHERS.items():
        (model / name).write_bytes(as_json(content))
    names = ("config.json", "ragdoll.json", "tokenizer.json", *_OTHERS)
    whole = {name: (model / name).read_bytes() for name in names}
    texts = ["wings flap", "", "é " * 20, "lift\0drag"]

    def case(draw: Random) -> None:
        name = draw.choice(names)
        (model / name).write_bytes(mutated_json(json.loads(whole[name]), draw))
        try:
            options = draw.choice(((), ("--json",), ("--neighbors", "wing"), (folder / "same",)))
            check_output(run("inspect-model", model, *options), folder)
            encoder = StaticModel.load(model)
            encoder.encode(texts)
            encoder.encode(texts * 100)
            encoder.count_tokens(["wing", "x"])
        finally:
            (model / name).write_bytes(whole[name])

    write_model(folder / "same", _WORDS, np.ones((len(_WORDS) + 2, 3), np.float32))
    check_output(run("inspect-model", model), folder)
    return case


def _weights(folder: Path) -> Case:
    from safetensors.numpy import save_file

    model = _model(folder)
    tokens = len(_WORDS) + 2
    kinds = (np.float32, np.float16, np.float64, np.int8, np.int64, np.int32, np.uint8, np.bool_)

    def case(draw: Random) -> None:
        numbers = np.random.default_rng(draw.randrange(2**32))
        rows = draw.choice((tokens, tokens, tokens - 1, tokens + 1, 1))
        table = numbers.normal(size=(rows, draw.choice((1, 3, 8)))).astype(draw.choice(kinds))
        if table.dtype.kind == "f" and draw.random() < 0.2:
            table[0, 0] = draw.choice((np.nan, np.inf, 0, 6e4))
        tensors = {"embeddings": table}
        if draw.random() < 0.4:
            ids = numbers.integers(-1, rows + 1, draw.choice((tokens, tokens - 1, 0)))
            tensors["mapping"] = ids.astype(draw.choice(kinds))
        if draw.random() < 0.4:
            shape = draw.choice(((tokens,), (tokens, 1), (1,), ()))
            tensors["weights"] = numbers.normal(size=shape).astype(draw.choice(kinds))
        save_file(tensors, model / "model.safetensors")
        check_output(run("inspect-model", model, "--neighbors", "wing"), folder)
        encoder = StaticModel.load(model)
        encoder.encode(["wings flap", ""])
        encoder.encode(["wings flap", ""] * 200)

    return case


TARGETS: dict[str, Prepare] = {
    "safetensors": _header,
    "model-json": _json_files,
    "model-weights": _weights,
}
