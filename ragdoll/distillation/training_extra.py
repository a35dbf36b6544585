"""What the extra ``train`` brings: whether it is installed, and keeping it quiet."""

from __future__ import annotations

import importlib.util

from ragdoll.errors import MissingExtraError


def require_training_extra(need: str) -> None:
    """Check that torch and its companions are installed.

    Raises:
        MissingExtraError: they are not; ``need`` says what asked for them.
    """
    for module in ("torch", "sentence_transformers", "sklearn", "tokenlearn"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("train", need)


def quiet_transformers() -> None:
    """Keep the notices and progress bars of transformers off the terminal."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
