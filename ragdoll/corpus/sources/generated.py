"""What programs put into folders beside the work of people: packages, builds, lists of versions.

Nobody searches for it, and there is often far more of it than of anything else.
"""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from pathlib import Path

from ragdoll.corpus.formats.kinds import MINIFIED

PACKAGES = "folder of installed packages"
BUILD = "folder of a build"
COPIES = "copies of what a website was made of"
LOCK = "versions of packages, written by a program"
LIST = "index or search page of a website"

_PACKAGES = frozenset(("bower_components", "jspm_packages", "node_modules", "site-packages"))
_ENVIRONMENT = "pyvenv.cfg"
_CACHE = "CACHEDIR.TAG"  # by which a program marks what it can make again
_CACHES = frozenset(("__pycache__", "__pypackages__"))
# Folders that hold a build only where one of these files stands beside them.
_BUILDS = {
    "build": ("CMakeLists.txt", "build.gradle", "build.gradle.kts", "package.json", "setup.py"),
    "dist": ("package.json", "pyproject.toml", "setup.py"),
    "target": ("Cargo.toml", "build.sbt", "pom.xml"),
}
_WEBSITE = frozenset(("genindex.html", "objects.inv", "searchindex.js"))
_LOCKS = re.compile(
    r".*\.lock|.*[.-]lock\.(?:json|ya?ml|toml)|go\.sum|npm-shrinkwrap\.json", re.IGNORECASE
)
_LISTS = re.compile(r"(?:genindex(?:-\w+)?|(?:py-)?modindex|bookindex)\.x?html?|searchindex\.js")
_SEARCH_PAGE = re.compile(r"search\.x?html?")
_MINIFIED = re.compile(r".*[.-]min\.(?:[cm]?js|css|html?)|.*\.(?:js|css)\.map")


def folder_reason(name: str, beside: AbstractSet[str], path: Path) -> str:
    """Say why a folder is left out; empty where it is not. ``beside`` are the names beside it."""
    if name in _PACKAGES or (path / _ENVIRONMENT).is_file():
        return PACKAGES
    if name in _CACHES or (path / _CACHE).is_file():
        return BUILD
    if name in _BUILDS and not beside.isdisjoint(_BUILDS[name]):
        return BUILD
    if name in {"_sources", "_static"} and not beside.isdisjoint(_WEBSITE):
        return COPIES
    return ""


def file_reason(name: str, beside: AbstractSet[str]) -> str:
    """Say why a file is left out; empty where it is not. ``beside`` are the names beside it."""
    if _LOCKS.fullmatch(name):
        return LOCK
    is_search_page = _SEARCH_PAGE.fullmatch(name) and not beside.isdisjoint(_WEBSITE)
    if _LISTS.fullmatch(name) or is_search_page:
        return LIST
    return MINIFIED if _MINIFIED.fullmatch(name.lower()) else ""
