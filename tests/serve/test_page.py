"""The page: what a browser makes of it, and that nothing in it is code of a document's."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ragdoll.retrieval.index import Index
from tests.conftest import Trained
from tests.making import open_corpus
from tests.serve.conftest import Process, Serving

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)

in_a_browser = pytest.mark.skipif(not CHROMIUM, reason="there is no browser")


def rendered(process: Process, folder: Path, **state: str) -> str:
    """Return the page as it is after the search that its address asks for."""
    done = subprocess.run(
        [
            *(
                CHROMIUM,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--virtual-time-budget=4000",
            ),
            *(f"--user-data-dir={folder}", "--dump-dom"),
            f"http://{process.host}:{process.port}/?{urlencode(state)}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def shown(page: str) -> list[str]:
    """Return the text of each answer on the page."""
    answers = re.findall(r'<li class="hit".*?</li>', page, re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>", " ", answer)) for answer in answers]


@in_a_browser
def test_the_page_searches_for_what_its_address_says(
    served: Callable[..., Process], tmp_path: Path
) -> None:
    page = rendered(served(), tmp_path, q="call a function after a delay", source="*.md")
    (answer,) = shown(page)
    assert "guide/loop.md:1" in answer
    assert "meaning" in answer
    assert page.count("<mark>") >= 3
    assert "1 answer in" in page


@in_a_browser
def test_an_answer_stands_below_its_headings(
    served: Callable[..., Process], trained: Trained, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "short.md").write_text("# Timers\n\nSet a timer.\n")
    (docs / "plain.txt").write_text("A timer without a title.\n")
    (docs / "long.md").write_text(
        f"# Waiting\n\n{'Few words. ' * 300}\n## Delays\n\n{'A delay. ' * 300}\n"
    )
    Index.create(tmp_path / "base", model=trained.model).update(open_corpus([docs]))
    page = rendered(served(database=tmp_path / "base"), tmp_path, q="timer delay")
    titles = re.findall(r'<span class="title" dir="auto">(.*?)</span>', page)
    assert set(titles) == {"Timers", "Waiting", "Waiting › Delays"}
    assert len(titles) == len(shown(page)) - 1


@in_a_browser
def test_what_documents_say_is_text(served: Callable[..., Process], tmp_path: Path) -> None:
    page = rendered(served(), tmp_path, q="lock says alert", source="evil.txt")
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in re.sub(r"</?mark>", "", page)


@in_a_browser
def test_what_is_wrong_is_said_on_the_page(served: Callable[..., Process], tmp_path: Path) -> None:
    page = rendered(served(), tmp_path, q="lock", source="nope/**")
    assert "Nothing found." in page
    page = rendered(served(), tmp_path, q="lock", source="a" * 2000)
    assert "at most 1024 characters" in page
    assert "openapi" not in page


def test_the_page_runs_its_own_script_and_no_other(serving: Serving) -> None:
    client = serving()
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script(?![^>]*\bsrc=)|\bon\w+=|\bstyle=|<style", answer.text) == []
    script = client.get("/page/page.js").text
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", script) == []


def test_every_part_of_the_page_can_be_named(serving: Serving) -> None:
    """By those who do not see it: each field has a label, and the answers are announced."""
    page = serving().get("/").text
    fields = re.findall(r"<(?:input|select)\b[^>]*>", page)
    for field in fields:
        is_labelled = (
            "aria-label=" in field or "<label" in page[: page.index(field)].rsplit("\n", 1)[-1]
        )
        assert is_labelled, field
    assert 'aria-live="polite"' in page
    assert '<html lang="en">' in page
