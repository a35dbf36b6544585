"""Work on the workers of a Ray cluster: the same results as in this process, whatever dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ragdoll
from ragdoll.distillation.features import teacher_pass
from ragdoll.distillation.features.embedding import TeacherAtWork
from ragdoll.engine import Workers, workers
from ragdoll.errors import CorpusChangedError, CorpusError, EngineError, TableError, TeacherError
from ragdoll.settings import (
    EngineSettings,
    IndexSettings,
    TeacherSettings,
)
from ragdoll.streams import Report, silent
from tests.closeness import assert_alike
from tests.conftest import CORPUS, Trained
from tests.distillation.reading import load_features

# Ray reads these when it is imported.
os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
}
ray = pytest.importorskip("ray")
pytest.importorskip("lance")

# Workers do not import the tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

WINDOW = 16
TEXTS = [f"Task {number} waits {number % 7} seconds for a lock." for number in range(120)]

_CLUSTER = """
import sys, ray
context = ray.init(
    "local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
    object_store_memory=10**8,
)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster of two CPUs, which many tests share."""

    engine: EngineSettings
    process: int

    def workers(self) -> list[int]:
        """Return the ids of the processes that work for us."""
        parents, names = {}, {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                names[int(folder.name)] = (folder / "cmdline").read_bytes()
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(folder.name)] = int(fields[1])

        def is_ours(process: int) -> bool:
            while process and process != self.process:
                process = parents.get(process, 0)
            return bool(process)

        return [
            process
            for process, name in names.items()
            if b"ray::_Worker" in name and is_ours(process)
        ]

    def kill_one(self) -> None:
        """Kill a worker."""
        os.kill(self.workers()[0], signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    process = subprocess.Popen(
        [sys.executable, "-c", _CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    # Tests may reach no other address.
    address = "127.0.0.1:" + process.stdout.readline().strip().rpartition(":")[2]
    yield Cluster(EngineSettings(name="ray", address=address, workers=2), process.pid)
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_pass, "WINDOW", WINDOW)


# The engine


class Worker:
    """Something to work with, whose process dies at 13."""

    def double(self, number: int) -> int:
        if number == 13:
            os._exit(1)
        time.sleep(0.3 if number == 2 else 0)
        return 2 * number

    def refuse(self, number: int) -> None:
        raise TeacherError(f"Not {number}.", hint="Another.")

    def fail(self, number: int) -> None:
        raise ZeroDivisionError(f"by {number}")


@pytest.fixture
def pool(cluster: Cluster) -> Iterator[Workers]:
    with workers(cluster.engine, Worker) as started:
        yield started


def test_results_come_in_the_order_of_the_tasks(pool: Workers) -> None:
    drawn = []

    def tasks() -> Iterator[tuple[int]]:
        for number in range(200, 212):
            drawn.append(number)
            yield (number - 200,)

    assert list(pool.map("double", tasks())) == [2 * number for number in range(12)]
    assert pool.started in {1, 2}


def test_any_thread_may_use_a_cluster(cluster: Cluster) -> None:
    def work() -> object:
        with workers(cluster.engine, Worker) as started:
            return started.ask("double", 4)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(work).result() == 8


def test_tasks_are_drawn_no_faster_than_they_are_done(pool: Workers) -> None:
    drawn = 0

    def endless() -> Iterator[tuple[int]]:
        nonlocal drawn
        while True:
            drawn += 1
            yield (1,)

    results = pool.map("double", endless())
    for _ in range(3):
        next(results)
    assert drawn < 30


def test_what_a_worker_raises_is_raised_here(pool: Workers) -> None:
    with pytest.raises(TeacherError, match=r"Not 3\.") as told:
        pool.ask("refuse", 3)
    assert told.value.hint == "Another."
    with pytest.raises(EngineError, match=r"A worker has failed: .*by 3"):
        pool.ask("fail", 3)


def test_a_task_that_kills_its_workers_is_given_up(pool: Workers) -> None:
    with pytest.raises(EngineError, match="10 workers have died of the same task"):
        list(pool.map("double", [(1,), (13,), (3,)]))


def test_a_cluster_that_is_not_there_is_named() -> None:
    with (
        pytest.raises(EngineError, match=r"The cluster at 127\.0\.0\.1:1 cannot be used"),
        workers(EngineSettings(name="ray", address="127.0.0.1:1"), Worker),
    ):
        pass


# Featurize


def featurize(
    teacher: Path,
    output: Path,
    engine: EngineSettings | None = None,
    texts: list[str] | None = None,
    report: Report = silent,
    **options: Any,
) -> ragdoll.FeaturizeResult:
    return ragdoll.featurize(
        texts or TEXTS,
        output,
        teacher=TeacherSettings(model=str(teacher), dtype="float32", device="cpu"),
        engine=engine,
        report=report,
        **options,
    )


def assert_same(one: Path, other: Path) -> None:
    first, second = load_features(one), load_features(other)
    assert first.texts == second.texts
    assert_alike(first.vectors, second.vectors)
    facts = [json.loads((path / "manifest.json").read_text()) for path in (one, other)]
    for each in facts:
        each.pop("folder")
    assert facts[0] == facts[1]


@pytest.fixture(scope="module")
def local(small_teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher_pass, "WINDOW", WINDOW)
        featurize(small_teacher, output)
    return output


def stopping_after(rows: int) -> Callable[..., None]:
    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "passages" and done >= rows:
            raise KeyboardInterrupt

    return report


def test_features_are_those_of_the_local_engine_whatever_dies(
    small_teacher: Path, tmp_path: Path, local: Path, cluster: Cluster
) -> None:
    output = tmp_path / "features"
    details, killed = set(), []

    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "passages":
            details.add(detail)
        if done in {WINDOW, 3 * WINDOW} and done not in killed:
            killed.append(done)
            cluster.kill_one()

    result = featurize(small_teacher, output, cluster.engine, report=report)
    assert len(killed) == 2
    assert (result.rows, result.documents) == (len(TEXTS), len(TEXTS))
    assert details <= {"0 workers", "1 worker", "2 workers"}
    assert_same(output, local)
    assert len(list((output / "data").iterdir())) == 8


def test_either_engine_goes_on_where_the_other_stopped(
    small_teacher: Path, tmp_path: Path, local: Path, cluster: Cluster
) -> None:
    output = tmp_path / "features"
    with pytest.raises(KeyboardInterrupt):
        featurize(small_teacher, output, cluster.engine, report=stopping_after(2 * WINDOW))
    with pytest.raises(KeyboardInterrupt):
        featurize(small_teacher, output, report=stopping_after(4 * WINDOW))
    result = featurize(small_teacher, output, cluster.engine)
    assert result.rows_resumed >= 3 * WINDOW
    assert_same(output, local)
    with pytest.raises(CorpusChangedError):
        featurize(small_teacher, output, cluster.engine, texts=["Another text.", *TEXTS])


def test_features_that_are_made_anew_are_whole_until_the_first_new_part(
    small_teacher: Path, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "features"
    featurize(small_teacher, output)
    before = load_features(output).texts

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(teacher_pass.TeacherPass, "_enter", interrupted)
        with pytest.raises(KeyboardInterrupt):
            featurize(small_teacher, output, cluster.engine, TEXTS[:40], restart=True)
    assert load_features(output).texts == before
    featurize(small_teacher, output, cluster.engine, TEXTS[:40], restart=True)
    assert load_features(output).texts == TEXTS[:40]
    assert len(list((output / "data").iterdir())) == 3
    # The local engine numbers its parts after these.
    featurize(small_teacher, output, restart=True)
    assert load_features(output).texts == before


def test_a_worker_refuses_another_teacher(small_teacher: Path, tmp_path: Path) -> None:
    settings = TeacherSettings(model=str(small_teacher))
    with pytest.raises(TeacherError, match="not the same on all machines"):
        TeacherAtWork(settings, "another", False, "mean", None)  # type: ignore[arg-type]


# Index


def test_a_table_is_that_of_the_local_engine(
    trained: Trained, tmp_path: Path, docs: Path, cluster: Cluster
) -> None:
    """A new table, one brought up to date, and one built anew."""
    hits: list[list[Any]] = []
    for name, engine in (("local", None), ("ray", cluster.engine)):
        database = tmp_path / name
        settings = IndexSettings(chunk_size=64)
        index = ragdoll.Index.create(database, model=trained.model, settings=settings)
        first = index.update(ragdoll.read(CORPUS), engine=engine)
        extra = {"id": "new", "text": "A brand new lock for tasks."}
        more = index.update([extra, {"id": "newer", "text": "Locks."}], engine=engine)
        changed = index.update([{**extra, "text": "Another lock."}], engine=engine)
        counts = [
            (one.added, one.changed, one.unchanged, one.chunks, one.chunks_embedded)
            for one in (first, more, changed, index.update(ragdoll.read(CORPUS), engine=engine))
        ]
        found = [
            (hit.id, hit.text, hit.metadata)
            for mode in ("hybrid", "vector", "text")
            for hit in ragdoll.Index.open(database).search("wait for a lock", mode=mode)
        ]
        anew = ragdoll.Index.create(
            database, model=trained.model, settings=settings, overwrite=True
        ).update(ragdoll.read(docs), engine=engine)
        answers = ragdoll.Index.open(database).search("timer", 3)
        hits.append([counts, found, anew.documents, [hit.id for hit in answers]])
    assert hits[0] == hits[1]


def test_a_corpus_without_documents_leaves_no_table(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    index = ragdoll.Index.create(tmp_path / "base", model=trained.model)
    with pytest.raises(CorpusError, match="nothing was changed"):
        index.update(ragdoll.read(tmp_path / "docs"), engine=EngineSettings(name="ray"))
    with pytest.raises(TableError, match=r"No (table|database)"):
        ragdoll.Index.open(tmp_path / "base")


def test_an_index_that_is_interrupted_leaves_the_table_as_it_was(
    trained: Trained, tmp_path: Path, docs: Path, cluster: Cluster
) -> None:
    index = ragdoll.Index.create(tmp_path, model=trained.model)
    index.update(ragdoll.read(docs))
    before = [hit.id for hit in index.search("timer", 3)]

    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ragdoll.Index.create(tmp_path, model=trained.model, overwrite=True).update(
            ragdoll.read(CORPUS), engine=cluster.engine, report=report
        )
    assert [hit.id for hit in ragdoll.Index.open(tmp_path).search("timer", 3)] == before
    result = index.update(ragdoll.read(docs), engine=cluster.engine)
    assert result.documents == len(ragdoll.Index.open(tmp_path).roots) or result.documents
