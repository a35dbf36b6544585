"""The one job that the service may run in the background: ``ragdoll run``, in its own process."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal

# Bytes of what a job says that are kept.
_MAX_SAID = 4000
_MAX_RESULT = 2**20


@dataclass
class State:
    """What became of the job; times are in seconds since 1970, None where there is none yet.

    ``result`` is what ``ragdoll run --json`` printed, ``said`` the end of what it said besides.
    """

    state: Literal["idle", "running", "done", "failed"] = "idle"
    started: float | None = None
    ended: float | None = None
    status: int | None = None
    result: Any = None
    said: str = ""


class Job:
    """Runs a command, once at a time."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._state = State()

    def record(self) -> dict[str, Any]:
        """Return the state in JSON values."""
        return asdict(self._state)

    def start(self) -> bool:
        """Start the job; False if it runs already."""
        if self._state.state == "running":
            return False
        self._state = State("running", started=time.time())
        self._task = asyncio.get_running_loop().create_task(self._run())
        return True

    def stop(self) -> None:
        """Interrupt the job, which keeps what is done."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()

    async def _run(self) -> None:
        state = self._state
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            printed, said = await self._process.communicate()
        except OSError as error:
            state.state, state.ended, state.said = "failed", time.time(), str(error)
            return
        state.ended, state.status = time.time(), self._process.returncode
        state.said = said[-_MAX_SAID:].decode("utf-8", "replace")
        with suppress(ValueError):
            state.result = json.loads(printed[:_MAX_RESULT])
        state.state = "failed" if state.status else "done"
