"""The process of a command: its status, its streams, and an end in order."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ragdoll.__main__ import main
from ragdoll.cli import process
from tests.conftest import Trained
from tests.making import index, index_settings, open_corpus

FULL = Path("/dev/full")

Call = Callable[..., int]


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """Leave the signals as pytest has them."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run the program in this process; return its exit status."""

    def called(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["ragdoll", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    return called


@pytest.fixture
def gone() -> Iterator[io.TextIOWrapper]:
    """A pipe whose reader has gone."""
    begin, end = os.pipe()
    os.close(begin)
    with open(end, "w") as stream:  # noqa: PTH123
        yield stream


@pytest.fixture
def database(docs: Path, trained: Trained, tmp_path: Path) -> Path:
    """A database with a table of the documents."""
    place = tmp_path / "database"
    index(open_corpus([str(docs)]), index_settings(str(place), "documents", trained.model))
    return place


def test_without_standard_streams_it_works_in_silence(
    call: Call,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def status(missing: Sequence[str], *arguments: object) -> int:
        with monkeypatch.context() as patch:
            for name in missing:
                patch.setattr(sys, name, None)
            found = call("query", *arguments, "--database", database)
            for name in missing:
                getattr(sys, name).close()
        return found

    assert status(["stdin", "stdout"], "lock", "--json") == 0
    assert status(["stdin"], "-") == 0
    assert status(["stdin"]) == 2
    assert "No query is given." in capsys.readouterr().err
    assert status(["stdin", "stdout", "stderr"]) == 2


def test_a_reader_that_has_seen_enough_is_no_failure(
    call: Call,
    database: Path,
    trained: Trained,
    gone: io.TextIOWrapper,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands = [
        ["query", "lock", "--database", database],
        ["query", "lock", "--json", "--database", database],
        ["inspect-model", trained.model],
        ["--help"],
        ["--version"],
    ]
    for command in commands:
        again = os.dup(gone.fileno())
        with open(again, "w") as stream, monkeypatch.context() as patch:  # noqa: PTH123
            patch.setattr(sys, "stdout", stream)
            assert call(*command) == 0, command
            stream.write("what Python flushes at exit\n")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("command", "status"),
    [(["query", "lock", "--database", "typo"], 1), (["query", "--typo"], 2)],
    ids=["failed", "wrong usage"],
)
def test_a_failure_is_one_even_where_nobody_reads_of_it(
    call: Call,
    gone: io.TextIOWrapper,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    status: int,
) -> None:
    monkeypatch.setattr(sys, "stderr", gone)
    assert call(*command) == status


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
@pytest.mark.parametrize("command", ["--version", "query", "--help"])
def test_output_to_a_full_disk_is_a_failure_in_one_line(
    call: Call,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    rest = ["lock", "--database", database] if command == "query" else []
    with FULL.open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert call(command, *rest) == 1
    assert capsys.readouterr().err == "Error: standard output: No space left on device\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_end_is_an_interruption_and_a_second_one_ends_at_once(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    after: list[object] = []

    def signalled(*arguments: object, **options: object) -> None:
        signal.raise_signal(number)

    def noted(*arguments: object, **options: object) -> None:
        after.append(signal.getsignal(number))
        note(*arguments, **options)  # type: ignore[arg-type]

    from ragdoll.cli import console

    note = console.Console.note
    monkeypatch.setattr("ragdoll.retrieval.storage.database.Database.__init__", signalled)
    monkeypatch.setattr(console.Console, "note", noted)
    assert call("query", "x") == 128 + number
    said = capsys.readouterr().err
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert after == [signal.SIG_DFL]


def test_what_a_library_makes_of_an_interruption_is_no_defect(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def raised(*arguments: object, **options: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("the callback failed") from None

    monkeypatch.setattr("ragdoll.retrieval.storage.database.Database.__init__", raised)
    assert call("query", "x") == 143
    assert "the callback failed" not in capsys.readouterr().err


def test_a_signal_that_the_caller_ignores_is_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with process.orderly():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_an_interruption_while_the_program_is_loaded_says_nothing() -> None:
    code = (
        "import signal, sys\n"
        "class Loading:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'typer': signal.raise_signal(signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from ragdoll.__main__ import main\n"
        "sys.meta_path.insert(0, Loading())\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
