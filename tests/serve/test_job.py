"""The pipeline, run by the service: only where that was allowed, and once at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Ragdoll
from tests.serve.conftest import TOKEN, Process

PATIENCE = 120.0
KNOWN = {"authorization": f"Bearer {TOKEN}"}
SETTINGS = """
[teacher]
model = "{teacher}"
dtype = "float32"
[corpus]
path = "tasks"
[train]
pca_dims = 4
epochs = 1
"""


@pytest.fixture
def work(tmp_path: Path, small_teacher: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ragdoll.toml").write_text(SETTINGS.format(teacher=small_teacher))
    (tmp_path / "tasks").mkdir()
    for number in range(40):
        (tmp_path / "tasks" / f"{number}.txt").write_text(f"Task {number} waits for {number + 1}.")
    return tmp_path


def until(address: str, state: str) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while True:
        record = dict(httpx.get(f"{address}/pipeline", headers=KNOWN).json())
        if record["state"] != "running":
            assert record["state"] == state, record
            return record
        assert time.monotonic() < end
        time.sleep(0.1)


def test_the_pipeline_runs_in_the_background_and_its_table_is_searched(
    work: Path, ragdoll: Ragdoll, served: Callable[..., Process]
) -> None:
    assert ragdoll("run").status == 0
    database = work / ".ragdoll/lancedb"
    process = served("--allow-run", database=database, RAGDOLL_SERVE_TOKEN=TOKEN)
    address = f"http://{process.host}:{process.port}"
    assert httpx.post(f"{address}/pipeline/run").status_code == 401
    with_body = httpx.post(f"{address}/pipeline/run", headers=KNOWN, json={"retrain": True})
    assert (with_body.status_code, with_body.json()["error"]["code"]) == (400, "bad_request")
    assert httpx.get(f"{address}/pipeline", headers=KNOWN).json()["state"] == "idle"
    (work / "tasks/new.txt").write_text("Semaphores bound how many tasks run at once.")
    assert httpx.post(f"{address}/pipeline/run", headers=KNOWN).status_code == 202
    again = httpx.post(f"{address}/pipeline/run", headers=KNOWN)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "running")
    record = until(address, "done")
    assert record["result"]["index"]["added"] == 1
    asked = {"query": "semaphores bound", "top_k": 1}
    (hit,) = httpx.get(f"{address}/search", params=asked, headers=KNOWN).json()["hits"]
    assert hit["source"] == "new.txt"
    (work / "ragdoll.toml").write_text("[corpus]\npath = 'gone'\n")
    httpx.post(f"{address}/pipeline/run", headers=KNOWN)
    assert "No file or folder at" in until(address, "failed")["said"]


def test_without_being_allowed_nothing_is_run(served: Callable[..., Process]) -> None:
    process = served(RAGDOLL_SERVE_TOKEN=TOKEN)
    address = f"http://{process.host}:{process.port}"
    assert httpx.post(f"{address}/pipeline/run", headers=KNOWN).status_code == 404


def test_running_needs_a_token(ragdoll: Ragdoll, base: Path) -> None:
    refused = ragdoll("serve", "--database", base, "--allow-run", "--port", 0)
    assert (refused.status, "needs a token" in refused.err) == (2, True)
