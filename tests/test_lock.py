"""One process at a time, and nothing left of that."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ragdoll.errors import TableError
from ragdoll.files import Held, only_one


def held(folder: Path) -> AbstractContextManager[Held]:
    return only_one(folder, "work", "at work", TableError, "Wait.")


def test_a_folder_in_which_nothing_came_about_is_removed(tmp_path: Path) -> None:
    with held(tmp_path / "new"):
        assert (tmp_path / "new" / ".work.lock.pid").is_file()
    assert not list(tmp_path.iterdir())


def test_folders_that_were_made_for_one_in_which_nothing_came_about_are_removed(
    tmp_path: Path,
) -> None:
    (tmp_path / "there").mkdir()
    with held(tmp_path / "there" / "new" / "f"):
        pass
    with held(tmp_path / "new" / "f"):
        (tmp_path / "new" / "result").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "there"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result"]
    assert not list((tmp_path / "there").iterdir())


def test_what_a_killed_process_left_of_its_lock_is_removed(tmp_path: Path) -> None:
    for left in ([".work.lock"], [".work.lock", ".work.lock.pid"]):
        (tmp_path / "f").mkdir()
        for name in left:
            (tmp_path / "f" / name).touch()
        with held(tmp_path / "f"):
            pass
        assert not list(tmp_path.iterdir())


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    assert tmp_path.is_dir()


def test_a_result_stays(tmp_path: Path) -> None:
    with held(tmp_path / "f"):
        (tmp_path / "f" / "result").touch()
    assert (tmp_path / "f" / "result").is_file()


def test_a_folder_that_is_removed_meanwhile_is_no_obstacle(tmp_path: Path) -> None:
    with held(tmp_path / "f"):
        for file in (tmp_path / "f").iterdir():
            file.unlink()
        (tmp_path / "f").rmdir()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("made_again", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_a_folder_that_is_removed_while_it_is_written_to_is_told(
    tmp_path: Path, fails: bool, made_again: bool
) -> None:
    def removed() -> None:
        with held(tmp_path / "f") as lock, lock.refusing_removal(TableError, "Again."):
            shutil.rmtree(tmp_path / "f")
            if made_again:
                (tmp_path / "f").mkdir()
                (tmp_path / "f" / ".work.lock").touch()
            if fails:
                raise FileNotFoundError

    with pytest.raises(TableError, match="f has been removed while it was written to"):
        removed()


def test_an_error_in_a_folder_that_is_there_stays_what_it_is(tmp_path: Path) -> None:
    with held(tmp_path / "f") as lock:
        with lock.refusing_removal(TableError, "Again."):
            assert lock.is_there()
        with pytest.raises(KeyError), lock.refusing_removal(TableError, "Again."):
            raise KeyError


@pytest.mark.parametrize(("owner", "method"), [(os, "open"), (Path, "write_text")])
@pytest.mark.parametrize("is_killed_ones", [False, True])
def test_a_folder_that_is_removed_just_when_it_is_locked_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    method: str,
    is_killed_ones: bool,
) -> None:
    original = getattr(owner, method)
    if is_killed_ones:
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / ".work.lock").touch()

    def removed(*arguments: Any, **options: Any) -> object:
        is_to_be_new = is_killed_ones and method == "open" and arguments[1] & os.O_EXCL
        if ".work.lock" in str(arguments[0]) and not is_to_be_new:
            shutil.rmtree(tmp_path / "f")
        return original(*arguments, **options)

    monkeypatch.setattr(owner, method, removed)
    with pytest.raises(TableError, match="f cannot be made, or has just"), held(tmp_path / "f"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with (
        pytest.raises(TableError, match="f cannot be written: No space left on device"),
        held(tmp_path / "f"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_another_lock_is_left_alone(tmp_path: Path) -> None:
    with held(tmp_path / "f"):
        with pytest.raises(TableError, match="Another process"), held(tmp_path / "f"):
            pass
        assert (tmp_path / "f" / ".work.lock.pid").is_file()
        with pytest.raises(TableError, match="Another process"), held(tmp_path / "f"):
            pass
