"""Each setting's value by what goes before what, and where it came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ragdoll.config.environment import variables
from ragdoll.config.file import find_file, read_file, resolved
from ragdoll.config.schema import Config, settings
from ragdoll.config.values import checked, parse


def load(
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Merge options, environment, file and defaults.

    ``file`` None means ``./ragdoll.toml`` where there is one. ``options`` maps ``"section.key"`` to
    a value; None values were not given on the command line. ``environ`` None is the process's own.

    Raises:
        UsageError: the file is missing or not TOML; an unknown section or key (with the nearest
            valid one); a value of the wrong type or out of range (with key, value and origin).
    """
    config = Config(file=find_file(file))
    tables = read_file(config.file) if config.file else {}
    given = {name: value for name, value in (options or {}).items() if value is not None}
    texts = variables(os.environ if environ is None else environ)
    for setting in settings():
        section, key = setting.section, setting.key
        value: Any
        folder: Path | None = None
        if setting.name in given:
            origin, value = "option", given[setting.name]
        elif setting.variable in texts:
            origin = f"variable {setting.variable}"
            value = parse(texts[setting.variable], setting.hint)
        elif config.file and key in tables.get(section, {}):
            origin, value = str(config.file), tables[section][key]
            folder = config.file.parent
        else:
            config.origins[section, key] = "default"
            continue
        value = checked(value, setting, origin)
        if folder:
            value = resolved(value, setting.resolve, folder)
        setattr(getattr(config, section), key, value)
        config.origins[section, key] = origin
    return config
