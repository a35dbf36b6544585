"""Whatever the names and texts of others hold, the terminal shows what ragdoll says."""

from __future__ import annotations

import io
import json
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest

from ragdoll.cli.console import Console
from ragdoll.cli.text import one_line, printable
from tests.conftest import Ragdoll, Trained

# A colour, a link to click, a line of its own, a line from its beginning, the other direction, and
# what rich takes for a style, a link, the end of one, and a picture.
HOSTILE = (
    "x\x1b[31m\x1b]8;;e\x07\x9b1m\nError: forged\rError: forged\u2028Error: forged"
    "\u202e\u2066\u200f[red][link=e]y[q] :smile:"
)


def check(text: str) -> None:
    """Check that nothing of a printed text is a control, and that no line is another's."""
    for line in text.split("\n"):
        assert line == printable(line), ascii(line)
        assert {unicodedata.category(character) for character in line}.isdisjoint({"Cc", "Zl"})
        assert {"\u202e", "\u2066", "\u200f"}.isdisjoint(line)
        assert not line.startswith("Error: forged")


@pytest.fixture
def hostile(tmp_path: Path, trained: Trained) -> Path:
    """A folder of a hostile name, with documents, a model and a collection of hostile names."""
    folder = tmp_path / HOSTILE
    docs = folder / f"docs{HOSTILE}"
    docs.mkdir(parents=True)
    (docs / f"{HOSTILE}.md").write_text(f"# lock {HOSTILE}\n\nA lock guards. {HOSTILE}\n")
    (docs / f"{HOSTILE}.json").write_text(f'{{"{HOSTILE}')
    model = folder / f"model{HOSTILE}"
    shutil.copytree(trained.model, model)
    record = json.loads((model / "ragdoll.json").read_text())
    record["teacher"]["name"] = record["settings"][HOSTILE] = record["method"] = HOSTILE
    (model / "ragdoll.json").write_text(json.dumps(record))
    collection = folder / f"beir{HOSTILE}"
    (collection / "qrels").mkdir(parents=True)
    for name in ("corpus", "queries"):
        lines = [{"_id": f"{n}[/q][red]", "text": f"lock {n} {HOSTILE}"} for n in range(3)]
        (collection / f"{name}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (collection / "qrels/test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n0[/q][red]\t0[/q][red]\t1\n"
    )
    return folder


def test_no_command_shows_what_could_forge_the_terminal(ragdoll: Ragdoll, hostile: Path) -> None:
    docs, model, collection = sorted(hostile.iterdir(), key=lambda path: "dmb".index(path.name[0]))
    # LanceDB takes no path with controls.
    on_table = ("--database", hostile.with_name("db\u202e[red]\u200f"))
    done = [
        ["index", docs, "--model", model, *on_table, "--verbose"],
        ["query", f"lock {HOSTILE}", *on_table, "--verbose"],
        ["inspect-model", model, *on_table],
        ["inspect-model", model, model / "distillate", "--neighbors", f"lock{HOSTILE}"],
        ["evaluate", collection, "--model", model],
        ["evaluate", collection, "--model", model, "--explain", "0[/q][red]"],
    ]
    for command in done:
        result = ragdoll(*command)
        assert result.status == 0, result.err
        check(result.out)
        check(result.err)
        if "--verbose" not in command:
            assert ragdoll(*command, "--json").json
    assert "[link=e]y" in ragdoll("query", "lock", *on_table).out
    wrong = [
        ["query", "lock", "--database", HOSTILE],
        ["query", "lock", *on_table, "--where", HOSTILE],
        ["query", "lock", *on_table, "--table", HOSTILE, "--verbose"],
        ["index", HOSTILE, "--model", model],
        ["index", docs, "--model", docs],
        ["train", "--features", docs],
        ["featurize", docs, "--teacher", HOSTILE],
        ["featurize", f"python:{HOSTILE}"],
        ["inspect-model", HOSTILE],
        ["evaluate", HOSTILE],
        ["evaluate", collection, "--model", model, "--output", f"{HOSTILE}.txt"],
        ["query", "--config", HOSTILE],
        ["query", "lock", f"--{HOSTILE}"],
        ["query", "lock", "--mode", HOSTILE],
        [HOSTILE],
    ]
    for command in wrong:
        result = ragdoll(*command)
        assert result.status in {1, 2}
        assert result.out == ""
        check(result.err)
        assert "Error: " in result.err


def test_all_that_steers_a_terminal_or_turns_the_direction_is_shown() -> None:
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for character in map(chr, [*range(0x3000), 0xD800, 0xDFFF]):
        is_mark = character in "\u061c\u200e\u200f"
        is_control = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        if is_mark or is_control or unicodedata.bidirectional(character) in turning:
            assert one_line(character).startswith("\\")
            assert one_line(character).isascii()
            assert printable(character) == one_line(character) or character in "\n\t"
        else:
            assert one_line(character) == character


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_json_is_valid_and_inert_in_every_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    text = HOSTILE + "é€😀\udc80"
    out = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", out)
    Console(as_json=True).json({"a": text})
    out.flush()
    line = out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert json.loads(line) == {"a": text}
    check(line)


def test_progress_shows_names_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "stderr", err)
    with Console().progress() as report:
        report("stage", 1, 2, HOSTILE)
    assert "[red][link=e]y[q]" in err.getvalue()
    assert "\x1b[31m" not in err.getvalue().replace(one_line(HOSTILE), "")
    assert "\x1b]8;" not in err.getvalue()
