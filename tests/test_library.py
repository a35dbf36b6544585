"""The library's face: its names and their examples, what importing it loads, and the README."""

from __future__ import annotations

import ast
import doctest
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

import ragdoll
from ragdoll.hints import for_command_line
from tests.conftest import TRAINING_CORPUS, Trained
from tests.making import open_corpus

_ROOT = Path(ragdoll.__file__).parent.parent
_NAMES = [name for name in ragdoll.__all__ if name != "__version__"]

_DOCUMENTS = {
    "loop.md": "# Timers\n\nCall a function after a delay with call_later.",
    "tasks.md": "# Tasks\n\nA task wraps a coroutine and runs it in the event loop.",
    "locks.txt": "A lock guards a shared resource between tasks.",
    "events.txt": "An event wakes every task that waits for it.",
    "queues.txt": "A queue hands items from one task to another.",
    "streams.txt": "A stream reader reads bytes from a transport.",
    "writers.txt": "A stream writer writes bytes to a transport.",
    "servers.txt": "A server accepts connections on a socket.",
    "signals.txt": "A signal handler runs when a signal is received.",
    "threads.txt": "A thread runs a blocking function outside of the loop.",
    "futures.txt": "A future holds a result that is not there yet.",
    "timeouts.txt": "A timeout cancels a task that takes too long.",
}
_QUESTIONS = {"q1": ("wait for a result", "futures.txt"), "q2": ("cancel a task", "timeouts.txt")}


@pytest.fixture
def here(small_teacher: Path, trained: Trained) -> Path:
    """The current folder, with what the examples name: documents, a teacher, features, a model."""
    for name, text in _DOCUMENTS.items():
        Path("docs").mkdir(exist_ok=True)
        Path("docs", name).write_text(text + "\n")
    Path("teacher").symlink_to(small_teacher)
    shutil.copytree(trained.model, "model")
    shutil.copytree(trained.features, "features")
    Path("collection/qrels").mkdir(parents=True)
    documents = [{"_id": name, "text": text} for name, text in _DOCUMENTS.items()]
    questions = [{"_id": name, "text": text} for name, (text, _) in _QUESTIONS.items()]
    for name, records in {"corpus": documents, "queries": questions}.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        Path("collection", f"{name}.jsonl").write_text(lines)
    judged = [f"{name}\t{answer}\t1\n" for name, (_, answer) in _QUESTIONS.items()]
    Path("collection/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return Path.cwd()


def _run(test: doctest.DocTest) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", _NAMES)
def test_the_examples_of_each_name_are_true(name: str, here: Path) -> None:
    names = {each: getattr(ragdoll, each) for each in _NAMES}
    tests = doctest.DocTestFinder().find(names[name], name, globs=names)
    assert any(test.examples for test in tests)
    for test in tests:
        _run(test)


def test_the_example_of_the_package_is_true(here: Path) -> None:
    shutil.rmtree("features")
    shutil.rmtree("model")
    (test,) = doctest.DocTestFinder(recurse=False).find(ragdoll, "ragdoll", globs={})
    assert len(test.examples) > 5
    _run(test)


def test_the_readme_shows_the_library_in_lines_that_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree("features")
    shutil.rmtree("model")
    readme = (_ROOT / "README.md").read_text()
    (lines,) = re.findall(r"```python\n(import ragdoll\n.*?)```", readme, re.DOTALL)
    assert len(lines.split("\n")) <= 12
    # It names the real teacher, which takes its time, and wants as many passages as dimensions.
    lines = lines.replace("sentence-transformers/all-MiniLM-L6-v2", "teacher")
    for number, document in enumerate(islice(open_corpus(TRAINING_CORPUS), 300)):
        Path("docs", f"{number}.txt").write_text(document.text)
    exec(compile(lines, "README.md", "exec"), {})
    assert "loop.md" in capsys.readouterr().out


def test_what_is_left_out_the_next_time_stays_as_it_was(here: Path) -> None:
    for number in range(30):
        Path("docs", f"{number}.txt").write_text(f"Task {number} waits for task {number + 1}.")
    Path("docs/.hidden").mkdir()
    Path("docs/.hidden/h.txt").write_text("A hidden lock guards a resource.")
    settings = ragdoll.Settings(
        teacher=ragdoll.TeacherSettings(model="teacher"),
        corpus=ragdoll.CorpusSettings(hidden=True),
        train=ragdoll.TrainSettings(pca_dims=4),
        index=ragdoll.IndexSettings(chunk_size=64),
    )
    first = ragdoll.run("docs", settings=settings)
    assert first.train is not None
    assert first.train.dimension == 4
    again = ragdoll.run("docs")
    assert (again.train, again.index.rebuilt, again.index.unchanged) == (None, False, 43)
    seeded = ragdoll.run(settings=ragdoll.Settings(train=ragdoll.TrainSettings(seed=7)))
    assert seeded.train is not None
    assert seeded.train.dimension == 4

    # The corpus reads hidden folders, as the table does, and the model is the table's.
    shutil.move(".ragdoll/model", "moved")
    ragdoll.Index.open(model="moved").update(ragdoll.read("docs/0.txt"))
    index = ragdoll.Index.create(model="moved")
    assert index.update(ragdoll.read("docs")).unchanged == 43
    with pytest.raises(ragdoll.RagdollError, match="chunk_size was 64, now 256"):
        ragdoll.Index.create(model="moved", settings=ragdoll.IndexSettings(chunk_size=256)).update(
            ragdoll.read("docs")
        )


def test_without_a_model_a_table_is_updated_with_its_own(here: Path) -> None:
    documents = ragdoll.read("docs")
    ragdoll.Index.create(model="model").update(documents)
    assert ragdoll.Index.create().update(documents).unchanged == 12


def test_importing_the_library_loads_none_of_it() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(_ROOT)!r}); before = set(sys.modules); "
        "import ragdoll; print(*set(sys.modules) - before)"
    )
    command = [sys.executable, "-I", "-S", "-c", script]
    assert subprocess.check_output(command, text=True).split() == ["ragdoll"]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ragdoll.nothing  # type: ignore[attr-defined]
    assert dir(ragdoll) == sorted(ragdoll.__all__)


# Where options are declared, or are those of pip and uv, and where a style sheet has two hyphens.
_WITH_OPTIONS = {"settings.py", "config.py", "chart.py", "report.py", "extras.py", "hints.py"}


def _texts() -> Iterator[tuple[str, str]]:
    """Yield what the library's files hold as text, but for docstrings, with the file's name."""
    for file in sorted((_ROOT / "ragdoll").rglob("*.py")):
        # The card of a model is no message, and is read beside other software.
        if "cli" in file.parts or file.name == "card.py":
            continue
        tree = ast.parse(file.read_text())
        in_others = {id(part) for node in ast.walk(tree) for part in _parts_or_docstring(node)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                constants = [part for part in node.values if isinstance(part, ast.Constant)]
                yield file.name, "…".join(str(part.value) for part in constants)
            elif isinstance(node, ast.Constant) and id(node) not in in_others:
                yield file.name, str(node.value)


def _parts_or_docstring(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.JoinedStr):
        return node.values
    return [node.value] if isinstance(node, ast.Expr) else []


def test_the_library_speaks_of_parameters_and_the_command_line_of_options() -> None:
    quoted = {phrase for _, text in _texts() for phrase in re.findall(r"`(\w[^`\n]*)`", text)}
    assert "restart=True" in quoted
    options = {phrase: for_command_line(f"`{phrase}`") for phrase in quoted}
    assert [p for p, said in options.items() if not re.search(r"--|ragdoll |DOCS", said)] == []


def test_no_message_of_the_library_speaks_of_an_option() -> None:
    texts = [text for name, text in _texts() if name not in _WITH_OPTIONS]
    assert [text for text in texts if re.search(r"(?<![\w-])--[a-z]{2}", text)] == []
