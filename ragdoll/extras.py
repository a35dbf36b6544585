"""The optional parts of ragdoll: whether they are installed, and the command that installs one."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from urllib.parse import unquote, urlsplit

from ragdoll.errors import MissingExtraError

_DISTRIBUTION = "ragdoll-cli"

# A module of each library that an extra brings.
_MODULES = {
    "train": (
        *("torch", "transformers", "sentence_transformers", "model2vec", "skeletoken", "peft"),
        *("tokenlearn", "datasets", "sklearn"),
    ),
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
    try:
        here = distribution(_DISTRIBUTION)
        content, installer = here.read_text("direct_url.json"), here.read_text("INSTALLER")
    except PackageNotFoundError:
        content = installer = None
    return f"{_install((installer or '').strip())} {_what(extra, content)}"


def _install(installer: str) -> str:
    """Return how packages get into this environment, also where it is not the active one."""
    is_active = sys.prefix in (sys.base_prefix, os.environ.get("VIRTUAL_ENV"))
    python = shlex.quote(sys.executable)
    if installer == "uv":
        return "uv pip install" if is_active else f"uv pip install --python {python}"
    return "pip install" if is_active else f"{python} -m pip install"


def _what(extra: str, direct_url: str | None) -> str:
    """Return ragdoll with an extra, as pip names it, from where it came from."""
    name = f"{_DISTRIBUTION}[{extra}]"
    if not direct_url:
        return shlex.quote(name)
    origin = json.loads(direct_url)
    url = str(origin["url"])
    if url.startswith("file:") and "dir_info" in origin:
        folder = shlex.quote(f"{unquote(urlsplit(url).path)}[{extra}]")
        return f"-e {folder}" if origin["dir_info"].get("editable") else folder
    if version_control := origin.get("vcs_info"):
        revision = version_control.get("requested_revision") or version_control.get("commit_id")
        url = f"{version_control['vcs']}+{url}" + (f"@{revision}" if revision else "")
    if subfolder := origin.get("subdirectory"):
        url += f"#subdirectory={subfolder}"
    return shlex.quote(f"{name} @ {url}")
