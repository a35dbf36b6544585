"""What a setting may be: from a variable's text to a value, and whether a value fits."""

from __future__ import annotations

import math
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from ragdoll.config.schema import Setting, shown
from ragdoll.errors import UsageError

_TYPE_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
}

# Above it a number is a mistake, and no longer exact in what computes with it.
_LARGEST = 2**53


def parse(text: str, hint: Any) -> Any:
    """Turn an environment variable's text into the nearest type that ``hint`` admits.

    What cannot be turned stays text, for ``checked`` to refuse with key and value.
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


def checked(value: Any, setting: Setting, origin: str) -> Any:
    """Check a value, which came from ``origin``; a string becomes a list where one is wanted.

    Raises:
        UsageError: it is empty, of the wrong type or out of range (with key, value and origin).
    """
    name = setting.name
    value = [value] if isinstance(value, str) and _wants_list(setting.hint) else value
    if value in ("", []) or (isinstance(value, list) and "" in value):
        raise UsageError(f"{name} must not be empty (from {origin}).")
    if not any(_fits(value, kind) for kind in _alternatives(setting.hint)):
        raise UsageError(
            f"{name} must be {_expected(setting.hint)}, not {described(value)} (from {origin})."
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        given = f"{described(value)} (from {origin})"
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} must be a finite number, not {given}.")
        if value < setting.least:
            raise UsageError(f"{name} must be at least {setting.least:g}, not {given}.")
        most = min(setting.most, _LARGEST)
        if value > most:
            raise UsageError(f"{name} must be at most {most:,}, not {given}.")
    return value


def described(value: Any) -> str:
    """A value in a message that refuses it, with the first thing in it that is no string."""
    if isinstance(value, dict):
        other = next((name for name, item in value.items() if not isinstance(item, str)), None)
        return "a section" if other is None else f"a section with {other} = {shown(value[other])}"
    if isinstance(value, list):
        other = next((item for item in value if not isinstance(item, str)), None)
        return "a list" if other is None else f"a list with {shown(other)}"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "a number of so many digits"  # more than Python writes, it may be
    return f'"{value}"' if isinstance(value, str) else shown(value)


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
            parts.append(_TYPE_NAMES[kind])
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
