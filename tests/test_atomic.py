"""Files that appear whole, or not at all, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from ragdoll.files import atomic_write


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
