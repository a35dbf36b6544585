"""``ragdoll index --watch``: what changes is indexed, whether the system tells of it or not."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ragdoll
from tests.conftest import Ragdoll, Trained

# Far above what it takes, for a busy machine.
PATIENCE = 30.0

Watching = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def watching(trained: Trained, tmp_path: Path) -> Iterator[Watching]:
    """Watch a folder of documents, in a process of its own."""
    begun: list[subprocess.Popen[str]] = []

    def start(docs: Path, *options: object) -> subprocess.Popen[str]:
        command = [
            *(sys.executable, "-m", "ragdoll", "index", str(docs), "--model", str(trained.model)),
            *("--database", str(tmp_path / "base"), "--watch", "--json", *map(str, options)),
        ]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(ragdoll.__file__).parent.parent)},
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def next_update(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    assert ready, "nothing was indexed"
    return dict(json.loads(process.stdout.readline()))


@pytest.mark.parametrize("options", [(), ("--every", 1)], ids=["told", "swept"])
def test_what_changes_is_indexed(watching: Watching, docs: Path, options: tuple[object]) -> None:
    process = watching(docs, *options)
    assert next_update(process)["added"] == 4
    (docs / "new.txt").write_text("Semaphores bound how many tasks run at once.")
    assert next_update(process)["added"] == 1
    (docs / "locks.txt").unlink()
    assert next_update(process)["removed"] == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    assert process.stderr
    assert "Traceback" not in process.stderr.read()


def test_what_fails_is_said_and_tried_again(watching: Watching, docs: Path) -> None:
    process = watching(docs, "--every", 1)
    next_update(process)
    kept = {file: file.read_bytes() for file in docs.iterdir()}
    for file in kept:
        file.unlink()
    assert process.stderr
    said = ""
    while "No documents in" not in said:
        assert select.select([process.stderr], [], [], PATIENCE)[0], said
        said += os.read(process.stderr.fileno(), 4096).decode()
    (docs / "new.txt").write_text("A barrier holds them all.")
    assert next_update(process)["added"] == 1


def test_indexing_the_current_folder_does_not_tell_itself_of_changes(
    watching: Watching, docs: Path
) -> None:
    (docs / ".base").mkdir()
    process = watching(docs, "--database", docs / ".base")
    next_update(process)
    (docs / "new.txt").write_text("A barrier holds them all.")
    next_update(process)
    assert process.stdout
    assert select.select([process.stdout], [], [], 2) == ([], [], [])


@pytest.mark.parametrize(
    "options", [["--every", 5], ["--watch", "--every", 0], ["--watch", "--dry-run"]]
)
def test_what_makes_no_sense_is_refused(
    ragdoll: Ragdoll, docs: Path, options: list[object]
) -> None:
    assert ragdoll("index", docs, *options).status == 2
