"""The shipped configuration, with the real teacher, from the first command to an answer."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Ragdoll

ROOT = Path(__file__).parents[1]


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped file in an empty folder; of the standard library a part, and a short training."""
    shutil.copy(ROOT / "ragdoll.toml", "ragdoll.toml")
    text = Path("ragdoll.toml").read_text()
    parts = '["python:asyncio", "python:threading", "python:sched", "python:json"]'
    Path("ragdoll.toml").write_text(text.replace('"python:stdlib"', parts))
    monkeypatch.setenv("RAGDOLL_TRAIN_EPOCHS", "4")


@pytest.mark.slow
def test_it_finds_what_runs_a_function_after_a_delay(shipped: None, ragdoll: Ragdoll) -> None:
    done = ragdoll("run", "--json")
    assert done.status == 0, done.err
    agreement = done.json["train"]["agreement"]
    assert done.json["train"]["heldout_agreement"] > agreement["distillate"]
    answer = ragdoll("query", "run a function after a delay", "--json")
    titles = [hit["title"] for hit in answer.json["hits"][:5]]
    assert any(title.startswith(("threading.Timer", "sched")) for title in titles)


def test_the_readme_describes_every_command_and_no_page_shows_one_that_does_not_parse() -> None:
    from typer.main import get_command

    from ragdoll.cli import app

    group: Any = get_command(app)
    commands = group.list_commands(None)
    readme = (ROOT / "README.md").read_text()
    for command in commands:
        assert f"| `{command}` |" in readme
    pages = readme + (ROOT / "tests" / "benchmarks" / "README.md").read_text()
    shown = [
        line
        for block in re.findall(
            r"^```.*?^```", pages.replace("\\\n", " "), re.DOTALL | re.MULTILINE
        )
        for line in re.findall(
            rf"\bragdoll ((?:{'|'.join(commands)})\b.*?)(?:&&| \| |$)", block, re.MULTILINE
        )
    ]
    assert len(shown) > 12
    for line in shown:
        name, *arguments = shlex.split(line, comments=True)
        group.get_command(None, name).make_context(name, arguments)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 12 * 1024


def test_ci_runs_the_line_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text().splitlines()
    lines = [line for line in readme if line.startswith("python3 ") and line.endswith("pytest")]
    assert len(lines) == 1
    assert "grep -m1 '^python3 .*pytest$' README.md" in (ROOT / ".ci" / "run").read_text()
