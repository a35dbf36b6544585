"""Runs of featurize that are killed at each call that changes the disk, and at random moments.

This is a program of its own: it imports everything and loads the teacher once, and forks a process
for each run. A further run follows each kill, and its features are left in a folder for the test:
``call-00`` and so on after a kill at one call each; ``restart-00`` and so on after the same in runs
that restart over older features; ``random`` after kill upon kill. It prints the number of kills of
each as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from ragdoll.distillation.features import featurize as module
from ragdoll.distillation.features import teacher_pass
from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.errors import FeaturesError
from ragdoll.streams import Report, silent
from tests.distillation.reading import load_features
from tests.making import featurize, featurizing, open_corpus

WINDOW = 16
# Rows of two windows, the last of which is not full, of one, and of many.
FEW, FIRST, ALL = 24, 16, 120
RANDOM_KILLS = 20

_KILLED = 9
_CHANGES = ((os, "fsync"), (Path, "replace"), (Path, "unlink"))


def main(teacher: str, short: str, long: str, folder: Path) -> None:
    """Kill runs in each way, and let the runs after them end.

    The corpus ``short`` is for the many runs that are killed at a call, ``long`` for the others.
    """
    # Only a process that computes in one thread may be forked.
    torch.set_num_threads(1)
    teacher_pass.WINDOW = WINDOW
    loaded = Teacher(find_teacher(teacher), device="cpu", dtype="float32")
    loaded.encode(["What the first pass finds out, the processes share."], "mean", 1)
    module.Teacher = lambda *arguments: loaded  # type: ignore[assignment, misc]

    def run(
        output: Path,
        corpus: str = short,
        rows: int = FEW,
        restart: bool = False,
        report: Report = silent,
    ) -> None:
        settings = featurizing(teacher, output, max_means=rows, batch_size=1, dtype="float32")
        featurize(open_corpus([corpus]), settings, restart, report=report)

    def go_on(output: Path, rows: int) -> None:
        try:
            run(output, rows=rows)
        except FeaturesError:  # the older features are there, and must be complete
            assert len(load_features(output).texts) == FEW
            run(output, rows=rows, restart=True)

    def killed_at_each_call(name: str, rows: int, older: Path | None = None) -> int:
        for call in itertools.count():
            output = folder / f"{name}-{call:02}"
            if older:
                shutil.copytree(older, output)
            dying = partial(run, rows=rows, restart=older is not None)
            if not is_killed(lambda: dying(dying_at(call, output))):  # noqa: B023
                return call
            is_killed(partial(go_on, output, rows))
        raise AssertionError

    def killed_at_random(output: Path) -> int:
        chance, killed = random.Random(0), 0
        while killed < RANDOM_KILLS:
            finished = len(list(output.glob("data/*.parquet")))
            work = partial(run, output, long, ALL)
            if killed_after(finished + chance.randint(1, 8), chance.uniform(0, 0.02), work):
                killed += 1
            else:
                shutil.rmtree(output)
        is_killed(work)
        return killed

    is_killed(partial(run, folder / "old"))
    counts = {
        "call": killed_at_each_call("call", FEW),
        "restart": killed_at_each_call("restart", FIRST, folder / "old"),
        "random": killed_at_random(folder / "random"),
    }
    print(json.dumps(counts))


def dying_at(call: int, output: Path) -> Path:
    """Let this process end at its call of this number, as SIGKILL would end it."""
    calls = itertools.count()

    def dying(function: Callable[..., object]) -> Callable[..., object]:
        def called(*arguments: object, **options: object) -> object:
            if next(calls) == call:
                os._exit(_KILLED)
            return function(*arguments, **options)

        return called

    for place, name in _CHANGES:
        setattr(place, name, dying(getattr(place, name)))
    return output


def is_killed(work: Callable[[], object]) -> bool:
    """Work in a process of its own; return False if the work came to its end."""
    return _ends_killed(_forked(work))


def killed_after(batches: int, seconds: float, work: Callable[..., object]) -> bool:
    """Kill a run some seconds after some batches; return False if it ended before."""
    begun, report_begun = os.pipe()

    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "passages":
            os.write(report_begun, b".")

    child = _forked(partial(work, report=report), closes=begun)
    os.close(report_begun)
    while batches and os.read(begun, 1):  # nothing is read where the run has ended
        batches -= 1
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.close(begun)
    return _ends_killed(child)


def _forked(work: Callable[[], object], closes: int | None = None) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if closes is not None:
                os.close(closes)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    return child


def _ends_killed(child: int) -> bool:
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in {0, _KILLED, -signal.SIGKILL}:
        sys.exit(f"a run failed: {code}")
    return code != 0


if __name__ == "__main__":
    main(*sys.argv[1:4], Path(sys.argv[4]))
