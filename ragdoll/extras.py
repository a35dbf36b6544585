"""The optional parts of ragdoll: whether they are installed, and the command that installs one."""

from __future__ import annotations

import importlib.util
import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote, urlsplit

from ragdoll.errors import MissingExtraError

_DISTRIBUTION = "ragdoll-cli"

# A module of each library that an extra brings.
_MODULES = {
    "train": ("torch", "sentence_transformers", "sklearn", "tokenlearn", "datasets", "model2vec"),
    "documents": ("markitdown", "openpyxl", "pdfminer"),
    "ray": ("ray", "lance"),
    "serve": ("fastapi", "uvicorn", "httptools", "mcp", "watchfiles"),
}


def is_installed(extra: str) -> bool:
    """Tell whether all libraries of an extra are there; none is imported."""
    return all(importlib.util.find_spec(module) is not None for module in _MODULES[extra])


def require(extra: str, need: str) -> None:
    """Check that an extra is installed; ``need`` says what needs it.

    Raises:
        MissingExtraError: it is not installed.
    """
    if not is_installed(extra):
        raise missing(extra, need)


def missing(extra: str, need: str) -> MissingExtraError:
    """Return the error that an extra is not installed, with the command that installs it."""
    return MissingExtraError(extra, need, install_command(extra))


def install_command(extra: str) -> str:
    """Return the command that adds an extra to ragdoll as it is installed here.

    An installation from a folder, an archive or a repository says so in its ``direct_url.json``
    (PEP 610); one from a package index has no such file.
    """
    name = f"{_DISTRIBUTION}[{extra}]"
    try:
        content = distribution(_DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        content = None
    if not content:
        return f"pip install {shlex.quote(name)}"
    origin = json.loads(content)
    url = str(origin["url"])
    if url.startswith("file:") and "dir_info" in origin:
        folder = shlex.quote(f"{unquote(urlsplit(url).path)}[{extra}]")
        editable = "-e " if origin["dir_info"].get("editable") else ""
        return f"pip install {editable}{folder}"
    version_control = origin.get("vcs_info", {}).get("vcs")
    source = f"{version_control}+{url}" if version_control else url
    return f"pip install {shlex.quote(f'{name} @ {source}')}"
