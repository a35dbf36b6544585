"""The process around a command: its standard streams, pipes that close, and signals to end it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

# What a shell reports of a program that died of the signal.
_BY_SIGNAL = 128

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


@contextmanager
def orderly() -> Iterator[None]:
    """Let whatever runs in here end without a traceback, however it is made to end.

    SIGTERM (from a service manager, a container or a batch system) is to a command what Ctrl-C is:
    a ``KeyboardInterrupt`` in the main thread, which keeps what is done.
    """
    _open_closed_streams()
    _received.clear()
    for number in _SIGNALS:
        # Not where the caller had it ignored, as nohup does with others.
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(interrupted())
    except BrokenPipeError:
        drop(sys.stdout)
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        # Typer and rich end with status 1 when the reader of a help text has seen enough.
        drop(sys.stdout)
        sys.exit(0)
    except OSError as error:
        # Only what is printed outside of a session, which names its errors itself.
        drop(sys.stdout)
        sys.stderr.write(f"Error: standard output: {error.strerror or error}\n")
        sys.exit(1)
    finally:
        end_at_once()


def interrupted() -> int:
    """Return the exit status of a command that a signal has ended."""
    return _BY_SIGNAL + (_received[-1] if _received else signal.SIGINT)


def was_interrupted() -> bool:
    """Tell whether a signal to end has come."""
    return bool(_received)


def end_at_once() -> None:
    """Let a further signal end the process: at most messages are left to print."""
    for number in _SIGNALS:
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def drop(stream: TextIO) -> None:
    """Forget what is not printed yet: its reader has gone, and Python would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _open_closed_streams() -> None:
    """Give a process that was started without a standard stream an empty one.

    Else the next file that is opened would have the number of the stream, and get what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDWR), mode))  # noqa: PTH123, SIM115
