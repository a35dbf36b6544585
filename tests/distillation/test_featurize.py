"""Featurize: the same rows in the same order, however often it was interrupted."""

from __future__ import annotations

import errno
import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdoll.distillation.features import featurize as module
from ragdoll.distillation.features import teacher_pass
from ragdoll.distillation.features.featurize import FeaturizeResult
from ragdoll.distillation.features.folder import FeaturesFolder
from ragdoll.distillation.features.manifest import Manifest, differences
from ragdoll.distillation.teacher.model import Teacher, Tokenized
from ragdoll.embedding import identity
from ragdoll.errors import (
    CorpusChangedError,
    CorpusError,
    FeaturesError,
    MissingExtraError,
    TeacherError,
)
from ragdoll.files import only_one
from ragdoll.streams import Report, silent
from tests.benchmarks import memory
from tests.closeness import assert_alike
from tests.distillation.reading import load_features
from tests.making import featurize, featurizing, open_corpus

# Its texts are short and of different lengths, since they are embedded again and again; there are a
# few more than the tests embed.
CORPUS = "tasks.jsonl"
TASKS = [f"Task {n} waits for{f' task {n + 1}, then' * (n * 7 % 5)} a lock." for n in range(130)]

# Other processes run this source too, not what is installed.
HERE = str(Path(__file__).parents[2])


def run(
    teacher: Path,
    output: Path,
    *places: str | Path,
    restart: bool = False,
    report: Report = silent,
    **settings: Any,
) -> FeaturizeResult:
    values = {"dtype": "float32", "max_means": 120, **settings}
    corpus = open_corpus(places or [CORPUS])
    return featurize(corpus, featurizing(teacher, output, **values), restart, report=report)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The current folder of all tests: features tell the place of their corpus."""
    folder = tmp_path_factory.mktemp("here")
    (folder / CORPUS).write_text("".join(json.dumps({"text": text}) + "\n" for text in TASKS))
    return folder


@pytest.fixture(autouse=True)
def _small_windows(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_pass, "WINDOW", 16)
    monkeypatch.chdir(here)


@pytest.fixture(scope="module")
def complete(small_teacher: Path, here: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher_pass, "WINDOW", 16)
        patch.chdir(here)
        run(small_teacher, here / "features")
    return here / "features"


@pytest.fixture
def uninterrupted(complete: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(complete, tmp_path / "complete"))


def assert_same(first: Path, second: Path) -> None:
    one, two = load_features(first), load_features(second)
    assert one.texts == two.texts
    assert_alike(one.vectors, two.vectors)
    parts = [
        sorted(file.name for file in (folder / "data").iterdir()) for folder in (first, second)
    ]
    assert parts[0] == parts[1]


def interrupt_at(patch: pytest.MonkeyPatch, part: int) -> None:
    """Let a run be interrupted before it writes a part."""
    write = FeaturesFolder.write_part

    def interrupted(self: FeaturesFolder, number: int, *rest: Any, **options: Any) -> str:
        if number == part:
            raise KeyboardInterrupt
        return write(self, number, *rest, **options)

    patch.setattr(FeaturesFolder, "write_part", interrupted)


def test_an_interrupted_run_goes_on_where_it_stopped(
    small_teacher: Path, tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, part=3)
        with pytest.raises(KeyboardInterrupt):
            run(small_teacher, tmp_path / "again")
    result = run(small_teacher, tmp_path / "again")
    assert (result.rows, result.rows_resumed) == (120, 48)
    assert_same(tmp_path / "again", uninterrupted)


def test_a_part_without_its_line_in_the_manifest_is_made_again(
    small_teacher: Path, tmp_path: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = FeaturesFolder.write_manifest

    def powerless(self: FeaturesFolder, manifest: Manifest) -> None:
        if len(manifest.parts) == 3:
            raise KeyboardInterrupt
        write(self, manifest)

    monkeypatch.setattr(FeaturesFolder, "write_manifest", powerless)
    with pytest.raises(KeyboardInterrupt):
        run(small_teacher, tmp_path / "again")
    monkeypatch.setattr(FeaturesFolder, "write_manifest", write)
    assert run(small_teacher, tmp_path / "again").rows_resumed == 32
    assert_same(tmp_path / "again", uninterrupted)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the killer forks")
def test_whenever_it_is_killed_it_loses_nothing_and_doubles_nothing(
    small_teacher: Path, tmp_path: Path
) -> None:
    """In the place of any write of a new run or a restart, and again and again at random.

    One test, as the runs of all are those of one process, which takes long to begin.
    """
    lines, long = tmp_path / "lines.jsonl", tmp_path / "long.jsonl"
    lines.write_text(
        "".join(f'{{"text": "Task {n} waits for task {n + 1}."}}\n' for n in range(24))
    )
    # Its texts are longer, so that each window has several batches.
    long.write_text(
        "".join(
            f'{{"text": "{text} {" ".join([text] * (n % 9))}"}}\n' for n, text in enumerate(TASKS)
        )
    )
    program = [sys.executable, "-m", "tests.distillation.killed"]
    done = subprocess.run(
        [*program, small_teacher, lines, long, tmp_path],
        env={**os.environ, "PYTHONPATH": HERE, "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    # For each part, each manifest and the end: a file and its folder are synced, a name changes.
    for name, rows, least in (("call", 24, 15), ("restart", 16, 9)):
        expected = tmp_path / f"{name} expected"
        run(small_teacher, expected, lines, max_means=rows)
        outputs = sorted(tmp_path.glob(f"{name}-*"))
        assert len(outputs) == counts[name] + 1 > least
        for output in outputs:
            assert_same(output, expected)
    assert counts["random"] >= 20
    run(small_teacher, tmp_path / "expected", long)
    assert_same(tmp_path / "random", tmp_path / "expected")


def test_of_more_passages_than_are_wanted_those_at_equal_distances_are_taken(
    small_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(small_teacher, whole, max_means=40).corpus_passages == 130
    assert load_features(whole).texts == [TASKS[-(-n * 130 // 40)] for n in range(40)]
    with monkeypatch.context() as patch:
        interrupt_at(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            run(small_teacher, stopped, max_means=40)
    assert run(small_teacher, stopped, max_means=40).rows_resumed == 16
    assert_same(stopped, whole)


@pytest.mark.parametrize(("wanted", "is_counted"), [(129, True), (300, True), (10_000, False)])
def test_only_a_corpus_that_may_have_more_passages_is_counted(
    small_teacher: Path, tmp_path: Path, wanted: int, is_counted: bool
) -> None:
    said: list[str] = []
    run(
        small_teacher,
        tmp_path / "f",
        max_means=wanted,
        report=lambda stage, done, total: said.append(stage),
    )
    assert ("counting passages" in said) is is_counted
    assert len(load_features(tmp_path / "f").texts) == min(wanted, len(TASKS))


@pytest.mark.skipif(os.name != "posix", reason="signals as terminals send them")
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(
    small_teacher: Path, tmp_path: Path, uninterrupted: Path
) -> None:
    output = tmp_path / "stopped"
    code = """
import signal, time
from ragdoll.cli import main
from ragdoll.distillation.features import teacher_pass
from ragdoll.distillation.teacher import model as teacher

# A shell lets what it starts in the background ignore the keyboard.
signal.signal(signal.SIGINT, signal.default_int_handler)

embed, begun = teacher.Teacher.embed, []

def waiting(*arguments):
    begun.append(arguments)
    if len(begun) == 3:
        print("in the third window", flush=True)
        # Not one long wait: a signal that comes just before it begins would not end it.
        while True:
            time.sleep(0.01)
    return embed(*arguments)

teacher_pass.WINDOW, teacher.Teacher.embed = 16, waiting
main()
"""
    options = ["--max-means", "120", "--batch-size", "1", "--dtype", "float32"]
    arguments = ["featurize", CORPUS, "--teacher", small_teacher, "--output", output, *options]
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": HERE},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the third window\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    finished = run(small_teacher, output)
    assert finished.rows_resumed == 32
    assert_same(output, uninterrupted)


def fail_at(number: int, error: BaseException, function: Callable) -> Callable:
    """Let the call of this number raise an error."""
    calls = itertools.count()

    def failing(*arguments: object, **options: object) -> object:
        if next(calls) == number:
            raise error
        return function(*arguments, **options)

    return failing


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remember no fingerprint of a teacher: to write it is no part of a run, and may fail."""

    def no_home(path: Path) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(identity, "_cache_file", no_home)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("call", range(0, 17, 3))
@pytest.mark.parametrize(
    ("where", "name"),
    [(os, "fsync"), (Path, "replace")],
    ids=["the disk is full", "power is lost before the rename"],
)
def test_what_cannot_be_written_loses_nothing_that_is_done(
    small_teacher: Path,
    tmp_path: Path,
    uninterrupted: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    call: int,
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    # A run that another test interrupted may still be writing, and would get the error.
    for thread in threading.enumerate():
        if thread.name.startswith("ragdoll-write"):
            thread.join(10)
    with monkeypatch.context() as patch:
        patch.setattr(where, name, fail_at(call, full, getattr(where, name)))
        with pytest.raises((FeaturesError, OSError), match="No space left"):
            run(small_teacher, tmp_path / "again")
    assert not list((tmp_path / "again").glob("**/*.tmp"))
    again = run(small_teacher, tmp_path / "again")
    assert again.rows == 120
    assert_same(tmp_path / "again", uninterrupted)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("damage", ["missing", "cut off", "another"])
def test_a_part_that_is_not_whole_is_made_again_with_all_that_follow(
    small_teacher: Path,
    tmp_path: Path,
    uninterrupted: Path,
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_at(14, OSError("no more"), os.fsync))
        with pytest.raises(FeaturesError):
            run(small_teacher, tmp_path / "again")
    part = tmp_path / "again" / "data" / "part-00001.parquet"
    if damage == "missing":
        part.unlink()
    elif damage == "cut off":
        part.write_bytes(part.read_bytes()[:1000])
    else:
        FeaturesFolder(tmp_path / "again").write_part(1, ["x"], np.zeros((1, 384), np.float32))
    assert run(small_teacher, tmp_path / "again").rows_resumed == 16
    assert "part-00001.parquet" in caplog.text
    assert_same(tmp_path / "again", uninterrupted)


def test_finished_features_are_not_made_again(
    small_teacher: Path, complete: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Teacher", None)
    result = run(small_teacher, uninterrupted)
    assert (result.rows, result.rows_resumed) == (120, 120)


@pytest.mark.parametrize(
    ("places", "change", "named"),
    [
        ([], {"target": "sentence"}, "target was mean, now sentence"),
        ([], {"max_means": 60}, "max_means was 120, now 60"),
        ([], {"dtype": "bfloat16"}, "dtype was float32, now bfloat16"),
        (["python:json"], {}, "corpus.path"),
    ],
    ids=["target", "max_means", "dtype", "corpus"],
)
def test_other_settings_are_refused_and_listed(
    small_teacher: Path, uninterrupted: Path, places: list[str], change: dict, named: str
) -> None:
    with pytest.raises(FeaturesError, match=named) as error:
        run(small_teacher, uninterrupted, *places, **change)
    assert "`restart=True`" in (error.value.hint or "")


def test_a_changed_corpus_is_refused_until_restart(
    small_teacher: Path, docs: Path, tmp_path: Path
) -> None:
    before = run(small_teacher, tmp_path / "f", docs)
    (docs / "more.txt").write_text("One more document.")
    with pytest.raises(CorpusChangedError, match=f"{tmp_path}/f"):
        run(small_teacher, tmp_path / "f", docs)
    assert run(small_teacher, tmp_path / "f", docs, restart=True).rows == before.rows + 1


def test_the_same_passage_twice_is_embedded_once(small_teacher: Path, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("The very same text.")
    result = run(small_teacher, tmp_path / "f", folder)
    assert (result.rows, result.duplicates) == (1, 1)


def test_an_empty_corpus_is_an_error_and_leaves_no_features(
    small_teacher: Path, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    with pytest.raises(CorpusError):
        run(small_teacher, tmp_path / "f", str(tmp_path / "docs"))
    assert not (tmp_path / "f" / "manifest.json").exists()


def test_without_the_training_extra_its_name_is_given(
    docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="'train'"):
        run(docs, docs)


def test_differences_name_both_values_of_nested_settings() -> None:
    assert differences({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}}) == ["b.c was 2, now 3"]
    assert differences({"a": 1, "extra": 5}, {"a": 1}) == []


def test_differences_are_said_in_the_words_of_the_configuration() -> None:
    before = {"path": ["python:stdlib"], "name": None, "ignore_files": True, "n": 1}
    now = {"path": ["a", "b" * 300], "name": "en", "ignore_files": False, "n": 0}
    path, *others = differences(before, now)
    assert path == f"path was python:stdlib, now a, {'b' * 196}…"
    assert others == [
        "name was none, now en", "ignore_files was true, now false", "n was 1, now 0"
    ]  # fmt: skip


@pytest.mark.parametrize("restart", [False, True], ids=["plain", "restart"])
def test_a_folder_of_another_program_is_left_alone_even_with_restart(
    small_teacher: Path, docs: Path, tmp_path: Path, restart: bool
) -> None:
    other = tmp_path / "webapp"
    (other / "data").mkdir(parents=True)
    (other / "manifest.json").write_text('{"name": "an app"}')
    (other / "data" / "part-00000.parquet").write_bytes(b"theirs")
    with pytest.raises(FeaturesError, match=str(other)):
        run(small_teacher, other, docs, restart=restart)
    assert (other / "manifest.json").read_text() == '{"name": "an app"}'
    assert (other / "data" / "part-00000.parquet").read_bytes() == b"theirs"


def test_restart_keeps_the_old_features_until_there_are_new_ones(
    small_teacher: Path, uninterrupted: Path
) -> None:
    before = load_features(uninterrupted).texts
    with pytest.raises(TeacherError):
        run(small_teacher, uninterrupted, device="cuda:99", restart=True)
    assert load_features(uninterrupted).texts == before


def test_what_was_left_out_is_named_by_a_run_with_nothing_to_do_too(
    small_teacher: Path, docs: Path, tmp_path: Path
) -> None:
    (docs / "picture.png").write_bytes(b"x")
    for _ in range(2):
        result = run(small_teacher, tmp_path / "f", docs)
        assert [item.path for item in result.skipped] == ["picture.png"]


def test_a_file_that_a_failing_disk_hid_is_looked_for_the_next_time(
    small_teacher: Path, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "z.txt").write_text("A semaphore bounds the tasks.")
    read_bytes = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == "z.txt":
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing)
        assert run(small_teacher, tmp_path / "f", docs).rows == 4
    assert run(small_teacher, tmp_path / "f", docs).rows == 5


def test_an_interrupted_extension_does_not_count_as_complete(
    small_teacher: Path, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_pass, "WINDOW", 2)
    run(small_teacher, tmp_path / "f", docs)
    for number in range(4):
        (docs / f"z{number}.txt").write_text(f"The task of number {number}.")
    with monkeypatch.context() as patch:
        interrupt_at(patch, part=3)
        with pytest.raises(KeyboardInterrupt):
            run(small_teacher, tmp_path / "f", docs)
    assert run(small_teacher, tmp_path / "f", docs).rows == 8


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="/proc tells the memory")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus() -> None:
    large = memory.peak_of_a_run(20_000, in_memory=5_000)
    small = memory.peak_of_a_run(4_000, in_memory=5_000)
    assert (small.spilled, large.spilled) == (False, True)
    assert large.bytes - small.bytes < 25 * 2**20


def test_the_rates_and_the_end_are_reported(
    small_teacher: Path, docs: Path, tmp_path: Path
) -> None:
    reports: list[tuple[str, int, int | None]] = []
    result = run(small_teacher, tmp_path / "f", docs, report=lambda *report: reports.append(report))
    assert reports[-1] == ("passages", 4, 4)
    assert result.documents == 4
    assert result.tokens_per_second > result.rows_per_second > 0


def test_features_made_with_another_prompt_are_refused(
    small_teacher: Path, tmp_path: Path, docs: Path
) -> None:
    teacher = Path(shutil.copytree(small_teacher, tmp_path / "teacher"))
    run(teacher, tmp_path / "f", docs)
    (docs / "more.txt").write_text("One more document.")
    (teacher / "config_sentence_transformers.json").write_text('{"prompts": {"document": "a: "}}')
    with pytest.raises(FeaturesError, match="teacher_fingerprint was"):
        run(teacher, tmp_path / "f", docs)


def test_a_type_whose_range_is_too_small_is_an_error(
    small_teacher: Path, tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Teacher, texts: Tokenized, *rest: object) -> np.ndarray:
        return np.full((len(texts.lengths), 384), np.nan, np.float32)

    monkeypatch.setattr(Teacher, "embed", nothing)
    with pytest.raises(TeacherError, match="float16") as error:
        run(small_teacher, tmp_path / "f", docs, dtype="float16")
    assert '`dtype="float32"`' in (error.value.hint or "")


def write_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"theirs")


@pytest.mark.parametrize(
    "name", ["data/part-00000-3f2c.snappy.parquet", "data/notes.txt", "config.json", "ragdoll.json"]
)
@pytest.mark.parametrize("restart", [False, True], ids=["plain", "restart"])
def test_no_file_of_others_is_lost(
    small_teacher: Path, docs: Path, tmp_path: Path, name: str, restart: bool
) -> None:
    write_file(tmp_path / "f" / name)
    with pytest.raises(FeaturesError, match=f"{tmp_path}/f"):
        run(small_teacher, tmp_path / "f", docs, restart=restart)
    assert (tmp_path / "f" / name).read_bytes() == b"theirs"


@pytest.mark.parametrize("left", [".manifest.json.tmp", "data/part-00000.parquet"])
def test_what_a_kill_leaves_behind_is_no_obstacle(
    small_teacher: Path, docs: Path, tmp_path: Path, left: str
) -> None:
    write_file(tmp_path / "f" / left)
    assert run(small_teacher, tmp_path / "f", docs).rows == 4
    assert load_features(tmp_path / "f").texts


def test_a_restart_that_cannot_be_written_leaves_the_old_features(
    small_teacher: Path, uninterrupted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = load_features(uninterrupted)
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(FeaturesError, match="No space left"):
            run(small_teacher, uninterrupted, restart=True)
    assert load_features(uninterrupted).texts == before.texts


def test_parts_beyond_the_end_are_removed(small_teacher: Path, uninterrupted: Path) -> None:
    run(small_teacher, uninterrupted, max_means=20, restart=True)
    names = sorted(path.name for path in (uninterrupted / "data").iterdir())
    assert names == ["part-00000.parquet", "part-00001.parquet"]


def test_finished_features_that_lost_a_part_are_mended(
    small_teacher: Path, uninterrupted: Path, complete: Path
) -> None:
    (uninterrupted / "data" / "part-00003.parquet").unlink()
    result = run(small_teacher, uninterrupted)
    assert result.rows_resumed == 48
    assert_same(uninterrupted, complete)


def test_two_runs_do_not_write_the_same_features(
    small_teacher: Path, docs: Path, tmp_path: Path
) -> None:
    with (
        only_one(tmp_path / "f", "featurize", "", FeaturesError, ""),
        pytest.raises(FeaturesError, match=str(os.getpid())),
    ):
        run(small_teacher, tmp_path / "f", docs)
    assert run(small_teacher, tmp_path / "f", docs).rows == 4


def test_an_error_in_the_corpus_is_raised_where_it_is_used(
    small_teacher: Path, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> object:
        raise CorpusError("the hub is gone")

    monkeypatch.setattr(teacher_pass, "cut", broken)
    with pytest.raises(CorpusError, match="the hub is gone"):
        run(small_teacher, tmp_path / "f", docs)
