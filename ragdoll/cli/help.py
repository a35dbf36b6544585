"""What the help of a command says of its options."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

from ragdoll.config.schema import Config, shown

_SETTING = re.compile(r"\\\[(\w+\.\w+)\]")


class Command(TyperCommand):
    """Shows flags as flags, and each setting with its default."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, as the help shows them; see ``TyperCommand.get_params``."""
        params: list[Any] = list(super().get_params(ctx))
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                # Typer would put <bool> behind it, as though it took a value.
                param.metavar = ""
            if getattr(param, "help", None):
                param.help = _SETTING.sub(_with_default, param.help)
        return params


def _with_default(setting: re.Match[str]) -> str:
    section, _, key = setting[1].partition(".")
    default = shown(getattr(getattr(Config(), section), key))
    return f"\\[{setting[1]} = {default}]" if default else setting[0]
