"""Reports as files: their figures, what they escape, and what is refused."""

from __future__ import annotations

import csv
import itertools
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.errors import UsageError
from ragdoll.evaluation.chart import chart
from ragdoll.evaluation.evaluate import Evaluation, SystemScore
from ragdoll.evaluation.report import check_output, write

MADE_ON = date(2026, 1, 2)
HOSTILE = """<script>alert("x")</script>|`*_'&\x1b\u202e\n="""


def score(name: str, kind: Any = "model", **figures: Any) -> SystemScore:
    usual: dict[str, Any] = {
        "ndcg": 0.4,
        "recall": 0.5,
        "mrr": 0.6,
        "p_value": 0.01,
        "queries_per_second": 1234.5,
        "latency": 0.0012,
        "documents_per_second": 4321.0,
        "bytes": 30_000_000,
    }
    return SystemScore(name=name, kind=kind, **{**usual, **figures})


def comparison(*systems: SystemScore, dataset: str = "set") -> Evaluation:
    return Evaluation(dataset, 20, 30, 7, 10, 5, list(systems), notes=("A note.",))


FOUR = comparison(
    score("distillate", "distillate", p_value=None, ndcg=0.3),
    score("model"),
    score("BM25", "bm25", bytes=0, queries_per_second=60),
    score("model + BM25", "hybrid", documents_per_second=None, ndcg=0.5),
)


def report(folder: Path, suffix: str, result: Evaluation = FOUR) -> str:
    file = folder / f"report.{suffix}"
    write(file, result, MADE_ON)
    return file.read_text(encoding="utf-8")


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def drawing(content: str) -> ET.Element:
    return ET.fromstring(content[content.index("<svg") : content.index("</svg>") + 6])


def test_the_csv_has_the_figures_as_they_are(tmp_path: Path) -> None:
    rows = list(csv.DictReader(report(tmp_path, "csv").splitlines()))
    assert [row["name"] for row in rows] == [system.name for system in FOUR.systems]
    for row, system in zip(rows, FOUR.systems, strict=True):
        assert float(row["ndcg@10"]) == system.ndcg
        assert float(row["queries_per_second"]) == system.queries_per_second
        assert (row["dataset"], row["seed"], row["kind"]) == ("set", "5", system.kind)
    assert (rows[0]["p_value"], rows[2]["bytes"], rows[3]["documents_per_second"]) == ("", "", "")


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t=", "\r="])
def test_names_are_no_formulas_in_the_csv(tmp_path: Path, begin: str) -> None:
    name = f'{begin}HYPERLINK("http://x")\x1b[2J\u202e, "y"\nz'
    content = report(tmp_path, "csv", comparison(score(name), dataset=name))
    (row,) = csv.DictReader(content.splitlines())
    for cell in (row["name"], row["dataset"]):
        assert cell.startswith("'")
        assert cell.isprintable()


def test_the_markdown_is_a_table_with_what_made_it(tmp_path: Path) -> None:
    lines = report(tmp_path, "md").splitlines()
    assert lines[0] == "## set: 20 documents (30 passages), 7 queries"
    table = [line for line in lines if line.startswith("| ")]
    assert len(table) == 2 + len(FOUR.systems)
    assert len({line.count("|") for line in table}) == 1
    assert "| 0.3000 |" in table[2]
    assert "A note." in lines
    assert lines[-1].startswith("2026-01-02, seed 5; ragdoll ")
    assert "lancedb" in lines[-1]


def test_markdown_of_others_is_no_markup(tmp_path: Path) -> None:
    content = report(tmp_path, "md", comparison(score(HOSTILE), dataset=HOSTILE))
    assert "<script>" not in content
    (row,) = [line for line in content.splitlines() if "alert" in line and line.startswith("|")]
    unescaped = re.sub(r"\\.", "", row)
    assert unescaped.count("|") == 10
    assert not set(unescaped) & set("`*_<>&#")
    assert all(line.isprintable() for line in content.splitlines())


def test_the_page_loads_nothing_and_runs_nothing(tmp_path: Path) -> None:
    content = report(tmp_path, "html")
    page = Page(content)
    tags = {tag for tag, _ in page.tags}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "image", "use"})
    names = {name for _, attributes in page.tags for name in attributes}
    assert names.isdisjoint({"src", "href", "xlink:href", "onload", "onclick", "style"})
    assert "url(" not in content
    assert "@import" not in content
    policy = [attributes.get("content") for tag, attributes in page.tags if tag == "meta"]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policy


def test_the_page_has_the_table_the_notes_and_both_colour_schemes(tmp_path: Path) -> None:
    content = report(tmp_path, "html")
    text = " ".join(" ".join(Page(content).text).split())
    for words in ("nDCG@10", "0.3000", "0.0100", "A note.", "2026-01-02, seed 5", "model + BM25"):
        assert words in text
    assert "prefers-color-scheme: dark" in content
    used = set(re.findall(r"var\((--[a-z0-9]+)\)", content))
    light, dark = content.split("@media screen", 1)
    for name in used:
        assert f"{name}:" in light
        assert f"{name}:" in dark


def test_the_page_can_be_read_by_those_who_do_not_see_it(tmp_path: Path) -> None:
    page = Page(report(tmp_path, "html"))
    tags = dict(page.tags)
    assert tags["html"] == {"lang": "en"}
    assert tags["svg"]["role"] == "img"
    named = {attributes.get("id") for tag, attributes in page.tags if tag in ("title", "desc")}
    assert set(str(tags["svg"]["aria-labelledby"]).split()) <= named
    scopes = [attributes["scope"] for tag, attributes in page.tags if tag == "th"]
    assert scopes == ["col"] * 9 + ["row"] * 4
    described = drawing(report(tmp_path, "html")).findtext("desc") or ""
    assert all(system.name in described for system in FOUR.systems)


def test_names_of_others_are_no_markup_in_the_page(tmp_path: Path) -> None:
    content = report(tmp_path, "html", comparison(score(HOSTILE), dataset=HOSTILE))
    assert {tag for tag, _ in Page(content).tags}.isdisjoint({"script"})
    assert "\x1b" not in content
    assert "\u202e" not in content
    assert 'alert("x")' in "".join(Page(content).text)
    drawing(content)


FIGURES = st.tuples(
    st.floats(0, 1), st.floats(0.01, 1e6), st.text(max_size=60), st.sampled_from(["model", "bm25"])
)


@given(systems=st.lists(FIGURES, min_size=1, max_size=8))
def test_the_chart_is_sound_whatever_is_drawn(systems: list[tuple[Any, ...]]) -> None:
    result = comparison(
        *(
            score(name, kind, ndcg=ndcg, queries_per_second=rate)
            for ndcg, rate, name, kind in systems
        )
    )
    svg = ET.fromstring(chart(result))
    signs = [path for path in svg.iter("path") if "transform" in path.attrib]
    assert len(signs) == len(systems)
    for path in signs:
        place = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\)", path.attrib["transform"])
        assert place
        assert 64 <= float(place[1]) <= 736
        assert 20 <= float(place[2]) <= 348
    for label in svg.iter("text"):
        assert 0 <= float(label.attrib["x"]) <= 760
        assert 0 <= float(label.attrib["y"]) <= 400


def test_names_do_not_lie_over_each_other() -> None:
    systems = [score(f"the model number {number}", ndcg=0.4) for number in range(6)]
    svg = ET.fromstring(chart(comparison(*systems)))
    heights = sorted(
        float(label.attrib["y"]) for label in svg.iter("text") if "number" in (label.text or "")
    )
    gaps = [after - before for before, after in itertools.pairwise(heights)]
    assert len(heights) == 6
    assert min(gaps) >= 15


def test_better_is_higher_and_faster_is_further_right() -> None:
    systems = [
        score("slow", ndcg=0.6, queries_per_second=10),
        score("fast", ndcg=0.2, queries_per_second=1000),
    ]
    svg = ET.fromstring(chart(comparison(*systems)))
    places = [
        tuple(float(n) for n in re.findall(r"[\d.]+", path.attrib["transform"]))
        for path in svg.iter("path")
        if "transform" in path.attrib
    ]
    (slow, fast) = sorted(places)
    assert slow[1] < fast[1]


def test_a_report_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report.md"
    file.write_text("before")

    def full(self: Path, content: bytes) -> int:
        with self.open("wb") as started:
            started.write(content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write(file, FOUR, MADE_ON)
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.json", "folder.md", "no/r.md"])
def test_what_cannot_be_a_report_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.md").mkdir()
    for attempt in (
        check_output,
        lambda path: write(path, FOUR, MADE_ON),
    ):
        with pytest.raises(UsageError) as caught:
            attempt(tmp_path / name)
        assert str(tmp_path / name) in caught.value.message
