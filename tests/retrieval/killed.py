"""Kills real index runs: after each of their steps, and at any moment.

A program of its own: it imports everything once and forks, so that no kill hits an import. It never
uses LanceDB itself, whose threads do not survive a fork. Prints the folders with what it killed, a
line each: how the run was started, and where it died.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lancedb.expr
import lancedb.index  # noqa: F401  (all this is imported before the fork)

from ragdoll.retrieval.model import TableModel
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.storage.table import Table
from ragdoll.retrieval.writing import batches, upkeep
from tests.making import index, index_settings, open_corpus

# Steps that commit, or work towards a commit.
STEPS: list[tuple[type, str]] = [
    (TableModel, "encode"),
    (Database, "build"),
    (Table, "replace_sources"),
    (Table, "remove_sources"),
    (Table, "index_text"),
    (Table, "index_vectors"),
    (Table, "write_state"),
    (Table, "tidy"),
]
# Parts of the time that a run takes, after which it is killed.
MOMENTS = (0.5, 0.8)


def main(database: Path, docs: Path, model: Path, output: Path) -> None:
    """Kill runs that build, update and overwrite copies of a database."""
    warnings.simplefilter("ignore", RuntimeWarning)
    batches._DOCUMENTS = 2
    upkeep.VECTOR_INDEX_ROWS = 4
    upkeep._ROWS_PER_PARTITION = 4
    for how in ("build", "update", "overwrite"):
        place = output / f"{how}-undisturbed"
        seconds, deaths = run_to_its_end(how, database, docs, model, place)
        for number in range(deaths):
            died = copied(how, database, output / f"{how}-{number}")
            dies_at(number, how, died, docs, model)
            print(how, died)
        for moment in MOMENTS:
            died = copied(how, database, output / f"{how}-{moment}")
            child = forked(partial(run, how, died, docs, model))
            time.sleep(seconds * moment)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            print(how, died)


def run_to_its_end(
    how: str, database: Path, docs: Path, model: Path, place: Path
) -> tuple[float, int]:
    """Return the seconds of an undisturbed run, and the number of places where it can die."""
    copied(how, database, place)
    read, write = os.pipe()

    def counted() -> None:
        watch(lambda: os.write(write, b"."))
        run(how, place, docs, model)

    started = time.perf_counter()
    child = forked(counted)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    seconds = time.perf_counter() - started
    return seconds, len(os.read(read, 10_000))


def dies_at(number: int, how: str, place: Path, docs: Path, model: Path) -> None:
    """Run up to the place of this number, and die there."""
    left = number

    def die_if_due() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def doomed() -> None:
        watch(die_if_due)
        run(how, place, docs, model)

    assert os.waitpid(forked(doomed), 0)[1] == signal.SIGKILL


def watch(reached: Callable[[], object]) -> None:
    """Have a function called after each step."""

    def wrapped(done: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            result = done(*arguments)
            reached()
            return result

        return step

    for owner, name in STEPS:
        setattr(owner, name, wrapped(getattr(owner, name)))


def run(how: str, database: Path, docs: Path, model: Path) -> None:
    settings = index_settings(str(database), "documents", model)
    index(open_corpus([str(docs)]), settings, overwrite=how == "overwrite")


def copied(how: str, database: Path, place: Path) -> Path:
    """Copy the database as it is before the run: none, if the run builds one."""
    if how != "build":
        shutil.copytree(database, place)
    return place


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return child


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
