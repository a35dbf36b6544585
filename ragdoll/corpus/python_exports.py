"""What public modules of Python offer that private modules define, told from their source alone.

A library may keep ``KMeans`` in ``cluster/_kmeans.py``, while users import it from ``cluster``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = ast.ClassDef | Function

# Trees in memory: the private modules of a package are mostly asked for one after another.
_TREES = 32


class Export(NamedTuple):
    """A definition in a private module's file, and the name that a public module gives it."""

    name: str
    file: Path
    definition: Definition


class Exports:
    """Finds each export of the modules below ``base`` once, in the module that comes first.

    ``parse`` gives the tree of a file, None where it cannot be parsed.
    """

    def __init__(self, base: Path, parse: Callable[[Path], ast.Module | None]) -> None:
        self._base = base
        self._tree = lru_cache(_TREES)(parse)
        self._found: set[tuple[Path, int]] = set()

    def of(self, file: Path, tree: ast.Module, module: str) -> Iterator[Export]:
        """Yield what a public module offers, under the name of the module.

        That is what it imports from a private module by ``*``, or by a name that its ``__all__``
        lists, or that is public in an ``__init__.py``.
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
        """The names that ``import *`` takes from a module and that are defined in private ones."""
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
        """Yield the definitions of a name in a module, or where the module has it from."""
        tree = self._tree(file)
        if tree is None or file in passed:
            return
        passed.add(file)
        found = [one for one in definitions(tree.body) if one.name == name]
        yield from ((file, one) for one in found)
        for imported in self._imports(file, tree) if not found else []:
            own = next((own for own, given in imported.names.items() if given == name), None)
            if own is not None or not imported.names:
                yield from self._defined(imported.file, own or name, passed)

    def _imports(self, file: Path, tree: ast.Module) -> Iterator[_Import]:
        """The imports from private modules that are there."""
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
    """Names that are imported from a file, and what they are called then; none: all by ``*``."""

    file: Path
    names: dict[str, str]


def definitions(body: Sequence[ast.stmt]) -> Iterator[Definition]:
    """The definitions of a body, those under a condition (an ``if``, a ``try``) included."""
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
    """The names in ``__all__``, None where there is none or it is put together by code."""
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
