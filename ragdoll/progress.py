"""How the library says how far it is, without knowing a terminal."""

from collections.abc import Callable

Report = Callable[[str, int, "int | None"], None]
"""Called as ``report(stage, done, total)``; ``total`` is None where the end is not known."""


def silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""
