"""From what the library says of parameters and calls to options and commands.

A hint or a reason of the library names a parameter or a call in backticks, as a script would write
it: ``restart=True``, ``run(...)``, or ``train.output`` where several functions have the parameter.
On the command line, and for those who run a service, the same is an option or a command. A message
is not translated: it quotes what a user wrote, where SQL has backticks too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from ragdoll.settings import settings

_QUOTED = re.compile(r"`([^`\n]+)`")
_PARAMETER = re.compile(r"(?:(\w+)\.)?(\w+)(?:=(.+))?")
_OF_NO_COMMAND: Mapping[str, str] = MappingProxyType({})

OF_SERVICE: Mapping[str, str] = MappingProxyType({"model": "ragdoll index --model"})
"""What does for a table what a service has no option for."""

_CALLS = {
    "run(...)": "ragdoll run DOCS",
    "featurize(...)": "ragdoll featurize CORPUS",
    "index.update(...)": "ragdoll index DOCS",
    "Index.create(..., overwrite=True)": "ragdoll index DOCS --overwrite",
    "Index.create(...)": "ragdoll index DOCS",
}
# Parameters that are no settings, or are called otherwise there.
_PARAMETERS = {
    "restart": "--restart",
    "overwrite": "--overwrite",
    "retrain": "--retrain",
    "prune": "--prune",
    "trust_remote_code": "--trust-remote-code",
    "teacher": "--teacher",
    "model": "--model",
    "models": "--model",
    "k": "--top-k",
}


def for_command_line(text: str, options: Mapping[str, str] = _OF_NO_COMMAND) -> str:
    """Write options and commands in the place of parameters and calls; the rest stays as it is.

    ``options`` are those of the command that runs, by the names of their settings or parameters:
    another command may have another option for the same.
    """
    return _QUOTED.sub(lambda quoted: _translated(quoted[1], options) or quoted[0], text)


def _translated(phrase: str, options: Mapping[str, str]) -> str | None:
    """Return the option or command for a parameter or call; None where there is none."""
    if phrase in _CALLS:
        return _CALLS[phrase]
    parameter = _PARAMETER.fullmatch(phrase)
    if parameter is None:
        return None
    section, name, value = parameter.groups()
    option = None if section else options.get(name) or _PARAMETERS.get(name)
    if option is None:
        meant = {
            one.name: first_name(one.option)
            for one in settings().values()
            if one.key == name and section in (None, one.section) and one.option
        }
        of_command = [options[each] for each in meant if each in options]
        option = next(iter([*of_command, *meant.values()]), None)
    if not option or value in (None, "True"):
        return option or None
    return f"{option} {value.strip(chr(34))}"


def first_name(declared: str) -> str:
    """Return the first name of a declared option, such as ``--top-k`` of ``--top-k,-k N``."""
    return declared.partition(" ")[0].partition(",")[0].partition("/")[0]
