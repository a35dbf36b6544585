"""Tests of the structure of texts: titles, sections, blocks of code, tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdoll.corpus.structure import Markup, structure_of
from tests.corpus.reading import alarm

often = settings(derandomize=True, deadline=None, max_examples=200)

MARKUPS: list[Markup] = [
    *("", "asciidoc", "code", "latex", "markdown", "org", "python", "rst"),
]


def headings(text: str, markup: Markup) -> list[tuple[int, str]]:
    """Return the levels and titles of the sections, each of which begins where its title is."""
    found = structure_of(text, markup).sections
    for section in found:
        assert section.start == 0 or text[section.start - 1] == "\n"
        assert section.title in text[section.start :]
    return [(section.level, section.title) for section in found]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("markdown", "# Guide #\n\ntext\n\n## Set up\n\ntext\n\n# C#\n"),
        ("markdown", "Guide\n=====\n\ntext\n\nSet up\n------\n\nC#\n==\n"),
        ("markdown", "# Guide\r\n\r\ntext\r\n\r\n## Set up\r\n\r\n# C#\r\n"),
        ("", "# Guide\n\ntext\n\n## Set up\n\n# C#\n"),
        ("", "Guide\n=====\n\ntext\n\nSet up\n------\n\nC#\n===\n"),
        ("rst", "=====\nGuide\n=====\n\ntext\n\nSet up\n~~~~~~\n\n======\nC#\n======\n"),
        ("asciidoc", "= Guide\n\ntext\n\n== Set up\n\n= C#\n"),
        ("asciidoc", "Guide\n=====\n\ntext\n\nSet up\n------\ntext\n\nC#\n===\n"),
        ("org", "* Guide\ntext\n** Set up\n* C#\n"),
        ("latex", "\\part{Guide}\ntext\n\\chapter*{Set up}\n\\part[C]{C#}\\label{c}\n"),
        ("markdown", "<h1 align=center>Guide</h1>\n\n## Set up\n\n<h1>\n  C#\n</h1>\n"),
    ],
)
def test_sections_are_found_in_each_markup(markup: Markup, text: str) -> None:
    assert headings(text, markup) == [(1, "Guide"), (2, "Set up"), (1, "C#")]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("markdown", "```\n# no\n```\n~~~~\n# no\n~~~\n# no\n~~~~\n"),
        ("markdown", "---\ntitle: x\n# no\n---\ntext\n"),
        ("markdown", "| a |\n|---|\n\n- item\n---\n\ntext\nmore text\n---\n"),
        ("markdown", "#no\n\n####### no\n\n    # no\n"),
        (
            "markdown",
            "<pre>\n# no\n</pre>\n> ```\n> # no\n> ```\n- ```sh\n# no\n  ```\n<h1><img></h1>\n",
        ),
        ("markdown", "1. x\n\n    ```sh\n# no\n    ```\n\n```x``` is code\n"),
        ("rst", "Text::\n\n  No\n  ~~\n\n.. code-block:: md\n\n  No\n  ==\n"),
        ("rst", "text\nmore\n----\n\nA long line\n---\n\n=====  =====\nA      B\n=====  =====\n"),
        (
            "asciidoc",
            "----\n= no\n----\n\nA list\n------------\n= no\n------------\n",
        ),
        ("org", "#+BEGIN_SRC\n* no\n#+END_SRC\n*bold* text\n"),
        ("latex", "\\begin{verbatim}\n\\section{no}\n\\end{verbatim}\n% \\section{no}\n"),
        ("python", "# no\nx = 1\nclassify(x)\n"),
        ("code", "# no\nif (x) {\n}\ncall(1);\nreturn f(\n)\n"),
    ],
)
def test_what_only_looks_like_a_heading_is_none(markup: Markup, text: str) -> None:
    assert headings(text, markup) == []


@pytest.mark.parametrize(
    ("markup", "text", "title"),
    [
        ("org", "#+TITLE: Lanterns \n\ntext", "Lanterns"),
        ("markdown", "% The Lamps\n% Ann Author\n\n# One", "The Lamps"),
        ("markdown", "# One\n\n% no title", "One"),
        ("latex", "\\documentclass{a}\n\\title[x]{Lanterns}\n\\section{One}", "Lanterns"),
        (
            "latex",
            "% \\title{No}\n\\title{%\n The \\emph{Great {\\bf Old}}\n Lamp}",
            "The Great Old Lamp",
        ),
        ("", "Lanterns\n========\n\ntext", "Lanterns"),
        ("", "text\n\nLanterns\n========\n", None),
        ("", "# a comment\nx = 1\n", None),
        ("markdown", "text\n\n## Lanterns", "Lanterns"),
        ("rst", "Lanterns\n########\n", "Lanterns"),
        ("markdown", "text", None),
        ("python", "class Lantern: pass", None),
    ],
)
def test_the_title_is_stated_or_the_first_heading(
    markup: Markup, text: str, title: str | None
) -> None:
    assert structure_of(text, markup).title == title


def test_functions_and_classes_are_sections_with_what_belongs_to_them() -> None:
    python = (
        "import os\n\n# How.\n@cached\ndef one(a,\n        b):\n    pass\n\n"
        "class Two:\n    async def x(self):\n"
    )
    found = structure_of(python, "python").sections
    assert [(python[start:][:6], level, name) for start, level, name in found] == [
        ("# How.", 1, "one"),
        ("class ", 1, "Two"),
        ("    as", 2, "x"),
    ]
    other = """
/* Doc. */
static int
*unused;
int main(int argc, char **argv)
{
  if (argc) {
  }
}
export default class A extends B {
  public void run(String x) throws E {
  }
  private final int z = 3;
}
func (s *T) Name(x int) error {
}
pub(crate) fn go<T>(x: T) -> u8 {
}
export async function load() {
}
"""
    assert headings(other, "code") == [
        *((1, "main"), (1, "A"), (2, "run"), (1, "Name"), (1, "go"), (1, "load"))
    ]


@pytest.mark.parametrize("markup", ["", "rst"])
def test_numbered_and_underlined_lines_are_headings(markup: Markup) -> None:
    text = "1. Start\n========\n\ntext\n\n1.1 On\n~~~~~~\n\ntext\n\n1.2 Off\n~~~~~~~\n"
    assert headings(text, markup) == [(1, "1. Start"), (2, "1.1 On"), (2, "1.2 Off")]


def test_titles_in_latex_may_go_over_lines_and_have_commands() -> None:
    text = (
        "\\section{A {\\bf nested {deep}} one}\n\\subsection{Over\n two lines}\n"
        "\\begin{frame}[t]{A frame}\n\\frametitle{Of Beamer}\n\\begin{framed}{x}\n"
    )
    found = structure_of(text, "latex").sections
    assert [section.title for section in found] == [
        *("A nested deep one", "Over two lines", "A frame", "Of Beamer")
    ]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (
            "static int run(struct a *x,\n    struct b *y)\n{\n}\nint no(struct a *x,\n  int y);\n",
            ["run"],
        ),
        ("static int\nrun (struct a *x,\n     struct b *y)\n{\n  each (x) {\n  }\n}\n", ["run"]),
        ("struct a *run(void)\n{\n  struct b *y = (struct b) {\n  };\n}\n", ["run"]),
        (
            "export const run = async (x) => {\n};\nlet go = x => {\n};\nlet a = f((x) => {\n});\n",
            ["run", "go"],
        ),
        (
            "class A {\n  constructor(x) {\n    f(x, () => {\n    });\n  }\n  get y() {\n  }\n}\n",
            ["A", "constructor", "y"],
        ),
        ("run() {\n  if x; then\n  fi\n}\n", ["run"]),
        (
            "A::A(int x)\n    : y(x) {\n}\nvoid B<T>::run(int x) const {\n}\nA::~A() {\n}\n",
            ["A::A", "B<T>::run", "A::~A"],
        ),
        ("defmodule A.B do\n  defp run(x) do\n", ["A.B", "run"]),
        ("macro_rules! run {\n}\npub(crate) fn go(x: T) -> U {\n}\n", ["run", "go"]),
        ("} else if (x) {\nelse if (x) {\nforeach (x as y) {\nf(x).then({\n})\n", []),
    ],
)
def test_functions_are_known_by_their_bodies(code: str, names: list[str]) -> None:
    found = structure_of(code, "code").sections
    assert [section.title for section in found] == names
    if names[:1] == ["run"]:
        assert found[0].start == 0


@pytest.mark.parametrize(
    ("markup", "table", "head"),
    [
        ("markdown", "x | y\n--- | ---\n1 | 2\n", "x | y"),
        ("org", "|---+---|\n| x | y |\n|---+---|\n| 1 | 2 |\n|---+---|\n", "| x | y |"),
        ("asciidoc", "|===\n|x |y\n\n|1 |2\n|===\n", "|x |y"),
        ("asciidoc", '[options="header"]\n|===\n|x |y\n|1 |2\n|===\n', "|x |y"),
        ("rst", "+---+---+\n| x | y |\n+===+===+\n| 1 | 2 |\n+---+---+\n", "| x | y |"),
        ("rst", "=== ===\nx   y\n=== ===\n1   2\n=== ===\n", "x   y"),
    ],
)
def test_the_heads_of_tables_are_known_in_each_markup(
    markup: Markup, table: str, head: str
) -> None:
    text = f"text\n\n{table}\nmore text\n"
    (found,) = structure_of(text, markup).tables
    assert found.head == head
    assert found.start <= text.index("1") < found.end <= text.index("more")


@pytest.mark.parametrize(
    ("markup", "block"),
    [
        ("markdown", "    ```sh\n    a\n    ```\n"),
        ("markdown", "> ```sh\n> a\n> ```\n"),
        ("markdown", "- ```sh\n  a\n  ```\n"),
        ("markdown", "<pre>\na\n\n</pre>\n"),
        ("", "\t```\n\ta\n\t```\n"),
        ("rst", ".. code-block:: sh\n\n   a\n\n   b\n"),
        ("rst", "Like this::\n\n   a\n\n   b\n"),
    ],
)
def test_a_block_of_code_may_stand_in_other_text(markup: Markup, block: str) -> None:
    text = f"text\n\n{block}\nmore text\n"
    (found,) = structure_of(text, markup).blocks
    assert text[found.start : found.end] == block


def test_blocks_of_code_and_tables_are_spans_of_the_text() -> None:
    text = "# A\n\n```sh\nls\n```\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n\ntext\n\n~~~\nopen"
    found = structure_of(text, "markdown")
    assert [text[start:end] for start, end, _ in found.blocks] == ["```sh\nls\n```\n"]
    assert [(text[start:end], head) for start, end, head in found.tables] == [
        ("| x | y |\n| --- | --- |\n| 1 | 2 |\n", "| x | y |")
    ]


@given(
    text=st.lists(
        st.sampled_from(
            [
                *"#=-~`*.:|{}()[]\\ \n\r\t>+",
                *(
                    "a",
                    "é",
                    "\n\n",
                    "def f",
                    "```",
                    "====",
                    "\\section{x}",
                    "<pre>",
                    "|===",
                    "a(",
                    "::",
                ),
                *("<h1>", "</h1>", "\\title{"),
            ]
        )
    ).map("".join),
    markup=st.sampled_from(MARKUPS),
)
@often
def test_any_text_has_a_structure_in_its_order(text: str, markup: Markup) -> None:
    found = structure_of(text, markup)
    starts = [section.start for section in found.sections]
    assert starts == sorted(set(starts))
    for spans in (found.blocks, found.tables):
        edges = [place for start, end, _ in spans for place in (start, end)]
        assert edges == sorted(edges)
        assert all(0 <= place <= len(text) + 1 for place in edges)


@pytest.mark.parametrize("markup", MARKUPS)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a ",
            "# ",
            "|-",
            "int x(",
            "= ",
            "```\n",
            "*",
            "\\section{",
            "<pre>\n",
            "<h1>\n",
            "x::\n",
        ),
        *("\\title{a\n", "|===\n", "f(\n"),
    ],
)
def test_a_long_text_takes_no_time_that_grows_with_its_square(piece: str, markup: Markup) -> None:
    with alarm(10, working=True):
        structure_of(piece * 50_000, markup)
