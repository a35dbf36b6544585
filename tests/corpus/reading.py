"""A short way to read a file that a test has just written."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ragdoll.corpus.documents import Document
from ragdoll.corpus.formats.decoding import UnreadableError
from ragdoll.corpus.formats.files import read
from ragdoll.corpus.formats.kinds import Manner

# A property that writes each of its examples to the same folder.
in_one_folder = settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@contextmanager
def alarm(seconds: float, working: bool = False) -> Iterator[None]:
    """Turn a hang into a failure; ``working`` counts this process's own processor time alone."""
    timer = signal.ITIMER_PROF if working else signal.ITIMER_REAL
    number = signal.SIGPROF if working else signal.SIGALRM

    def ring(*_: object) -> None:
        raise AssertionError(f"not done after {seconds} seconds")

    previous = signal.signal(number, ring)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(number, previous)


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def records(file: Path, text_key: str = "text") -> list[Document]:
    """The documents of a file of which nothing is left out."""
    found = list(read(file, Manner(text_key)))
    assert all(isinstance(record, Document) for record in found), found
    return found  # type: ignore[return-value]


def only(file: Path, text_key: str = "text") -> Document:
    (record,) = records(file, text_key)
    return record


def told(file: Path, text_key: str = "text") -> list[str]:
    """The text of each record, or in its place the reason, marked as such."""
    return [
        record.text if isinstance(record, Document) else f"! {record}"
        for record in read(file, Manner(text_key))
    ]


def reason(file: Path, text_key: str = "text") -> str:
    """Why a file as a whole cannot be read."""
    with pytest.raises(UnreadableError) as caught:
        list(read(file, Manner(text_key)))
    return str(caught.value)
