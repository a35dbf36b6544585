"""Files that appear whole or not at all, paths that stay in a folder, one process at a time."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from ragdoll.errors import TableError
from ragdoll.files import atomic_write, is_inside, only_one


def write(file: Path, text: str) -> None:
    with atomic_write(file) as aside:
        aside.write_text(text)


def test_the_old_content_stays_until_the_new_one_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    seen: list[tuple[str, str]] = []

    def sync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, file.read_text()))

    monkeypatch.setattr(os, "fsync", sync)
    write(file, "new")
    assert seen == [("file", "old"), ("folder", "new")]
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "failing", [(Path, "write_text"), (os, "fsync"), (Path, "replace")], ids=lambda call: call[1]
)
def test_an_error_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: tuple[object, str]
) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place, name = failing
    monkeypatch.setattr(place, name, full)
    with pytest.raises(OSError, match="No space left"):
        write(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_kill_left_is_replaced_and_a_link_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".file.tmp").symlink_to(victim)
    write(tmp_path / "file", "new")
    assert (victim.read_text(), (tmp_path / "file").read_text()) == ("mine", "new")
    assert not (tmp_path / "file").is_symlink()


def test_kills_leave_one_file_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = [atomic_write(tmp_path / "file") for _ in range(3)]
    for pid, writing in enumerate(begun):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        writing.__enter__().write_text("some of it")  # and nothing more is done
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_system_that_cannot_sync_a_folder_is_good_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", sync)
    write(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        pytest.param("folder/../file", True, id="within"),
        pytest.param("nowhere", True, id="to nothing within"),
        pytest.param("../outside", False, id="out"),
        pytest.param("../nowhere", False, id="to nothing outside"),
        pytest.param("../place2", False, id="to a folder whose name begins alike"),
        pytest.param("link", True, id="to itself"),
        pytest.param("../place/link", True, id="to itself by way of outside"),
    ],
)
def test_links_are_followed(tmp_path: Path, target: str, inside: bool) -> None:
    place = tmp_path / "place"
    (place / "folder").mkdir(parents=True)
    (tmp_path / "place2").mkdir()
    (place / "link").symlink_to(target)
    assert is_inside(place / "link", place) is inside
    (tmp_path / "way").symlink_to("place")
    assert is_inside(tmp_path / "way" / "link", place) is inside


def held(folder: Path) -> AbstractContextManager[None]:
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
