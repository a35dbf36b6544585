"""The structure of a text: its sections, and the parts that are best kept whole.

Each language of markup marks headings in its own way. A text of no known language has those of
Markdown and reStructuredText, which people also write in plain text. The sections of source code
are its functions and classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import unescape
from itertools import accumulate, chain
from typing import Literal, NamedTuple

from ragdoll.corpus import definitions
from ragdoll.corpus.definitions import Heading

Markup = Literal["", "asciidoc", "code", "latex", "markdown", "org", "python", "rst"]

# Those of source code, whose sections are functions and classes.
CODE: frozenset[Markup] = frozenset(("code", "python"))

# Characters. A longer line is no heading, and some patterns would take long for it.
_MAX_TITLE = 200

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_CLOSING = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")
# A fence may stand in a quote or a list. What follows it on its line is no code.
_FENCE = re.compile(r"[ \t]*(?:>[ \t]*|(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}(?=[^`]*$)|~{3,})")
_IN_QUOTE = " \t>"
_PRE = re.compile(r"[ \t]*<pre\b", re.IGNORECASE)
_PRE_END = re.compile(r"</pre>", re.IGNORECASE)
# Each block that is not closed is looked for to the end of the text.
_MOST_UNCLOSED = 10
# The lines that a title may go over.
_MOST_LINES = 4
_HTML = re.compile(
    r"(?:[ \t]*<[^<>]*>)*?[ \t]*<h([1-6])\b[^<>]*>(.*?)</h\1>", re.DOTALL | re.IGNORECASE
)
_HTML_START = re.compile(r"(?:[ \t]*<[^<>]*>)*?[ \t]*<h[1-6]\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}")
_SETEXT = re.compile(r" {0,3}(={2,}|-{2,})")
_NO_TITLE = re.compile(r"[\s>|#]|[-*+.] |\.\. |.*\|")
_NUMBERED = re.compile(r" *\d+[.)] ")
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*")

_ASCIIDOC = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_ASCIIDOC_BLOCK = re.compile(r"(-{4,}|\.{4,}|\+{4,}|={4,}|\*{4,}|_{4,}|/{4,}|`{3})")
_ASCIIDOC_LEVELS = "=-~^+"
_MOST_OFF = 2
_ORG = re.compile(r"\*+[ \t]+(\S.*)")
_ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_\w+", re.IGNORECASE)
_LATEX_LEVELS = (
    *("part", "chapter", "section", "subsection", "subsubsection", "paragraph"),
    *("frametitle", "begin{frame}"),
)
_LATEX_START = re.compile(rf"[ \t]*\\({'|'.join(map(re.escape, _LATEX_LEVELS))})(?![a-z])")
# An argument in braces, with others in it, behind one that may be left out.
_LATEX_ARGUMENT = (
    r"\*?[ \t]*(?:\[[^\]\n]*\]|<[^>\n]*>)*[ \t]*"
    r"\{((?:[^{}]++|\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\})++)\}"
)
_LATEX = re.compile(_LATEX_START.pattern + _LATEX_ARGUMENT)
_LATEX_COMMENT = re.compile(r"(?<!\\)%.*\n?")
_LATEX_SPACE = re.compile(r"\\\\|~")
# Commands with an argument, those that change the letters behind a brace, and other marks.
_LATEX_MARK = re.compile(r"\\[A-Za-z]+\*?(?=\{)|(?<=\{)\\[A-Za-z]+[ \t]+|[{}\\$]")
_LATEX_BLOCK = re.compile(r"[ \t]*\\(begin|end)\{(?:verbatim|lstlisting|minted|alltt)\*?\}")
_STATED_TITLE = {
    "latex": re.compile(r"^[^%\n]*?\\title" + _LATEX_ARGUMENT, re.MULTILINE),
    # The block at the beginning that Pandoc reads.
    "markdown": re.compile(r"\A% *(\S.*)"),
    "org": re.compile(r"^#\+title:[ \t]*(\S.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE),
}

# What makes a block of code of the indented lines below.
_LITERAL = re.compile(
    r"[ \t]*(?:\.\. (?:code|code-block|sourcecode|parsed-literal|prompt|highlight)::"
    r"|(?!\.\. ).*::[ \t]*$)"
)

# Org has + in it.
_TABLE_RULE = frozenset("|:-+ \t")
_GRID_RULE = {"+", "="}
_SIMPLE_RULE = {"=", " "}

# What a plain text has if it has any structure. Looking for that is faster than reading lines.
_STRUCTURED = re.compile(
    r"^ {0,3}#{1,6}[ \t]|^[ \t>]*(?:[-*+] |\d{1,9}[.)] )?(?:```|~~~|<pre)"
    r"|^[=\-~^\"'`#*+.:_|][=\-~^\"'`#*+.:_| \t]{2,}\r?$",
    re.MULTILINE,
)


class Section(NamedTuple):
    """A part of a text under a heading, which begins at ``start``; the outermost level is 1."""

    start: int
    level: int
    title: str


class Span(NamedTuple):
    """A part of a text that is best kept whole; ``head`` is what says the meaning of its rows."""

    start: int
    end: int
    head: str = ""


@dataclass(frozen=True, slots=True)
class Structure:
    """The sections of a text, its blocks of code, and its tables, each in their order."""

    title: str | None = None
    sections: list[Section] = field(default_factory=list)
    blocks: list[Span] = field(default_factory=list)
    tables: list[Span] = field(default_factory=list)


def structure_of(text: str, markup: Markup = "") -> Structure:
    """Find the structure of a text in a language of markup.

    ``title`` is what the text says its title is, or else its first heading; None where it has
    neither. That of a plain text is underlined, in its first line. Headings within blocks of code
    are none.
    """
    if not markup and not _STRUCTURED.search(text):
        return Structure()
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    lines = [line.removesuffix("\r") for line in lines]
    blocks = list(_blocks(lines, markup))
    inside = {number for first, last in blocks for number in range(first, last)}
    candidates = [
        line if len(line) <= _MAX_TITLE and number not in inside else ""
        for number, line in enumerate(lines)
    ]
    found = _FINDERS[markup](candidates)
    sections = [Section(starts[number], level, title) for number, level, title in found]
    tables = [
        Span(starts[first], starts[last], head)
        for first, last, head in (_asciidoc_tables if markup == "asciidoc" else _tables)(lines)
        if first not in inside
    ]
    stated = _STATED_TITLE[markup].search(text) if markup in _STATED_TITLE else None
    title = stated[1].strip() if stated else None
    if title is not None and markup == "latex":
        title = _without_commands(title)
    if not title and sections and markup not in CODE:
        start = sections[0].start
        # Elsewhere in a plain text lines may only look like titles.
        is_title = markup or (not text[:start].strip() and text[start] != "#")
        title = sections[0].title if is_title else None
    spans = [Span(starts[first], starts[last]) for first, last in blocks]
    return Structure(title, sections, spans, tables)


def _markdown(lines: Sequence[str]) -> Iterator[Heading]:
    return _in_order(_atx(lines), _setext(lines), _html(lines))


def _plain(lines: Sequence[str]) -> Iterator[Heading]:
    """Find the headings of Markdown, and lines that are underlined over their whole length."""
    return _in_order(_atx(lines), _rst(lines))


def _in_order(*found: Iterator[Heading]) -> Iterator[Heading]:
    """Return headings in their order, one a line."""
    return iter(sorted({heading[0]: heading for heading in chain(*found)}.values()))


def _atx(lines: Sequence[str]) -> Iterator[Heading]:
    for number, line in enumerate(lines):
        match = _ATX.fullmatch(line)
        if match and (title := _CLOSING.sub("", match[2].strip())):
            yield number, len(match[1]), title


def _html(lines: Sequence[str]) -> Iterator[Heading]:
    for number, line in enumerate(lines):
        if _HTML_START.match(line):
            match = _HTML.match("\n".join(lines[number : number + _MOST_LINES]))
            if match and (title := " ".join(unescape(_TAG.sub(" ", match[2])).split())):
                yield number, int(match[1]), title


def _setext(lines: Sequence[str]) -> Iterator[Heading]:
    for number in range(1, len(lines)):
        line, above = lines[number].strip(), lines[number - 1]
        is_alone = number == 1 or not lines[number - 2].strip()
        is_title = is_alone and _can_be_title(above) and not _NUMBERED.match(above)
        if is_title and _SETEXT.fullmatch(lines[number].rstrip()):
            yield number - 1, 1 if line[0] == "=" else 2, above.strip()


def _rst(lines: Sequence[str]) -> Iterator[Heading]:
    """Find underlined lines; their levels follow from the order of the kinds of lines."""
    kinds: list[tuple[str, bool]] = []
    for number in range(1, len(lines)):
        line = lines[number].rstrip()
        match = _UNDERLINE.fullmatch(line)
        above = lines[number - 1]
        title = above.strip()
        if match is None or not title or len(line) < len(title) or _UNDERLINE.fullmatch(title):
            continue
        before = lines[number - 2].rstrip() if number > 1 else ""
        has_overline = before == line
        if not has_overline and (before.strip() or not _can_be_title(above)):
            continue
        kind = (match[1], has_overline)
        if kind not in kinds:
            kinds.append(kind)
        yield number - 1 - has_overline, kinds.index(kind) + 1, title


def _asciidoc(lines: Sequence[str]) -> Iterator[Heading]:
    for number, line in enumerate(lines):
        if match := _ASCIIDOC.fullmatch(line):
            yield number, len(match[1]), match[2].strip()
        elif number and _underlines(lines, number):
            yield number - 1, _ASCIIDOC_LEVELS.index(line[0]) + 1, lines[number - 1].strip()


def _underlines(lines: Sequence[str], number: int) -> bool:
    """Tell whether a line of AsciiDoc underlines the line above, with about its length."""
    line, title = lines[number].rstrip(), lines[number - 1].rstrip()
    return (
        len(line) > 1
        and line == line[0] * len(line)
        and line[0] in _ASCIIDOC_LEVELS
        and bool(title)
        and (title[0].isalnum() or title[0] in "_{'\"`")
        and abs(len(title) - len(line)) <= _MOST_OFF
        and (number == 1 or not lines[number - 2].strip() or lines[number - 2][0] in "[/:")
    )


def _by_lines(
    pattern: re.Pattern[str], level: Callable[[str], int]
) -> Callable[[Sequence[str]], Iterator[Heading]]:
    """Make a finder of headings that are a line each."""

    def find(lines: Sequence[str]) -> Iterator[Heading]:
        for number, line in enumerate(lines):
            match = pattern.match(line)
            if match and (title := match[match.lastindex or 0].strip()):
                yield number, level(line), title

    return find


def _latex(lines: Sequence[str]) -> Iterator[Heading]:
    for number, line in enumerate(lines):
        if start := _LATEX_START.match(line):
            match = _LATEX.match("\n".join(lines[number : number + _MOST_LINES]))
            if match and (title := _without_commands(match[2])):
                yield number, _LATEX_LEVELS.index(start[1]) + 1, title


def _without_commands(title: str) -> str:
    """Return a title in LaTeX as it is read."""
    title = _LATEX_SPACE.sub(" ", _LATEX_COMMENT.sub("", title))
    return " ".join(_LATEX_MARK.sub("", title).split())


def _can_be_title(line: str) -> bool:
    return bool(line.strip()) and not _NO_TITLE.match(line.lstrip(" "))


def _blocks(lines: Sequence[str], markup: Markup) -> Iterator[tuple[int, int]]:
    """Yield the blocks of code as numbers of lines: the first, and that behind the last."""
    if markup in CODE:
        return
    if markup == "rst":
        yield from _literals(lines)
        return
    number = unclosed = 0
    if markup in {"", "markdown"} and lines and _FRONT_MATTER.fullmatch(lines[0]):
        closing = {lines[0].rstrip(), "..."}
        end = next((n for n in range(1, len(lines)) if lines[n].rstrip() in closing), 0)
        if end:
            yield 0, end + 1
            number = end + 1
    closes = _CLOSERS.get(markup, _closes_fence)
    while number < len(lines) and unclosed < _MOST_UNCLOSED:
        is_closing = closes(lines, number)
        number += 1
        if is_closing is None:
            continue
        last = next((n for n in range(number, len(lines)) if is_closing(lines[n])), None)
        if last is None:
            unclosed += 1
            continue
        yield number - 1, last + 1
        number = last + 1


def _literals(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the literal blocks of reStructuredText, with the lines that introduce them."""
    number = 0
    while number < len(lines):
        first = last = number
        number += 1
        if not _LITERAL.match(lines[first]):
            continue
        indent = _indent(lines[first])
        while number < len(lines) and (
            not lines[number].strip() or _indent(lines[number]) > indent
        ):
            last = number if lines[number].strip() else last
            number += 1
        if last > first:
            yield first, last + 1


def _indent(line: str) -> int:
    line = line.expandtabs()
    return len(line) - len(line.lstrip())


_Closing = Callable[[str], object]


def _closes_fence(lines: Sequence[str], number: int) -> _Closing | None:
    """Return what tells the end of a block that a line opens; None where it opens none."""
    line = lines[number]
    if _PRE.match(line) and not _PRE_END.search(line):
        return _PRE_END.search
    opening = _FENCE.match(line)
    if opening is None or _is_underline(lines, number):
        return None
    marks = opening[1]

    def closes(line: str) -> bool:
        stripped = line.strip(_IN_QUOTE)
        return len(stripped) >= len(marks) and stripped == marks[0] * len(stripped)

    return closes


def _is_underline(lines: Sequence[str], number: int) -> bool:
    """Tell whether a line of tildes stands below a title that is no longer."""
    line, above = lines[number].strip(), lines[number - 1].strip() if number else ""
    is_title = _can_be_title(above) and not _FENCE.match(above)
    return set(line) == {"~"} and is_title and len(above) <= len(line)


def _closes_asciidoc(lines: Sequence[str], number: int) -> _Closing | None:
    line = lines[number].rstrip()
    is_block = _ASCIIDOC_BLOCK.fullmatch(line) and not (number and _underlines(lines, number))
    # Other delimiters enclose text, which has headings of its own.
    return (lambda other: other.rstrip() == line) if is_block and line[0] in "-.+/`" else None


def _closes_word(pattern: re.Pattern[str]) -> Callable[[Sequence[str], int], _Closing | None]:
    def closes(lines: Sequence[str], number: int) -> _Closing | None:
        opening = pattern.match(lines[number])
        if opening is None or opening[1].lower() != "begin":
            return None
        return lambda line: (found := pattern.match(line)) and found[1].lower() == "end"

    return closes


def _tables(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the tables as numbers of lines, that of the head and that behind the last, and heads.

    They are those of Markdown and Org, and of reStructuredText with heads of a line.
    """
    number = 1
    while number < len(lines):
        first, rule = number - 1, set(lines[number].rstrip())
        is_simple = rule == _SIMPLE_RULE and first > 0 and lines[number] == lines[first - 1]
        is_table = is_simple or (
            "|" in lines[first]
            and ((rule <= _TABLE_RULE and {"|", "-"} <= rule) or rule == _GRID_RULE)
        )
        number += 1
        if is_table:
            while number < len(lines) and (
                "|" in lines[number]
                or lines[number].startswith("+")
                or (is_simple and lines[number].strip())
            ):
                number += 1
            yield first, number, lines[first]


def _asciidoc_tables(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield the tables of AsciiDoc that have a head: a line with an empty one below, or said so."""
    edges = [number for number, line in enumerate(lines) if line.rstrip() == "|==="]
    for first, last in zip(edges[::2], edges[1::2], strict=False):
        head, below = (*lines[first + 1 : first + 3], "")[:2]
        if head.startswith("|") and (not below.strip() or (first and "header" in lines[first - 1])):
            yield first, last + 1, head


_FINDERS: dict[Markup, Callable[[Sequence[str]], Iterator[Heading]]] = {
    "": _plain,
    "asciidoc": _asciidoc,
    "code": definitions.in_code,
    "latex": _latex,
    "markdown": _markdown,
    "org": _by_lines(_ORG, lambda line: len(line) - len(line.lstrip("*"))),
    "python": definitions.in_python,
    "rst": _rst,
}
_CLOSERS: dict[Markup, Callable[[Sequence[str], int], _Closing | None]] = {
    "asciidoc": _closes_asciidoc,
    "latex": _closes_word(_LATEX_BLOCK),
    "org": _closes_word(_ORG_BLOCK),
}
