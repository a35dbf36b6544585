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
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
# By these, programs mark what they can make again.
_CACHES = ("CACHEDIR.TAG", "CMakeCache.txt")
_BUILD = re.compile(r"__pycache__|__pypackages__|_build|_site|cmake-build-.+|htmlcov|.+\.egg-info")
# Folders that hold packages or a build only where one of these files stands beside them.
_PYTHON = ("pyproject.toml", "setup.cfg", "setup.py")
_BESIDE = {
    "Pods": (PACKAGES, ("Podfile", "Podfile.lock")),
    "vendor": (PACKAGES, ("Cargo.toml", "Gemfile", "composer.json", "go.mod", "go.work")),
    "build": (
        BUILD,
        ("CMakeLists.txt", "build.gradle", "build.gradle.kts", "package.json", *_PYTHON),
    ),
    "dist": (BUILD, ("package.json", *_PYTHON)),
    "site": (BUILD, ("mkdocs.yaml", "mkdocs.yml")),
    "target": (BUILD, ("Cargo.toml", "build.sbt", "pom.xml")),
}
_WEBSITE = frozenset(("genindex.html", "objects.inv", "searchindex.js"))
_LOCKS = re.compile(
    r".*\.lock|.*[.-]lock\.(?:json|ya?ml|toml)|go\.sum|npm-shrinkwrap\.json", re.IGNORECASE
)
_LISTS = re.compile(
    r"(?:allclasses(?:-\w+)?|bookindex|genindex(?:-\w+)?|index-all|(?:\w+-)?modindex)\.x?html?"
    r"|(?:(?:member|module|package|tag|type)-)?search[-_]?index[-.\da-f]*\.js(?:on)?"
)
_SEARCH_PAGE = re.compile(r"search\.x?html?")
# The page of all pages of a book, and what lies beside it.
_BOOK = "print.html"
_BOOK_SCRIPT = re.compile(r"(?:book|searcher)(?:-\w+)?\.js")
# Folders of a search page hold one of the first, or lie beside one of the others.
_SEARCHED = ("search_index.json", "searchdata.js", "index-1.html")
_DOXYGEN = frozenset(("doxygen.css", "dynsections.js", "menudata.js", "navtreedata.js"))
_MINIFIED = re.compile(r".*[.-]min\.(?:[cm]?js|css|html?)|.*\.(?:js|css)\.map")


def folder_reason(name: str, beside: AbstractSet[str], path: Path) -> str:
    """Say why a folder is left out; empty where it is not. ``beside`` are the names beside it."""
    if name in _PACKAGES or any((path / mark).exists() for mark in _ENVIRONMENTS):
        return PACKAGES
    if _BUILD.fullmatch(name) or any((path / mark).is_file() for mark in _CACHES):
        return BUILD
    reason, marks = _BESIDE.get(name, ("", ()))
    if not beside.isdisjoint(marks):
        return reason
    if name in {"_modules", "_sources", "_static"} and not beside.isdisjoint(_WEBSITE):
        return COPIES
    is_page = not beside.isdisjoint(_WEBSITE) and file_reason(f"{name}.html", beside) == LIST
    return LIST if is_page or _is_search(name, beside, path) else ""


def _is_search(name: str, beside: AbstractSet[str], path: Path) -> bool:
    """Tell whether a folder has what the search or the index of a website is made of."""
    if name not in {"index-files", "search"}:
        return name == "search.index"
    return not beside.isdisjoint(_DOXYGEN) or any((path / file).is_file() for file in _SEARCHED)


def file_reason(name: str, beside: AbstractSet[str]) -> str:
    """Say why a file is left out; empty where it is not. ``beside`` are the names beside it."""
    if _LOCKS.fullmatch(name):
        return LOCK
    is_search_page = _SEARCH_PAGE.fullmatch(name) and not beside.isdisjoint(_WEBSITE)
    is_book = name == _BOOK and any(map(_BOOK_SCRIPT.fullmatch, beside))
    if _LISTS.fullmatch(name) or is_search_page or is_book:
        return LIST
    return MINIFIED if _MINIFIED.fullmatch(name.lower()) else ""
