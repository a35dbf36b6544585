"""``ragdoll run``: all that is needed, and nothing that is not."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ragdoll import pipeline
from ragdoll.distillation.training.workplace import only_maker
from ragdoll.embedding.identity import identify
from ragdoll.retrieval.index import Index
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.writing.target import IndexResult
from tests.conftest import Bucket, Ragdoll, Result

SETTINGS = """
[teacher]
model = "{teacher}"
dtype = "float32"
[corpus]
path = "python:asyncio"
[featurize]
max_means = 60
[train]
pca_dims = 16
epochs = 1
[index]
docs = "docs"
"""

Run = Callable[..., Result]


class PowerCut(BaseException):
    """An end that nothing can catch and tidy up after."""


@pytest.fixture
def docs() -> Path:
    """Documents to search, in the current folder."""
    folder = Path("docs")
    folder.mkdir(exist_ok=True)
    (folder / "loop.md").write_text("# Timers\n\nCall a function after a delay with call_later.\n")
    (folder / "locks.txt").write_text("A lock guards a shared resource between tasks.\n")
    return folder


@pytest.fixture
def run(ragdoll: Ragdoll, small_teacher: Path, docs: Path) -> Run:
    """Run the whole way in the current folder, by a ragdoll.toml in it; JSON comes back."""
    Path("ragdoll.toml").write_text(SETTINGS.format(teacher=small_teacher))

    def call(*arguments: object) -> Result:
        result = ragdoll("run", "--json", *arguments)
        assert result.status == 0, result.err
        return result

    return call


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder after the first run, for the other tests to begin with."""
    return tmp_path_factory.mktemp("first") / "run"


@pytest.fixture
def finished(run: Run, first_run: Path, docs: Path) -> Run:
    """A folder in which everything was run once: a copy, which is as good as the original."""
    if first_run.is_dir():
        shutil.rmtree(docs)
        shutil.copytree(first_run, ".", dirs_exist_ok=True)
    else:
        run()
        shutil.copytree(".", first_run)
    return run


def stages(result: Result) -> list[str]:
    """The stages that did something."""
    record = result.json
    index = record["index"]
    done = [name for name in ("featurize", "train") if record[name]]
    if record["featurize"] and record["featurize"]["rows_resumed"] == record["featurize"]["rows"]:
        done.remove("featurize")
    if index["chunks_embedded"] == index["chunks"]:
        done.append("rebuild")
    elif index["added"] or index["changed"] or index["removed"]:
        done.append("update")
    return done


def answer(text: str = "call a function after a delay", database: str = ".ragdoll/lancedb") -> str:
    return Index.open(database).search(text, 1)[0].source


def test_the_first_run_does_everything(run: Run) -> None:
    result = run()
    assert stages(result) == ["featurize", "train", "rebuild"]
    assert answer() == "loop.md"
    assert not list(Path(".ragdoll").glob(".model.*"))


def test_every_stage_is_summed_up_and_what_is_left_out_is_named_once(
    run: Run, ragdoll: Ragdoll, docs: Path
) -> None:
    for number in range(40):
        (docs / f"{number}.txt").write_text(f"Task number {number} waits for task {number + 1}.")
    (docs / "copy.txt").write_text("A lock guards a shared resource between tasks.")
    (docs / "empty.txt").write_text("")
    result = ragdoll("run", docs, "--pca-dims", 4)
    assert result.status == 0
    assert "(384 dimensions, float32)" in result.out
    assert "43 read, 1 left out" in result.out
    assert re.search(r"passages +42; 1 duplicate left out\n", result.out)
    assert "explained variance" in result.out
    assert "43 added" in result.out
    assert result.err.count("empty: empty.txt") == 1
    assert "Left out: 1\n" in result.err


def test_a_second_run_does_nothing_and_says_so(finished: Run, ragdoll: Ragdoll) -> None:
    assert stages(finished()) == []
    before = Database(".ragdoll/lancedb").open("documents").version
    for model in (".ragdoll/model", "docs/../.ragdoll/model"):
        result = ragdoll("run", "--model", model)
        assert "Nothing to do" in result.out
        assert Database(".ragdoll/lancedb").open("documents").version == before


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--target", "sentence", ["featurize", "train", "rebuild"]),
        ("--max-means", 50, ["featurize", "train", "rebuild"]),
        ("--pca-dims", 12, ["train", "rebuild"]),
        ("--seed", 7, ["train", "rebuild"]),
        ("--chunk-size", 16, ["rebuild"]),
        ("--metric", "dot", ["rebuild"]),
    ],
)
def test_a_changed_setting_runs_what_depends_on_it_and_no_more(
    finished: Run, option: str, value: object, expected: list[str]
) -> None:
    result = finished(option, value)
    assert stages(result) == expected
    assert option.removeprefix("--").replace("-", "_") in result.err
    assert stages(finished(option, value)) == []


def test_another_corpus_takes_the_place_of_the_first_only_where_that_is_said(
    finished: Run, ragdoll: Ragdoll, small_teacher: Path
) -> None:
    text = SETTINGS.format(teacher=small_teacher).replace("asyncio", "unittest")
    Path("ragdoll.toml").write_text(text)
    for options in ([], ["--retrain"], ["--dry-run"]):
        result = ragdoll("run", *options)
        assert result.status == 2
        assert "learned from python:asyncio, which this run leaves out" in result.err
        assert "--restart learns from what is named alone" in result.err
        assert answer() == "loop.md"
    assert stages(finished("--restart")) == ["featurize", "train", "rebuild"]
    assert stages(finished()) == []


def test_a_corpus_may_grow(finished: Run, small_teacher: Path) -> None:
    text = SETTINGS.format(teacher=small_teacher)
    Path("ragdoll.toml").write_text(text.replace('"python:asyncio"', '["python:asyncio", "docs"]'))
    assert stages(finished())[:2] == ["featurize", "train"]


def written(folder: Path, texts: int) -> Path:
    folder.mkdir()
    for number in range(texts):
        (folder / f"{number}.txt").write_text(f"Task {number} of {folder} waits for {number + 1}.")
    return folder


def test_what_is_left_out_the_next_time_stays_as_it_was(
    ragdoll: Ragdoll, small_teacher: Path, tmp_path: Path
) -> None:
    docs = written(Path("tasks"), 40)
    terms = Path("terms.txt")
    terms.write_text("task zero\n")
    given = ["--teacher", small_teacher, "--pca-dims", 4, "--chunk-size", 64, "--terms", terms]
    first = ragdoll("run", docs, "--json", *given)
    assert stages(first) == ["featurize", "train", "rebuild"], first.err
    terms.unlink()
    for again in ([docs], []):
        assert stages(ragdoll("run", "--json", *again)) == []
    index = ragdoll("index", "--json")
    assert index.json["unchanged"] == 40, index.err
    changed = ragdoll("run", "--json", "--seed", 7)
    assert (changed.json["train"]["dimension"], stages(changed)) == (4, ["train", "rebuild"])
    assert Database(".ragdoll/lancedb").open("documents").identity.chunk_size == 64
    assert "tasks has no document with a title" in ragdoll("evaluate").err


def test_a_work_folder_may_be_moved(
    ragdoll: Ragdoll, small_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "before")
    shutil.copytree(small_teacher, "teacher")
    docs = written(Path("tasks"), 40)
    ragdoll("run", docs, "--teacher", "teacher", "--pca-dims", 4)
    monkeypatch.chdir(tmp_path / "after")
    for entry in list((tmp_path / "before").iterdir()):
        entry.rename(entry.name)
    for again in ([docs], []):
        assert stages(ragdoll("run", "--json", *again)) == []
        assert ragdoll("index", "--json").json["unchanged"] == 40
    retrained = ragdoll("run", "--json", "--seed", 7)
    assert stages(retrained) == ["train", "rebuild"], retrained.err


def test_a_table_that_is_built_anew_keeps_its_other_places(
    finished: Run, ragdoll: Ragdoll, docs: Path
) -> None:
    more = written(Path("more"), 3)
    ragdoll("index", more, "--model", ".ragdoll/model")
    assert finished("--seed", 7).json["index"]["documents"] == 5
    assert finished("--seed", 7, "--overwrite").json["index"]["documents"] == 2
    ragdoll("index", "-", stdin="A line of its own.")
    refused = ragdoll("run", "--seed", 8)
    assert refused.status == 1
    assert "also holds documents of stdin:, which cannot be read again" in refused.err


@pytest.mark.parametrize(
    ("setting", "value"), [("query.top_k", 3), ("query.mode", "text"), ("featurize.batch_size", 4)]
)
def test_a_setting_that_nothing_depends_on_runs_nothing(
    finished: Run, monkeypatch: pytest.MonkeyPatch, setting: str, value: object
) -> None:
    monkeypatch.setenv("RAGDOLL_" + setting.replace(".", "_").upper(), str(value))
    assert stages(finished()) == []


def test_new_documents_are_indexed_with_the_model_that_is_there(finished: Run, docs: Path) -> None:
    (docs / "new.txt").write_text("Semaphores bound how many tasks run at once.")
    (docs / "locks.txt").unlink()
    result = finished()
    assert stages(result) == ["update"]
    index = result.json["index"]
    assert (index["added"], index["removed"], index["new_chunks"]) == (1, 1, 1)
    assert answer("semaphores bound tasks") == "new.txt"


def test_retrain_without_a_change_ends_with_the_same_model_and_table(finished: Run) -> None:
    result = finished("--retrain")
    assert stages(result) == ["train"]
    assert result.json["train"]["model"] == result.json["index"]["model"] == ".ragdoll/model"
    variants = result.json["train"]["variants"]
    assert sorted(variants) == ["unweighted", "weighted"]
    assert all(Path(each).is_dir() for each in variants.values())
    assert Path(result.json["train"]["distillate"]).is_dir()


def test_restart_makes_the_features_anew(finished: Run) -> None:
    assert stages(finished("--restart")) == ["featurize", "train"]


def test_overwrite_builds_the_table_anew(finished: Run) -> None:
    assert stages(finished("--overwrite")) == ["rebuild"]


def test_retrain_learns_from_what_is_new(run: Run, docs: Path) -> None:
    for number in range(40):
        (docs / f"{number}.txt").write_text(f"Task number {number} waits for task {number + 1}.")
    run(docs, "--pca-dims", 4)
    (docs / "new.txt").write_text("Semaphores bound how many tasks run at once.")
    result = run(docs, "--pca-dims", 4, "--retrain")
    assert stages(result) == ["featurize", "train", "rebuild"]
    assert result.json["featurize"]["rows"] == 43
    assert result.json["index"]["new_chunks"] == 0


def test_dry_run_says_what_would_run_and_why(finished: Run, ragdoll: Ragdoll) -> None:
    plan = ragdoll("run", "--dry-run", "--json", "--pca-dims", 12).json
    assert plan["featurize"] is None
    assert "pca_dims was 16, now 12" in plan["train"]
    assert "new model" in plan["index"]
    plan = ragdoll("run", "--dry-run", "--json", "--chunk-size", 16).json
    assert (plan["train"], plan["index"]) == (None, "chunk_size was 256, now 16")
    assert stages(finished()) == []


def test_documents_on_the_command_line_are_learned_from_and_searched(run: Run, docs: Path) -> None:
    for number in range(40):
        (docs / f"{number}.txt").write_text(f"Task number {number} waits for task {number + 1}.")
    result = run(docs, "--pca-dims", 4)
    assert result.json["featurize"]["rows"] == result.json["index"]["chunks"] == 42


def test_while_a_new_model_is_trained_queries_find_the_old_pair(
    finished: Run, ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identify(Path(".ragdoll/model")).fingerprint
    write = pipeline.write

    def observed(*arguments: object, **options: object) -> object:
        assert Path(".ragdoll/.model.ragdoll-next").is_dir()
        assert identify(Path(".ragdoll/model")).fingerprint == before
        assert answer() == "loop.md"
        result = write(*arguments, **options)  # type: ignore[arg-type]
        # The new table is there, the folders have not changed places yet.
        assert answer() == "loop.md"
        # Whenever they do, it names where its model will be, too.
        table = Database(".ragdoll/lancedb").open("documents")
        assert Path(table.state.model).name == ".model.ragdoll-next"
        assert table.identity.model == str(Path(".ragdoll/model").absolute())
        return result

    monkeypatch.setattr(pipeline, "write", observed)
    result = ragdoll("run", "--pca-dims", 12)
    assert result.status == 0
    assert len(re.findall(r"^model +\.ragdoll/model \(", result.out, re.MULTILINE)) == 2
    assert "ragdoll-next" not in result.out + result.err
    assert identify(Path(".ragdoll/model")).fingerprint != before
    assert answer() == "loop.md"


@pytest.mark.parametrize("moment", ["after train", "after index", "between the renames"])
def test_a_run_that_dies_leaves_a_pair_and_the_next_one_ends_the_work(
    finished: Run, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def cut(*arguments: object, **options: object) -> None:
        raise PowerCut

    rename = Path.rename

    def cut_at_the_second(self: Path, target: Path) -> Path:
        if self.name == ".model.ragdoll-next":
            raise PowerCut
        return rename(self, target)

    with monkeypatch.context() as patch:
        if moment == "after train":
            patch.setattr(pipeline, "write", cut)
        elif moment == "after index":
            patch.setattr(pipeline, "replace_folder", cut)
        else:
            patch.setattr(Path, "rename", cut_at_the_second)
        with pytest.raises(PowerCut):
            finished("--pca-dims", 12)
    assert answer() == "loop.md"
    result = finished("--pca-dims", 12)
    assert result.json["train"] is None
    assert answer() == "loop.md"
    assert identify(Path(".ragdoll/model")).dimension == 12
    assert not list(Path(".ragdoll").glob(".model.*"))
    assert stages(finished("--pca-dims", 12)) == []


def test_a_new_model_and_a_table_on_a_server_replace_the_old_pair_together(
    finished: Run, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: object, **options: object) -> None:
        raise PowerCut

    where = ["--database", bucket.uri]
    assert stages(finished(*where)) == ["rebuild"]
    old = Path(".ragdoll/model/model.safetensors").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "replace_folder", cut)
        with pytest.raises(PowerCut):
            finished(*where, "--pca-dims", 12)
    assert Path(".ragdoll/model/model.safetensors").read_bytes() == old
    assert answer(database=bucket.uri) == "loop.md"
    assert stages(finished(*where, "--pca-dims", 12)) == []
    assert identify(Path(".ragdoll/model")).dimension == 12
    assert Database(bucket.uri).open("documents").state.model == str(
        Path(".ragdoll/model").resolve()
    )
    assert answer(database=bucket.uri) == "loop.md"


def test_a_new_model_is_kept_where_another_process_made_the_table_anew_with_the_old_one(
    finished: Run, ragdoll: Ragdoll, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identify(Path(".ragdoll/model")).fingerprint
    write = pipeline.write

    def disturbed(*arguments: Any, **named: Any) -> IndexResult:
        result = write(*arguments, **named)
        assert ragdoll("index", docs, "--overwrite").status == 0
        return result

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write", disturbed)
        result = ragdoll("run", "--seed", 3)
    assert result.status == 1
    assert "Another process made" in result.err
    assert identify(Path(".ragdoll/model")).fingerprint == before
    result = finished("--seed", 3)
    assert (result.json["train"], stages(result)) == (None, ["rebuild"])
    assert identify(Path(".ragdoll/model")).fingerprint != before


def test_more_dimensions_than_the_teacher_has_are_refused_before_its_pass(
    run: Run, ragdoll: Ragdoll
) -> None:
    result = ragdoll("run", "--pca-dims", 385)
    assert result.status == 1
    assert "385 dimensions are more than the 384 of the teacher" in result.err
    assert "--pca-dims 384 or less" in result.err
    assert not Path(".ragdoll/features").exists()


def test_a_model_that_was_given_up_does_not_stay_behind(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*arguments: object, **options: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write", cut)
        with pytest.raises(PowerCut):
            finished("--pca-dims", 12)
    assert Path(".ragdoll/.model.ragdoll-next").is_dir()
    assert stages(finished()) == []
    assert not Path(".ragdoll/.model.ragdoll-next").exists()


def test_a_kill_while_a_model_is_cleared_away_leaves_nothing_in_the_way(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(folder: Path, **options: object) -> None:
        if folder.is_dir():
            (folder / "ragdoll.json").unlink()
            raise PowerCut

    shutil.copytree(".ragdoll/model", ".ragdoll/.model.ragdoll-next")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut)
        with pytest.raises(PowerCut):
            finished()
    assert stages(finished("--pca-dims", 12)) == ["train", "rebuild"]
    assert not list(Path(".ragdoll").glob(".*"))


def test_one_process_at_a_time_is_at_work_on_a_model(finished: Run, ragdoll: Ragdoll) -> None:
    with only_maker(Path(".ragdoll/model")):
        for command in ("run", "train"):
            result = ragdoll(command, "--json")
            assert (result.status, result.out) == (1, "")
            assert f"Another process ({os.getpid()}) is at work on" in result.err
        assert ragdoll("run", "--dry-run").status == 0
    assert stages(finished()) == []
    assert not list(Path(".ragdoll").glob(".*"))


def test_table_and_model_are_not_exchanged_while_another_process_writes_the_table(
    finished: Run, ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pipeline.write
    other = FileLock(".ragdoll/lancedb/.documents.lock")

    def followed(*arguments: object, **options: object) -> object:
        result = write(*arguments, **options)  # type: ignore[arg-type]
        other.acquire()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write", followed)
        result = ragdoll("run", "--pca-dims", 12)
    assert result.status == 1
    assert "is writing to" in result.err
    assert answer() == "loop.md"
    other.release()
    assert stages(finished("--pca-dims", 12)) == []
    assert identify(Path(".ragdoll/model")).dimension == 12
    assert answer() == "loop.md"


def test_a_query_that_opens_a_table_while_it_is_exchanged_gets_the_new_pair(
    finished: Run, ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished("--overwrite")  # This table knows no other place of its model than this one.
    find, opened = Database.open, []

    def exchanged(self: Database, name: str) -> object:
        table = find(self, name)
        opened.append(table)
        if len(opened) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(Database, "open", find)
                finished("--pca-dims", 12)
        return table

    monkeypatch.setattr(Database, "open", exchanged)
    result = ragdoll("query", "call a function after a delay", "--json")
    assert result.status == 0, result.err
    assert result.json["hits"][0]["source"] == "loop.md"
    first, *others = (table.identity.dimension for table in opened)
    assert (first, set(others)) == (16, {12})


def test_a_table_of_another_tool_is_not_replaced(run: Run, ragdoll: Ragdoll) -> None:
    import lancedb

    table = lancedb.connect(".ragdoll/lancedb").create_table("documents", [{"a": 1}])
    result = ragdoll("run")
    assert result.status == 1
    assert "not made by ragdoll" in result.err
    assert table.count_rows() == 1


def test_places_that_do_not_fit_together_are_refused(run: Run, ragdoll: Ragdoll) -> None:
    with Path("ragdoll.toml").open("a") as settings:
        settings.write('model = "elsewhere"\n')
    result = ragdoll("run")
    assert result.status == 2
    assert "index.model" in result.err


def test_progress_of_the_stages_goes_to_standard_error(run: Run) -> None:
    result = run()
    assert json.loads(result.out)
    for stage in ("featurize", "train", "index"):
        assert stage in result.err


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (["--model", "foreign"], "a new or an empty folder as --model."),
        (["--features", "foreign"], "an empty or a new folder as --features."),
        (["--train-batch-size", 4], "Leave --train-batch-size out, or train with --method"),
    ],
)
def test_hints_name_the_options_of_this_command(
    given: list[Any], hint: str, run: Run, ragdoll: Ragdoll
) -> None:
    Path("foreign").mkdir()
    Path("foreign", "other.txt").write_text("Of another program.\n")
    assert hint in ragdoll("run", *given).err
