"""The file ``ragdoll.toml``: finding it, reading it, and what its paths mean."""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from ragdoll.config.nearest import nearest
from ragdoll.config.schema import SECTIONS, settings
from ragdoll.config.values import described
from ragdoll.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "ragdoll.toml"

# Far more than a configuration has. The parser's time grows with the square of the parts of a key.
_MAX_BYTES = 2**18
_MAX_DOTS = 500


def find_file(file: Path | None) -> Path | None:
    """The absolute path of the file; without one ``./ragdoll.toml``, None where there is none.

    Raises:
        UsageError: a file is named that is not there.
    """
    if file is None:
        here = Path(FILE_NAME)
        return here.resolve() if here.is_file() else None
    if not file.is_file():
        raise UsageError(f"No configuration file at {file}.", hint="Check the path after --config.")
    return file.resolve()


def read_file(file: Path) -> dict[str, dict[str, Any]]:
    """Read the values by section and key; they are not checked, but every key is a setting's.

    Raises:
        UsageError: it cannot be read, is not TOML, or has an unknown section or key (with the
            nearest valid one).
    """
    try:
        content = file.read_bytes()
        _check_size(content, file)
        tables: dict[str, Any] = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    for section, table in tables.items():
        if section not in SECTIONS and not isinstance(table, dict):
            raise UsageError(
                f"The key {section} stands in no section of {file}.", hint=_belongs(section)
            )
        if section not in SECTIONS:
            raise UsageError(
                f"Unknown section [{section}] in {file}.", hint=nearest(section, SECTIONS)
            )
        if not isinstance(table, dict):
            raise UsageError(f"{section} in {file} must be a section, not {described(table)}.")
        keys = [item.name for item in fields(SECTIONS[section])]
        for key in table:
            if key not in keys:
                raise UsageError(
                    f"Unknown key {key} in section [{section}] of {file}.", hint=nearest(key, keys)
                )
    return tables


def _belongs(key: str) -> str:
    """A hint that names the sections that have a key."""
    having = [f"[{setting.section}]" for setting in settings() if setting.key == key]
    return f"It belongs below {' or '.join(having)}." if having else nearest(key, SECTIONS)


def resolved(value: Any, resolve: str | None, folder: Path) -> Any:
    """A value of a file in this folder, a path in it relative to that; see ``Setting.resolve``."""
    if resolve is None or value is None:
        return value
    if isinstance(value, list):
        return [resolved(item, resolve, folder) for item in value]
    if value == "-":  # standard input
        return value
    # These functions of os take any name, where the methods of Path raise for some.
    path = Path(os.path.expanduser(value))  # noqa: PTH111
    looks_like_path = value.startswith((".", "/", "~")) or path.is_absolute()
    if resolve == "path" or looks_like_path or os.path.exists(folder / path):  # noqa: PTH110
        return str(folder / path) if "://" not in value else value
    return value


def _check_size(content: bytes, file: Path) -> None:
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{file} is larger than {_MAX_BYTES // 1024} KiB: no configuration.")
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.count(b".") > _MAX_DOTS:
            raise UsageError(
                f"{file}, line {number}: more than {_MAX_DOTS} dots.",
                hint="Break a long list into lines.",
            )
