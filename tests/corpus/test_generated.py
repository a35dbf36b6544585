"""Tests of what is left out because programs made it, and of hidden files."""

from __future__ import annotations

import json
from html import escape
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
        (["pyproject.toml", "build/lib/x.py"], "build", "folder of a build"),
        (["mkdocs.yml", "site/x.txt"], "site", "folder of a build"),
        (["_build/html/x.txt"], "_build", "folder of a build"),
        (["_site/x.txt"], "_site", "folder of a build"),
        (["htmlcov/x.txt"], "htmlcov", "folder of a build"),
        (["x.egg-info/SOURCES.txt"], "x.egg-info", "folder of a build"),
        (["cmake-build-debug/x.txt"], "cmake-build-debug", "folder of a build"),
        (["out/CMakeCache.txt"], "out", "folder of a build"),
        (["env/conda-meta/history", "env/x.py"], "env", "folder of installed packages"),
        (["go.mod", "vendor/x.txt"], "vendor", "folder of installed packages"),
        (["composer.json", "vendor/x.txt"], "vendor", "folder of installed packages"),
        (["Gemfile", "vendor/x.txt"], "vendor", "folder of installed packages"),
        (["Podfile", "Pods/x.txt"], "Pods", "folder of installed packages"),
        (["poetry.lock"], "poetry.lock", "versions of packages, written by a program"),
        (["package-lock.json"], "package-lock.json", "versions of packages, written by a program"),
        (["app.min.js"], "app.min.js", "minified"),
        (["genindex-A.html"], "genindex-A.html", "index or search page of a website"),
        *(
            (files, files[0].partition("/")[0], "index or search page of a website")
            for files in (
                ["search/search_index.json", "search/worker.js"],
                ["searchindex.json"],
                ["searchindex-1a2b.js"],
                ["print.html", "book-1a2b.js"],
                ["np-modindex.html"],
                ["genindex/index.html", "objects.inv"],
                ["search/index.html", "searchindex.js"],
                ["search/all_0.js", "menudata.js"],
                ["index-all.html"],
                ["allclasses-index.html"],
                ["index-files/index-1.html"],
                ["member-search-index.js"],
                ["search-index.js"],
                ["search-index1.57.0.js"],
                ["search.index/x.js"],
            )
        ),
        (["objects.inv", "_modules/a.txt"], "_modules", "copies of what a website was made of"),
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
    "name",
    [
        "build/a.md",
        "dist/a.md",
        "target/a.md",
        "vendor/a.md",
        "Pods/a.md",
        "site/a.md",
        "env/a.md",
        "search/a.md",
        "genindex/a.md",
        "index-files/a.md",
        "search.html",
        "print.html",
        "searchIndex.js",
        "build-search-index.js",
    ],
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


DATA = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4" * 5 + "Jggg=="
LINES = "\n".join(DATA[at : at + 76] for at in range(0, len(DATA), 76))


@pytest.mark.parametrize(
    "data",
    [
        f"data:image/png;base64,{DATA}",
        f"data:image/png;base64,{LINES}",
        f"DATA:image/png;charset=x;BASE64,{DATA}",
        f"data:;base64,{DATA}",
        f"data:font/woff2;base64,{'-_8A' * 30}",
        f"data:image/svg+xml;utf8,{'%3Csvg%20xmlns%3D%22http' * 5}",
        "data:image/svg+xml;utf8,<svg xmlns='http://x.org'><path d='M0 1'/></svg>",
        "data:image/svg+xml,%3csvg xmlns='http://x.org'%3e%3cpath d='M0 1'/%3e%3c/svg%3e",
    ],
    ids=lambda data: data[:28],
)
@pytest.mark.parametrize("name", ["a.md", "a.jsonl", "a.html", "a.ipynb", "a.csv"])
def test_a_file_in_the_text_of_another_is_left_out(tmp_path: Path, name: str, data: str) -> None:
    text = f"One.\n\n(({data}))\n\nTwo.\n"
    cell = {"cell_type": "markdown", "source": text}
    contents = {
        "a.jsonl": json.dumps({"text": text}),
        "a.html": f"<p>{escape(text)}</p>",
        "a.ipynb": json.dumps({"cells": [cell]}),
        "a.csv": f'text\n"{text}"\n',
    }
    (tmp_path / name).write_text(contents.get(name, text))
    (document,) = opened(tmp_path, [])
    assert "".join(document.text.split()) == f"One.(({data.partition(',')[0]},…))Two."
    if name == "a.md":
        assert document.text.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "text", [f"data:;base64,{DATA} limestone arches", "data:a,b", "data:image/png;base64,aGVsbG8="]
)
def test_what_stands_beside_a_file_in_a_text_is_kept(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    (document,) = opened(tmp_path, [])
    assert document.text == text.replace(DATA, "…")
