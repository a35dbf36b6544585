"""A table from anyone: nothing outside its folder is read, written or removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ragdoll.errors import TableError
from ragdoll.retrieval.storage.database import Database, refuse_outside
from tests.conftest import Ragdoll
from tests.retrieval.conftest import Indexed

REFUSED = "is not all in its folder"


@pytest.mark.parametrize("linked", ["", "data", "_indices", "_versions"])
def test_a_table_with_links_is_neither_searched_nor_written(
    ragdoll: Ragdoll, indexed: Indexed, tmp_path: Path, linked: str
) -> None:
    place = indexed.database / "documents.lance" / linked
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/.tmp-mine").write_text("mine")
    for command in (
        ["query", "a timer", "--database", indexed.database],
        ["index", indexed.docs, *indexed.options],
        ["index", indexed.docs, *indexed.options, "--overwrite"],
    ):
        result = ragdoll(*command)
        assert result.status == 1
        assert REFUSED in result.err
    assert (tmp_path / "elsewhere/.tmp-mine").exists()


def test_a_table_whose_data_lie_elsewhere_is_refused(indexed: Indexed, tmp_path: Path) -> None:
    import lancedb

    copy = indexed.at(tmp_path / "copy")
    lancedb.connect(copy.database).clone_table(
        "documents", str(indexed.database / "documents.lance"), is_shallow=True
    )
    assert copy.rows() == indexed.rows()  # LanceDB itself reads them
    with pytest.raises(TableError, match="names files in another place"):
        Database(str(copy.database)).open("documents")


@pytest.mark.parametrize("folder", ["data", "_versions"])
def test_a_file_that_is_a_link_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "t.lance" / folder).mkdir(parents=True)
    (tmp_path / "t.lance" / folder / "a").symlink_to(__file__)
    with pytest.raises(TableError, match="/a is a link"):
        refuse_outside(str(tmp_path), "t")


def test_a_manifest_with_a_field_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    versions = tmp_path / "t.lance/_versions"
    versions.mkdir(parents=True)
    (versions / "1.manifest").write_bytes(bytes(4) + b"\x93\x01" + bytes(16))
    refuse_outside(str(tmp_path), "t")  # no manifest
    (versions / "1.manifest").write_bytes(bytes(4) + b"\x93\x01" + bytes(12) + b"LANC")
    with pytest.raises(TableError, match="names files in another place"):
        refuse_outside(str(tmp_path), "t")


def test_a_damaged_manifest_is_left_to_lancedb(tmp_path: Path) -> None:
    versions = tmp_path / "t.lance/_versions"
    versions.mkdir(parents=True)
    for number, content in enumerate([b"", b"LANC", b"\xff" * 40, b"\x12" + bytes(15) + b"LANC"]):
        (versions / f"{number}.manifest").write_bytes(content)
    refuse_outside(str(tmp_path), "t")


def test_a_table_that_is_removed_while_it_is_looked_at_is_left_to_lancedb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = tmp_path / "t.lance/_versions"
    versions.mkdir(parents=True)
    scandir = os.scandir

    def gone(path: str | Path) -> Any:
        if Path(path) == versions:
            raise FileNotFoundError
        return scandir(path)

    monkeypatch.setattr(os, "scandir", gone)
    refuse_outside(str(tmp_path), "t")


@pytest.mark.parametrize("name", [".documents.lock", ".documents.lock.pid"])
def test_no_lock_is_written_through_a_link(
    ragdoll: Ragdoll, indexed: Indexed, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (indexed.database / name).unlink(missing_ok=True)
    (indexed.database / name).symlink_to(victim)
    result = ragdoll("index", indexed.docs, *indexed.options)
    assert result.status == 1
    assert "is a link" in result.err
    assert victim.read_text() == "mine"
