"""The house: which room may know of which, and what a command may load."""

from __future__ import annotations

import ast
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import ragdoll
from tests.conftest import Trained

PACKAGE = Path(ragdoll.__file__).parent

# Other processes run what is tested here too, not what is installed.
HERE = {"PYTHONPATH": str(PACKAGE.parent)}

# Each room may import itself and those below it; those of one line do not know of each other.
ROOMS = [
    {"__main__"},
    {"cli"},
    {"integrations"},
    {"serve", "client"},
    {"pipeline", "config"},
    {"evaluation"},
    {"retrieval", "distillation"},
    {"corpus", "embedding"},
    {"engine"},
    {"files", "streams", "extras", "hints"},
    {"settings"},
    {"errors"},
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}

# Heavy or optional libraries, and the only rooms that may name them.
OWNERS = {
    "typer": {"cli"},
    "rich": {"cli"},
    "lance": {"retrieval"},
    "lancedb": {"retrieval"},
    "ray": {"engine"},
    "torch": {"distillation"},
    "sentence_transformers": {"distillation"},
    "transformers": {"distillation"},
    "sklearn": {"distillation"},
    "tokenlearn": {"distillation"},
    "datasets": {"corpus"},
    "fastapi": {"serve"},
    "haystack": {"integrations"},
    "langchain_core": {"integrations"},
    "llama_index": {"integrations"},
    "mcp": {"serve"},
    "uvicorn": {"serve"},
}


def modules() -> list[Path]:
    """All modules but the face of the library, which names those that hold its parts."""
    return sorted(set(PACKAGE.rglob("*.py")) - {PACKAGE / "__init__.py"})


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def room_of(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    own = room_of(path)
    assert own in LEVEL, f"{path} is in no room"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "ragdoll" or len(parts) < 2 or parts[1] not in LEVEL:
            assert name in {"ragdoll", "ragdoll.__version__"} or parts[0] != "ragdoll", name
            continue
        other = parts[1]
        assert other == own or LEVEL[other] > LEVEL[own], f"{own} must not know of {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_is_named_only_in_its_room(path: Path) -> None:
    for name in imports_of(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or room_of(path) in owners, f"{path} imports {name}"


def test_no_imports_go_in_a_circle() -> None:
    known = {name_of(path) for path in modules()}
    graph = {}
    for path in modules():
        # ``from package import module`` names a module, and ``from module import thing`` a thing.
        imported = {name if name in known else name.rpartition(".")[0] for name in imports_of(path)}
        graph[name_of(path)] = (imported & known) - {name_of(path)}
    list(TopologicalSorter(graph).static_order())


def test_only_the_command_line_knows_the_configuration() -> None:
    for path in modules():
        if any(name.startswith("ragdoll.config") for name in imports_of(path)):
            assert room_of(path) in {"cli", "config"}, path


def test_the_errors_import_nothing() -> None:
    assert imports_of(PACKAGE / "errors.py") == set()


def test_every_library_that_is_imported_is_declared() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = {
        re.split(r"[^\w.-]", line, maxsplit=1)[0].lower().replace("_", "-")
        for line in [*project["dependencies"], *itertools.chain(*extras)]
    }
    installed = packages_distributions()
    imported = {name.partition(".")[0] for path in modules() for name in imports_of(path)}
    unknown = {
        module
        for module in imported & installed.keys() - {"ragdoll"}
        if declared.isdisjoint(name.lower().replace("_", "-") for name in installed[module])
    }
    assert unknown == set()


def loaded_by(*commands: list[str]) -> set[str]:
    """Run commands in a process of their own; return the top-level modules that they loaded."""
    code = (
        "import json, sys\n"
        "from ragdoll.cli import app\n"
        "ended = []\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    try:\n"
        "        app(command)\n"
        "    except SystemExit as end:\n"
        "        ended.append(end.code or 0)\n"
        "names = sorted({name.partition('.')[0] for name in sys.modules})\n"
        "print(json.dumps([ended, names]), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        env={**os.environ, **HERE},
        capture_output=True,
        text=True,
        check=True,
    )
    ended, names = json.loads(done.stderr.splitlines()[-1])
    assert ended == [0] * len(commands), done.stderr
    return set(names)


HEAVY = {"torch", "transformers", "sklearn", "datasets", "sentence_transformers", "tokenlearn"}
COMMANDS = (
    *("featurize", "train", "index", "query", "inspect-model", "evaluate", "run", "serve", "mcp"),
)


def test_help_and_version_load_nothing_heavy() -> None:
    loaded = loaded_by(["--version"], ["--help"], *([name, "--help"] for name in COMMANDS))
    assert loaded.isdisjoint(
        HEAVY | {"numpy", "lancedb", "pyarrow", "model2vec", "tokenizers", "fastapi", "pydantic"}
    )


def test_the_list_of_commands_loads_none_of_them() -> None:
    # Drawing it with rich would load markdown and syntax highlighting, longer than all the rest.
    assert loaded_by(["--help"]).isdisjoint({"rich", "pygments", "tomllib", "tomli"})


def test_searching_never_loads_what_only_training_needs(
    trained: Trained, docs: Path, tmp_path: Path
) -> None:
    database, model = str(tmp_path / "db"), str(trained.model)
    worked = loaded_by(
        ["index", str(docs), "--model", model, "--database", database],
        ["inspect-model", model, "--database", database],
    )
    assert "lancedb" in worked
    assert worked.isdisjoint(HEAVY)
    asked = loaded_by(["query", "a timer", "--database", database, "--quiet"])
    # What a single query does without: it would wait for the import longer than for the answer.
    assert asked.isdisjoint(HEAVY | {"scipy", "model2vec", "lance_namespace", "pandas", "pydantic"})


def test_a_client_loads_nothing_that_reads_a_table() -> None:
    code = "import sys, ragdoll; ragdoll.Client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **HERE},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "ragdoll.client" in loaded
    assert {"numpy", "pyarrow", "lancedb", "asyncio"}.isdisjoint(loaded)


@pytest.mark.slow
def test_importing_any_module_prints_nothing() -> None:
    # Frameworks that integrations are for need not be there.
    names = [
        name_of(path)
        for path in modules()
        if path.name != "__main__.py" and room_of(path) != "integrations"
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:ragdoll", "-c", code, *names],
        env={**os.environ, **HERE},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
