"""Fixtures of the tests of static models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Trained


@pytest.fixture
def model(trained: Trained, tmp_path: Path) -> Path:
    """A trained model that may be changed."""
    ignored = shutil.ignore_patterns("variants", "distillate")
    return Path(shutil.copytree(trained.model, tmp_path / "model", ignore=ignored))
