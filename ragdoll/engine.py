"""Workers on a Ray cluster: the same work on many tasks, their results in the order of the tasks.

What works on the tasks is an object that each worker makes for itself, once: a loaded model. Tasks
and results are small, or bounded by whoever makes them. A task may be done twice, by a worker that
dies and by the next one, so that its effect must be the same both times.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from ragdoll.errors import EngineError, RagdollError, first_line
from ragdoll.extras import require
from ragdoll.settings import EngineSettings

# Tasks that a worker has at a time: the one it works on, and the next.
_AHEAD = 2
# Tasks for each worker that may be begun before the oldest one has its result: so long the others
# go on beside a slow one.
_MOST = 4
# Workers that may die of the same task before it is given up.
_TRIES = 10
# Workers that may die before their first task.
_MOST_LOST = 100
# Seconds until the first worker must have started.
_PATIENCE = 120.0
# Seconds in which a cluster must take a connection.
_REACHED = 10.0
# Bytes that a cluster of this machine holds of tasks and results on their way.
_ON_THE_WAY = 1024**3


class Workers:
    """The workers of a cluster, as many as were asked for and have started; see ``workers``."""

    def __init__(self, ray: Any, make: Callable[[], Any], number: int, gpus: float) -> None:
        """Start workers that make their object at the first task."""
        self._ray = ray
        self._make = make
        self._kind = ray.remote(_Worker).options(num_cpus=1, num_gpus=gpus, max_restarts=0)
        self._starting: dict[Any, Any] = {}
        self._idle: dict[Any, int] = {}
        self._lost_at_start = 0
        for _ in range(number):
            self._start()

    @property
    def started(self) -> int:
        """The number of workers that have started."""
        return len(self._idle)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of one worker's object, and return its result."""
        return next(self.map(method, [arguments]))

    def map(self, method: str, tasks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call a method with the arguments of each task; yield the results in the tasks' order.

        A task whose worker has died is given to another.

        Raises:
            EngineError: no worker starts, or workers die of the same task.
        """
        queue = _Queue(tasks)
        running: dict[Any, _Task] = {}
        while not queue.is_over:
            while (worker := self._free()) and (task := queue.next(_MOST * self.started)):
                task.worker = worker
                self._idle[worker] -= 1
                running[worker.do.remote(method, task.arguments)] = task
            for reference in self._arrived(running) if running or not queue.is_over else []:
                task = running.pop(reference)
                if not self._finish(task, reference):
                    queue.again.append(task)
                elif task.worker in self._idle:  # it may have died of its next task meanwhile
                    self._idle[task.worker] += 1
            yield from queue.results()

    def _free(self) -> Any:
        """Return a worker that can take a task, the one with the fewest; None if there is none."""
        worker = max(self._idle, key=self._idle.__getitem__, default=None)
        return worker if worker is not None and self._idle[worker] else None

    def _arrived(self, running: dict[Any, _Task]) -> list[Any]:
        """Wait for results, and for workers that start."""
        waited_for = [*self._starting, *running]
        patience = None if running else _PATIENCE
        ready, _ = self._ray.wait(waited_for, num_returns=1, timeout=patience)
        if not ready:
            has = self._ray.cluster_resources()
            raise EngineError(
                f"No worker has started within {_PATIENCE:g} seconds: the cluster has "
                f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs.",
                hint="Wait until others are done there, or ask for less by `worker_gpus`.",
            )
        for reference in [one for one in ready if one in self._starting]:
            worker = self._starting.pop(reference)
            try:
                self._result(reference)
            except self._ray.exceptions.RayError as error:
                self._lost_at_start += 1
                if self._lost_at_start > _MOST_LOST:
                    raise EngineError(f"Workers do not start: {first_line(error)}") from error
                self._start()
            else:
                self._idle[worker] = _AHEAD
        return [one for one in ready if one in running]

    def _finish(self, task: _Task, reference: Any) -> bool:
        """Take the result of a task; return False if its worker has died, or the result is lost."""
        try:
            task.result = self._result(reference)
        except self._ray.exceptions.RayError as error:
            if self._idle.pop(task.worker, None) is not None:
                self._ray.kill(task.worker)
                self._start()
            task.tries += 1
            if task.tries >= _TRIES:
                raise EngineError(
                    f"{_TRIES} workers have died of the same task: {first_line(error)}",
                    hint="They may lack memory. Take fewer `workers`, or smaller batches.",
                ) from error
            return False
        task.is_done, task.arguments = True, ()
        return True

    def _result(self, reference: Any) -> Any:
        """Return a result, or raise what a worker raised."""
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RagdollError):
                raise error.cause from error
            raise EngineError(f"A worker has failed: {first_line(error.cause)}") from error

    def _start(self) -> None:
        worker = self._kind.remote(self._make)
        self._starting[worker.start.remote()] = worker


@contextmanager
def workers(
    settings: EngineSettings, make: Callable[[], Any], has_gpus: bool = False
) -> Iterator[Workers]:
    """Start workers on the cluster of the settings, or on a cluster of this machine.

    ``make`` makes the object that works, of which each worker has one. ``has_gpus`` gives each a
    share of a GPU, where the cluster has any.

    Raises:
        MissingExtraError: Ray is not installed.
        EngineError: there is no such cluster.
    """
    require("ray", "The engine ray")
    # Ray would tell its makers of each use.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray: Any = import_module("ray")
    with _cluster(ray, settings):
        has = ray.cluster_resources()
        share = 0.0
        if has_gpus and has.get("GPU"):
            share = 1.0 if settings.worker_gpus == "auto" else float(settings.worker_gpus)
        number = settings.workers
        if number == "auto":
            number = int(has["GPU"] / share) if share else int(has.get("CPU", 1))
        yield Workers(ray, make, max(1, number), share)


@contextmanager
def _cluster(ray: Any, settings: EngineSettings) -> Iterator[None]:
    """Connect to a cluster that runs, or start one here; both want the user's token."""
    options: dict[str, Any] = {}
    if settings.address is not None:
        _reach(settings.address)
    else:
        options = {
            "num_cpus": None if settings.workers == "auto" else settings.workers,
            "include_dashboard": False,
            "object_store_memory": _ON_THE_WAY,
        }
    before = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            # LanceDB warns of a fork, which here only starts another program.
            warnings.filterwarnings("ignore", message="lancedb fork", category=RuntimeWarning)
            address = settings.address or "local"
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray raises many kinds, and none for a wrong address alone
        raise _unusable(settings.address, error) from error
    finally:
        # Ray, started in the main thread, would end the process without a word of how to go on.
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str) -> None:
    """Check that something listens at an address; Ray would try for minutes.

    Raises:
        EngineError: nothing does.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdigit():  # a word such as auto
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACHED).close()
    except (OSError, OverflowError) as error:
        raise _unusable(address, error) from error


def _unusable(address: str | None, error: Exception) -> EngineError:
    reason = getattr(error, "strerror", None) or first_line(error)
    return EngineError(
        f"The cluster at {address or 'this machine'} cannot be used: {reason}.",
        hint="Give the `address` of a cluster of Ray's that runs, such as ray://host:10001.",
    )


class _Worker:
    """The process of a worker."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def start(self) -> None:
        """Show that the process has started."""

    def do(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Call a method of the object."""
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, method)(*arguments)


@dataclass(eq=False)
class _Task:
    """A task, and its result when it is done."""

    arguments: tuple[Any, ...]
    worker: Any = None
    tries: int = 0
    is_done: bool = False
    result: Any = field(default=None, repr=False)


class _Queue:
    """Tasks that are to do or done; ``again`` are those whose workers have died."""

    def __init__(self, tasks: Iterable[tuple[Any, ...]]) -> None:
        self.again: deque[_Task] = deque()
        self._coming = iter(tasks)
        self._all_came = False
        self._order: deque[_Task] = deque()

    @property
    def is_over(self) -> bool:
        """Tell whether the results of all tasks were taken."""
        return self._all_came and not self._order

    def next(self, most: int) -> _Task | None:
        """Return a task to do; None if there is none, or ``most`` are begun and not yet taken."""
        if self.again:
            return self.again.popleft()
        if len(self._order) >= most:
            return None
        for arguments in self._coming:
            self._order.append(_Task(arguments))
            return self._order[-1]
        self._all_came = True
        return None

    def results(self) -> Iterator[Any]:
        """Take the results that are there, in the order of the tasks."""
        while self._order and self._order[0].is_done:
            yield self._order.popleft().result
