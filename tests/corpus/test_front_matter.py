"""The fields that a Markdown file may begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.corpus.formats.markdown import front_matter
from tests.making import open_corpus


def test_fields_are_metadata_and_the_text_stays_what_it_is(tmp_path: Path) -> None:
    text = "---\ntitle: Locks\nyear: 2020\nwhen: 2020-01-02\ntags: [a, b]\n---\n# Other\n\nText.\n"
    (tmp_path / "a.md").write_text(text)
    (document,) = open_corpus([str(tmp_path)])
    assert (document.title, document.text, document.whole_file) == ("Locks", text, True)
    assert document.metadata == {"year": 2020, "when": "2020-01-02", "tags": ["a", "b"]}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("# Heading\n---\nyear: 1\n---\n", id="not at the beginning"),
        pytest.param("---\nyear: 1\n", id="without an end"),
        pytest.param("---\n- year\n---\n", id="a list"),
        pytest.param("---\n---\n", id="empty"),
        pytest.param("---\nyear 1\n---\n", id="no field"),
        pytest.param("+++\nyear 1\n+++\n", id="not TOML"),
        pytest.param("---\na: " + "[" * 1000 + "\n---\n", id="very deep"),
    ],
)
def test_what_is_no_front_matter_is_only_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.md").write_text(text)
    (document,) = open_corpus([str(tmp_path)])
    assert (document.metadata, document.text) == ({}, text)


@pytest.mark.parametrize(
    ("block", "title", "fields"),
    [
        ("title: Redis: the basics\nyear: 2020", "Redis: the basics", {"year": 2020}),
        ("title: Handle\nauthor: @ada\nyear: 1", "Handle", {"author": "@ada", "year": 1}),
        ("title: Oops\ndate: 2024-13-45", "Oops", {"date": "2024-13-45"}),
        ("tags:\n- a\n- b\nx: [1\nn: 2", "a.md", {"tags": ["a", "b"], "x": "[1", "n": 2}),
        ("by:\n  name: Ada\n  at: @x\nn: 2", "a.md", {"n": 2}),
        (
            "a: !!python/object/apply:os.getcwd []\nn: 2",
            "a.md",
            {"a": "!!python/object/apply:os.getcwd []", "n": 2},
        ),
        ("title: *One*\nn: !two", "*One*", {"n": "!two"}),
        ("a: &a [x]\nb: [*a, *a]\nn: 2", "a.md", {"a": ["x"], "b": "[*a, *a]", "n": 2}),
        ("tags:\n\t- a\n\t- b\nn: 2", "a.md", {"tags": ["a", "b"], "n": 2}),
        ("title: 1984\nyear: 1949", "1984", {"year": 1949}),
    ],
    ids=[
        "a colon",
        "a sign",
        "no date",
        "a bracket",
        "below",
        "a tag",
        "a star",
        "an alias",
        "tabs",
        "a number",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_mistake_costs_no_other_field(
    tmp_path: Path, block: str, title: str, fields: dict[str, object], end: str
) -> None:
    content = f"---\n{block}\n---\nA text.\n".replace("\n", end)
    (tmp_path / "a.md").write_bytes(content.encode())
    (document,) = open_corpus([str(tmp_path)])
    assert (document.title, document.metadata) == (title, fields)


def test_fields_may_be_in_toml(tmp_path: Path) -> None:
    text = '+++\ntitle = "Locks"\nyear = 2020\nwhen = 2020-01-02\ntags = ["a"]\n+++\nText.\n'
    (tmp_path / "a.md").write_text(text)
    (document,) = open_corpus([str(tmp_path)])
    assert (document.title, document.text) == ("Locks", text)
    assert document.metadata == {"year": 2020, "when": "2020-01-02", "tags": ["a"]}


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("x = bare words", {"x": "bare words"}),
        ('x = "open', {"x": '"open'}),
        ('x = ["open"', {"x": '["open"'}),
        ("no field", {}),
        ("year = 2021", {"year": 2021}),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_mistake_in_toml_costs_no_other_field(
    line: str, fields: dict[str, object], end: str
) -> None:
    block = (
        f'year = 2020\ntags = [\n  "a",\n]\n{line}\nby = "Ada"\n[params]\nn = 1\n[params.x]\nm = 2'
    )
    found, mistake = front_matter(f"+++\n{block}\n+++\n".replace("\n", end))
    expected = {"year": 2020, "tags": ["a"], "by": "Ada", "params": {"n": 1, "x": {"m": 2}}}
    assert found == expected | fields
    assert mistake


def test_only_markdown_has_front_matter(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("---\nyear: 2020\n---\nText.\n")
    (document,) = open_corpus([str(tmp_path)])
    assert document.metadata == {}


@given(st.text(alphabet="-a: \n[]{}&*!|>'\"#%@`\t0é"))
def test_any_text_can_be_looked_at(text: str) -> None:
    for mark in ("---", "+++"):
        fields, _ = front_matter(f"{mark}\n{text}\n{mark}\n")
        assert isinstance(fields, dict)


def test_brackets_are_not_followed_to_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    scan = yaml.scan
    monkeypatch.setattr(yaml, "scan", lambda text: (seen.append(t) or t for t in scan(text)))
    assert front_matter("---\na: " + "[" * 5000 + "\n---\n") == ({}, None)
    assert len(seen) < 200


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("---\nyear: 2020\ntitle: Redis: the basics\n---\n", ["line 3"]),
        ("---\nyear: 2020\nauthor: @ada\n---\n", ["line 3"]),
        ('---\ntitle: "Open\nyear: 2020\nby: Ada\n---\n', ["line 2"]),
        ("---\ntags: [a, b\nyear: 2020\n---\n", ["line 2"]),
        ("---\nyear: 2020\na: &a x\nb: *a\n---\n", ["line 4"]),
        ("+++\nyear = 2020\ntitle = Redis\n+++\n", ["line 3"]),
        ("---\nyear: 2020\n---\n", []),
        ("---\nA rule above, and one below.\n\n---\n", []),
        ("---\n\n---\n", []),
    ],
)
def test_a_mistake_is_noted_with_its_line(text: str, notes: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(text + "Text.\n")
    corpus = open_corpus([str(tmp_path)])
    list(corpus)
    assert [note.place for note in corpus.notes] == notes
    assert {note.kind for note in corpus.notes} <= {"front matter with a mistake"}
