"""Features folders of ragdoll's and of tokenlearn's, and the work in progress of a training."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import NO_HASH, Manifest, rolling_hash
from ragdoll.distillation.features.reading import open_features
from ragdoll.distillation.training.projection import ProjectionSettings, project
from ragdoll.distillation.training.ridge import State
from ragdoll.distillation.training.ridge_method import _Checkpoint, _Progress
from ragdoll.streams import silent
from tests.embedding.making import write_model
from tests.fuzz.harness import Case, FindingError, Prepare
from tests.fuzz.mutation import mutated, mutated_json

_ROWS, _DIMENSION = 40, 6
_TEXTS = [f"wing flap {number}" for number in range(_ROWS)]
_VECTORS = np.random.default_rng(0).normal(size=(_ROWS, _DIMENSION)).astype(np.float32)
_SETTINGS = ProjectionSettings(dimension=3, unit=True, max_held_out=10, seed=0)


def _read(path: Path) -> None:
    features = open_features(path)
    rows = 0
    for texts, vectors in features.batches():
        if not all(isinstance(text, str) for text in texts) or vectors.dtype != np.float32:
            raise FindingError("texts that are none")
        rows += len(texts)
    if rows > features.rows:
        raise FindingError(f"{rows} rows of {features.rows}")


def _features(folder: Path) -> Path:
    path = folder / "features"
    writer = FeaturesFolder(path)
    manifest = Manifest({"teacher": "t", "target": "mean"}, _DIMENSION, complete=True)
    half = _ROWS // 2
    content = NO_HASH
    for number, part in enumerate((slice(0, half), slice(half, _ROWS))):
        name = writer.write_part(number, _TEXTS[part], _VECTORS[part])
        content = rolling_hash(content, _TEXTS[part])
        manifest.parts.append({"file": name, "rows": half, "tokens": 99, "hash": content})
    writer.write_manifest(manifest)
    return path


def _manifest(folder: Path) -> Case:
    path = _features(folder)
    whole = json.loads((path / "manifest.json").read_bytes())

    def case(draw: Random) -> None:
        (path / "manifest.json").write_bytes(mutated_json(whole, draw))
        _read(path)

    _read(path)
    return case


def _parts(folder: Path) -> Case:
    path = _features(folder)
    file = path / "data" / "part-00001.parquet"
    whole, half = file.read_bytes(), _ROWS // 2
    texts, vectors = _TEXTS[half:], _VECTORS[half:].tolist()
    odd: tuple[dict[str, Any], ...] = (
        {"text": list(range(half)), "embedding": vectors},
        {"text": [None] * half, "embedding": vectors},
        {"text": [b"\xff"] * half, "embedding": vectors},
        {"text": texts, "embedding": [None] * half},
        {"text": texts, "embedding": [["a"] * _DIMENSION] * half},
        {"text": texts, "embedding": [[[1.0]] * _DIMENSION] * half},
        {"text": texts, "embedding": [[None] * _DIMENSION] * half},
        {"text": texts, "embedding": [1.0] * half},
        {"text": texts, "embedding": [*vectors[:-1], [1.0]]},
        {"text": texts, "vector": vectors},
    )

    def case(draw: Random) -> None:
        if draw.random() < 0.2:
            parquet.write_table(pa.table(draw.choice(odd)), file)
        else:
            file.write_bytes(mutated(whole, draw))
        _read(path)

    return case


def _pairs(folder: Path) -> Case:
    path = folder / "pairs"
    path.mkdir()
    np.save(path / "feature_0.npy", _VECTORS)
    vectors = (path / "feature_0.npy").read_bytes()
    odd = (
        *(np.array(1.0), np.zeros((_ROWS, 2, 2)), np.zeros((_ROWS, 0)), np.zeros((0, 3))),
        *(np.full((_ROWS, 3), "a"), np.zeros((_ROWS, 3), "M8[s]"), np.zeros((_ROWS, 3), complex)),
        *(
            np.zeros((_ROWS, 2), [("a", "f4")]),
            np.zeros((_ROWS, 3), bool),
            np.full((_ROWS, 3), 1e300),
        ),
    )
    words = (
        b"(" * 300,
        b"9" * 18,
        b"'fortran_order': True",
        b"'descr': '|O'",
        b"(40, 6, 0)",
        b"-1",
    )

    def case(draw: Random) -> None:
        (path / "feature_0.json").write_bytes(mutated_json(_TEXTS, draw))
        if draw.random() < 0.2:
            np.save(path / "feature_0.npy", draw.choice(odd))
        else:
            (path / "feature_0.npy").write_bytes(mutated(vectors, draw, words))
        if draw.random() < 0.7:
            (path / "feature_0.json").write_text(json.dumps(_TEXTS))
        _read(path)

    return case


def _shards(folder: Path) -> Case:
    shard = folder / "shards" / "shard_0"
    shard.mkdir(parents=True)
    file = shard / "data-0.arrow"
    half = [_VECTORS[0].tolist()] * _ROWS
    state = {"_data_files": [{"filename": file.name}], "_split": None}
    seeds = []
    for table in (
        pa.table({"text": _TEXTS, "embedding": _VECTORS.tolist()}),
        pa.table({"text": list(range(_ROWS)), "embedding": half}),
        pa.table({"text": pa.array(_TEXTS).dictionary_encode(), "embedding": half}),
        pa.table({"text": _TEXTS, "embedding": [[[1.0]]] * _ROWS}),
        pa.table({"text": _TEXTS, "embedding": [["a"]] * _ROWS}),
        pa.table({"text": [None] * _ROWS, "embedding": half}),
    ):
        with pa.OSFile(str(file), "wb") as out, pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        seeds.append(file.read_bytes())

    def case(draw: Random) -> None:
        whole = draw.random() < 0.7
        (shard / "state.json").write_bytes(
            json.dumps(state).encode() if whole else mutated_json(state, draw)
        )
        seed = seeds[0] if draw.random() < 0.6 else draw.choice(seeds)
        file.write_bytes(seed if draw.random() < 0.2 else mutated(seed, draw))
        _read(folder / "shards")

    return case


def _projection(folder: Path) -> Case:
    from model2vec import StaticModel

    features = open_features(_features(folder))
    place = folder / "work"
    place.mkdir()
    vectors = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    model = StaticModel.from_pretrained(write_model(folder / "model", ["wing", "flap"], vectors))
    project(features, model, _SETTINGS, place, "key", silent)
    whole = {file.name: file.read_bytes() for file in place.iterdir()}

    def case(draw: Random) -> None:
        for name, content in whole.items():
            (place / name).write_bytes(content)
        name = draw.choice(list(whole))
        if name.endswith(".json"):
            changed = mutated_json(json.loads(whole[name]), draw)
        else:
            changed = mutated(whole[name], draw)
        (place / name).write_bytes(changed)
        found = project(features, model, _SETTINGS, place, "key", silent)
        if len(found.training.targets) + len(found.held_out.targets) != found.rows:
            raise FindingError("targets of other passages")
        for passages in (found.training, found.held_out):
            if len(passages.bags) != len(passages.targets):
                raise FindingError("bags of other passages")
            passages.bags.rows(0, len(passages.bags)) @ vectors

    return case


def _checkpoint(folder: Path) -> Case:
    file = folder / "checkpoint"
    state = State(*(np.ones((4, 3), np.float32) for _ in range(3)))
    _Checkpoint(file, "key").save(_Progress(state, np.ones((4, 3), np.float32), 2, (0.5, 0.4)))
    whole = file.read_bytes()

    def case(draw: Random) -> None:
        file.write_bytes(
            mutated(whole, draw, (b'"losses":"[1]"', b'"best"', b"NaN", b"[[", b"F16"))
        )
        losses = _Checkpoint(file, "key").load(state).losses
        if not all(isinstance(loss, float) for loss in losses):
            raise FindingError(f"losses {losses!r}")

    return case


TARGETS: dict[str, Prepare] = {
    "manifest": _manifest,
    "feature-parts": _parts,
    "tokenlearn-pairs": _pairs,
    "tokenlearn-shards": _shards,
    "projection": _projection,
    "checkpoint": _checkpoint,
}
