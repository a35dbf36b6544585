"""Office files that use a part again and again: a few kilobytes would become gigabytes of text."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from ragdoll.corpus.formats import decoding, packed
from tests.corpus.archives import OFFICE, PACKAGE, RELATIONS, changed, encoded
from tests.corpus.reading import only, reason
from tests.corpus.test_formats_office import docx

LONG = "x" * 1000

TOO_MUCH = "repeats a text until it is too large"


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 200_000)
    monkeypatch.setattr(packed, "_MAX_POINTS", 100)


def test_a_note_counts_wherever_it_is_referred_to(tmp_path: Path) -> None:
    def document(references: int) -> Path:
        note = '<w:r><w:footnoteReference w:id="2"/></w:r>'
        file = docx(tmp_path / "a.docx", f"<w:p>{note * references}</w:p>")
        notes = "".join(
            f'<w:footnote w:id="{number}"><w:p><w:r><w:t>{LONG}</w:t></w:r></w:p></w:footnote>'
            for number in range(3)
        )
        with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                "word/_rels/document.xml.rels",
                f'{PACKAGE}<Relationship Id="r1" Type="{RELATIONS}/footnotes" '
                'Target="footnotes.xml"/></Relationships>',
            )
            archive.writestr(
                "word/footnotes.xml",
                f'<w:footnotes xmlns:w="{OFFICE}/wordprocessingml/2006/main">{notes}</w:footnotes>',
            )
        return file

    assert only(document(100)).text.count(LONG) == 100
    assert reason(document(201)) == TOO_MUCH


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    import pptx
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE

    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.placeholders[1].text = LONG
    slide.notes_slide.notes_text_frame.text = LONG
    data = CategoryChartData()
    data.categories = ["a", "b"]
    data.add_series("S", (1, 2))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, 9, 9, data)
    file = tmp_path_factory.mktemp("slides") / "a.pptx"
    deck.save(str(file))
    return file.read_bytes()


@pytest.mark.parametrize(
    ("part", "element", "times", "said"),
    [
        ("ppt/presentation.xml", rb"<p:sldId [^>]*/>", 120, TOO_MUCH),
        ("ppt/slides/slide1.xml", rb"<p:graphicFrame>.*</p:graphicFrame>", 51, "charts of more"),
    ],
    ids=["slide", "chart"],
)
def test_slides_and_charts_count_as_often_as_they_are_used(
    tmp_path: Path, slides: bytes, part: str, element: bytes, times: int, said: str
) -> None:
    file = tmp_path / "a.pptx"

    def repeated(times: int) -> Path:
        file.write_bytes(slides)
        return changed(
            file, part, lambda content: re.sub(element, lambda found: found[0] * times, content)
        )

    assert only(repeated(50)).text
    assert said in reason(repeated(times))


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_slides_that_cannot_be_measured_are_refused(
    tmp_path: Path, slides: bytes, encoding: str
) -> None:
    file = tmp_path / "a.pptx"
    file.write_bytes(slides)
    part = "ppt/slides/slide1.xml"
    changed(file, part, lambda content: encoded(content, encoding))
    assert reason(file).startswith(f"cannot be converted: {part}: ")


def test_a_chart_of_points_that_it_does_not_name_is_refused(tmp_path: Path, slides: bytes) -> None:
    file = tmp_path / "a.pptx"
    file.write_bytes(slides)
    with zipfile.ZipFile(file) as archive:
        (chart,) = (
            name for name in archive.namelist() if "charts/chart" in name and "_rels" not in name
        )
    many = changed(
        file, chart, lambda content: content.replace(b'ptCount val="2"', b'ptCount val=" 1_01"')
    )
    assert reason(many) == "charts of more than 100 points"
