"""Featurize on the workers of a Ray cluster: its rate beside the local engine's, and under kills.

    python -m tests.benchmarks.workers [--corpus PLACE] [--passages N] [--kills N] [--drivers N]

Each run starts a cluster of its own on this machine (this needs Linux, and the extra ray). Three
things are measured or checked:

- passages a second, once the teacher is loaded: the local engine with one thread and with as many
  as there are CPUs, one worker, and a worker for each CPU;
- a run whose workers are killed at random moments, and one whose driver is killed at random moments
  and started again: in the end the rows are those of the local engine, in the same order;
- a chain of featurize, train, index and query over S3-compatible storage on this machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import numpy as np

from ragdoll.distillation.features.reading import open_features

# Small windows, so that most kills hit some of them.
_WINDOW = 64
_DRIVER = f"""
import sys
from ragdoll.distillation.features import teacher_pass
teacher_pass.WINDOW = {_WINDOW}
from ragdoll.cli import app
app(sys.argv[1:])
"""


def main() -> None:
    """Measure and check all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="python:stdlib")
    parser.add_argument("--passages", type=int, default=4096)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--drivers", type=int, default=10)
    options = parser.parse_args()
    random.seed(0)
    with tempfile.TemporaryDirectory(prefix="ragdoll-workers-") as work:
        folder = Path(work)
        command = ["featurize", options.corpus, "--max-means", str(options.passages)]
        command += ["--dtype", "float32", "--json", "--quiet"]
        _rates(command, folder)
        local = folder / "local"
        _kill_workers(command, folder / "workers", options.kills)
        _compare(local, folder / "workers")
        _kill_drivers(command, folder / "drivers", options.drivers)
        _compare(local, folder / "drivers")
        _over_s3(folder)


def _rates(command: list[str], folder: Path) -> None:
    number = len(os.sched_getaffinity(0))
    one = _rate([*command, "--output", str(folder / "one")], threads=1)
    for name, options, threads in (
        ("local", [], number),
        ("worker", ["--engine", "ray", "--workers", "1"], None),
        ("all", ["--engine", "ray", "--workers", str(number)], None),
    ):
        rate = _rate([*command, "--output", str(folder / name), *options], threads)
        print(f"{name:<8} {rate:8.1f} passages/s, {rate / one:.2f} of one thread")
        if name != "local":
            _compare(folder / "one", folder / name)


def _rate(command: list[str], threads: int | None) -> float:
    environment = dict(os.environ)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(
        [sys.executable, "-m", "ragdoll", *command],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(json.loads(done.stdout)["rows_per_second"])


def _kill_workers(command: list[str], output: Path, kills: int) -> None:
    """Kill a worker every few seconds while features are made."""
    driver = _started([*command, "--output", str(output), "--engine", "ray"])
    killed, ended = 0, Event()

    def kill() -> None:
        nonlocal killed
        while killed < kills and not ended.wait(random.uniform(2, 8)):
            workers = _below(driver.pid, b"ray::_Worker")
            if workers:
                os.kill(random.choice(workers), signal.SIGKILL)
                killed += 1

    thread = Thread(target=kill)
    thread.start()
    status = driver.wait()
    ended.set()
    thread.join()
    print(f"{killed} workers were killed; exit status {status}")


def _kill_drivers(command: list[str], output: Path, kills: int) -> None:
    """Kill the driver at a random moment, and let the next one go on."""
    killed = 0
    while killed < kills:
        driver = _started([*command, "--output", str(output), "--engine", "ray"])
        try:
            driver.wait(random.uniform(5, 20))
            break
        except subprocess.TimeoutExpired:
            driver.kill()
            driver.wait()
            killed += 1
    status = _started([*command, "--output", str(output), "--engine", "ray"]).wait()
    print(f"{killed} drivers were killed; exit status {status}")


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _DRIVER, *command], stdout=subprocess.DEVNULL)


def _below(process: int, name: bytes) -> list[int]:
    """Return the processes of a name that a process started, directly or not."""
    parents, named = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(fields[1])
        if name in words:
            named.append(int(folder.name))

    def is_below(one: int) -> bool:
        while one and one != process:
            one = parents.get(one, 0)
        return bool(one)

    return [one for one in named if is_below(one)]


def _compare(one: Path, other: Path) -> None:
    first, second = (list(open_features(path).batches()) for path in (one, other))
    texts = [[text for part, _ in batches for text in part] for batches in (first, second)]
    vectors = [np.concatenate([part for _, part in batches]) for batches in (first, second)]
    difference = float(np.abs(vectors[0] - vectors[1]).max())
    print(
        f"  {len(texts[0]):,} rows, the same: {texts[0] == texts[1]}, vectors to {difference:.1g}"
    )


def _over_s3(folder: Path) -> None:
    """Make features, train, index and query where all of it lies in a bucket."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = os.environ | {
        "AWS_ENDPOINT": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    from moto.backends import get_backend

    get_backend("s3")["123456789012"]["aws"].create_bucket("bucket", "us-east-1")
    model, database = str(folder / "model"), "s3://bucket/lancedb"
    started = time.perf_counter()
    for command in (
        ["featurize", "python:asyncio", "--output", "s3://bucket/features", "--engine", "ray"],
        ["train", "--features", "s3://bucket/features", "--output", model],
        ["index", "python:asyncio", "--model", model, "--database", database, "--engine", "ray"],
        ["query", "run after a delay", "--database", database, "--model", model, "-k", "1"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ragdoll", *command, "--quiet", "--json"],
            env=environment,
            stdout=subprocess.PIPE,
            check=False,
        )
        print(f"{command[0]}: exit status {done.returncode}")
    server.stop()
    print(f"over S3 in {time.perf_counter() - started:.0f} s: {done.stdout[:200].decode()}")


if __name__ == "__main__":
    main()
