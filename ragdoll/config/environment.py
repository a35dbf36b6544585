"""Settings in environment variables."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ragdoll.config.nearest import nearest
from ragdoll.config.schema import SECTIONS, settings
from ragdoll.errors import UsageError


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The texts of the variables that set something, by their names.

    Raises:
        UsageError: a variable is named like ragdoll's, and there is no such setting (with the
            nearest).
    """
    known = [setting.variable for setting in settings()]
    found: dict[str, str] = {}
    for variable, text in environ.items():
        if not variable.startswith("RAGDOLL_"):
            continue
        if variable in known:
            # An empty variable is one that is not set.
            if text:
                found[variable] = text
            continue
        # Variables of other programs that only share the beginning are no concern of ragdoll's.
        is_ours = variable.split("_")[1].lower() in SECTIONS
        if is_ours or difflib.get_close_matches(variable, known, n=1, cutoff=0.85):
            raise UsageError(
                f"Unknown environment variable {variable}.", hint=nearest(variable, known)
            )
    return found
