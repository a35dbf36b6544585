"""A features folder in memory, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ragdoll.distillation.features.reading import open_features


class Loaded(NamedTuple):
    """The content of a features folder."""

    texts: list[str]
    vectors: npt.NDArray[np.float32]
    teacher: str | None
    teacher_fingerprint: str | None


def load_features(path: Path) -> Loaded:
    """Read all of a features folder."""
    features = open_features(path)
    batches = list(features.batches())
    return Loaded(
        texts=[text for texts, _ in batches for text in texts],
        vectors=np.concatenate([vectors for _, vectors in batches]),
        teacher=features.teacher,
        teacher_fingerprint=features.teacher_fingerprint,
    )
