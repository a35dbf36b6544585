"""Running the cases of a target in a process of its own, which may die or hang."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

Case = Callable[[Random], None]
"""Makes one case and runs it; raises only what is a finding, or what is raised on purpose."""

Prepare = Callable[[Path], Case]
"""Makes in an empty folder what all cases of a target share."""

_SLOW_SECONDS = 1.0
_HANG_SECONDS = 10.0
WALL_SECONDS = 2.0
_GROWTH = 256 << 20
_ADDRESS_SPACE = 3 << 30
_WRITES = {
    *("os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"),
    *("os.truncate", "shutil.rmtree"),
}
_NEVER = {"os.exec", "os.posix_spawn", "os.system", "socket.connect", "subprocess.Popen"}
# The process that reads hostile formats behind the wall.
_WORKER = "from ragdoll.corpus.formats.behind_wall.worker import serve"


class FindingError(Exception):
    """A finding of a target itself."""


@dataclass(slots=True)
class Tally:
    """The cases of a target and their findings; ``peak`` is memory beyond that before the first."""

    cases: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_case: int = 0
    peak: int = 0
    findings: list[tuple[int, str]] = field(default_factory=list)


def fuzz(
    name: str, seed: int, seconds: float, cases: int | None = None, only: int | None = None
) -> Tally:
    """Run cases until time is up, a fresh process after each that died."""
    tally = Tally()
    context = multiprocessing.get_context("spawn")
    number = context.Value("q", -1)
    first = only or 0
    last = only + 1 if only is not None else cases
    ends = time.monotonic() + seconds
    while (last is None or first < last) and (not first or time.monotonic() < ends):
        ours, theirs = context.Pipe()
        arguments = (name, seed, first, last, ends - time.monotonic(), number, theirs)
        worker = context.Process(target=_work, args=arguments)
        worker.start()
        theirs.close()
        died = _watch(worker, ours, number, tally)
        if not died or number.value < first:
            tally.findings += [(number.value, died)] if died else []
            break
        tally.findings.append((number.value, died))
        first = number.value + 1
    return tally


def _watch(worker: Any, reports: Connection, number: Any, tally: Tally) -> str:
    """Take in what a process reports until it ends; say how it died, or nothing."""
    at, since, done = number.value, time.monotonic(), False
    before, refused = tally.cases, tally.refused
    while True:
        try:
            while reports.poll(0.5):
                kind, *facts = reports.recv()
                if kind == "finding":
                    tally.findings.append((facts[0], facts[1]))
                    continue
                cases, errors, slowest, slowest_case, peak = facts
                tally.cases, tally.refused = before + cases, refused + errors
                tally.peak = max(tally.peak, peak)
                if slowest > tally.slowest:
                    tally.slowest, tally.slowest_case = slowest, slowest_case
                done = kind == "done"
        except EOFError:
            worker.join()
            if not done:
                tally.cases = max(tally.cases, number.value + 1)
            return "" if done else f"the process died with status {worker.exitcode}"
        if number.value != at:
            at, since = number.value, time.monotonic()
        elif at >= 0 and time.monotonic() - since > _HANG_SECONDS:
            os.kill(worker.pid, signal.SIGUSR1)
            time.sleep(0.5)
            worker.kill()
            worker.join()
            tally.cases = max(tally.cases, number.value + 1)
            return f"no end after {_HANG_SECONDS:.0f} s"


def _work(
    name: str,
    seed: int,
    first: int,
    last: int | None,
    seconds: float,
    number: Any,
    reports: Connection,
) -> None:
    from ragdoll.corpus.formats.behind_wall import wall
    from ragdoll.corpus.formats.decoding import UnreadableError
    from ragdoll.errors import RagdollError
    from tests.fuzz.targets import TARGETS

    wall.SECONDS = WALL_SECONDS
    with tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True) as place:
        folder = Path(place).resolve()
        isolate(folder)
        faulthandler.register(signal.SIGUSR1)  # where it hangs
        case = TARGETS[name](folder)
        watched = watch_writes(folder)
        ends = time.monotonic() + seconds
        base = peak = _peak_memory()
        _limit_memory()
        cases = refused = slowest_case = 0
        slowest, told = 0.0, time.monotonic()
        current = first
        while (last is None or current < last) and (not cases or time.monotonic() < ends):
            number.value = current
            started = time.process_time()
            watched.clear()
            try:
                case(Random(f"{seed}/{name}/{current}"))
            except (RagdollError, UnreadableError):
                refused += 1
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001  (a panic of a library is none of Exception)
                reports.send(("finding", current, _said(error)))
            took = time.process_time() - started
            cases += 1
            if took > slowest:
                slowest, slowest_case = took, current
            if took > _SLOW_SECONDS:
                reports.send(("finding", current, f"{took:.1f} s of processor time"))
            if _peak_memory() > peak + _GROWTH:
                reports.send(("finding", current, f"{(_peak_memory() - peak) >> 20} MiB of memory"))
            peak = max(peak, _peak_memory())
            for written in watched:
                reports.send(("finding", current, f"outside its folder: {written}"))
            current += 1
            if time.monotonic() - told > 1:
                told = time.monotonic()
                reports.send(("tally", cases, refused, slowest, slowest_case, peak - base))
        reports.send(("done", cases, refused, slowest, slowest_case, peak - base))


def isolate(folder: Path) -> None:
    for name in list(os.environ):
        if name.startswith("RAGDOLL_"):
            del os.environ[name]
    for name in ("HOME", "HF_HOME", "TMPDIR", "XDG_CACHE_HOME"):
        place = folder / ".home" / name.lower()
        place.mkdir(parents=True)
        os.environ[name] = str(place)
    os.environ |= {"COLUMNS": "100", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    tempfile.tempdir = os.environ["TMPDIR"]
    (folder / "here").mkdir()
    os.chdir(folder / "here")


def watch_writes(folder: Path) -> list[str]:
    """A list that gets what is written outside a folder; compiled code is not seen."""
    outside: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _NEVER and _WORKER not in str(arguments):
            outside.append(f"{event} {arguments!r}"[:200])
        elif event in _WRITES or (event == "open" and _is_for_writing(arguments)):
            paths = [path for path in arguments[:2] if isinstance(path, str | bytes) and path]
            for path in paths[: 2 if event in {"os.rename", "os.link"} else 1]:
                place = Path(os.path.realpath(os.fsdecode(path)))
                if not place.is_relative_to(folder) and place != Path(os.devnull):
                    outside.append(f"{event} {place}")

    sys.addaudithook(hook)
    return outside


def _is_for_writing(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + _ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _said(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f"{Path(f.filename).name}:{f.lineno}" for f in frames if "ragdoll/" in f.filename]
    place = " < ".join(
        [*reversed(ours[-4:]), f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"]
    )
    return f"{type(error).__name__}: {str(error)[:300]!r} at {place}"
