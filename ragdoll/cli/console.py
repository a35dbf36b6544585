"""What the commands print: data on standard output, all else on standard error."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import textwrap
import traceback
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.text import Text

from ragdoll.cli import process
from ragdoll.cli.prose import Prose
from ragdoll.streams import Report, silent

# Characters of an error or a warning that are shown.
_MAX_MESSAGE = 2000

# Left-to-right and right-to-left marks, embeddings, overrides and isolates: they can make a file
# name or a passage look like another.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# What must not reach a terminal: controls, halves of characters, separators of lines.
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Of these, what JSON leaves as it is in a string.
_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029" + "".join(sorted(_DIRECTION)) + "]")
# The innermost frames of a traceback that are shown.
_MAX_FRAMES = 20


class _PipedConsole(RichConsole):
    """Leaves a closed pipe to the caller, where rich would end the process with status 1."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  (called by rich while it handles BrokenPipeError)


class _RemarksConsole(RichConsole):
    """Goes on in silence where the reader of remarks has gone: the work and its status matter."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        process.drop(sys.stderr)


class Console:
    """One command's output, as its options ask for it."""

    def __init__(self, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        if isinstance(sys.stdout, io.TextIOWrapper):
            # What the encoding of the terminal or pipe lacks is spelled out.
            sys.stdout.reconfigure(errors="backslashreplace")
        # Without markup: a name in brackets is a name, and not a style or a link.
        style: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
        self._out = _PipedConsole(soft_wrap=True, **style)
        self._err = _RemarksConsole(stderr=True, soft_wrap=True, **style)

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None where standard output is none."""
        return self._out.width if self._out.is_terminal else None

    def result(self, record: Mapping[str, Any], human: RenderableType | None = None) -> None:
        """Print a result: one line of JSON, or what a person reads."""
        with _named_output():
            if self.as_json:
                self.json(record)
            elif human is not None:
                self._out.print(human)

    def json(self, record: Mapping[str, Any]) -> None:
        """Print one line of JSON, and let the reader of a pipe have it at once."""
        # An encoding that lacks a character has no escape for it that JSON knows.
        everything = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        content = json.dumps(record, ensure_ascii=not everything, default=str, allow_nan=False)
        content = _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", content)
        sys.stdout.write(content + "\n")
        sys.stdout.flush()

    def note(self, text: str, style: str = "dim") -> None:
        """Say on standard error, in one line, what goes on."""
        if not self.quiet:
            self._err.print(Prose(Text(one_line(text), style=style)))

    def command(self, text: str) -> None:
        """Say a command to type next, which stays in one line for that."""
        if not self.quiet:
            self._err.print(Text(one_line(text), style="dim"))

    def interruption(self, text: str) -> None:
        """Say what an interruption left, below the ``^C`` of the terminal."""
        if not self.quiet:
            self._err.print()
            self.note(text, style="yellow")

    def detail(self, text: str) -> None:
        """Say what only ``--verbose`` asks for."""
        if self.verbose:
            self._err.print(Text(one_line(text), style="dim"))

    def warning(self, text: str) -> None:
        """Warn; ``--quiet`` does not silence warnings."""
        self._err.print(Prose(Text.assemble(("Warning: ", "yellow"), _brief(text))))

    def error(self, message: str, hint: str | None = None) -> None:
        """Say in one or two lines what is wrong and what to do."""
        self._err.print(Prose(Text.assemble(("Error: ", "bold red"), _brief(message))))
        if hint:
            self._err.print(Prose(Text(_brief(hint), style="dim")))

    def traceback(self) -> None:
        """Print the exception that is being handled, for ``--verbose``."""
        trace = printable(traceback.format_exc(limit=-_MAX_FRAMES).rstrip())
        self._err.print(Text(textwrap.indent(trace, "  "), style="dim"))

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Show how far the work is, where standard error is a terminal."""
        if self.quiet or not self._err.is_terminal:
            yield silent
            return
        # It takes a while to load, which queries and pipes do without.
        from ragdoll.cli.progress_line import progress_line

        with progress_line(self._err) as report:
            yield report


@contextmanager
def _named_output() -> Iterator[None]:
    """Name standard output in the error of a full disk, which has no name of a file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        process.drop(sys.stdout)
        raise OSError(error.errno, error.strerror, "standard output") from error


class LogHandler(logging.Handler):
    """Sends the library's warnings to the console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record as a warning."""
        self._console.warning(record.getMessage())


def printable(text: str) -> str:
    """Make control and direction characters visible, so that text cannot forge the terminal."""
    return "".join(
        character
        if character in "\n\t" or not (_is_control(character) or character in _DIRECTION)
        else f"\\x{ord(character):02x}"
        for character in text
    )


def one_line(text: str) -> str:
    """As ``printable``, with line breaks made visible too: for names."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _brief(text: str) -> str:
    """What is said in one line, of which the middle may be left out: it can quote any input."""
    line = one_line(text)
    if len(line) <= _MAX_MESSAGE:
        return line
    return f"{line[: _MAX_MESSAGE // 2]} … {line[-_MAX_MESSAGE // 2 :]}"


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS


def silence_libraries() -> None:
    """Keep the progress bars and notices of libraries off the terminal; must come before them."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # These set the level of their loggers themselves when they are imported.
    for name in ("HF_HUB", "DATASETS", "TRANSFORMERS"):
        os.environ.setdefault(f"{name}_VERBOSITY", "error")
    for name in ("model2vec", "sentence_transformers", "skeletoken"):
        logging.getLogger(name).setLevel(logging.ERROR)
