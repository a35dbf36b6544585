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
from typing import Annotated, Any, NamedTuple

import typer

from ragdoll.settings import Setting, alternatives, as_text, settings

_COMMON_PANEL = "Common options"
_PANELS = {"corpus": "Corpus options"}


def _common(kind: Any, flags: str, meaning: str, metavar: str | None = None) -> Any:
    panel = _COMMON_PANEL
    option = typer.Option(*flags.split(), metavar=metavar, help=meaning, rich_help_panel=panel)
    return Annotated[kind, option]


# The options of all commands: type and default.
_COMMON = {
    "config": (
        _common(Path | None, "--config", "Settings; default: ./ragdoll.toml.", "FILE"),
        None,
    ),
    "as_json": (_common(bool, "--json", "Print JSON on standard output, and nothing else."), False),
    "quiet": (_common(bool, "--quiet -q", "No progress and no notes."), False),
    "verbose": (
        _common(bool, "--verbose -v", "Say where each setting came from; show tracebacks."),
        False,
    ),
}

TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that comes with the teacher. Only if you trust it."
    ),
]


class Invocation(NamedTuple):
    """A command line: the values of settings by their names, and the options of all commands."""

    given: dict[str, Any]
    config: Path | None
    as_json: bool
    quiet: bool
    verbose: bool


def command(
    *names: str, in_run: bool = False, helps: Mapping[str, str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn a function into a command that has the options of some settings.

    ``names`` are sections, or single settings as ``section.key``. ``in_run`` takes the options that
    settings have in the command ``run``. ``helps`` replaces help texts, by the settings' names. The
    function's first parameter gets the ``Invocation``; the others are the command's own.
    """

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        options = list(_options(names, in_run, helps or {}))

        def run(
            *, config: Path | None, as_json: bool, quiet: bool, verbose: bool, **own: Any
        ) -> None:
            given: dict[str, Any] = {}
            for option in options:
                given |= dict.fromkeys(option.settings, option.value(own.pop(option.name)))
            body(Invocation(given, config, as_json, quiet, verbose), **own)

        _, *declared = inspect.signature(body, eval_str=True).parameters.values()
        parameters = [
            *(_parameter(option.name, option.annotation, None) for option in options),
            *declared,
            *(_parameter(name, kind, default) for name, (kind, default) in _COMMON.items()),
        ]
        signature = inspect.Signature(
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__, run.__doc__ = {}, body.__doc__
        return run

    return decorate


class _Option(NamedTuple):
    """An option, and the settings that it sets."""

    name: str
    settings: list[str]
    annotation: Any
    of_flag: bool | None

    def value(self, told: Any) -> Any:
        """Return what the option says of its settings; None where it was not given."""
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
        flags, _, metavar = declared.partition(" ")
        is_flag = bool in alternatives(first.hint)
        meaning = helps.get(first.name, first.help)
        places = " and ".join(_place(one) for one in several)
        option = typer.Option(
            *flags.split(","),
            metavar=metavar or None,
            help=f"{meaning} {places}",
            rich_help_panel=_PANELS.get(first.section),
            autocompletion=_completion(first) if first.choices else None,
        )
        yield _Option(
            name=flags.split(",")[0].partition("/")[0].strip("-").replace("-", "_"),
            settings=[one.name for one in several],
            annotation=Annotated[bool | None if is_flag else str | None, option],
            # A flag of one name says the contrary of the default.
            of_flag=not first.default if is_flag and "/" not in flags else None,
        )


def _completion(one: Setting) -> Callable[[], list[str]]:
    return lambda: list(one.choices)


def _place(one: Setting) -> str:
    """Name a setting in a help text, with its default if it has one."""
    default = as_text(one.default)
    return f"[{one.name} = {default}]" if default else f"[{one.name}]"


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
