"""Tests of what is known of a passage beside its text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import ragdoll
from ragdoll.corpus.context import context_of, place_of, with_context, words_of
from ragdoll.corpus.documents import Document
from ragdoll.corpus.passages import Passage, cut
from tests.conftest import Trained
from tests.corpus.test_passages import ones

TEXT = "# Kiln\n\na b c\n\n## Firing\n\n" + "d e. f g. h i. j k.\n\n" * 2 + "## Glaze\n\nl m n o\n"


def passages(text: str = TEXT, size: int = 8, **fields: object) -> list[Passage]:
    document = Document(text, title="Kiln", markup="markdown", **fields)  # type: ignore[arg-type]
    found = cut(document, size, ones)
    return [replace(passage, context=context_of(passage)) for passage in found]


def test_a_passage_is_found_by_its_title_headings_and_file() -> None:
    found = passages(source="Projekt Albatros/kiln_notes.md", root="/docs")
    assert found[0].text == "# Kiln\n\na b c"
    middle = next(passage for passage in found if not passage.text.startswith("#"))
    assert place_of(middle)["section"] == "Kiln › Firing"
    context = with_context(middle).removeprefix(f"{middle.text}\n")
    assert context.splitlines() == ["Kiln", "Firing", "kiln_notes", "Projekt Albatros"]
    assert "kiln_notes.md" in words_of(middle)
    assert place_of(found[-1])["section"] == "Kiln › Glaze"


def test_what_the_text_says_itself_is_not_added() -> None:
    (alone,) = passages(size=1000, source="Kiln.md", root="/docs")
    assert with_context(alone) == alone.text


@pytest.mark.parametrize(("root", "source"), [("/docs", "all.jsonl#7"), ("python:os", "os.walk")])
def test_of_a_record_neither_its_number_nor_its_file_is_added(root: str, source: str) -> None:
    (alone,) = passages(size=1000, source=source, root=root)
    assert with_context(alone) == alone.text


def test_a_record_is_found_by_its_fields_and_by_its_file() -> None:
    fields = {
        "customer": {"name": "Quokka", "address": {"city": {"in": {"short": "Perth"}}}},
        "lines": [{"sku": "AB-7"}],
        "price": 12.75,
        "answer": f"begins {'word ' * 100}ends",
        "flag": True,
        "far": {"too": {"deep": {"for": {"anyone": {"to": {"see": "find"}}}}}},
    }
    (alone,) = passages("a b", source="shop/orders_2024.jsonl#7", root="/docs", metadata=fields)
    words = words_of(alone).split()
    for word in ("Quokka", "Perth", "AB-7", "12.75", "begins", "shop/orders_2024.jsonl"):
        assert word in words
    assert not {"ends", "True", "find"} & set(words)
    assert len(words) < 100


def test_the_head_of_a_table_is_known_to_each_of_its_pieces() -> None:
    table = "| Lamp | Oil |\n| --- | --- |\n" + "| brass | 3 |\n" * 9
    found = passages(f"a b\n\n{table}\nc d e f g h i j k l m n\n", 20)
    assert [passage.table_head for passage in found][:3] == ["", *["| Lamp | Oil |"] * 2]
    assert found[-1].table_head == ""
    assert "| Lamp | Oil |" in with_context(found[1])


def test_a_block_of_code_that_fits_is_kept_whole() -> None:
    fence = "```\na b c d\n\n# e f\n```"
    assert [one.text for one in passages(f"x y z.\n\n{fence}\n\nu v w", 9)] == [
        "x y z.",
        fence,
        "u v w",
    ]


def test_source_code_is_cut_at_functions() -> None:
    code = "".join(f"def f{n}():\n    a = 1. b\n    return a\n\n" for n in range(3))
    document = Document(code, markup="python")
    assert [one.text.split("(")[0] for one in cut(document, 12, ones)] == [
        "def f0",
        "def f1",
        "def f2",
    ]


def test_the_page_of_a_passage_is_that_where_it_begins() -> None:
    found = passages("a b. c d. e f. g h. i j.", 4, pages=(0, 10, 15))
    assert [one.page for one in found] == [1, 2, 3]


@pytest.mark.parametrize("size", [8, 1000])
def test_no_passage_goes_over_the_end_of_a_page(size: int) -> None:
    pages = ["One narwhal.", "", "Two ocelots.", "Three. " * 9, "Four"]
    starts = [len("\n\n".join(pages[:number]) + "\n\n") for number in range(1, len(pages))]
    found = passages("\n\n".join(pages), size, pages=(0, *starts))
    assert {one.page: one.text for one in found if one.page != 4} == {
        1: "One narwhal.",
        3: "Two ocelots.",
        5: "Four",
    }
    assert " ".join(one.text for one in found if one.page == 4) == pages[3].strip()


def test_a_passage_of_a_text_without_pages_has_none() -> None:
    assert passages("a b")[0].page is None


def test_headings_and_names_are_searched_and_never_shown(tmp_path: Path, trained: Trained) -> None:
    folder = tmp_path / "docs" / "Projekt Albatros"
    folder.mkdir(parents=True)
    (folder / "invoice-quokka.txt").write_text("The total is due in thirty days.")
    (folder.parent / "other.txt").write_text("A lock guards a resource.")
    index = ragdoll.Index.create(tmp_path / "database", model=trained.model)
    index.update(ragdoll.read(tmp_path / "docs"))
    for mode in ("text", "hybrid", "vector"):
        for query in ("quokka", "Projekt Albatros", "invoice-quokka.txt"):
            hit = index.search(query, 1, mode=mode)[0]  # type: ignore[arg-type]
            if mode != "vector":
                assert hit.source == "Projekt Albatros/invoice-quokka.txt"
                assert hit.text == "The total is due in thirty days."
