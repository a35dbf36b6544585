"""Front matter: the fields in YAML that a Markdown file may begin with."""

from __future__ import annotations

import re
from typing import Any

# From the first line, a line of three dashes, to the next such line.
_BLOCK = re.compile(r"\ufeff?---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_MAX_CHARACTERS = 64 * 1024


def front_matter(text: str) -> dict[str, Any]:
    """The fields of a text's front matter; empty where it has none that can be read.

    Aliases are not read: they let a short text stand for a very long one.
    """
    found = _BLOCK.match(text[:_MAX_CHARACTERS])
    if found is None:
        return {}
    import yaml

    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(found[1])):
            return {}
        fields = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return {str(key): value for key, value in fields.items()} if isinstance(fields, dict) else {}
