"""The docstrings of an installed package or of the standard library, read without importing it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ragdoll.corpus.decoding import shown, whole
from ragdoll.corpus.documents import LINE, Document, Reading
from ragdoll.corpus.files import size_of
from ragdoll.corpus.python_exports import (
    Definition,
    Exports,
    Function,
    definitions,
)
from ragdoll.corpus.quiet import ignore_warnings
from ragdoll.corpus.seen import UniqueNames
from ragdoll.errors import CorpusError

SCHEME = "python:"

# Not the library itself: other people's packages, tests and vendored tools.
_LEFT_OUT = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
)
# What the parser calls the module that it warns of.
_PARSED = "<a package that ragdoll reads>"


@dataclass(frozen=True, slots=True)
class PythonSource:
    """``python:stdlib`` or ``python:PACKAGE``: a document for each public docstring.

    Public is what a public module defines, or offers from a private one. A document is titled with
    the qualified name, which its text begins with; its metadata has the line of the definition.
    """

    name: str

    @property
    def root(self) -> str:
        """The scheme and the package's name, wherever it is installed."""
        return SCHEME + self.name

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Parse file by file; a file that is not Python of this version is left out and named."""
        base, place = self._place()
        named: set[Path] = set()

        def parsed(file: Path) -> ast.Module | None:
            try:
                return _parse(file)
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
                if file not in named:  # it may be asked for again
                    reading.skip(_relative(file, base), _reason(error))
                    named.add(file)
                return None

        exports = Exports(base, parsed)
        for file in _public(place):
            size = size_of(file)
            unique = UniqueNames()
            tree = parsed(file)
            for defined, name, line, docstring in (
                _offered(base, file, tree, exports) if tree else ()
            ):
                yield Document(
                    root=self.root,
                    source=unique(f"{_relative(defined, base)}#{name}"),
                    title=name,
                    text=f"{name}\n\n{docstring}",
                    metadata={LINE: line},
                )
            reading.done += size

    def size(self) -> int:
        """The bytes of the public source files."""
        return sum(map(size_of, _public(self._place()[1])))

    def signature(self) -> str | None:
        """Hash path, size and modification time of the source files."""
        digest = hashlib.sha256()
        for file in _files(self._place()[1]):
            try:
                facts = file.stat()
            except OSError:
                return None
            digest.update(os.fsencode(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\n"))
        return digest.hexdigest()

    def _place(self) -> tuple[Path, Path]:
        """Return the folder that names are relative to, and the file or folder that is read."""
        if self.name == "stdlib":
            place = Path(sysconfig.get_path("stdlib"))
            return place, place
        return _locate(self.name)


def _public(place: Path) -> list[Path]:
    """The files of public modules, in order."""
    if place.is_file():
        return [place]
    return [
        file
        for file in _files(place)
        if all(part[0] != "_" or part == "__init__.py" for part in file.relative_to(place).parts)
    ]


def _files(place: Path) -> list[Path]:
    """The files of modules, in order."""
    if place.is_file():
        return [place]
    found = []
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(found)


def _parse(file: Path) -> ast.Module:
    """Parse bytes, which may declare their encoding; the parser's warnings are not ours to give."""
    ignore_warnings(_PARSED)
    return ast.parse(file.read_bytes(), filename=_PARSED)


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: not parsed: {error.msg}"
    return f"not parsed: {error or type(error).__name__}"


def _locate(name: str) -> tuple[Path, Path]:
    """Return the folder that holds the top-level package, and where the named part of it is."""
    top, *parts = name.split(".")
    # Only the top level is looked up: finding the spec of a submodule would import its parents.
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec and spec.name != top:
        spec = None  # __main__ is whatever program this is.
    places = list(spec.submodule_search_locations or []) if spec else []
    if spec and not places and spec.origin and spec.origin.endswith(".py"):
        places = [spec.origin]
    for place in places:
        path = Path(place).joinpath(*parts)
        for candidate in (path, path.with_suffix(".py")):
            if candidate.exists():
                return Path(place).parent, candidate
    raise CorpusError(
        f"No Python source is installed for {SCHEME}{name}.",
        hint=f"Give the name of an installed package, or {SCHEME}stdlib.",
    )


def _offered(
    base: Path, file: Path, tree: ast.Module, exports: Exports
) -> Iterator[tuple[Path, str, int, str]]:
    """Yield the docstrings of a public module: file, qualified name, line and text."""
    module = _relative(file, base).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    yield from ((file, *found) for found in _docstrings(tree, module))
    for name, place, definition in exports.of(file, tree, module):
        yield from ((place, *found) for found in _docstrings(definition, name, definition.lineno))


def _relative(file: Path, base: Path) -> str:
    return shown(file.relative_to(base).as_posix())


def _docstrings(
    node: ast.Module | Definition, name: str, line: int = 1
) -> Iterator[tuple[str, int, str]]:
    docstring = ast.get_docstring(node, clean=False)
    if docstring and docstring.strip():
        yield name, line, whole(inspect.cleandoc(docstring))
    # What is defined within a function cannot be named from outside.
    for child in definitions(node.body) if not isinstance(node, Function) else []:
        if not child.name.startswith("_"):
            yield from _docstrings(child, f"{name}.{child.name}", child.lineno)
