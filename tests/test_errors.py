"""The wording of errors: numbers, extras, and the command that installs what is missing."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from ragdoll import extras
from ragdoll.errors import first_line, number_of


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 passes"), (1, "1 pass"), (2, "2 passes"), (1234, "1,234 passes")]
)
def test_one_thing_is_no_plural(number: int, said: str) -> None:
    assert number_of("pass", number, "passes") == said
    assert number_of("row", number) == said.replace("passes", "rows").replace("pass", "row")


def test_an_error_of_a_library_is_said_by_its_first_line() -> None:
    assert first_line(ValueError("no such column\nat line 3")) == "no such column"
    assert first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'ragdoll-cli[train]'"),
        (
            {"url": "file:///home/me/my%20tools", "dir_info": {}},
            "pip install '/home/me/my tools[train]'",
        ),
        (
            {"url": "file:///srv/ragdoll", "dir_info": {"editable": True}},
            "pip install -e '/srv/ragdoll[train]'",
        ),
        (
            {"url": "https://host/ragdoll.git", "vcs_info": {"vcs": "git", "commit_id": "1"}},
            "pip install 'ragdoll-cli[train] @ git+https://host/ragdoll.git@1'",
        ),
        (
            {
                "url": "https://host/all.git",
                "vcs_info": {"vcs": "git", "commit_id": "1", "requested_revision": "next"},
                "subdirectory": "tools",
            },
            "pip install 'ragdoll-cli[train] @ git+https://host/all.git@next#subdirectory=tools'",
        ),
        (
            {"url": "file:///srv/ragdoll.whl", "archive_info": {}},
            "pip install 'ragdoll-cli[train] @ file:///srv/ragdoll.whl'",
        ),
    ],
)
def test_the_hint_about_a_missing_extra_fits_how_ragdoll_was_installed(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, command: str
) -> None:
    read = {"direct_url.json": None if origin is None else json.dumps(origin)}
    monkeypatch.setattr(extras, "distribution", lambda name: SimpleNamespace(read_text=read.get))
    assert command in str(extras.missing("train", "Training").hint)


@pytest.mark.parametrize(
    ("installer", "active", "command"),
    [
        ("pip", "/env", "pip install ragdoll"),
        ("pip", "/elsewhere", "/env/bin/python -m pip install ragdoll"),
        ("uv", "/env", "uv pip install ragdoll"),
        ("uv", None, "uv pip install --python /env/bin/python ragdoll"),
    ],
)
def test_the_hint_installs_into_the_environment_of_ragdoll(
    monkeypatch: pytest.MonkeyPatch, installer: str, active: str | None, command: str
) -> None:
    read = {"INSTALLER": f"{installer}\n", "direct_url.json": None}
    monkeypatch.setattr(extras, "distribution", lambda name: SimpleNamespace(read_text=read.get))
    monkeypatch.setattr(sys, "prefix", "/env")
    monkeypatch.setattr(sys, "executable", "/env/bin/python")
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    if active:
        monkeypatch.setenv("VIRTUAL_ENV", active)
    said = extras.install_command("train").replace("'ragdoll-cli[train]'", "ragdoll")
    assert said == command
