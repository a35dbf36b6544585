"""A tokenizer from its file, which anyone may have made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdoll.embedding.folder import read_json
from ragdoll.errors import ModelError, first_line

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The library keeps a place for each id up to the highest, and ends the process where memory does
# not suffice for them.
_MAX_ID = 10_000_000
_LONG_NUMBER = re.compile(rb"[\s:]\d{8,}\s*[,}]")


def load_tokenizer(file: Path) -> Tokenizer:
    """Load a tokenizer.

    Raises:
        ModelError: the ids of its tokens are too high. The library raises exceptions of its own.
    """
    from tokenizers import Tokenizer

    content = file.read_bytes()
    # Most files need no second look, which would take longer than loading them.
    if _LONG_NUMBER.search(content) and _highest_id(read_json(file)) > _MAX_ID:
        raise ModelError(f"{file} has a token with an id above {_MAX_ID:,}.")
    return Tokenizer.from_buffer(content)


@contextmanager
def failures_told() -> Iterator[None]:
    """Say in a line that a tokenizer fails at a text, by too long a search or without its unknown.

    Raises:
        ModelError: it does. What the library raises then is no more than an ``Exception``, or even
            less.
    """
    try:
        yield
    except BaseException as error:
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise ModelError(
            f"The tokenizer of the model fails at a text: {first_line(error)}.",
            hint="It is damaged, or was never tried; take another model.",
        ) from error


def _highest_id(definition: dict[str, Any]) -> int:
    model, added = definition.get("model"), definition.get("added_tokens")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    ids = [*vocabulary.values()] if isinstance(vocabulary, dict) else []
    ids += [
        token.get("id")
        for token in (added if isinstance(added, list) else [])
        if isinstance(token, dict)
    ]
    return max((number for number in ids if isinstance(number, int)), default=0)
