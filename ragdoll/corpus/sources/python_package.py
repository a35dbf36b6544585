"""The docstrings of an installed Python package or of the standard library, as documents.

Nothing is imported: what a public module offers is told from the source alone. A library may keep
``KMeans`` in ``cluster/_kmeans.py``, while users import it from ``cluster``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import re
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ragdoll.corpus.documents import LINE, Document, Reading, Source
from ragdoll.corpus.formats.decoding import display_name, storable
from ragdoll.corpus.names import UniqueNames
from ragdoll.corpus.sources.folder import size_of
from ragdoll.errors import CorpusError

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function

# Syntax trees in memory: a private module is mostly looked up several times in a row.
_TREES = 32


class Export(NamedTuple):
    """A definition in a private module's file, and the name that a public module gives it."""

    name: str
    file: Path
    definition: Definition


class Exports:
    """The exports of the modules below ``base``, each found once, in the first module.

    ``parse`` returns the tree of a file, None where it cannot be parsed.
    """

    def __init__(self, base: Path, parse: Callable[[Path], ast.Module | None]) -> None:
        self._base = base
        self._tree = lru_cache(_TREES)(parse)
        self._found: set[tuple[Path, int]] = set()

    def of(self, file: Path, tree: ast.Module, module: str) -> Iterator[Export]:
        """Yield the exports of a public module, under the name of the module.

        An export is imported from a private module by ``*``, or by a name that ``__all__`` lists,
        or in an ``__init__.py`` by a public name.
        """
        listed = _listed(tree)
        for imported in self._imports(file, tree):
            names = imported.names
            if not names:
                names = {name: name for name in self._offered(imported.file, set())}
            elif listed is None and file.name != "__init__.py":
                continue
            for own, name in names.items():
                if name.startswith("_") or (listed is not None and name not in listed):
                    continue
                for place, definition in self._defined(imported.file, own, set()):
                    key = (place, definition.lineno)
                    if key not in self._found:
                        self._found.add(key)
                        yield Export(f"{module}.{name}", place, definition)

    def _offered(self, file: Path, passed: set[Path]) -> list[str]:
        """List the names that ``import *`` takes from a module."""
        tree = self._tree(file)
        if tree is None or file in passed:
            return []
        passed.add(file)
        if (listed := _listed(tree)) is not None:
            return sorted(listed)
        names = [one.name for one in definitions(tree.body) if not one.name.startswith("_")]
        for imported in self._imports(file, tree):
            names += [] if imported.names else self._offered(imported.file, passed)
        return list(dict.fromkeys(names))

    def _defined(
        self, file: Path, name: str, passed: set[Path]
    ) -> Iterator[tuple[Path, Definition]]:
        """Yield the definitions of a name in a module, or in the one that it is imported from."""
        tree = self._tree(file)
        if tree is None or file in passed:
            return
        passed.add(file)
        here = [one for one in definitions(tree.body) if one.name == name]
        yield from ((file, one) for one in here)
        for imported in self._imports(file, tree) if not here else []:
            own = next((own for own, new in imported.names.items() if new == name), None)
            if own is not None or not imported.names:
                yield from self._defined(imported.file, own or name, passed)

    def _imports(self, file: Path, tree: ast.Module) -> Iterator[_Import]:
        """Yield the imports from private modules whose files exist."""
        parts = file.relative_to(self._base).with_suffix("").parts
        package = parts[:-1]
        for node in _statements(tree.body):
            if not isinstance(node, ast.ImportFrom) or node.level > len(package):
                continue
            above = package[: len(package) - node.level + 1] if node.level else ()
            named = (*above, *(node.module or "").split("."))
            place = self._base.joinpath(*named)
            if not any(part.startswith("_") for part in named):
                continue
            for candidate in (place / "__init__.py", place.with_suffix(".py")):
                if candidate.is_file():
                    names = {alias.name: alias.asname or alias.name for alias in node.names}
                    yield _Import(candidate, {} if "*" in names else names)
                    break


class _Import(NamedTuple):
    """Names imported from a file, and their new names; no names stand for an import by ``*``."""

    file: Path
    names: dict[str, str]


def definitions(body: Sequence[ast.stmt]) -> Iterator[Definition]:
    """Yield the definitions of a body, those in an ``if`` or a ``try`` included."""
    return (node for node in _statements(body) if isinstance(node, Definition))


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handled = [child for handler in node.handlers for child in handler.body]
            yield from _statements([*node.body, *handled, *node.orelse, *node.finalbody])
        else:
            yield node


def _listed(tree: ast.Module) -> set[str] | None:
    """Return the names in ``__all__``; None where it is missing or put together by code."""
    listed = None
    for node in _statements(tree.body):
        if isinstance(node, ast.AugAssign) and _is_all(node.target):
            return None
        if isinstance(node, ast.Assign) and any(map(_is_all, node.targets)):
            if not isinstance(node.value, ast.List | ast.Tuple):
                return None
            values = [getattr(item, "value", None) for item in node.value.elts]
            listed = {value for value in values if isinstance(value, str)}
    return listed


def _is_all(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "__all__"


SCHEME = "python:"

# Folders that are not the library itself: other people's packages, tests and vendored tools.
_OTHER_FOLDERS = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
)
# The name of every module that is parsed, by which the parser's warnings are known.
_PARSED = "<a package that ragdoll reads>"


@dataclass(frozen=True, slots=True)
class PythonSource(Source):
    """``python:stdlib`` or ``python:PACKAGE``: a document for each public docstring.

    A public module's own definitions are public, and those that it offers from a private one. A
    document is titled with the qualified name, which its text begins with; its metadata has the
    line of the definition.
    """

    name: str

    @property
    def root(self) -> str:
        """The scheme and the package's name, the same wherever it is installed."""
        return SCHEME + self.name

    def documents(self, reading: Reading) -> Iterator[Document]:
        """Parse file by file; a file that is not Python of this version is left out and named."""
        base, place = self._place()
        skipped: set[Path] = set()

        def parsed(file: Path) -> ast.Module | None:
            try:
                return _parse(file)
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
                if file not in skipped:  # other modules may import from it
                    reading.skip(_relative(file, base), _reason(error))
                    skipped.add(file)
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
                    text=f"{name}\n\n{docstring}",
                    title=name,
                    source=unique(f"{_relative(defined, base)}#{name}"),
                    metadata={LINE: line},
                    root=self.root,
                )
            reading.done += size

    def size(self) -> int:
        """Count the bytes of the public source files."""
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
    """List the files of public modules, in order."""
    if place.is_file():
        return [place]
    return [
        file
        for file in _files(place)
        if all(part[0] != "_" or part == "__init__.py" for part in file.relative_to(place).parts)
    ]


def _files(place: Path) -> list[Path]:
    """List the files of modules, in order."""
    if place.is_file():
        return [place]
    modules = []
    for folder, folders, files in os.walk(place):
        folders[:] = [name for name in folders if name not in _OTHER_FOLDERS]
        modules += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(modules)


def _parse(file: Path) -> ast.Module:
    """Parse bytes, which may declare their encoding, without warnings of other people's code."""
    # Not warnings.catch_warnings: with two threads, it may put back filters that the other has set.
    ignored = ("ignore", None, Warning, re.compile(_PARSED), 0)
    if ignored not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PARSED)
    return ast.parse(file.read_bytes(), filename=_PARSED)


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: not parsed: {error.msg}"
    return f"not parsed: {error or type(error).__name__}"


def _locate(name: str) -> tuple[Path, Path]:
    """Return the folder of the top-level package, and the file or folder of its named part."""
    top, *parts = name.split(".")
    # Only the top level is looked up: finding the spec of a submodule would import its parents.
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec and spec.name != top:
        spec = None  # __main__ is the running program
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
    yield from ((file, *item) for item in _docstrings(tree, module))
    for name, place, definition in exports.of(file, tree, module):
        yield from ((place, *item) for item in _docstrings(definition, name, definition.lineno))


def _relative(file: Path, base: Path) -> str:
    return display_name(file.relative_to(base).as_posix())


def _docstrings(
    node: ast.Module | Definition, name: str, line: int = 1
) -> Iterator[tuple[str, int, str]]:
    docstring = ast.get_docstring(node, clean=False)
    if docstring and docstring.strip():
        yield name, line, storable(inspect.cleandoc(docstring))
    # What is defined within a function cannot be named from outside.
    for child in definitions(node.body) if not isinstance(node, Function) else []:
        if not child.name.startswith("_"):
            yield from _docstrings(child, f"{name}.{child.name}", child.lineno)
