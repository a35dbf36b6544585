"""Files and records that were left out, as they are shown and recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdoll.cli.console import Console
from ragdoll.cli.views import records, skipped, stages
from ragdoll.corpus.documents import Skipped
from ragdoll.retrieval.writing.target import IndexResult
from tests.conftest import Ragdoll, Trained


def said(items: list[Skipped], capsys: pytest.CaptureFixture[str], **options: bool) -> str:
    skipped.show(Console(**options), items)
    out, err = capsys.readouterr()
    assert out == ""
    return err


def of(reason: str, *paths: str) -> list[Skipped]:
    return [Skipped(path, reason) for path in paths]


def test_reasons_are_counted_and_the_most_frequent_comes_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [
        *of("empty", "empty.txt"),
        *of("not utf-8 text", "notes/old.txt", "x.txt", "y.txt"),
        *of("format .png", *(f"{number}.png" for number in range(1200))),
    ]
    assert said(items, capsys).splitlines() == [
        "Left out: 1,204",
        "  1,200  format .png: 0.png, 1.png and 1,198 more",
        "      3  not utf-8 text: notes/old.txt, x.txt and 1 more",
        "      1  empty: empty.txt",
    ]


def test_reasons_of_records_are_one_reason_whatever_the_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = [Skipped("a.jsonl", f"line {number}: not JSON") for number in (2, 7, 1200)]
    assert said(items, capsys).splitlines() == [
        "Left out: 3",
        "  3  not JSON: a.jsonl line 2, a.jsonl line 7 and 1 more",
    ]


def test_of_many_reasons_the_rarest_are_only_counted(capsys: pytest.CaptureFixture[str]) -> None:
    items = [Skipped(f"a.{n}", f"format .{n}") for n in range(20) for _ in range(20 - n)]
    lines = said(items, capsys).splitlines()
    assert lines[1] == "  20  format .0: a.0, a.0 and 18 more"
    assert [line.split()[0] for line in lines[1:-1]] == [str(20 - n) for n in range(8)]
    assert lines[-1] == "  and 12 other reasons (--json lists them all)"


def test_what_is_only_counted_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    items = [
        *of("empty", "a.txt", "b.txt", "c.txt"),
        Skipped("a.jsonl", "line 1: not JSON"),
        Skipped("", "not JSON", 50_000_000),
        Skipped("", "binary", 2),
    ]
    assert said(items, capsys).splitlines() == [
        "Left out: 50,000,006",
        "  50,000,001  not JSON: a.jsonl line 1 and 50,000,000 more",
        "           3  empty: a.txt, b.txt and 1 more",
        "           2  binary",
    ]


def test_names_cannot_forge_lines(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said([Skipped("a\nLeft out: 0\x1b[2J", "not\nparsed")], capsys).splitlines()
    assert lines[1:] == ["  1  not\\nparsed: a\\nLeft out: 0\\x1b[2J"]


@pytest.mark.parametrize("options", [{"as_json": True}, {"quiet": True}])
def test_it_is_said_only_where_a_person_reads_it(
    options: dict[str, bool], capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(of("empty", "a.txt"), capsys, **options) == ""
    assert said([], capsys) == ""


def test_of_several_roots_each_is_told_with_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    roots = [f"{tmp_path}/old", "/elsewhere/new", "python:json"]
    items = [Skipped("a.txt", "empty", root=root) for root in roots[:2]]
    items.append(Skipped("b.jsonl", "line 3: not JSON", root=roots[0]))
    skipped.show(Console(), items, roots)
    assert capsys.readouterr().err.splitlines() == [
        "Left out: 3",
        "  2  empty: a.txt in old, a.txt in /elsewhere/new",
        "  1  not JSON: b.jsonl line 3 in old",
    ]
    skipped.show(Console(), items[:1], roots[:1])
    assert "empty: a.txt\n" in capsys.readouterr().err


def test_two_folders_with_a_file_of_the_same_name_are_told_apart(
    ragdoll: Ragdoll, trained: Trained
) -> None:
    for name in ("old", "new"):
        Path(name).mkdir()
        Path(name, "a.txt").write_text("")
        Path(name, "b.txt").write_text(f"A {name} text.")
    command = ("index", "old", "new", "--model", trained.model, "--database", "base")
    assert "empty: a.txt in old, a.txt in new\n" in ragdoll(*command).err
    assert "empty: a.txt in old, a.txt in new\n" in ragdoll(*command).err
    roots = [Path(item["root"]).name for item in ragdoll(*command, "--json").json["skipped"]]
    assert roots == ["old", "new"]


def test_what_two_stages_left_out_is_named_once() -> None:
    items = of("empty", "a.txt", "b.txt", "b.txt")
    more = of("empty", "b.txt", "c.txt")
    assert skipped.by_either(items, more) == [*items, *of("empty", "c.txt")]


def result(items: list[Skipped]) -> IndexResult:
    return IndexResult("base", "documents", "model", 8, "cosine", added=2, skipped=items)  # type: ignore[arg-type]


def test_json_lists_all_that_is_named_and_counts_all() -> None:
    record = records.index(result([Skipped("a.txt", "empty", root="/x"), *of("empty", "b.txt")]))
    assert record["skipped"] == [
        {"path": "a.txt", "reason": "empty", "root": "/x"},
        {"path": "b.txt", "reason": "empty", "root": ""},
    ]
    assert record["skipped_count"] == 2
    assert "skipped_unnamed" not in record


def test_json_says_where_its_list_is_not_all() -> None:
    counted = [Skipped("", "not JSON", 5), Skipped("", "empty", 2), Skipped("", "empty", 3, "/x")]
    record = records.index(result([*of("empty", "a.txt"), *counted]))
    assert record["skipped"] == [{"path": "a.txt", "reason": "empty", "root": ""}]
    assert record["skipped_count"] == 11
    assert record["skipped_unnamed"] == {"not JSON": 5, "empty": 5}


def test_the_summary_counts_what_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    items = [*of("empty", "a.txt"), Skipped("", "not JSON", 5)]
    Console().result({}, stages.index_summary(result(items)))
    assert "2 added; 6 left out\n" in capsys.readouterr().out


def test_a_reason_names_the_option_that_helps(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = [Skipped("a.jsonl", "line 2: no key 'text' (`text_key` names another)")]
    skipped.show(Console(), left_out)
    assert "no key 'text' (--text-key names another)" in capsys.readouterr().err


def test_files_of_another_format_that_are_texts_can_be_included(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.xyz").write_text("A lock guards a resource.")
    (tmp_path / "b.bin").write_bytes(bytes(range(256)))
    items = [
        Skipped(name, f"format {name[1:]}", root=str(tmp_path))
        for name in ("a.xyz", "b.bin", "c.gone")
    ]
    assert said(items, capsys).splitlines()[-1] == "--include '*.xyz' reads such files as text."
