"""The settings that a model was made with, which a next run need not repeat: ``ragdoll.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragdoll.distillation.features.bucket import features_at
from ragdoll.distillation.features.manifest import located
from ragdoll.distillation.model.folder import TERMS_FILE
from ragdoll.embedding.folder import open_folder
from ragdoll.errors import ModelError
from ragdoll.settings import READING

# The settings by the keys that features have for them.
_FEATURES = {
    "teacher": "teacher.model",
    "dtype": "teacher.dtype",
    "target": "featurize.target",
    "max_means": "featurize.max_means",
}
_CORPUS = ("name", "split", *READING)


def from_here(features: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the paths in the settings of features, relative to the folder of a model.

    What moves together with the model is found by them.
    """
    paths = [*places(features), features.get("teacher")]
    here = str(folder.absolute())
    return {
        path: os.path.relpath(path, here)
        for path in paths
        if path and os.path.isabs(path)  # noqa: PTH117
    }


def record_of(folder: Path) -> dict[str, Any]:
    """Read the record of a model, with paths where they are now; empty if there is none."""
    try:
        record = open_folder(folder).provenance or {}
    except ModelError:
        return {}
    features, relative = record.get("features"), record.get("from_here")
    if isinstance(features, dict) and isinstance(relative, dict):
        here = str(folder.absolute())
        moved = {
            path: os.path.normpath(os.path.join(here, to))  # noqa: PTH118
            for path, to in relative.items()
            if isinstance(to, str)
        }
        record["features"] = located(features, lambda path: moved.get(path, path))
    return record


def places(features: Mapping[str, Any]) -> list[str]:
    """Return the places of the corpus that features were made of."""
    corpus = features.get("corpus")
    paths = corpus.get("path") if isinstance(corpus, dict) else None
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


def settings_of(model: Path, features: Path | str) -> dict[str, Any]:
    """Return the settings, by name, that made a model, or else the features that are there."""
    record = record_of(model)
    manifest = None if record else features_at(features).manifest()
    made_by = manifest.settings if manifest else record.get("features")
    told = {}
    if isinstance(made_by, dict):
        told = {name: made_by.get(key) for key, name in _FEATURES.items()}
        corpus = made_by.get("corpus")
        told |= {f"corpus.{key}": (corpus or {}).get(key) for key in _CORPUS}
    settings = record.get("settings")
    if isinstance(settings, dict):
        told |= {f"train.{key}": value for key, value in settings.items()}
        terms = model / TERMS_FILE
        told["train.terms"] = str(terms) if settings.get("terms") and terms.is_file() else None
    # None stands for the default in all of these.
    return {name: value for name, value in told.items() if value is not None}
