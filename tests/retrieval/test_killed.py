"""Index runs that are killed: nothing is lost, nothing doubled, and the next run completes them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from ragdoll.errors import TableError
from tests.retrieval.conftest import Indexed

ROOT = Path(__file__).parents[2]


def search(table: Indexed) -> set[str]:
    """Return the sources that a text search finds, as a reader."""
    return {hit.source for hit in table.search("lock", 99, mode="text")}


def test_a_run_that_was_killed_anywhere_is_completed_by_the_next(
    indexed: Indexed, tmp_path: Path
) -> None:
    before = {row["source"]: row["text"] for row in indexed.rows()}
    for number in range(3):
        (indexed.docs / f"{number}.md").write_text(f"Document {number} about a lock.")
    (indexed.docs / "loop.md").write_text("# The loop\n\nIt runs under a lock.\n")
    (indexed.docs / "locks.txt").unlink()
    expected = indexed.at(tmp_path / "expected")
    expected.index()
    after = {row["source"]: row["text"] for row in expected.rows()}
    output = tmp_path / "killed"
    output.mkdir()

    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.retrieval.killed"),
            *(indexed.database, indexed.docs, indexed.model, output),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    killed = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert len(killed) >= 25
    for how, folder in killed:
        table = indexed.at(Path(folder))
        if how == "build":
            with suppress(TableError):
                search(table)
        else:
            assert search(table)
            texts = {row["source"]: row["text"] for row in table.rows()}
            assert texts.items() <= before.items() | after.items()
            assert texts.keys() >= before.keys() & after.keys()

        table.index()

        table.check()
        assert table.sources() == after.keys()
        assert search(table) == search(expected)
        assert not list(table.database.rglob(".tmp*"))
