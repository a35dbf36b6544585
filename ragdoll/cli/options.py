"""From settings to options: a command gets those of whole sections, or of single settings.

Typer reads a command's options from the signature of its function. The signature is put together
here: the parameters that the command itself declares, an option for each of its settings, and the
options that all commands share. Every option of a setting is a string to Typer; text is parsed and
checked as that of an environment variable is, with the same messages.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_origin, get_type_hints

import typer

from ragdoll.hints import first_name
from ragdoll.settings import Setting, alternatives, as_text, settings

_PANELS = {"corpus": "Corpus options", "engine": "Engine options"}


def option(declared: str, meaning: str, **facts: Any) -> Any:
    """Make an option of its names and its metavar, written as in ``Setting.option``."""
    names, _, metavar = declared.partition(" ")
    return typer.Option(*names.split(","), metavar=metavar or None, help=meaning, **facts)


def argument(metavar: str, meaning: str) -> Any:
    """Make an argument."""
    return typer.Argument(metavar=metavar, help=meaning)


def _common(declared: str, meaning: str) -> Any:
    return option(declared, meaning, rich_help_panel="Common options")


# The options of all commands, by the fields of an invocation.
_COMMON = {
    "config": _common("--config FILE", "Settings; default: ./ragdoll.toml."),
    "as_json": _common("--json", "Print JSON on standard output, and nothing else."),
    "quiet": _common("--quiet,-q", "No progress and no notes."),
    "verbose": _common("--verbose,-v", "Say where each setting came from; show tracebacks."),
}

DOCUMENTS = (
    "Folders, files, python:PACKAGE, a Hugging Face dataset as OWNER/NAME, or - for standard input."
)
TRUST_REMOTE_CODE = option(
    "--trust-remote-code", "Run code that comes with the teacher. Only if you trust it."
)


class Invocation(NamedTuple):
    """A command line: the values of settings by their names, and the options of all commands.

    ``options`` are the names of the command's own options, by the names of their settings.
    """

    given: dict[str, Any]
    options: dict[str, str]
    config: Path | None
    as_json: bool
    quiet: bool
    verbose: bool


def command(
    *names: str, in_run: bool = False, helps: Mapping[str, str] | None = None, **own: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn a function into a command that has the options of some settings.

    ``names`` are sections, or single settings as ``section.key``. ``in_run`` takes the options that
    settings have in the command ``run``. ``helps`` replaces help texts, by the settings' names. The
    function's first parameter gets the ``Invocation``. The others are the command's own: ``own``
    has the option or argument of each, whose type is that of the parameter.
    """

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        options = list(_options(names, in_run, helps or {}))

        def run(**values: Any) -> None:
            given: dict[str, Any] = {}
            for each in options:
                given |= dict.fromkeys(each.settings, each.value(values.pop(each.name)))
            common = {name: values.pop(name) for name in _COMMON}
            flags = {name: first_name(each.declared) for each in options for name in each.settings}
            body(Invocation(given, flags, **common), **values)

        _, *declared = inspect.signature(body, eval_str=True).parameters.values()
        types = get_type_hints(Invocation)
        parameters = [
            *(_parameter(each.name, each.type, each.made) for each in options),
            *(_parameter(each.name, each.annotation, own[each.name]) for each in declared),
            *(_parameter(name, types[name], made) for name, made in _COMMON.items()),
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__, run.__doc__ = {}, body.__doc__
        return run

    return decorate


def _parameter(name: str, kind: Any, made: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=False if kind is bool else None,
        annotation=Annotated[kind, made],
    )


class _Option(NamedTuple):
    """An option, and the settings that it sets; ``declared`` are its names and its metavar."""

    declared: str
    name: str
    settings: list[str]
    type: Any
    made: Any
    of_flag: bool | None

    def value(self, told: Any) -> Any:
        """Return what the option says of its settings; None where it was not given."""
        if told == []:
            return None
        return self.of_flag if told and self.of_flag is not None else told


def _options(names: Sequence[str], in_run: bool, helps: Mapping[str, str]) -> Iterator[_Option]:
    by_option: dict[str, list[Setting]] = {}
    for one in settings().values():
        if one.section in names or one.name in names:
            declared = one.in_run if in_run else one.option
            if declared:
                by_option.setdefault(declared, []).append(one)
    for declared, several in by_option.items():
        first = several[0]
        flags = declared.partition(" ")[0]
        is_flag = bool in alternatives(first.hint)
        places = " and ".join(_place(one) for one in several)
        yield _Option(
            declared=declared,
            name=flags.split(",")[0].partition("/")[0].strip("-").replace("-", "_"),
            settings=[one.name for one in several],
            type=_type(first.hint),
            made=option(
                declared,
                f"{helps.get(first.name, first.help)} {places}",
                rich_help_panel=_PANELS.get(first.section),
                autocompletion=_completion(first) if first.choices else None,
            ),
            # A flag without a --no form sets the opposite of the default.
            of_flag=not first.default if is_flag and "/" not in flags else None,
        )


def _type(hint: Any) -> Any:
    """Return the type by which an option is read; one of a list may be given several times."""
    kinds = alternatives(hint)
    if bool in kinds:
        return bool | None
    is_list = any(get_origin(kind) is list for kind in kinds)
    return list[str] | None if is_list else str | None


def _completion(one: Setting) -> Callable[[], list[str]]:
    return lambda: list(one.choices)


def _place(one: Setting) -> str:
    """Name a setting in a help text, with its default if it has one."""
    default = as_text(one.default)
    return f"[{one.name} = {default}]" if default else f"[{one.name}]"
