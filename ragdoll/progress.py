"""How the library says how far it is, without knowing a terminal."""

from typing import Protocol


class Report(Protocol):
    """Called as ``report(stage, done, total)``; ``total`` is None where the end is not known.

    ``detail`` says what a person would like to see of the work besides.
    """

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """Say how far it is."""


def silent(stage: str, done: int, total: int | None, detail: str = "") -> None:
    """Report nothing."""
