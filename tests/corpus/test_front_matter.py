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
        pytest.param("---\nyear: [1\n---\n", id="not YAML"),
        pytest.param("---\nwhen: 2020-13-45\n---\n", id="no date"),
        pytest.param("---\na: &a [x]\nb: [*a, *a]\n---\n", id="an alias"),
        pytest.param("---\na: " + "[" * 1000 + "\n---\n", id="very deep"),
        pytest.param("---\na: !!python/object/apply:os.getcwd []\n---\n", id="code"),
    ],
)
def test_what_is_no_front_matter_is_only_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.md").write_text(text)
    (document,) = open_corpus([str(tmp_path)])
    assert (document.metadata, document.text) == ({}, text)


def test_only_markdown_has_front_matter(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("---\nyear: 2020\n---\nText.\n")
    (document,) = open_corpus([str(tmp_path)])
    assert document.metadata == {}


@given(st.text(alphabet="-a: \n[]{}&*!|>'\"#%@`\t0é"))
def test_any_text_can_be_looked_at(text: str) -> None:
    assert isinstance(front_matter("---\n" + text + "\n---\n"), dict)


def test_brackets_are_not_followed_to_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    scan = yaml.scan
    monkeypatch.setattr(yaml, "scan", lambda text: (seen.append(t) or t for t in scan(text)))
    assert front_matter("---\na: " + "[" * 5000 + "\n---\n") == {}
    assert len(seen) < 200
