"""The places of a table: each file in one of them, and none that is gone stays unsaid."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragdoll.retrieval.index import Index
from tests.conftest import Bucket, Ragdoll, Trained
from tests.making import open_corpus

FILES = ("a.md", "b.md", "in/c.md", "in/d.md", "in/deep/e.md", "out/f.md")
PLACES = (".", "in", "in/deep", "out", "a.md", "in/c.md", "in/deep/e.md", "out/f.md")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    write_tree(folder)
    return folder


@pytest.fixture
def table(trained: Trained, tmp_path: Path) -> Index:
    return Index.create(tmp_path / "database", model=trained.model)


def write_tree(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n\nThe task of {name} waits for its turn.\n")


def files_of(table: Index) -> list[str]:
    """The files that a table has passages of, one for each passage."""
    return sorted(str(hit.path) for hit in table.search("task", 100, mode="text"))


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(PLACES), min_size=1, max_size=3), st.sets(st.integers(0, 5))
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_named_a_file_is_in_the_table_once_and_gone_when_it_is_gone(
    tree: Path, trained: Trained, steps: list[tuple[list[str], set[int]]]
) -> None:
    write_tree(tree)
    database = tree.parent / "database"
    shutil.rmtree(database, ignore_errors=True)
    table = Index.create(database, model=trained.model)
    expected: set[Path] = set()
    for names, missing in steps:
        for number in missing:
            (tree / FILES[number]).unlink(missing_ok=True)
        named = [tree / name for name in names if (tree / name).exists()]
        read = {file for place in named for file in files_under(place)}
        if not read:
            continue
        table.update(open_corpus(named))
        expected |= read
        found = files_of(table)
        assert len(found) == len(set(found))
        assert read <= set(map(Path, found)) <= expected
    write_tree(tree)
    table.update(open_corpus([tree]))
    assert files_of(table) == sorted(str(tree / name) for name in FILES)
    assert list(table.roots.values()) == [str(tree)]


def files_under(place: Path) -> Iterator[Path]:
    yield from [place] if place.is_file() else place.rglob("*.md")


def test_a_file_that_was_named_and_is_gone_goes_when_others_of_its_folder_are_named(
    table: Index, tree: Path
) -> None:
    table.update(open_corpus(sorted(tree.glob("*.md"))))
    (tree / "a.md").unlink()
    result = table.update(open_corpus(sorted(tree.glob("*.md"))))
    assert (result.removed, result.unchanged) == (1, 1)
    assert table.update(open_corpus([tree])).added == 4
    assert len(files_of(table)) == 5


def test_the_part_of_a_place_is_read_in_it(table: Index, tree: Path) -> None:
    table.update(open_corpus([tree]))
    (tree / "in/c.md").write_text("The task has changed.")
    (tree / "b.md").write_text("This task is not read now.")
    result = table.update(open_corpus([tree / "in"]))
    assert (result.added, result.changed, result.removed) == (0, 1, 0)
    assert result.documents == 6


def test_a_hidden_folder_that_was_named_outlives_the_folder_around_it(
    table: Index, tree: Path
) -> None:
    hidden = tree / ".notes/n.md"
    hidden.parent.mkdir()
    hidden.write_text("A task that nobody sees.")
    table.update(open_corpus([hidden.parent]))
    table.update(open_corpus([tree]))
    assert str(hidden) in files_of(table)
    hidden.unlink()
    (tree / "a.md").write_text("The task has changed, so that the folder is read again.")
    table.update(open_corpus([tree]))
    assert str(hidden) not in files_of(table)


def test_a_place_that_is_gone_is_said_and_removed_where_that_is_asked_for(
    ragdoll: Ragdoll, trained: Trained, tree: Path
) -> None:
    options = ["--model", trained.model, "--database", "base"]
    ragdoll("index", tree / "in", tree / "out", *options)
    shutil.rmtree(tree / "in")
    said = ragdoll("index", tree / "out", *options)
    assert f"documents of {tree / 'in'}, which is gone; --prune removes them" in said.err
    refused = ragdoll("index", tree / "in", *options)
    assert (refused.status, "--prune removes" in refused.err) == (1, True)
    assert ragdoll("index", tree / "in", *options, "--prune", "--json").json["removed"] == 3
    assert ragdoll("index", *options, "--json").json["documents"] == 1


def test_the_last_file_of_a_place_goes_where_that_is_asked_for(
    ragdoll: Ragdoll, trained: Trained, tree: Path
) -> None:
    options = ["--model", trained.model, "--database", "base"]
    ragdoll("index", tree / "out", *options)
    (tree / "out/f.md").unlink()
    refused = ragdoll("index", tree / "out", *options)
    assert (refused.status, "--prune removes what the table has of it" in refused.err) == (1, True)
    pruned = ragdoll("index", tree / "out", *options, "--prune", "--json")
    assert (pruned.json["removed"], pruned.json["chunks"]) == (1, 0)
    assert "Nothing found" in ragdoll("query", "task", "--database", "base").err


def test_a_named_file_that_is_gone_goes_where_that_is_asked_for(
    ragdoll: Ragdoll, trained: Trained, tree: Path
) -> None:
    options = ["--model", trained.model, "--database", "base"]
    (tree / "empty").mkdir()
    ragdoll("index", tree / "a.md", tree / "b.md", *options)
    (tree / "a.md").unlink()
    refused = ragdoll("index", tree / "a.md", *options)
    assert (refused.status, "--prune removes what the table has of it" in refused.err) == (1, True)
    pruned = ragdoll("index", tree / "a.md", *options, "--prune", "--json").json
    assert (pruned["removed"], pruned["chunks"]) == (1, 1)
    for name in ("a.md", "*.md"):
        unknown = ragdoll("index", tree / name, *options, "--prune")
        assert (unknown.status, "--prune" in unknown.err) == (1, False)
    empty = ragdoll("index", tree / "empty", *options)
    assert (empty.status, "--prune" in empty.err) == (1, False)
    (tree / "b.md").unlink()
    assert ragdoll("index", *options, "--prune", "--json").json["removed"] == 1


def test_a_source_may_be_named_by_its_path(
    ragdoll: Ragdoll, trained: Trained, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in ("in", "out"):
        (tree / service / "README.md").write_text("Every service retries.")
    monkeypatch.chdir(tree)
    ragdoll("index", "in", "out", "--model", trained.model, "--database", "base")
    query = ["query", "service retries", "--database", "base"]
    assert "also in out/README.md" in ragdoll(*query).out
    for name in ("in/README.md", "./in/README.md", tree / "in/README.md", "in/R*.md"):
        (hit,) = ragdoll(*query, "--source", name, "--json").json["hits"]
        assert hit["path"] == str(tree / "in/README.md")


def test_files_of_the_same_name_are_told_apart(
    ragdoll: Ragdoll, trained: Trained, tree: Path
) -> None:
    for service in ("in", "out"):
        (tree / service / "README.md").write_text(f"# Readme\n\nThe {service} service retries.")
    ragdoll("index", tree / "in", tree / "out", "--model", trained.model, "--database", "base")
    query = ["query", "service retries", "-k", 2, "--database", "base"]
    hits = ragdoll(*query, "--json").json["hits"]
    assert {hit["root"] for hit in hits} == {str(tree / "in"), str(tree / "out")}
    assert {hit["path"] for hit in hits} == {str(tree / f"{it}/README.md") for it in ("in", "out")}
    shown = ragdoll(*query).out
    assert "in/README.md:1" in shown
    assert "out/README.md:1" in shown


def test_a_file_with_a_hash_in_its_name_has_its_path(table: Index, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "c#.md").write_text("A lock of C#.")
    (folder / "d#.jsonl").write_text('{"_id": "x#y", "text": "A timer of D#."}')
    table.update(open_corpus([folder]))
    paths = {hit.source: hit.path for hit in table.search("lock timer", 99)}
    assert paths["c#.md"] == str(folder / "c#.md")
    assert paths["d#.jsonl#x#y"] == str(folder / "d#.jsonl")


def test_a_place_is_read_again_as_it_was_read_before(
    ragdoll: Ragdoll, trained: Trained, tree: Path
) -> None:
    """By the keys and parts that were named then, from the table alone."""
    (tree / "r.jsonl").write_text('{"body": "A task in a record.", "id": "r"}\n')
    options = ["--model", trained.model, "--database", "base", "--json"]
    first = ragdoll("index", tree / "r.jsonl", tree / "a.md", "--text-key", "body", *options)
    assert first.json["added"] == 2
    (tree / "r.jsonl").write_text('{"body": "Another task in a record.", "id": "r"}\n')
    again = ragdoll("index", *options).json
    assert (again["changed"], again["unchanged"], again["removed"]) == (1, 1, 0)
    assert ragdoll("index", tree / "r.jsonl", *options).json["removed"] == 0


def test_a_table_on_a_server_names_no_files_to_read(
    ragdoll: Ragdoll, trained: Trained, tree: Path, bucket: Bucket
) -> None:
    """Whoever writes there could have any file of this machine sent to the server."""
    options = ["--model", trained.model, "--database", f"{bucket.uri}/base"]
    assert ragdoll("index", tree / "out", *options).status == 0
    refused = ragdoll("index", *options)
    assert (refused.status, "No corpus is given" in refused.err) == (2, True)
