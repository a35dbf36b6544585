"""The sections of ``ragdoll.toml`` as typed records, their precedence, and each value's origin.

A value comes from, in this order: a command-line option, the environment variable
``RAGDOLL_<SECTION>_<KEY>``, the file, the default. Paths in the file resolve against the file's
folder; paths in options and variables against the current folder.
"""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ragdoll.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "ragdoll.toml"

# How a string in the file is resolved: "path" always names a file or folder; a "name" may also be
# a hub id or a scheme such as python:stdlib, and becomes a path only where such a path exists.
_PATH: dict[str, str] = {"resolve": "path"}
_NAME: dict[str, str] = {"resolve": "name"}


@dataclass(slots=True)
class TeacherSection:
    """``[teacher]``: the model whose knowledge is distilled."""

    model: str = field(default="sentence-transformers/all-MiniLM-L6-v2", metadata=_NAME)
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"


@dataclass(slots=True)
class CorpusSection:
    """``[corpus]``: what to learn from and, unless ``[index].docs`` says otherwise, to search."""

    path: list[str] | None = field(default=None, metadata=_NAME)
    text_key: str = "text"
    name: str | None = None
    split: str = "train"
    streaming: bool = True
    ignore_files: bool = True


@dataclass(slots=True)
class FeaturizeSection:
    """``[featurize]``: the teacher's pass over the corpus."""

    output: str = field(default=".ragdoll/features", metadata=_PATH)
    max_means: int = 1_000_000
    batch_size: int = 32
    target: Literal["mean", "sentence"] = "mean"


@dataclass(slots=True)
class TrainSection:
    """``[train]``: from features to a static model. ``features`` None: ``[featurize].output``."""

    features: str | None = field(default=None, metadata=_PATH)
    output: str = field(default=".ragdoll/model", metadata=_PATH)
    method: Literal["ridge", "tokenlearn"] = "ridge"
    pca_dims: int = 256
    vocab_size: int = 0
    batch_size: int | Literal["auto"] = "auto"
    lr: float | Literal["auto"] = "auto"
    patience: int = 5
    epochs: int | Literal["auto"] = "auto"
    seed: int = 0
    device: str = "auto"
    save_dtype: Literal["float32", "float16", "int8"] = "float32"


@dataclass(slots=True)
class IndexSection:
    """``[index]``: documents into a table. None: ``[corpus].path`` and ``[train].output``.

    ``metadata`` maps the fields that become columns of the table to their types.
    """

    docs: list[str] | None = field(default=None, metadata=_NAME)
    model: str | None = field(default=None, metadata=_NAME)
    database: str = field(default=".ragdoll/lancedb", metadata=_PATH)
    table: str = "documents"
    metric: Literal["auto", "cosine", "dot", "l2"] = "auto"
    chunk_size: int = 256
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class QuerySection:
    """``[query]``: how a table is searched."""

    top_k: int = 10
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    alpha: float | Literal["auto"] = "auto"
    where: str | None = None
    source: str | None = None


@dataclass(slots=True)
class EvaluateSection:
    """``[evaluate]``: how systems are compared."""

    mode: Literal["all", "vector", "text", "hybrid"] = "all"
    k: int = 10
    seed: int = 0


@dataclass(slots=True)
class Config:
    """All sections. ``origins`` maps ``(section, key)`` to where the value came from."""

    teacher: TeacherSection = field(default_factory=TeacherSection)
    corpus: CorpusSection = field(default_factory=CorpusSection)
    featurize: FeaturizeSection = field(default_factory=FeaturizeSection)
    train: TrainSection = field(default_factory=TrainSection)
    index: IndexSection = field(default_factory=IndexSection)
    query: QuerySection = field(default_factory=QuerySection)
    evaluate: EvaluateSection = field(default_factory=EvaluateSection)
    file: Path | None = None
    origins: dict[tuple[str, str], str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str, str]]:
        """Every setting as ``(section.key, value, origin)``, in the order of the sections."""
        return [
            (f"{section}.{key}", _shown(getattr(getattr(self, section), key)), origin)
            for (section, key), origin in self.origins.items()
        ]


_SECTIONS: dict[str, type[Any]] = {
    name: hint
    for name, hint in get_type_hints(Config).items()
    if isinstance(hint, type) and hint.__name__.endswith("Section")
}

# What a number must be at least; below it a command could only fail later or do nothing.
_MINIMUM: dict[tuple[str, str], float] = {
    ("featurize", "max_means"): 1,
    ("featurize", "batch_size"): 1,
    ("train", "pca_dims"): 1,
    ("train", "vocab_size"): 0,
    ("train", "batch_size"): 1,
    ("train", "lr"): 1e-9,
    ("train", "patience"): 1,
    ("train", "epochs"): 1,
    ("train", "seed"): 0,
    ("index", "chunk_size"): 8,
    ("query", "top_k"): 1,
    ("query", "alpha"): 0,
    ("evaluate", "k"): 1,
    ("evaluate", "seed"): 0,
}
_MAXIMUM: dict[tuple[str, str], float] = {
    ("query", "alpha"): 1,
    ("query", "top_k"): 1_000_000,
    ("evaluate", "k"): 1_000_000,
    ("index", "chunk_size"): 1_000_000,
    ("train", "seed"): 2**32 - 1,
}


def load(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Merge options, environment, file and defaults.

    ``file`` None means ``./ragdoll.toml`` where there is one. ``options`` maps ``"section.key"`` to
    a value; None values were not given on the command line.

    Raises:
        UsageError: the file is missing or not TOML; an unknown section or key (with the nearest
            valid one); a value of the wrong type or out of range (with key, value and origin).
    """
    environ = os.environ if environ is None else environ
    config = Config(file=_find(file))
    tables = _read(config.file) if config.file else {}
    from_options = {key: value for key, value in (options or {}).items() if value is not None}
    from_environ = _from_environ(environ)
    for section, record in _SECTIONS.items():
        target = getattr(config, section)
        hints = get_type_hints(record)
        for item in fields(record):
            key = (section, item.name)
            if f"{section}.{item.name}" in from_options:
                origin = "option"
                value = from_options[f"{section}.{item.name}"]
            elif key in from_environ:
                variable, text = from_environ[key]
                origin = f"variable {variable}"
                value = _parse(text, hints[item.name])
            elif item.name in tables.get(section, {}):
                origin = str(config.file)
                value = tables[section][item.name]
            else:
                config.origins[key] = "default"
                continue
            value = _checked(value, hints[item.name], key, origin)
            if config.file is not None and origin == str(config.file):
                value = _resolved(value, item.metadata.get("resolve"), config.file.parent)
            setattr(target, item.name, value)
            config.origins[key] = origin
    return config


def _find(file: Path | None) -> Path | None:
    if file is None:
        here = Path(FILE_NAME)
        return here.resolve() if here.is_file() else None
    if not file.is_file():
        raise UsageError(f"No configuration file at {file}.", hint="Check the path after --config.")
    return file.resolve()


def _read(file: Path) -> dict[str, dict[str, Any]]:
    try:
        tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    for section, table in tables.items():
        if section not in _SECTIONS:
            raise UsageError(
                f"Unknown section [{section}] in {file}.", hint=_nearest(section, _SECTIONS)
            )
        if not isinstance(table, dict):
            raise UsageError(f"{section} in {file} must be a section, not {_described(table)}.")
        keys = [item.name for item in fields(_SECTIONS[section])]
        for key in table:
            if key not in keys:
                raise UsageError(
                    f"Unknown key {key} in section [{section}] of {file}.", hint=_nearest(key, keys)
                )
    return tables


def _from_environ(environ: Mapping[str, str]) -> dict[tuple[str, str], tuple[str, str]]:
    """Find ``{(section, key): (variable, text)}`` among the ``RAGDOLL_*`` variables."""
    known = {
        f"RAGDOLL_{section}_{item.name}".upper(): (section, item.name)
        for section, record in _SECTIONS.items()
        for item in fields(record)
    }
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for variable, text in environ.items():
        if not variable.startswith("RAGDOLL_"):
            continue
        if variable in known:
            # An empty variable is one that is not set.
            if text:
                found[known[variable]] = (variable, text)
            continue
        # Variables of other programs that only share the beginning are no concern of ragdoll's.
        is_ours = variable.split("_")[1].lower() in _SECTIONS
        if is_ours or difflib.get_close_matches(variable, known, n=1, cutoff=0.85):
            raise UsageError(
                f"Unknown environment variable {variable}.", hint=_nearest(variable, known)
            )
    return found


def _nearest(word: str, known: Mapping[str, Any] | list[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"Valid: {', '.join(known)}."


def _parse(text: str, hint: Any) -> Any:
    """Turn an environment variable's text into the nearest type that ``hint`` admits.

    What cannot be turned stays text, for the type check to refuse with key and value.
    """
    for kind in _alternatives(hint):
        if kind is bool and text.lower() in {"1", "0", "true", "false", "yes", "no"}:
            return text.lower() in {"1", "true", "yes"}
        if kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
        if get_origin(kind) is dict and "=" in text:
            pairs = [pair.partition("=") for pair in text.split(",")]
            return {name.strip(): value.strip() for name, _, value in pairs}
    return text


def _checked(value: Any, hint: Any, key: tuple[str, str], origin: str) -> Any:
    name = ".".join(key)
    value = [value] if isinstance(value, str) and _wants_list(hint) else value
    if value in ("", []) or (isinstance(value, list) and "" in value):
        raise UsageError(f"{name} must not be empty (from {origin}).")
    if not any(_fits(value, kind) for kind in _alternatives(hint)):
        raise UsageError(
            f"{name} must be {_expected(hint)}, not {_described(value)} (from {origin})."
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UsageError(f"{name} must be a finite number, not {value} (from {origin}).")
        low, high = _MINIMUM.get(key), _MAXIMUM.get(key)
        if low is not None and value < low:
            raise UsageError(f"{name} must be at least {low:g}, not {value} (from {origin}).")
        if high is not None and value > high:
            raise UsageError(f"{name} must be at most {high:,g}, not {value} (from {origin}).")
    return value


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _wants_list(hint: Any) -> bool:
    return any(get_origin(kind) is list for kind in _alternatives(hint))


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind) and isinstance(value, str)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _expected(hint: Any) -> str:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a string",
    }
    parts: list[str] = []
    for kind in _alternatives(hint):
        if kind is type(None):
            continue
        if get_origin(kind) is Literal:
            parts.extend(f'"{choice}"' for choice in get_args(kind))
        elif get_origin(kind) is list:
            parts.append("a string or a list of strings")
        elif get_origin(kind) is dict:
            parts.append("a section of strings")
        else:
            parts.append(names[kind])
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _described(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a section" if isinstance(value, dict) else "a list"
    return f'"{value}"' if isinstance(value, str) else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {item}" for name, item in value.items())
    return "" if value is None else str(value)


def _resolved(value: Any, resolve: str | None, folder: Path) -> Any:
    if resolve is None or value is None:
        return value
    if isinstance(value, list):
        return [_resolved(item, resolve, folder) for item in value]
    if value == "-":  # standard input
        return value
    # These functions of os take any name, where the methods of Path raise for some.
    path = Path(os.path.expanduser(value))  # noqa: PTH111
    looks_like_path = value.startswith((".", "/", "~")) or path.is_absolute()
    if resolve == "path" or looks_like_path or os.path.exists(folder / path):  # noqa: PTH110
        return str(folder / path) if "://" not in value else value
    return value
