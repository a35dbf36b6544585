"""The output of a command: data on standard output, everything else on standard error."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
import textwrap
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.text import Text

from ragdoll.cli import process
from ragdoll.cli.text import DIRECTION, Prose, one_line, printable
from ragdoll.streams import Report, silent

# Characters of an error or a warning that are shown.
_MAX_MESSAGE = 2000

# Seconds between two lines of progress.
_PAUSE = 60.0

# Characters that JSON leaves as they are in a string, and a terminal obeys.
_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029" + "".join(sorted(DIRECTION)) + "]")
# The innermost frames of a traceback that are shown.
_MAX_FRAMES = 20


class _PipedConsole(RichConsole):
    """Leaves a closed pipe to the caller; rich would end the process with status 1."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  (called by rich while it handles BrokenPipeError)


class _RemarksConsole(RichConsole):
    """Goes on in silence when nobody reads standard error any more: the work matters."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        process.drop(sys.stderr)


class Console:
    """The output of one command, as ``--json``, ``--quiet`` and ``--verbose`` ask for it."""

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
        """The columns of the terminal; None where standard output is no terminal."""
        return self._out.width if self._out.is_terminal else None

    @property
    def height(self) -> int | None:
        """The rows of the terminal; None where standard output is no terminal."""
        return self._out.height if self._out.is_terminal else None

    def result(self, record: Mapping[str, Any], human: RenderableType | None = None) -> None:
        """Print a result: one line of JSON, or what a person reads."""
        try:
            if self.as_json:
                self.json(record)
            elif human is not None:
                self._out.print(human)
        except BrokenPipeError:
            raise
        except OSError as error:  # a full disk, whose error names no file
            process.drop(sys.stdout)
            raise OSError(error.errno, error.strerror, "standard output") from error

    def json(self, record: Mapping[str, Any]) -> None:
        """Print one line of JSON, and flush it for the reader of a pipe."""
        # An encoding that lacks a character has no escape for it that JSON knows.
        everything = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        content = json.dumps(record, ensure_ascii=not everything, default=str, allow_nan=False)
        content = _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", content)
        sys.stdout.write(content + "\n")
        sys.stdout.flush()

    def note(self, text: str, style: str = "dim") -> None:
        """Print a remark on standard error, in one line."""
        if not self.quiet:
            self._err.print(Prose(Text(one_line(text), style=style)))

    def command(self, text: str) -> None:
        """Print a command to type next; it stays in one line, so that it can be pasted."""
        if not self.quiet:
            self._err.print(Text(one_line(text), style="dim"))

    def interruption(self, text: str) -> None:
        """Print what an interruption left, below the ``^C`` of the terminal."""
        if not self.quiet:
            self._err.print()
            self.note(text, style="yellow")

    def detail(self, text: str) -> None:
        """Print a remark that only ``--verbose`` asks for."""
        if self.verbose:
            self._err.print(Text(one_line(text), style="dim"))

    def warning(self, text: str) -> None:
        """Warn; ``--quiet`` does not silence warnings."""
        self._err.print(Prose(Text.assemble(("Warning: ", "yellow"), _brief(text))))

    def error(self, message: str, hint: str | None = None) -> None:
        """Print what is wrong, and in a second line what to do."""
        self._err.print(Prose(Text.assemble(("Error: ", "bold red"), _brief(message))))
        if hint:
            self._err.print(Prose(Text(_brief(hint), style="dim")))

    def traceback(self) -> None:
        """Print the exception that is being handled, for ``--verbose``."""
        trace = printable(traceback.format_exc(limit=-_MAX_FRAMES).rstrip())
        self._err.print(Text(textwrap.indent(trace, "  "), style="dim"))

    @contextmanager
    def progress(self) -> Iterator[Report]:
        """Show a progress bar where standard error is a terminal, and else a line a minute."""
        if self.quiet:
            yield silent
            return
        if not self._err.is_terminal:
            yield self._lines_of_progress()
            return
        # It takes a while to load, which queries and pipes do without.
        from ragdoll.cli.progress import progress_line

        with progress_line(self._err) as report:
            yield report

    def _lines_of_progress(self) -> Report:
        """Return what notes the progress for a log file."""
        started = last = time.monotonic()

        def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < _PAUSE:
                return
            last = now
            count = f"{done:,} of {total:,}" if total else f"{done:,}"
            more = f", {detail}" if detail else ""
            self.note(f"{stage}: {count}{more} ({(now - started) / 60:.0f} min)")

        return report


class LogHandler(logging.Handler):
    """Prints the library's warnings."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record as a warning."""
        self._console.warning(record.getMessage())


def _brief(text: str) -> str:
    """Return a message in one line, without its middle where it quotes a very long input."""
    line = one_line(text)
    if len(line) <= _MAX_MESSAGE:
        return line
    return f"{line[: _MAX_MESSAGE // 2]} … {line[-_MAX_MESSAGE // 2 :]}"


def silence_libraries() -> None:
    """Keep progress bars and notices of libraries off the terminal, before they are imported."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # These set the level of their loggers themselves when they are imported.
    for name in ("HF_HUB", "DATASETS", "TRANSFORMERS"):
        os.environ.setdefault(f"{name}_VERBOSITY", "error")
    for name in ("model2vec", "sentence_transformers", "skeletoken"):
        logging.getLogger(name).setLevel(logging.ERROR)
