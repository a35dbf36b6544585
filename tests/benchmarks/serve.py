"""The service under load, against txtai's: ready, memory, rate and waiting; and answers meanwhile.

    python -m tests.benchmarks.serve MODEL --txtai PYTHON [--passages N] [--seconds S]
        [--answers N] [--minutes N] [--data SOURCE ...]

Both have the same passages and the same model, on this machine, one after the other. The program
wrk asks (1, 8 and 32 clients at once), with runs of words from the passages. txtai's service is
that of its extra ``api``; for ``hybrid`` it has a sparse index too. ``ready`` is the time from the
start of the process to its first answer, and memory what it holds after the load (RssAnon).

Then the table is brought up to date, built anew, and built anew with another model (the distillate
beside the model), again and again while clients ask. Every answer that is no answer is counted, and
the seconds until a new document is found. ``--minutes`` also asks for so long, and shows the memory
of each minute.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np

from tests.benchmarks.encode import DATA, sample

_PORT = 8799
_WORDS = 6
_QUESTIONS = 2000
_CLIENTS = (1, 8, 32)
_PATIENCE = 60.0

_TXTAI_INDEX = """
import json, sys
from txtai import Embeddings
model, passages, folder, hybrid = sys.argv[1:]
embeddings = Embeddings(path=model, method="model2vec", content=True, hybrid=hybrid == "hybrid")
embeddings.index(json.loads(line)["text"] for line in open(passages))
embeddings.save(folder)
"""

# The questions are in a file, which wrk reads once.
_WRK = """
local paths, number = {}, 0
for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end
request = function()
  number = number + 1
  return wrk.format("GET", paths[(number * 7919) % #paths + 1])
end
"""


class Load(NamedTuple):
    """Requests a second, and milliseconds that 99 of 100 took at most."""

    rate: float
    p99: float


class Service(NamedTuple):
    """A service: its command, its environment, and the path of a search."""

    command: list[str]
    environment: dict[str, str]
    path: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--txtai", metavar="PYTHON")
    parser.add_argument("--passages", type=int, default=15_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--answers", type=int, default=2_000)
    parser.add_argument("--minutes", type=int, default=0)
    parser.add_argument("--data", nargs="+", default=DATA)
    options = parser.parse_args()
    _, texts = sample(options.model, options.data, options.passages)
    print(f"{len(texts):,} passages")
    with tempfile.TemporaryDirectory(prefix="ragdoll-serve-") as work:
        folder = Path(work)
        passages = folder / "docs" / "passages.jsonl"
        passages.parent.mkdir()
        lines = (json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(texts))
        passages.write_text("\n".join(lines) + "\n")
        model, questions = str(options.model.absolute()), _questions(texts)
        index = _ragdoll("index", str(passages.parent), "--database", f"{work}/ragdoll", "--quiet")
        subprocess.run([*index, "--model", model], check=True)
        serve = _ragdoll("serve", "--database", f"{work}/ragdoll", "--port", str(_PORT), "--quiet")
        for mode in ("hybrid", "vector"):
            path = f"/search?top_k=10&mode={mode}&query="
            ours = _measured(Service(serve, {}, path), questions, folder, options.seconds)
            _show(f"ragdoll, {mode}", ours, ours)
            if options.txtai:
                theirs = _txtai(options.txtai, model, passages, folder, mode)
                _show(f"txtai, {mode}", _measured(theirs, questions, folder, options.seconds), ours)
        _changing(serve, index, options.model.absolute(), passages.parent, options.answers)
        if options.minutes:
            _steady(Service(serve, {}, "/search?query="), questions, folder, options.minutes)


def _ragdoll(*words: str) -> list[str]:
    return [sys.executable, "-m", "ragdoll", *words]


def _questions(texts: Sequence[str]) -> list[str]:
    generator = np.random.default_rng(0)
    found: list[str] = []
    while len(found) < _QUESTIONS:
        words = re.findall(r"\w+", texts[int(generator.integers(len(texts)))])
        if len(words) > _WORDS:
            start = int(generator.integers(len(words) - _WORDS))
            found.append(" ".join(words[start : start + _WORDS]))
    return found


def _txtai(python: str, model: str, passages: Path, folder: Path, mode: str) -> Service:
    """Index the passages by txtai, and return its service."""
    index = folder / f"txtai-{mode}"
    command = [python, "-c", _TXTAI_INDEX, model, str(passages), str(index), mode]
    subprocess.run(command, check=True)
    config = folder / f"txtai-{mode}.yml"
    config.write_text(f"path: {index}\nwritable: false\nembeddings:\n")
    serve = ["uvicorn", "txtai.api:app", "--port", str(_PORT), "--no-access-log"]
    return Service(
        [python, "-m", *serve, "--log-level", "error"],
        {"CONFIG": str(config)},
        "/search?limit=10&query=",
    )


class Measured(NamedTuple):
    """Seconds until ready, bytes of memory, and the load by the number of clients."""

    ready: float
    memory: int
    loads: dict[int, Load]


def _measured(service: Service, questions: list[str], folder: Path, seconds: int) -> Measured:
    paths, script = _asking(service, questions, folder)
    started = time.perf_counter()
    with _running(service) as process:
        _wait(service, questions[0])
        ready = time.perf_counter() - started
        _load(paths, script, 8, 3)
        loads = {clients: _load(paths, script, clients, seconds) for clients in _CLIENTS}
        return Measured(ready, _memory(process.pid), loads)


def _asking(service: Service, questions: list[str], folder: Path) -> tuple[Path, Path]:
    """Write the paths of all questions, and the script that asks them."""
    paths, script = folder / "paths.txt", folder / "ask.lua"
    paths.write_text("".join(f"{service.path}{quote(text)}\n" for text in questions))
    script.write_text(_WRK)
    return paths, script


def _memory(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    memory = re.search(r"RssAnon:\s+(\d+) kB", status)
    return int(memory[1]) * 1024 if memory else 0


@contextmanager
def _running(service: Service) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        service.command,
        env=os.environ | service.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait(service: Service, question: str) -> None:
    """Wait for the first answer."""
    url = f"http://127.0.0.1:{_PORT}{service.path}{quote(question)}"
    end = time.perf_counter() + _PATIENCE
    while time.perf_counter() < end:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            time.sleep(0.005)
    raise TimeoutError(url)


def _load(paths: Path, script: Path, clients: int, seconds: int) -> Load:
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", "-s", str(script)]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{_PORT}"],
        env=os.environ | {"PATHS": str(paths)},
        check=True,
        capture_output=True,
        text=True,
    )
    if re.search(r"Non-2xx|Socket errors", done.stdout):
        print(done.stdout)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    last = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout)
    if rate is None or last is None:
        raise ValueError(done.stdout)
    return Load(float(rate[1]), float(last[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[last[2]])


def _show(name: str, measured: Measured, ours: Measured) -> None:
    """Print what was measured, and what ours is of it."""
    print(
        f"{name}: ready in {measured.ready:.2f} s ({ours.ready / measured.ready:.2f}), "
        f"{measured.memory / 2**20:.0f} MiB ({ours.memory / measured.memory:.2f})"
    )
    for clients, load in measured.loads.items():
        our = ours.loads[clients]
        print(
            f"  {clients:>2} clients: {load.rate:7.1f}/s ({our.rate / load.rate:.2f}), "
            f"p99 {load.p99:6.1f} ms ({our.p99 / load.p99:.2f})"
        )


def _changing(serve: list[str], index: list[str], model: Path, docs: Path, wanted: int) -> None:
    """Ask while the table changes; print the answers, those that are none, and how old they are."""
    ended = Event()
    good, failed = [0] * 8, [0] * 8

    def ask(client: int) -> None:
        while not ended.is_set():
            try:
                good[client] += bool(_hits("set a timer"))
            except (OSError, ValueError, KeyError):
                failed[client] += 1

    changes = [["--model", str(model)], ["--overwrite", "--model", str(model)]]
    if (model / "distillate").is_dir():
        changes += [["--overwrite", "--model", str(model / "distillate")], changes[1]]
    late = []
    with _running(Service(serve, {}, "")), ThreadPoolExecutor(8) as pool:
        _wait(Service(serve, {}, "/search?query="), "a")
        askers = [pool.submit(ask, client) for client in range(8)]
        for number in count():
            if sum(good) >= wanted and number >= len(changes):
                break
            (docs / "new.md").write_text(f"The word of this change is zq{number}zq.")
            subprocess.run([*index, *changes[number % len(changes)]], check=True)
            written = time.perf_counter()
            while "new.md" not in {hit["source"] for hit in _hits(f"zq{number}zq")}:
                time.sleep(0.01)
            late.append(time.perf_counter() - written)
        ended.set()
        for asker in askers:
            asker.result()
    print(
        f"while the table changed {len(late)} times: {sum(good):,} answers, {sum(failed)} failed; "
        f"a change was seen within {max(late):.2f} s"
    )


def _hits(question: str) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:{_PORT}/search?top_k=10&query={quote(question)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return list(json.load(answer)["hits"])


def _steady(service: Service, questions: list[str], folder: Path, minutes: int) -> None:
    """Ask without a pause, and print the memory after each minute."""
    paths, script = _asking(service, questions, folder)
    with _running(service) as process:
        _wait(service, questions[0])
        for minute in range(1, minutes + 1):
            load = _load(paths, script, 8, 60)
            memory = _memory(process.pid) / 2**20
            print(f"minute {minute}: {load.rate:.1f}/s, {memory:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
