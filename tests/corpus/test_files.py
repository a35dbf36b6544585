"""Files and folders as a corpus: what is read, what is left out, and what is said about it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdoll.corpus.documents import Corpus
from ragdoll.corpus.formats.kinds import Manner
from ragdoll.corpus.sources.folder import OWN_MARKER, FileSource
from ragdoll.errors import CorpusError
from tests.conftest import Ragdoll, Trained
from tests.corpus.reading import alarm
from tests.making import open_corpus


def folder_of(place: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def opened(place: Path, ignore_files: bool = True) -> Corpus:
    return open_corpus([str(place)], ignore_files=ignore_files)


def names(place: Path, ignore_files: bool = True) -> list[str]:
    return [document.source for document in opened(place, ignore_files)]


def skipped(place: Path) -> dict[str, str]:
    corpus = opened(place)
    list(corpus)
    return {left_out.path: left_out.reason for left_out in corpus.skipped}


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Fail a test that would wait forever."""
    with alarm(20):
        yield


def own(kind: str) -> bytes:
    return OWN_MARKER + f'{kind}"\n}}\n'.encode()


# What is read


def test_a_document_is_a_file_with_its_relative_path(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"guide/start.md": "# Start here\n\nRead this.\n"})
    (document,) = opened(folder)
    assert (document.root, document.source) == (str(folder), "guide/start.md")
    assert (document.title, document.text) == ("Start here", "# Start here\n\nRead this.\n")
    assert document.metadata == {}


def test_a_file_alone_is_named_by_its_name(tmp_path: Path) -> None:
    file = folder_of(tmp_path, {"guide/start.txt": "Read this."}) / "guide/start.txt"
    (document,) = opened(file)
    assert (document.root, document.source) == (str(file.parent), "start.txt")
    assert document.title == "start.txt"


def test_a_document_says_whether_it_is_a_whole_file(docs: Path) -> None:
    assert {document.source: document.whole_file for document in opened(docs)} == {
        "locks.txt": True,
        "loop.md": True,
        "streams.jsonl#reader": False,
        "streams.jsonl#writer": False,
    }


def test_the_root_does_not_depend_on_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path, {"docs/a.txt": "a"})
    monkeypatch.chdir(tmp_path)
    assert open_corpus(["docs"]).roots == [str(tmp_path / "docs")]
    monkeypatch.chdir(tmp_path / "docs")
    assert open_corpus(["."]).roots == [str(tmp_path / "docs")]


def test_every_reading_yields_the_same_documents_in_the_same_order(docs: Path) -> None:
    corpus = opened(docs)
    first = list(corpus)
    assert [document.source for document in first] == [
        "locks.txt",
        "loop.md",
        "streams.jsonl#reader",
        "streams.jsonl#writer",
    ]
    assert list(corpus) == first


def test_folders_are_walked_in_the_order_of_their_names(tmp_path: Path) -> None:
    made = ["c.txt", "b/z.txt", "b/a.txt", "D.txt", "a.txt", "b.txt"]
    folder = folder_of(tmp_path, dict.fromkeys(made, "text"))
    assert names(folder) == ["D.txt", "a.txt", "b/a.txt", "b/z.txt", "b.txt", "c.txt"]


@pytest.mark.parametrize(
    "name", ["a.txt", "a.text", "a.md", "a.markdown", "a.rst", "a.adoc", "a.org", "a.tex", "A.TXT"]
)
def test_plain_text_in_its_common_formats_is_read(name: str, tmp_path: Path) -> None:
    assert names(folder_of(tmp_path, {name: "text"})) == [name]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "A.JSONL"])
def test_json_lines_are_read_record_by_record(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {name: '{"text": "one"}\n{"text": "two"}\n'})
    assert names(folder) == [f"{name}#1", f"{name}#2"]


@pytest.mark.parametrize(
    "content",
    ["café".encode(), "café".encode("utf-8-sig"), "café".encode("utf-16")],
    ids=["utf-8", "utf-8 with mark", "utf-16"],
)
def test_unicode_files_are_read_without_their_byte_order_mark(
    content: bytes, tmp_path: Path
) -> None:
    (document,) = opened(folder_of(tmp_path, {"a.txt": content}))
    assert document.text == "café"


def test_big_endian_utf_16_is_read(tmp_path: Path) -> None:
    content = b"\xfe\xff" + "café".encode("utf-16-be")
    (document,) = opened(folder_of(tmp_path, {"a.txt": content}))
    assert document.text == "café"


def test_records_with_the_same_id_are_both_kept(tmp_path: Path) -> None:
    lines = '{"_id": "a", "text": "one"}\n{"_id": "a", "text": "two"}\n'
    documents = list(opened(folder_of(tmp_path, {"a.jsonl": lines})))
    assert [(document.source, document.text) for document in documents] == [
        ("a.jsonl#a", "one"),
        ("a.jsonl#a~2", "two"),
    ]


@given(ids=st.lists(st.sampled_from(["a", "a~2", "a~2~2", "1", "2"]), max_size=6))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_a_source_is_unique_whatever_the_ids_are(
    ids: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = "".join(json.dumps({"_id": name, "text": "text"}) + "\n" for name in ids)
    folder = folder_of(tmp_path_factory.mktemp("ids"), {"a.jsonl": lines})
    found = names(folder)
    assert len(set(found)) == len(found) == len(ids)


@pytest.fixture
def odd_names(tmp_path: Path) -> Path:
    """A folder and two files in it, none of whose names is Unicode."""
    folder = os.fsencode(tmp_path) + b"/d\xe9"
    try:
        os.mkdir(folder)  # noqa: PTH102  (a Path cannot be made of these bytes)
        for name in (b"/caf\xe9.txt", b"/caf\xe8.txt"):
            os.close(os.open(folder + name, os.O_CREAT))
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    return Path(os.fsdecode(folder))


@pytest.mark.parametrize("content", ["text", ""], ids=["read", "left out"])
def test_names_that_are_not_unicode_are_told_apart_in_unicode(
    content: str, odd_names: Path
) -> None:
    for file in odd_names.iterdir():
        file.write_text(content)
    corpus = opened(odd_names)
    documents = list(corpus)
    paths = {document.source for document in documents} | {s.path for s in corpus.skipped}
    assert len(paths) == 2
    for said in [*paths, *(document.title for document in documents)]:
        said.encode()


def test_a_folder_whose_name_is_not_unicode_is_told_in_unicode(odd_names: Path) -> None:
    for root in opened(odd_names).roots:
        root.encode()


# What is left out without a word


def test_what_an_ignore_file_names_is_left_out(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        {
            ".gitignore": "# built\nbuild/\n*.rst\n/top.txt\n",
            ".ragdollignore": "draft-*\n!draft-good.md\n",
            "a.rst": "x",
            "build/a.txt": "x",
            "deep/build/a.txt": "x",
            "deep/top.txt": "read",
            "draft-bad.md": "x",
            "draft-good.md": "read",
            "top.txt": "x",
        },
    )
    assert names(folder) == ["deep/top.txt", "draft-good.md"]
    assert skipped(folder) == {}


def test_an_ignore_file_holds_for_its_own_folder_and_below(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        {
            "a/.gitignore": "secret.txt\n/here.txt\n",
            "a/secret.txt": "x",
            "a/b/secret.txt": "x",
            "a/here.txt": "x",
            "a/b/here.txt": "read",
            "secret.txt": "read",
        },
    )
    assert names(folder) == ["a/b/here.txt", "secret.txt"]


def test_a_deeper_ignore_file_takes_back_what_one_above_it_ignores(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        {
            ".gitignore": "*.md\n",
            "a/.gitignore": "!keep.md\n",
            "a/drop.md": "x",
            "a/keep.md": "read",
            "keep.md": "x",
        },
    )
    assert names(folder) == ["a/keep.md"]


def test_what_is_in_an_ignored_folder_cannot_be_taken_back(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        {
            ".gitignore": "build/\n!build/keep.txt\n",
            "build/keep.txt": "x",
            "build/.gitignore": "!keep.txt\n",
        },
    )
    assert names(folder) == []


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["unix", "windows"])
def test_ignore_files_of_every_system_are_understood(
    mark: bytes, end: bytes, tmp_path: Path
) -> None:
    patterns = mark + b"*.md" + end + b"build/" + end
    folder = folder_of(tmp_path, {".gitignore": patterns, "a.md": "x", "b.txt": "b"})
    assert names(folder) == ["b.txt"]


def test_ignored_files_are_read_on_request(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, {".gitignore": "*.md\n", "a.md": "a", "b/.ragdollignore": "*\n", "b/c.txt": "c"}
    )
    assert names(folder, ignore_files=True) == []
    assert names(folder, ignore_files=False) == ["a.md", "b/c.txt"]


@pytest.mark.parametrize(
    "line",
    [b"!", b"\\", b"foo\\", b"[a", b"[[:no:]]", b"/", b"[a-", b"a\0b"],
    ids=["no", "escape", "end", "bracket", "class", "root", "half", "zero"],
)
def test_a_line_of_an_ignore_file_that_is_no_pattern_is_named_and_the_others_hold(
    line: bytes, tmp_path: Path
) -> None:
    content = b"*.md\n# a comment\n" + line + b"\n" + line + b"\n*.rst\n"
    folder = folder_of(
        tmp_path, {".gitignore": content, "a.md": "x", "a.rst": "x", "a.txt": "a", "foo": "x"}
    )
    assert names(folder) == ["a.txt", "foo"]
    assert skipped(folder) == {".gitignore": "line 3: not a pattern"}
    assert opened(folder).signature() == opened(folder).signature()


def test_an_ignore_file_need_not_be_unicode(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, {".gitignore": b"# caf\xe9\n*\xe9*\n*.md\n", "a.md": "x", "b.txt": "b"}
    )
    assert names(folder) == ["b.txt"]
    assert skipped(folder) == {}


def test_an_ignore_file_in_utf_16_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {".gitignore": "*.md\n".encode("utf-16"), "a.md": "a"})
    assert names(folder) == ["a.md"]
    assert skipped(folder) == {".gitignore": "line 1: not a pattern"}


def test_an_ignore_file_is_read_up_to_a_bound_that_is_named(tmp_path: Path) -> None:
    content = b"*.md\n" + b"#" * 2**20 + b"\n*.txt\n"
    folder = folder_of(tmp_path, {".gitignore": content, "a.md": "x", "b.txt": "b"})
    assert names(folder) == ["b.txt"]
    assert skipped(folder) == {".gitignore": "larger than 1 MiB; the rest is not used"}


@pytest.mark.parametrize("name", [".gitignore", ".ragdollignore"])
def test_a_folder_named_like_an_ignore_file_is_named(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"{name}/b.txt": "x", "a.txt": "a"})
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {name: "not a regular file"}


def test_an_ignore_file_that_is_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder_of(tmp_path, {"patterns": "*.txt\n", "docs/a.txt": "a", "docs/b/c.txt": "x"})
    folder_of(tmp_path, {"docs/shared": "c.txt\n"})
    (tmp_path / "docs/.gitignore").symlink_to("../patterns")
    (tmp_path / "docs/b/.gitignore").symlink_to("../shared")
    assert names(tmp_path / "docs") == ["a.txt", "shared"]
    assert skipped(tmp_path / "docs") == {".gitignore": "link out of the folder"}


def test_an_ignore_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, {".gitignore": "*.md\n", "a.txt": "a"})
    open_path = Path.open

    def denied(self: Path, mode: str = "r", **settings: Any) -> object:
        if self.name == ".gitignore":
            raise PermissionError(13, "Permission denied")
        return open_path(self, mode, **settings)

    monkeypatch.setattr(Path, "open", denied)
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {".gitignore": "Permission denied"}


@pytest.mark.usefixtures("no_waiting")
def test_a_pattern_of_many_stars_takes_no_time(tmp_path: Path) -> None:
    name = "a" * 200 + ".txt"
    folder = folder_of(
        tmp_path, {".gitignore": "*a" * 30 + "b\n" + "/" + "*a" * 30 + "b\n", name: "a"}
    )
    assert names(folder) == [name]


@pytest.mark.usefixtures("no_waiting")
def test_a_pattern_of_many_folders_takes_no_time(tmp_path: Path) -> None:
    name = "a/" * 40 + "a.txt"
    folder = folder_of(tmp_path, {".gitignore": "**/a/" * 15 + "b\n", name: "a"})
    assert names(folder) == [name]


# Ignore files mean what they mean to git

TREES: dict[str, dict[str, str]] = {
    "only one format": {
        ".gitignore": "*\n!*/\n!*.md\n",
        "sub/secret.txt": "",
        "sub/a.md": "",
        "b.md": "",
    },
    "taken back": {
        ".gitignore": "*.log.txt\n!a\n",
        "a/x/debug.log.txt": "",
        "a/x/y.txt": "",
    },
    "no patterns": {
        ".gitignore": "/\n!\n\\\nfoo\\\n[z-a]\n[a\n//\n  \n\t\n#a.txt\n",
        "a.txt": "",
        "foo/a.txt": "",
    },
    "folders": {
        ".gitignore": "a/\nb.txt/\n/c\nd/e\n**/f/g\nh/**\ni/**/j.txt\nk/*/l.txt\n",
        "a/x.txt": "",
        "y/a/x.txt": "",
        "b.txt": "",
        "y/b.txt/x.txt": "",
        "c/x.txt": "",
        "y/c/x.txt": "",
        "d/e/x.txt": "",
        "y/d/e/x.txt": "",
        "f/g/x.txt": "",
        "y/f/g/x.txt": "",
        "h/x/y.txt": "",
        "i/j.txt": "",
        "i/x/y/j.txt": "",
        "k/x/l.txt": "",
        "k/x/y/l.txt": "",
    },
    "deeper": {
        ".gitignore": "*.txt\n!keep.txt\n/a/b/\n",
        "a/.gitignore": "!here.txt\n/keep.txt\n",
        "a/here.txt": "",
        "a/keep.txt": "",
        "a/c/keep.txt": "",
        "a/b/keep.txt": "",
        "here.txt": "",
    },
    "everything in a folder but one": {
        ".gitignore": "/a/*\n!/a/b\n/a/b/*\n!/a/b/c.txt\n",
        "a/c.txt": "",
        "a/b/c.txt": "",
        "a/b/d.txt": "",
        "a/d/c.txt": "",
    },
    "choices": {
        ".gitignore": "[ab]1.txt\n[!c-d]2.txt\n[^c]3.txt\n[]x]4.txt\n[[:digit:]-]5.txt\n"
        "[z-c]6.txt\n[a\\]]6.txt\n[[:]7.txt\n?8.txt\nc[/]9.txt\n[a-]10.txt\n",
        **{f"{start}{n}.txt": "" for start in "acd]-:[x5é" for n in range(1, 11)},
        "c/9.txt": "",
    },
    "escapes and spaces": {
        ".gitignore": "\\#a.txt\n\\!b.txt\nc.txt   \nd.txt\\ \n e.txt\n\\f.txt\ng\\*.txt\n"
        "h.txt\t\ni.txt\r\n",
        **dict.fromkeys(("#a.txt", "!b.txt", "c.txt", "d.txt", "d.txt ", "e.txt"), ""),
        **dict.fromkeys((" e.txt", "f.txt", "g*.txt", "gg.txt", "h.txt", "i.txt"), ""),
    },
    "stars": {
        ".gitignore": "a*b.txt\n*x*.*t*c\n**c.txt\nd**/e.txt\nf/**g.txt\nh**i/j.txt\n**\\/k.txt\n",
        **{
            f"{start}{name}": "" for start in ("", "y/") for name in ("a-b.txt", "ab.txt", "xc.txt")
        },
        **{f"d{name}": "" for name in ("/e.txt", "x/e.txt", "x/y/e.txt", "e.txt")},
        **{f"f/{name}": "" for name in ("g.txt", "xg.txt", "x/g.txt")},
        **{f"h{name}": "" for name in ("i/j.txt", "xi/j.txt", "x/i/j.txt")},
        **{f"{start}k.txt": "" for start in ("", "x/", "x/y/")},
    },
}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("tree", list(TREES))
def test_what_git_ignores_is_left_out_and_nothing_else(tree: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {name: text or "text" for name, text in TREES[tree].items()})
    git = ["git", "-c", f"core.excludesFile={os.devnull}"]
    subprocess.run([*git, "init", "-q", folder], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--others", "--exclude-standard", "*.txt", "*.md"],
        cwd=folder,
        capture_output=True,
        check=True,
    )
    assert sorted(names(folder)) == sorted(os.fsdecode(listed.stdout).split("\0")[:-1])


def test_what_the_folders_above_ignore_is_left_out_up_to_that_of_the_repository(
    tmp_path: Path,
) -> None:
    folder_of(
        tmp_path,
        {
            ".gitignore": "b.txt\n",
            "work/.git/HEAD": "",
            "work/.gitignore": "*.md\n/docs/top.txt\n/docs/a/c.txt\nx.txt\n!\n",
            "work/docs/.ragdollignore": "draft.txt\n",
            "work/docs/a/.gitignore": "!x.txt\n",
            "work/docs/top.txt": "x",
            "work/docs/a/a.md": "x",
            "work/docs/a/b.txt": "read",
            "work/docs/a/c.txt": "x",
            "work/docs/a/draft.txt": "x",
            "work/docs/a/top.txt": "read",
            "work/docs/a/x.txt": "read",
        },
    )
    assert names(tmp_path / "work/docs") == ["a/b.txt", "a/top.txt", "a/x.txt"]
    assert names(tmp_path / "work/docs/a") == ["b.txt", "top.txt", "x.txt"]
    assert len(names(tmp_path / "work/docs/a", ignore_files=False)) == 6
    assert skipped(tmp_path / "work/docs/a") == {"../../.gitignore": "line 5: not a pattern"}


def test_a_folder_above_that_is_no_repository_ignores_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path, {".gitignore": "*.txt\n", "docs/a.txt": "a"})
    assert names(tmp_path / "docs") == ["a.txt"]


def test_an_ignored_folder_that_is_named_is_read(tmp_path: Path) -> None:
    folder_of(tmp_path, {".git/HEAD": "", ".gitignore": "build/\n", "build/a.txt": "a"})
    assert names(tmp_path) == []
    assert names(tmp_path / "build") == ["a.txt"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, {".hidden.txt": "x", ".git/a.txt": "x", "a/.b/c.txt": "x", "a/d.txt": "d"}
    )
    assert names(folder) == ["a/d.txt"]
    assert names(folder, ignore_files=False) == ["a/d.txt"]
    assert skipped(folder) == {}


def test_a_hidden_folder_that_is_named_is_read(tmp_path: Path) -> None:
    assert names(folder_of(tmp_path / ".notes", {"a.txt": "a"})) == ["a.txt"]


def test_links_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = folder_of(tmp_path / "outside", {"secret.txt": "x"})
    folder = folder_of(tmp_path / "docs", {"a.txt": "a"})
    (folder / "file.txt").symlink_to(outside / "secret.txt")
    (folder / "folder").symlink_to(outside)
    (folder / "up.txt").symlink_to("../outside/secret.txt")
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {
        "file.txt": "link out of the folder",
        "folder": "linked folder",
        "up.txt": "link out of the folder",
    }


def test_hidden_and_ignored_links_are_left_out_without_a_word(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {".gitignore": "out\n", "a.txt": "a"})
    for name in (".hidden", "out", "base.lance"):
        (folder / name).symlink_to(tmp_path.parent)
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {}


def test_a_link_to_a_file_of_the_same_folder_is_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    (folder / "b.txt").symlink_to("a.txt")
    assert names(folder) == ["a.txt", "b.txt"]


def test_a_folder_that_is_named_by_a_link_is_read(tmp_path: Path) -> None:
    folder_of(tmp_path / "docs", {"a.txt": "a"})
    (tmp_path / "link").symlink_to("docs")
    assert names(tmp_path / "link") == ["a.txt"]


def test_a_folder_that_links_to_itself_is_read_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a", "b/c.txt": "c"})
    (folder / "b" / "again").symlink_to(folder)
    (folder / "self").symlink_to(".")
    assert names(folder) == ["a.txt", "b/c.txt"]


@pytest.mark.parametrize("name", ["loop", "loop.txt"])
def test_a_link_that_leads_to_itself_does_not_stop_the_reading(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a", "z.txt": "z"})
    (folder / name).symlink_to(name)
    assert names(folder) == ["a.txt", "z.txt"]


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("name", ["pipe.txt", "pipe"])
def test_a_pipe_is_named_and_not_waited_for(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    os.mkfifo(folder / name)
    assert opened(folder).signature() == opened(folder).signature() is not None
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {name: "not a regular file"}


@pytest.mark.usefixtures("no_waiting")
def test_a_link_to_a_pipe_is_named_and_not_waited_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    os.mkfifo(folder / "pipe")
    (folder / "x.txt").symlink_to("pipe")
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == dict.fromkeys(("pipe", "x.txt"), "not a regular file")


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("name", ["manifest.json", "ragdoll.json", ".gitignore", ".ragdollignore"])
def test_a_pipe_named_like_a_file_that_is_looked_into_is_not_waited_for(
    name: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    os.mkfifo(folder / name)
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {name: "not a regular file"}


def test_a_socket_does_not_stop_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.txt")
        assert names(folder) == ["a.txt"]
        assert skipped(folder) == {"socket.txt": "not a regular file"}


# The folders that ragdoll writes


def test_a_features_folder_and_a_model_are_never_read(trained: Trained, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    (folder / "features").mkdir()
    (folder / "model" / "variants").mkdir(parents=True)
    manifest = (trained.features / "manifest.json").read_bytes()
    folder_of(folder / "features", {"manifest.json": manifest, "notes.txt": "x"})
    description = (trained.model / "ragdoll.json").read_bytes()
    folder_of(folder / "model", {"ragdoll.json": description, "README.md": "x"})
    folder_of(folder / "model", {"variants/weighted/README.md": "x"})
    assert names(folder) == ["a.txt"]
    assert names(folder, ignore_files=False) == ["a.txt"]
    assert skipped(folder) == {}


def test_features_are_no_corpus_even_where_they_are_named(trained: Trained) -> None:
    try:
        documents = list(opened(trained.features))
    except CorpusError:
        documents = []
    assert documents == []


def test_a_table_among_the_documents_is_never_read(
    docs: Path, trained: Trained, ragdoll: Ragdoll
) -> None:
    command = ["index", docs, "--model", trained.model, "--database", docs / "base", "--json"]
    first, second = ragdoll(*command).json, ragdoll(*command).json
    assert (first["added"], first["skipped"]) == (4, [])
    assert (second["unchanged"], second["added"], second["skipped"]) == (4, 0, [])


def test_what_is_inside_a_lance_folder_is_never_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"documents.lance/_versions/a.txt": "x", "a.txt": "a"})
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {}


@pytest.mark.parametrize("name", ["ragdoll.json", "manifest.json"])
def test_a_folder_is_ragdolls_by_the_beginning_of_its_file(name: str, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"made/{name}": own("model"), "made/a.txt": "x", "b.txt": "b"})
    assert names(folder) == ["b.txt"]


@pytest.mark.parametrize(
    "content",
    ['{"name": "a web application"}', '{"format": "ragdoll-model"}', "", '{\n  "format": "other"}'],
    ids=["web", "other layout", "empty", "other format"],
)
@pytest.mark.parametrize("name", ["ragdoll.json", "manifest.json"])
def test_a_file_of_the_user_with_such_a_name_is_no_reason(
    name: str, content: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, {name: content, "a.txt": "a"})
    assert names(folder) == ["a.txt"]


def test_a_folder_of_the_user_with_such_a_name_is_no_reason(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"manifest.json/b.txt": "b", "a.txt": "a"})
    assert names(folder) == ["a.txt", "manifest.json/b.txt"]


# What is left out and said


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.md", b" \n\t\n", "empty"),
        ("a.txt", b"\xef\xbb\xbf", "empty"),
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b"\n\n", "empty"),
        ("a.txt", b"a\0b", "binary"),
        ("a.txt", b"\xff\xfea\0\0\0", "binary"),
        ("a.png", b"\x89PNG", "format .png"),
        ("a.PNG", b"\x89PNG", "format .PNG"),
        ("core", b"\x7fELF\x02\x01\x01\0\0\0\x03\0", "format unknown"),
    ],
    ids=[
        "empty",
        "blank",
        "only a mark",
        "no records",
        "blank records",
        "binary",
        "binary with a mark",
        "picture",
        "upper case",
        "no suffix",
    ],
)
def test_a_file_that_is_no_text_is_left_out_with_the_reason(
    name: str, content: bytes, reason: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, {f"sub/{name}": content, "z.txt": "z"})
    assert names(folder) == ["z.txt"]
    assert skipped(folder) == {f"sub/{name}": reason}


def test_a_file_that_vanishes_while_reading_is_left_out_with_the_reason(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path, {"a.txt": "a", "b.txt": "b", "c.jsonl": '{"text": "c"}', "d.txt": "d"}
    )
    corpus = opened(folder)
    documents = iter(corpus)
    read = [next(documents).source]
    (folder / "b.txt").unlink()
    (folder / "c.jsonl").unlink()
    read += [document.source for document in documents]
    assert read == ["a.txt", "d.txt"]
    assert [left_out.path for left_out in corpus.skipped] == ["b.txt", "c.jsonl"]
    assert {left_out.reason for left_out in corpus.skipped} == {"No such file or directory"}


def test_a_file_alone_that_vanishes_is_left_out_by_its_name(tmp_path: Path) -> None:
    file = folder_of(tmp_path, {"a.txt": "a"}) / "a.txt"
    corpus = opened(file)
    file.unlink()
    assert list(corpus) == []
    assert [left_out.path for left_out in corpus.skipped] == ["a.txt"]


def test_a_dangling_link_is_left_out_with_the_reason(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a"})
    (folder / "b.txt").symlink_to("gone.txt")
    assert names(folder) == ["a.txt"]
    assert skipped(folder) == {"b.txt": "No such file or directory"}


def test_a_file_that_may_not_be_read_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a", "b.txt": "b"})
    read = Path.read_bytes

    def denied(self: Path) -> bytes:
        if self.name == "a.txt":
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert names(folder) == ["b.txt"]
    assert skipped(folder) == {"a.txt": "Permission denied"}


def test_a_folder_that_may_not_be_listed_is_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, {"a/b.txt": "b", "c.txt": "c"})
    scan = os.scandir

    def denied(place: Path) -> object:
        if Path(place).name == "a":
            raise PermissionError(13, "Permission denied")
        return scan(place)

    monkeypatch.setattr(os, "scandir", denied)
    assert names(folder) == ["c.txt"]
    assert skipped(folder) == {"a": "Permission denied"}


def test_a_folder_that_vanishes_while_reading_is_left_out_with_the_reason(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a", "b/c.txt": "c", "d.txt": "d"})
    corpus = opened(folder)
    documents = iter(corpus)
    read = [next(documents).source]
    (folder / "b" / "c.txt").unlink()
    (folder / "b").rmdir()
    read += [document.source for document in documents]
    assert read == ["a.txt", "d.txt"]
    assert [(item.path, item.reason) for item in corpus.skipped] == [
        ("b", "No such file or directory")
    ]


def test_a_link_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": "a", "z.txt": "z"})
    (folder / "gone").symlink_to("nowhere")
    for name in ("loop", "loop.txt"):
        (folder / name).symlink_to(name)
    assert names(folder) == ["a.txt", "z.txt"]
    assert skipped(folder) == {
        "gone": "No such file or directory",
        **dict.fromkeys(("loop", "loop.txt"), os.strerror(errno.ELOOP)),
    }


def test_a_folder_named_like_a_file_is_a_folder(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"x.txt/a.txt": "a", "x.jsonl/b.txt": "b"})
    assert names(folder) == ["x.jsonl/b.txt", "x.txt/a.txt"]
    assert names(folder / "x.txt") == ["a.txt"]


def test_names_with_line_breaks_are_names(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a\nb.txt": "a", "c\n/d\t.txt": "d", "e\n.txt": ""})
    assert names(folder) == ["a\nb.txt", "c\n/d\t.txt"]
    assert skipped(folder) == {"e\n.txt": "empty"}


def test_folders_may_be_nested_deeper_than_functions_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = sys.getrecursionlimit() + 100
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        os.mkdir("d")  # noqa: PTH102  (the names of such depth are too long to make them at once)
        os.chdir("d")
    Path("a.txt").write_text("a")
    found = names(tmp_path)
    Path("a.txt").unlink()
    for _ in range(depth):  # what cleans up after the tests is not up to it
        os.chdir("..")
        os.rmdir("d")  # noqa: PTH106
    assert found == ["d/" * depth + "a.txt"]


def test_a_folder_of_faults_is_read_and_every_fault_is_said_or_documented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = folder_of(tmp_path / "outside", {"secret.txt": "x"})
    folder = folder_of(
        tmp_path / "docs",
        {
            "a.txt": "a",
            "bad.jsonl": 'no\n{"text": "good"}\n',
            "binary.txt": b"\0",
            "denied.txt": "x",
            "empty.txt": "",
            "broken.txt": b"caf\xe9\0",
            "picture.png": b"\x89PNG",
            "secret/x.txt": "x",
            "x.txt/z.txt": "z",
        },
    )
    (folder / "gone.txt").symlink_to("nowhere.txt")
    (folder / "loop").symlink_to("loop")
    (folder / "out.txt").symlink_to(outside / "secret.txt")
    (folder / "up").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    read, scan = Path.read_bytes, os.scandir

    def read_bytes(self: Path) -> bytes:
        if self.name == "denied.txt":
            raise PermissionError(13, "Permission denied")
        return read(self)

    def scandir(place: Path) -> object:
        if Path(place).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scan(place)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(os, "scandir", scandir)
    assert names(folder) == ["a.txt", "bad.jsonl#2", "x.txt/z.txt"]
    assert skipped(folder) == {
        "bad.jsonl": "line 1: not JSON",
        "binary.txt": "binary",
        "broken.txt": "not utf-8 text",
        "denied.txt": "Permission denied",
        "empty.txt": "empty",
        "gone.txt": "No such file or directory",
        "loop": os.strerror(errno.ELOOP),
        "out.txt": "link out of the folder",
        "picture.png": "format .png",
        "pipe.txt": "not a regular file",
        "secret": "Permission denied",
        "up": "linked folder",
    }


def test_the_account_is_that_of_the_latest_reading(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.txt": ""})
    corpus = opened(folder)
    assert list(corpus) == []
    assert len(corpus.skipped) == 1
    folder_of(folder, {"a.txt": "a"})
    assert len(list(corpus)) == 1
    assert corpus.skipped == []


def test_bad_records_are_left_out_and_the_others_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"a.jsonl": '{"text": "one"}\nnot json\n{"text": "three"}\n'})
    assert names(folder) == ["a.jsonl#1", "a.jsonl#3"]
    assert skipped(folder) == {"a.jsonl": "line 2: not JSON"}


def test_the_summary_of_an_index_names_what_was_left_out(
    docs: Path, trained: Trained, ragdoll: Ragdoll
) -> None:
    folder_of(docs, {"scan.png": b"\x89PNG", "void.txt": ""})
    result = ragdoll("index", docs, "--model", trained.model, "--database", "base", "--json")
    assert result.json["skipped"] == [
        {"path": "scan.png", "reason": "format .png", "root": str(docs)},
        {"path": "void.txt", "reason": "empty", "root": str(docs)},
    ]
    assert result.json["skipped_count"] == 2


# The signature


def signature(place: Path, **changes: object) -> str | None:
    values: dict = {"path": place.resolve(), **changes}
    return FileSource(**values).signature()


def test_the_signature_stays_while_nothing_changes(docs: Path) -> None:
    assert signature(docs) == signature(docs) is not None
    assert opened(docs).signature() == opened(docs).signature()


def test_the_signature_stays_when_a_file_changes_that_is_not_read(docs: Path) -> None:
    folder_of(docs, {".gitignore": "*.rst\n", "picture.png": "x"})
    before = signature(docs)
    folder_of(docs, {"a.rst": "ignored", ".hidden.txt": "hidden", "picture.png": "another"})
    assert signature(docs) == before


def test_the_signature_changes_with_the_account_of_what_is_left_out(docs: Path) -> None:
    before = signature(docs)
    folder_of(docs, {"picture.png": "x"})
    assert signature(docs) != before


@pytest.mark.parametrize("change", ["content", "same size", "touch", "add", "remove", "rename"])
def test_the_signature_changes_with_the_files(change: str, docs: Path) -> None:
    file = docs / "locks.txt"
    facts = file.stat()
    before = signature(docs)
    if change == "content":
        file.write_text("other")
    elif change == "same size":
        content = file.read_text()
        file.write_text(content[::-1])
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    elif change == "touch":
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    elif change == "add":
        folder_of(docs, {"new.txt": "new"})
    elif change == "remove":
        file.unlink()
    else:
        file.rename(docs / "keys.txt")
    assert signature(docs) != before


def test_the_signature_changes_with_what_decides_what_is_read(docs: Path) -> None:
    signatures = {
        signature(docs),
        signature(docs, manner=Manner("body")),
        signature(docs, manner=Manner(include=("*.xyz",))),
        signature(docs, manner=Manner(hidden=True)),
        signature(docs, manner=Manner(ignore_files=False)),
        signature(docs / "locks.txt"),
    }
    assert len(signatures) == 6


def test_there_is_no_signature_where_a_file_has_vanished(docs: Path) -> None:
    (docs / "gone.txt").symlink_to("nowhere.txt")
    assert signature(docs) is None
    assert opened(docs).signature() is None


def test_the_signature_takes_names_that_are_not_unicode(odd_names: Path) -> None:
    assert signature(odd_names) is not None


def test_the_signature_takes_formats_that_are_not_unicode(odd_names: Path) -> None:
    for file in odd_names.iterdir():
        file.rename(f"{file}{file.stem[-1]}")
    assert signature(odd_names) is not None
