"""Tests of what is left out because programs made it, and of hidden files."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.reading import read
from ragdoll.settings import CorpusSettings


def opened(folder: Path, files: list[str], **settings: object) -> Corpus:
    for name in files:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("A text.")
    corpus = read(folder, settings=CorpusSettings(**settings))  # type: ignore[arg-type]
    list(corpus)
    return corpus


def names(corpus: Corpus) -> list[str]:
    return sorted(document.source for document in corpus)


@pytest.mark.parametrize(
    ("files", "left_out", "reason"),
    [
        (["node_modules/a/x.js"], "node_modules", "folder of installed packages"),
        (["env/pyvenv.cfg", "env/lib/x.py"], "env", "folder of installed packages"),
        (["target/CACHEDIR.TAG", "target/x.txt"], "target", "folder of a build"),
        (["package.json.txt", "package.json", "dist/x.js"], "dist", "folder of a build"),
        (["Cargo.toml", "target/x.txt"], "target", "folder of a build"),
        (["poetry.lock"], "poetry.lock", "versions of packages, written by a program"),
        (["package-lock.json"], "package-lock.json", "versions of packages, written by a program"),
        (["app.min.js"], "app.min.js", "minified"),
        (["genindex-A.html"], "genindex-A.html", "index or search page of a website"),
        (["objects.inv", "search.html"], "search.html", "index or search page of a website"),
        (["objects.inv", "_sources/a.txt"], "_sources", "copies of what a website was made of"),
    ],
)
def test_what_programs_made_is_left_out_and_named(
    tmp_path: Path, files: list[str], left_out: str, reason: str
) -> None:
    corpus = opened(tmp_path, ["a.md", *files])
    assert (left_out, reason) in [(item.path, item.reason) for item in corpus.skipped]
    assert not any(name.startswith(left_out) for name in names(corpus))
    everything = names(opened(tmp_path, [], generated=True))
    assert {"a.md", *(name for name in files if name.endswith((".js", ".py", ".txt")))} <= {
        *everything
    }


@pytest.mark.parametrize(
    "name", ["build/a.md", "dist/a.md", "target/a.md", "search.html", "env/a.md"]
)
def test_names_alone_do_not_tell_a_build(tmp_path: Path, name: str) -> None:
    assert names(opened(tmp_path, [name])) == [name]


def test_code_of_lines_that_nobody_writes_is_minified(tmp_path: Path) -> None:
    (tmp_path / "index.js").write_text("var a=1;" * 1000)
    (tmp_path / "long.txt").write_text("A long line. " * 1000)
    corpus = opened(tmp_path, [])
    assert [(item.path, item.reason) for item in corpus.skipped] == [("index.js", "minified")]
    assert names(corpus) == ["long.txt"]


def test_hidden_files_are_read_when_asked_for(tmp_path: Path) -> None:
    files = ["a.md", ".github/CONTRIBUTING.md", ".git/x.txt", ".notes.md"]
    assert names(opened(tmp_path, files)) == ["a.md"]
    assert names(opened(tmp_path, [], hidden=True)) == [
        *(".github/CONTRIBUTING.md", ".notes.md", "a.md")
    ]
    assert "a.md" in names(opened(tmp_path / ".github", ["a.md"]))


def test_a_file_in_the_text_of_another_is_left_out(tmp_path: Path) -> None:
    data = "aGVs\nbG8h" * 40
    (tmp_path / "a.md").write_text(f"One.\n![x](data:image/png;base64,{data})\nTwo.\n")
    (document,) = opened(tmp_path, [])
    assert "aGVs" not in document.text
    assert document.text.index("Two.") > 0
    lines = f"One.\n{data}\nTwo.".count("\n")
    assert document.text[: document.text.index("Two.")].count("\n") == lines
