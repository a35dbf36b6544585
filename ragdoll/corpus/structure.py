"""The structure of a text: its sections, and the parts that are best kept whole.

Each language of markup marks headings in its own way. A text of no known language has those of
Markdown and reStructuredText, which people also write in plain text. The sections of source code
are its functions and classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal, NamedTuple

Markup = Literal["", "asciidoc", "code", "latex", "markdown", "org", "python", "rst"]

# Those of source code, whose sections are functions and classes.
CODE: frozenset[Markup] = frozenset(("code", "python"))

# Characters. A longer line is no heading, and some patterns would take long for it.
_MAX_TITLE = 200

_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_CLOSING = re.compile(r"(?:^|[ \t]+)#+[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}")
_SETEXT = re.compile(r" {0,3}(={2,}|-{2,})")
_NO_TITLE = re.compile(r"[\s>|#]|[-*+.] |\d+[.)] |\.\. |.*\|")
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*")

_ASCIIDOC = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_ASCIIDOC_BLOCK = re.compile(r"(-{4,}|\.{4,}|\+{4,}|={4,}|\*{4,}|_{4,}|/{4,}|`{3})")
_ASCIIDOC_LEVELS = "=-~^+"
_MOST_OFF = 2
_ORG = re.compile(r"\*+[ \t]+(\S.*)")
_ORG_BLOCK = re.compile(r"[ \t]*#\+(begin|end)_\w+", re.IGNORECASE)
_LATEX_LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "paragraph")
_LATEX = re.compile(
    rf"[ \t]*\\({'|'.join(_LATEX_LEVELS)})\*?(?:\[[^\]]*\])?"
    r"\{((?:[^{}]|\{[^{}]*\})+)\}"
)
_LATEX_BLOCK = re.compile(r"[ \t]*\\(begin|end)\{(?:verbatim|lstlisting|minted|alltt)\*?\}")
_STATED_TITLE = {
    "latex": re.compile(r"\\title(?:\[[^\]]*\])?\{([^{}]+)\}"),
    "org": re.compile(r"^#\+title:[ \t]*(\S.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE),
}

_PYTHON = re.compile(r"([ \t]*)(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)")
_DECORATOR = re.compile(r"[ \t]*@[\w.]")
# What begins a function or a type in languages with other words for it than Python.
_DEFINITION = re.compile(
    r"([ \t]*)(?:(?:export|default|public|private|protected|internal|static|final|abstract|async"
    r"|pub(?:\([\w ]+\))?|unsafe|override|open|sealed|virtual|inline|extern|const|partial)[ \t]+)*"
    r"(?:function\*?|func|fn|fun|def|sub|class|struct|interface|enum|trait|impl(?:<[^>]*>)?|module"
    r"|namespace|object|type|protocol|extension|record)[ \t]+(?:\([^)]*\)[ \t]*)?([A-Za-z_$][\w$]*)"
)
# A function of C and its family: a name and an opening bracket in a line that ends no statement.
_C_FUNCTION = re.compile(
    r"([ \t]*)(?!(?:if|for|while|switch|return|else|catch|do|case|new|throw)\b)"
    r"[A-Za-z_][\w:<>,*&\[\]. \t]*?[ \t*&]([A-Za-z_~][\w:~]*)[ \t]*\([^;]*(?:\{[ \t]*)?"
)

_TABLE_RULE = frozenset("|:- \t")

# What a plain text has if it has any structure. Looking for that is faster than reading lines.
_STRUCTURED = re.compile(
    r"^ {0,3}(?:#{1,6}[ \t]|```|~~~)|^[=\-~^\"'`#*+.:_]{3,}[ \t]*\r?$|^[ \t]*\|", re.MULTILINE
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
    neither. Headings within blocks of code are none.
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
        Span(starts[first], starts[last], lines[first])
        for first, last in _tables(lines)
        if first not in inside
    ]
    stated = _STATED_TITLE[markup].search(text) if markup in _STATED_TITLE else None
    title = stated[1].strip() if stated else None
    if title is None and sections and markup not in CODE:
        title = sections[0].title
    spans = [Span(starts[first], starts[last]) for first, last in blocks]
    return Structure(title, sections, spans, tables)


_Heading = tuple[int, int, str]
"""The number of the line, the level and the title."""


def _markdown(lines: Sequence[str]) -> Iterator[_Heading]:
    return iter(sorted([*_atx(lines), *_setext(lines)]))


def _plain(lines: Sequence[str]) -> Iterator[_Heading]:
    """Find the headings of Markdown, and lines that are underlined over their whole length."""
    return iter(sorted([*_atx(lines), *_rst(lines)]))


def _atx(lines: Sequence[str]) -> Iterator[_Heading]:
    for number, line in enumerate(lines):
        match = _ATX.fullmatch(line)
        if match and (title := _CLOSING.sub("", match[2].strip())):
            yield number, len(match[1]), title


def _setext(lines: Sequence[str]) -> Iterator[_Heading]:
    for number in range(1, len(lines)):
        line, above = lines[number].strip(), lines[number - 1]
        is_alone = number == 1 or not lines[number - 2].strip()
        if _SETEXT.fullmatch(lines[number].rstrip()) and is_alone and _can_be_title(above):
            yield number - 1, 1 if line[0] == "=" else 2, above.strip()


def _rst(lines: Sequence[str]) -> Iterator[_Heading]:
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


def _asciidoc(lines: Sequence[str]) -> Iterator[_Heading]:
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
) -> Callable[[Sequence[str]], Iterator[_Heading]]:
    """Make a finder of headings that are a line each."""

    def find(lines: Sequence[str]) -> Iterator[_Heading]:
        for number, line in enumerate(lines):
            match = pattern.match(line)
            if match and (title := match[match.lastindex or 0].strip()):
                yield number, level(line), title

    return find


def _python(lines: Sequence[str]) -> Iterator[_Heading]:
    return _definitions(lines, (_PYTHON,))


def _code(lines: Sequence[str]) -> Iterator[_Heading]:
    return _definitions(lines, (_DEFINITION, _C_FUNCTION))


def _definitions(lines: Sequence[str], patterns: Sequence[re.Pattern[str]]) -> Iterator[_Heading]:
    """Find functions and classes, with the comments and decorators right above them."""
    indents: list[int] = []
    for number, line in enumerate(lines):
        match = next(filter(None, (pattern.match(line) for pattern in patterns)), None)
        if match is None or line.rstrip().endswith((";", ",")):
            continue
        if match.re is _C_FUNCTION and not _opens(lines, number):
            continue
        indent = len(match[1].expandtabs())
        while indents and indents[-1] >= indent:
            indents.pop()
        indents.append(indent)
        yield _begin(lines, number, match[1]), len(indents), match[2]


def _opens(lines: Sequence[str], number: int) -> bool:
    """Tell whether a block opens at the end of a line, or at the next."""
    line = lines[number].rstrip()
    below = lines[number + 1].strip() if number + 1 < len(lines) else ""
    return line.endswith("{") or below.startswith("{")


def _begin(lines: Sequence[str], number: int, indent: str) -> int:
    """Return the first line of what stands right above a definition and belongs to it."""
    comment = (f"{indent}#", f"{indent}//", f"{indent}/*", f"{indent} *", f"{indent}--")
    while number and (
        _DECORATOR.match(lines[number - 1])
        or (lines[number - 1].startswith(comment) and not lines[number - 1].startswith("#!"))
    ):
        number -= 1
    return number


def _can_be_title(line: str) -> bool:
    return bool(line.strip()) and not _NO_TITLE.match(line.lstrip(" "))


def _blocks(lines: Sequence[str], markup: Markup) -> Iterator[tuple[int, int]]:
    """Yield the blocks of code as numbers of lines: the first, and that behind the last."""
    if markup in CODE:
        return
    if markup in {"", "markdown"} and lines and _FRONT_MATTER.fullmatch(lines[0]):
        closing = {lines[0].rstrip(), "..."}
        end = next((n for n in range(1, len(lines)) if lines[n].rstrip() in closing), 0)
        if end:
            yield 0, end + 1
    closes = _CLOSERS.get(markup, _closes_fence)
    number = 0
    while number < len(lines):
        is_closing = closes(lines, number)
        if is_closing is None:
            number += 1
            continue
        last = next((n for n in range(number + 1, len(lines)) if is_closing(lines[n])), None)
        if last is None:
            return
        yield number, last + 1
        number = last + 1


_Closing = Callable[[str], object]


def _closes_fence(lines: Sequence[str], number: int) -> _Closing | None:
    """Return what tells the end of a block that a line opens; None where it opens none."""
    opening = _FENCE.match(lines[number])
    if opening is None:
        return None
    marks = opening[1]

    def closes(line: str) -> bool:
        stripped = line.strip()
        return len(stripped) >= len(marks) and stripped == marks[0] * len(stripped)

    return closes


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


def _tables(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the tables in Markdown as numbers of lines: that of the head, and behind the last."""
    number = 1
    while number < len(lines):
        rule = set(lines[number])
        is_table = "|" in lines[number - 1] and rule <= _TABLE_RULE and {"|", "-"} <= rule
        number += 1
        if is_table:
            first = number - 2
            while number < len(lines) and lines[number].lstrip().startswith("|"):
                number += 1
            yield first, number


_FINDERS: dict[Markup, Callable[[Sequence[str]], Iterator[_Heading]]] = {
    "": _plain,
    "asciidoc": _asciidoc,
    "code": _code,
    "latex": _by_lines(_LATEX, lambda line: _LATEX_LEVELS.index(re.findall(r"\w+", line)[0]) + 1),
    "markdown": _markdown,
    "org": _by_lines(_ORG, lambda line: len(line) - len(line.lstrip("*"))),
    "python": _python,
    "rst": _rst,
}
_CLOSERS: dict[Markup, Callable[[Sequence[str], int], _Closing | None]] = {
    "asciidoc": _closes_asciidoc,
    "latex": _closes_word(_LATEX_BLOCK),
    "org": _closes_word(_ORG_BLOCK),
}
