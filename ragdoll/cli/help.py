"""What the help of a command says of its options."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

from ragdoll.config.schema import Config, shown

_SETTING = re.compile(r"\[(\w+\.\w+)\]")
# Stands for a hyphen while lines are broken, which would cut names of models and options at it.
_HYPHEN = "\N{NON-BREAKING HYPHEN}"


class Command(TyperCommand):
    """Lists options under the headings they name, and each setting with its default."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options; see ``TyperCommand.format_options``."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            name, text = param.get_help_record(ctx) or ("", "")
            heading = getattr(param, "rich_help_panel", None) or "Options"
            if param.param_type_name == "argument":
                # Without its type, which is given as Python has it.
                name, heading = name.partition(" <")[0], "Arguments"
            text = _SETTING.sub(_with_default, text).replace("-", _HYPHEN)
            sections.setdefault(heading, []).append((name, text))
        begun = len(formatter.buffer)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)
        formatter.buffer[begun:] = [
            written.replace(_HYPHEN, "-") for written in formatter.buffer[begun:]
        ]


def _with_default(setting: re.Match[str]) -> str:
    section, _, key = setting[1].partition(".")
    default = shown(getattr(getattr(Config(), section), key))
    return f"[{setting[1]} = {default}]" if default else setting[0]
