"""The contract of the command line: names, options, streams and exit status."""

from __future__ import annotations

import io
import logging
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console as RichConsole

import ragdoll as package
from ragdoll.cli import session as session_module
from ragdoll.cli.console import Console, silence_libraries
from ragdoll.cli.options import Invocation
from ragdoll.cli.text import facts, from_here, one_line, printable
from ragdoll.cli.views import hits as view
from ragdoll.corpus.documents import LINE
from ragdoll.retrieval.answers import Hit
from ragdoll.retrieval.storage.database import Database
from ragdoll.settings import as_text, settings
from tests.conftest import Ragdoll, Trained

COMMON = {"--config", "--json", "--quiet", "--verbose"}
OPTIONS = {
    "featurize": "--teacher --output --max-means --batch-size --text-key --dataset-name "
    "--dataset-split --streaming --no-streaming --target --device --dtype --restart --no-ignore "
    "--trust-remote-code",
    "train": "--features --teacher --output --method --pca-dims --vocab-size --batch-size --lr "
    "--patience --epochs --seed --device --save-dtype --trust-remote-code --push-to-hub --public",
    "index": "--model --embedding-model-name --database --vector-data-dir --docs --docs-folder "
    "--table --metric --chunk-size --overwrite --dry-run --text-key --no-ignore",
    "query": "--database --table --top-k --mode --alpha --where --source --model",
    "serve": "--database --host --port --table --allow-host --allow-origin --token-file --page "
    "--no-page --mcp --no-mcp --max-top-k --metrics --log --insecure",
    "mcp": "--database --table",
    "inspect-model": "--database --table --neighbors",
    "evaluate": "--model --teacher --mode --k --seed --output --explain --text-key --no-ignore",
    "run": "--retrain --restart --overwrite --dry-run --teacher --features --target --max-means "
    "--model --method --pca-dims --vocab-size --lr --patience --epochs --seed --save-dtype "
    "--database --table --metric --chunk-size --docs --text-key --dataset-name --dataset-split "
    "--streaming --no-ignore --device --dtype --trust-remote-code",
}


def command(name: str) -> Any:
    from typer.main import get_command

    from ragdoll.cli import app

    return get_command(app).get_command(None, name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_contract_is_there(name: str) -> None:
    parameters = command(name).params
    there = {name for option in parameters for name in (*option.opts, *option.secondary_opts)}
    assert there >= COMMON | set(OPTIONS[name].split())


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_has_a_help_text(name: str) -> None:
    for option in command(name).params:
        assert getattr(option, "help", None), f"{name} {option.name}"


@pytest.mark.parametrize("name", OPTIONS)
def test_help_shows_every_name_of_an_option_whole(ragdoll: Ragdoll, name: str) -> None:
    words = re.split(r"[\s,]+", ragdoll(name, "--help").out)
    for option in OPTIONS[name].split():
        assert option in words


def test_help_shows_defaults_of_settings_and_no_type_behind_flags(ragdoll: Ragdoll) -> None:
    for name in OPTIONS:
        text = " ".join(ragdoll(name, "--help").out.split())
        assert "<bool>" not in text
        assert "list[" not in text
        assert "--json Print JSON" in text
        assert text.index("Options:") < text.index("Common options:")
        if name == "query":
            assert "[query.top_k = 10]" in text
            assert "[query.where]" in text  # which has none


def test_help_breaks_no_line_within_a_name(
    ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = ragdoll("featurize", "--help").out
    assert "[teacher.model =\n" in said
    assert " sentence-transformers/all-MiniLM-L6-v2]" in said


def test_the_list_of_commands_says_of_each_what_its_own_help_says_first(ragdoll: Ragdoll) -> None:
    from ragdoll.cli.group import SUMMARIES

    assert set(SUMMARIES) == set(OPTIONS)
    listed = " ".join(ragdoll("--help").out.split())
    for name, summary in SUMMARIES.items():
        assert f" {name} {summary}" in listed
        assert " ".join(command(name).help.split("\n\n")[0].split()) == summary


def test_a_misspelt_command_is_told_its_name(ragdoll: Ragdoll) -> None:
    assert "Did you mean 'query'?" in ragdoll("qery").err


def test_help_tells_the_precedence(ragdoll: Ragdoll) -> None:
    text = " ".join(ragdoll("--help").out.split())
    assert "RAGDOLL_<SECTION>_<KEY>" in text
    assert "ragdoll.toml" in text


def test_version(ragdoll: Ragdoll) -> None:
    assert ragdoll("--version").out == f"ragdoll {package.__version__}\n"


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ragdoll", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ragdoll ")


@pytest.mark.parametrize(
    "arguments",
    [["query", "x", "--no-such-option"], ["no-such-command"], ["query", "x", "--mode"]],
    ids=["option", "command", "no value"],
)
def test_wrong_usage_exits_with_2_and_prints_nothing_on_stdout(
    ragdoll: Ragdoll, arguments: list[str]
) -> None:
    result = ragdoll(*arguments)
    assert (result.status, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert first.startswith("Error: ")
    assert second.startswith("See ragdoll")


@pytest.mark.parametrize(
    ("option", "value", "name"),
    [
        ("-k", "many", "query.top_k"),
        ("--mode", "both", "query.mode"),
        ("--alpha", "half", "query.alpha"),
        ("--alpha", "2", "query.alpha"),
    ],
)
def test_a_wrong_value_of_an_option_is_refused_as_in_the_file(
    ragdoll: Ragdoll, option: str, value: str, name: str
) -> None:
    result = ragdoll("query", "x", option, value)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f"Error: {name} must be ")
    assert value in result.err


def test_every_setting_has_an_option_and_every_option_of_a_setting_its_default() -> None:
    in_help = {name: command(name) for name in OPTIONS}
    shown = " ".join(option.help for one in in_help.values() for option in one.params)
    for one in settings().values():
        default = as_text(one.default)
        expected = f"[{one.name} = {default}]" if default else f"[{one.name}]"
        assert expected in shown or not one.option


def test_no_command_shows_the_help(ragdoll: Ragdoll) -> None:
    result = ragdoll()
    assert result.status == 2
    assert "inspect-model" in result.out


def test_failed_work_exits_with_1_in_two_lines(ragdoll: Ragdoll) -> None:
    result = ragdoll("query", "x", "--database", "typo", "--json")
    assert (result.status, result.out) == (1, "")
    assert len(result.err.splitlines()) <= 2
    assert not Path("typo").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["run", "not-here"],
        ["run", "python:not_installed"],
        ["run", "python:asyncio", "--teacher", "nobody/nothing"],
        ["featurize", "not-here"],
        ["featurize", "python:not_installed"],
        ["featurize", "python:asyncio", "--teacher", "nobody/nothing"],
        ["train", "--features", "not-here"],
        ["index", "python:not_installed", "--model", "MODEL"],
        ["query", "x"],
    ],
    ids=" ".join,
)
def test_a_misspelt_name_leaves_nothing_behind(
    ragdoll: Ragdoll, trained: Trained, command: list[str]
) -> None:
    given = [str(trained.model) if word == "MODEL" else word for word in command]
    result = ragdoll(*given)
    assert (result.status, result.out) == (1, "")
    assert "Error: " in result.err
    assert not list(Path.cwd().iterdir())


def test_verbose_says_where_each_value_came_from(
    ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ragdoll.toml").write_text("[query]\ntop_k = 3\n")
    monkeypatch.setenv("RAGDOLL_QUERY_MODE", "text")
    result = ragdoll("query", "x", "--table", "t", "--verbose")
    lines = result.err.splitlines()
    assert f"query.top_k = 3  ({Path('ragdoll.toml').resolve()})" in lines
    assert "query.mode = text  (variable RAGDOLL_QUERY_MODE)" in lines
    assert "index.table = t  (option)" in lines
    assert "query.alpha = auto  (default)" in lines


@pytest.mark.parametrize(
    ("error", "options", "status", "words"),
    [
        (TypeError("boom"), (), 1, "Error: Unexpected TypeError: boom\n"),
        (TypeError("boom"), ("--verbose",), 1, "Traceback"),
        (KeyboardInterrupt(), (), 130, "Interrupted"),
        (OSError(28, "No space left", "place"), (), 1, "Error: place: No space left\n"),
    ],
    ids=["defect", "traceback", "interruption", "system error"],
)
def test_whatever_is_raised_ends_a_command_with_its_status_and_a_message(
    ragdoll: Ragdoll,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    options: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Database, "__init__", fail)
    result = ragdoll("query", "x", *options)
    assert result.status == status
    assert words in result.err
    assert ("Traceback" in result.err) == bool(options)


def test_the_library_warns_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ragdoll.anything")
    with session_module.session(Invocation({}, {}, None, False, False, False)):
        logger.warning("%d of %d", 1, 2)
    logger.warning("not said")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Warning: 1 of 2\n")


def test_what_libraries_say_of_their_retries_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub.utils import logging as of_the_hub

    monkeypatch.delenv("HF_HUB_VERBOSITY", raising=False)
    silence_libraries()
    assert of_the_hub._get_default_logging_level() == logging.ERROR


def test_the_next_command_can_be_pasted_into_a_shell() -> None:
    said = session_module.again("train", features=Path("my docs/it's"), output=None)
    assert said == """Next: ragdoll train --features 'my docs/it'"'"'s'"""
    assert shlex.split(said)[-1] == "my docs/it's"


def test_a_terminal_breaks_long_lines_between_words_and_a_pipe_breaks_none() -> None:
    view = facts({"corpus": "one two three four five six /a/name/that/is/long", "size": "7 MB"})
    terminal = RichConsole(file=io.StringIO(), force_terminal=True, width=36, soft_wrap=True)
    pipe = RichConsole(file=io.StringIO(), force_terminal=False, width=36, soft_wrap=True)
    for console in (terminal, pipe):
        console.print(view)
    assert re.sub("\x1b\\[.*?m", "", terminal.file.getvalue()).splitlines() == [  # type: ignore[attr-defined]
        "corpus              one two three",
        "                    four five six",
        "                    /a/name/that/is/long",
        "size                7 MB",
    ]
    assert pipe.file.getvalue().splitlines()[0].endswith("six /a/name/that/is/long")  # type: ignore[attr-defined]


def test_restart_is_spoken_of_to_those_who_gave_it() -> None:
    assert session_module.same_command(restart=False) == "the same command"
    assert session_module.same_command(restart=True) == "the same command without --restart"


def test_a_path_below_the_current_folder_is_shown_from_there() -> None:
    assert from_here(Path.cwd() / ".ragdoll" / "model") == ".ragdoll/model"
    assert from_here("s3://bucket/folder") == "s3://bucket/folder"
    assert from_here("../elsewhere") == "../elsewhere"
    assert from_here(Path.cwd().parent) == str(Path.cwd().parent)
    Path.cwd().rmdir()
    assert from_here("/some/model") == "/some/model"


@pytest.mark.parametrize(
    ("title", "shown"),
    [("b.txt", "a/b.txt:1"), ("a/b.txt", "a/b.txt:1"), ("The lock", "a/b.txt:1  The lock")],
)
def test_an_answer_has_its_title_unless_that_is_the_name_of_the_file(
    title: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hit = Hit(1, 0.5, "x1", "a/b.txt", title, 0, 6, "A lock", None, None, {LINE: 1})
    console = Console()
    console.result({}, view.hits("lock", [hit], {}, console, 8))
    assert capsys.readouterr().out.splitlines()[0] == f" 1  0.500  {shown}"


def test_answers_of_one_file_are_one_entry_with_its_places(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def hit(rank: int, start: int, line: int | None, root: str = "a") -> Hit:
        metadata = {} if line is None else {LINE: line}
        text = "No key.\nA lock.\nB."
        return Hit(
            *(rank, 0.5, "x", "log.txt", "", start, start + 5, text, None, None, metadata),
            root=root,
            path="/a/log.txt",
        )

    found = [hit(1, 0, 1), hit(2, 7, 1), hit(3, 99, 7), hit(4, 0, None, "b"), hit(5, 9, None, "b")]
    console = Console()
    console.result({}, view.hits("lock", found, False, console, 1))
    blocks = capsys.readouterr().out.rstrip().split("\n\n")
    assert [block.splitlines() for block in blocks] == [
        [
            " 1  0.500  log.txt:2",
            *("    …", "    A lock.", "    …"),
            " 2  0.500  :2 [7–12]  A lock.",
            " 3  0.500  :8  A lock.",
        ],
        [
            " 4  0.500  log.txt [0–5]",
            *("    …", "    A lock.", "    …"),
            " 5  0.500  [9–14]  A lock.",
        ],
    ]


def test_a_log_file_gets_a_line_of_progress_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Console().progress() as report:
        for number in range(100):
            now[0] += 3
            report("embedding", number, 100, "b\x1b" if number > 50 else "")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "embedding: 19 of 100 (1 min)"
    assert lines[-1] == "embedding: 99 of 100, b\\x1b (5 min)"
    assert len(lines) == 5
    with Console(quiet=True).progress() as report:
        report("embedding", 1, None)
    assert capsys.readouterr().err == ""


def test_what_could_forge_the_terminal_is_made_visible() -> None:
    assert printable("a\x1b[31mb\u202ec\nd") == "a\\x1b[31mb\\x202ec\nd"
    assert one_line("a\nb") == "a\\nb"
    assert printable("naïve 日本語 – ok") == "naïve 日本語 – ok"
