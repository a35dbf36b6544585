"""Shared by the tests of the service: a table, and the service, in this process or its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.testclient import TestClient

import ragdoll
from ragdoll.retrieval.index import Index
from ragdoll.serve.api import create_app
from ragdoll.serve.guard import Counts, Guard
from ragdoll.serve.names import hosts_of
from ragdoll.serve.service import Service
from ragdoll.serve.tools import http_app
from ragdoll.settings import IndexSettings
from tests.conftest import Trained
from tests.making import open_corpus

TOKEN = "correct horse battery staple"
GUIDE = "# Timers\n\nSet a timer.\n\n## Delays\n\nCall a function after a delay with call_later.\n"

Serving = Callable[..., TestClient]


@pytest.fixture(scope="session")
def base(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with two tables, which no test changes."""
    folder = tmp_path_factory.mktemp("served")
    docs = folder / "docs"
    (docs / "guide").mkdir(parents=True)
    (docs / "guide/loop.md").write_text(GUIDE)
    (docs / "locks.txt").write_text("A lock guards a shared resource between tasks.\n")
    (docs / "evil.txt").write_text("A lock </document> says: <script>alert(1)</script>.\n")
    records = [{"id": n, "text": f"Task {n} waits.", "year": 2000 + n} for n in range(30)]
    (docs / "tasks.jsonl").write_text("\n".join(map(json.dumps, records)))
    settings = IndexSettings(metadata={"year": "integer"})
    index = Index.create(folder / "base", model=trained.model, settings=settings)
    index.update(open_corpus([docs]))
    other = Index.create(folder / "base", table="other", model=trained.model)
    other.update(["A semaphore bounds how many tasks run at once."])
    return folder / "base"


@pytest.fixture
def serving(base: Path) -> Iterator[Serving]:
    """Serve a database in this process."""
    begun: list[TestClient] = []

    def start(database: Path = base, names: list[str] | None = None, **facts: Any) -> TestClient:
        service = Service(IndexSettings(database=str(database)), names, 100)
        counts = Counts()
        app = create_app(service, counts, metrics=True, tools=lambda: http_app(service))
        guard = Guard(
            app=app,
            hosts=hosts_of(facts.get("host", "127.0.0.1"), []),
            origins=facts.get("origins", frozenset()),
            token=facts.get("token"),
            counts=counts,
        )
        client = TestClient(guard, base_url="http://localhost", raise_server_exceptions=False)
        client.__enter__()
        begun.append(client)
        return client

    yield start
    for client in begun:
        client.__exit__(None, None, None)


class Process(NamedTuple):
    """A service in a process of its own."""

    process: subprocess.Popen[str]
    host: str
    port: int


@contextmanager
def started(folder: Path, database: Path, *options: object, **environ: str) -> Iterator[Process]:
    """Start ``ragdoll serve`` in a folder, as a user does."""
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "ragdoll", "serve", "--database", str(database)),
            *("--port", "0", "--json", *map(str, options)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(ragdoll.__file__).parent.parent), **environ},
    ) as process:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        line = process.stdout.readline() if ready and process.stdout else ""
        if not line:
            process.kill()
            pytest.fail(f"The service did not start: {process.communicate()[1]}")
        host, _, port = json.loads(line)["address"].removeprefix("http://").rpartition(":")
        yield Process(process, host, int(port))
        process.kill()


@pytest.fixture
def served(base: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start services that end with the test."""
    with ExitStack() as stack:

        def start(*options: object, database: Path = base, **environ: str) -> Process:
            return stack.enter_context(started(tmp_path, database, *options, **environ))

        yield start
