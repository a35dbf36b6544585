"""The settings of a command: options, the environment, ``ragdoll.toml``, and what goes first.

A value comes from, in this order: an option, the environment variable ``RAGDOLL_<SECTION>_<KEY>``,
the file, the default. Paths in the file, and default paths where a file is named, resolve against
the file's folder, paths in options and variables against the current folder.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ragdoll.errors import UsageError
from ragdoll.settings import TOKEN_VARIABLE, Settings, as_text, checked, described, parse, sections
from ragdoll.settings import settings as all_settings

FILE_NAME = "ragdoll.toml"

# Far more than a configuration has. The parser's time grows with the square of the parts of a key.
_MAX_BYTES = 2**18
_MAX_DOTS = 500

Told = dict[str, tuple[Any, str]]
"""Values by the names of settings, each with its origin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Settings):
    """All settings; ``origins`` maps the name of each to where its value came from."""

    file: Path | None = None
    origins: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str, str]]:
        """Return every setting as ``(name, value, origin)``, in the order of the sections."""
        return [
            (one.name, as_text(getattr(getattr(self, one.section), one.key)), origin)
            for one, origin in zip(all_settings().values(), self.origins.values(), strict=True)
        ]


def load(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Merge options, environment, file and defaults.

    ``file`` None means ``./ragdoll.toml`` where there is one. ``options`` maps names of settings to
    what the command line gave; text is parsed as that of a variable, and None was not given.
    ``environ`` None is the environment of the process.

    Raises:
        UsageError: the file is missing or not TOML; an unknown section or key (with the nearest
            valid one); a value of the wrong type or out of range (with key, value and origin).
    """
    path = _find(file)
    told = _beside(path) if file and path else {}
    told |= _from_file(path) if path else {}
    told |= _from_environment(os.environ if environ is None else environ)
    told |= _from_options(options or {})
    values: dict[str, dict[str, Any]] = {section: {} for section in sections()}
    origins = dict.fromkeys(all_settings(), "default")
    for name, one in all_settings().items():
        if name in told:
            value, origins[name] = told[name]
            values[one.section][one.key] = checked(value, one, origins[name])
    records = {section: record(**values[section]) for section, record in sections().items()}
    return Config(**records, file=path, origins=origins)


def _beside(file: Path) -> Told:
    """Return the defaults of paths beside a file that was named.

    What was made beside it is meant, wherever the command is called.
    """
    if file.parent == Path.cwd():
        return {}
    return {
        one.name: (str(file.parent / one.default), "default")
        for one in all_settings().values()
        if one.path == "path" and one.default is not None
    }


def _from_options(options: Mapping[str, Any]) -> Told:
    """Parse the options that were given; those of a command's own arguments are no text."""
    told: Told = {}
    for name, value in options.items():
        if value is not None:
            is_text = isinstance(value, str)
            told[name] = parse(value, all_settings()[name].hint) if is_text else value, "option"
    return told


def _from_environment(environ: Mapping[str, str]) -> Told:
    """Parse the variables that set something.

    Raises:
        UsageError: a variable is named like ragdoll's, and there is no such setting.
    """
    known = {one.variable: one for one in all_settings().values()}
    told: Told = {}
    for variable, text in environ.items():
        if variable in known:
            # An empty variable is one that is not set.
            if text:
                one = known[variable]
                told[one.name] = parse(text, one.hint), f"variable {variable}"
        elif variable.startswith("RAGDOLL_") and variable != TOKEN_VARIABLE:
            # Variables of other programs that only share the beginning are no concern of ragdoll's.
            is_ours = variable.split("_")[1].lower() in sections()
            if is_ours or difflib.get_close_matches(variable, known, n=1, cutoff=0.85):
                raise UsageError(
                    f"Unknown environment variable {variable}.", hint=_nearest(variable, known)
                )
    return told


def _find(file: Path | None) -> Path | None:
    """Return the absolute path of the file, None where none is named and none is here.

    Raises:
        UsageError: the file that is named is not there.
    """
    if file is None:
        here = Path(FILE_NAME)
        return here.resolve() if here.is_file() else None
    if not file.is_file():
        raise UsageError(f"No configuration file at {file}.", hint="Check the path after --config.")
    return file.resolve()


def _from_file(file: Path) -> Told:
    """Read the values that a file has, and resolve its paths; no value is checked.

    Raises:
        UsageError: it cannot be read, is not TOML, or has an unknown section or key.
    """
    try:
        content = file.read_bytes()
        _check_size(content, file)
        tables: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    told: Told = {}
    for section, table in tables.items():
        record = sections().get(section)
        if record is None and not isinstance(table, dict):
            raise UsageError(
                f"The key {section} is outside of any section in {file}.", hint=_belongs(section)
            )
        if record is None:
            raise UsageError(
                f"Unknown section [{section}] in {file}.", hint=_nearest(section, sections())
            )
        if not isinstance(table, dict):
            raise UsageError(f"{section} in {file} must be a section, not {described(table)}.")
        keys = [item.name for item in fields(record)]
        for key, value in table.items():
            if key not in keys:
                raise UsageError(
                    f"Unknown key {key} in section [{section}] of {file}.", hint=_nearest(key, keys)
                )
            one = all_settings()[f"{section}.{key}"]
            told[one.name] = _resolved(value, one.path, file.parent), str(file)
    return told


def _check_size(content: bytes, file: Path) -> None:
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{file} is larger than {_MAX_BYTES // 1024} KiB: no configuration.")
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.count(b".") > _MAX_DOTS:
            raise UsageError(
                f"{file}, line {number}: more than {_MAX_DOTS} dots.",
                hint="Break a long list into lines.",
            )


def _resolved(value: Any, kind: str | None, folder: Path) -> Any:
    """Resolve a path in the file of this folder; see ``settings.setting`` for the kinds."""
    if isinstance(value, list):
        return [_resolved(item, kind, folder) for item in value]
    if kind is None or not isinstance(value, str) or value in ("", "-"):
        return value
    # These functions of os take any name, where the methods of Path raise for some.
    path = Path(os.path.expanduser(value))  # noqa: PTH111
    looks_like_path = value.startswith((".", "/", "~")) or path.is_absolute()
    if kind == "path" or looks_like_path or os.path.exists(folder / path):  # noqa: PTH110
        return str(folder / path) if "://" not in value else value
    return value


def _belongs(key: str) -> str:
    """Write a hint that names the sections that have a key."""
    having = [f"[{one.section}]" for one in all_settings().values() if one.key == key]
    return f"It belongs below {' or '.join(having)}." if having else _nearest(key, sections())


def _nearest(word: str, known: Iterable[str]) -> str:
    """Write a hint that names the nearest known word, or all of them if none is near."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else f"Valid: {', '.join(names)}."
