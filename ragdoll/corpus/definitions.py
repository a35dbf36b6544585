"""Functions and types in source code, as the headings of its sections.

Source code is not parsed: each language would take a parser of its own. A line that defines
something is known by its words and brackets, in whichever language that is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

Heading = tuple[int, int, str]
"""The number of a line, a level from 1, and a title."""

# The lines that the parameters of a function may go over.
_MOST_PARAMETERS = 30

_PYTHON = re.compile(r"([ \t]*)(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)")
_DECORATOR = re.compile(r"[ \t]*(?:@[\w.]|template\b)")
# What begins a function or a type in languages with other words for it than Python.
_DEFINITION = re.compile(
    r"([ \t]*)(?:(?:export|default|public|private|protected|internal|static|final|abstract|async"
    r"|pub(?:\([\w ]+\))?|unsafe|override|open|sealed|virtual|inline|extern|const|partial|data|case"
    r"|suspend|local)[ \t]+)*"
    r"(?:function\*?|func|fn|fun|def|sub|class|struct|interface|enum|trait|impl(?:<[^>]*>)?|module"
    r"|namespace|object|type|protocol|extension|record|defmodule|defp|defmacro|macro_rules!)[ \t]+"
    r"(?:\([^)]*\)[ \t]*)?([A-Za-z_$][\w$]*+(?:(?:\.|::)[A-Za-z_$][\w$]*+)*+)"
    # Behind the name of a type, that of a variable.
    r"(?![ \t]*[*&]*[ \t]*\w+[ \t]*=)"
)
# Those that hold functions whose names no word goes before.
_TYPE = re.compile(
    r"\b(?:class|interface|enum|trait|impl|object|extension|record|protocol|struct)\b"
)
# What begins a statement with brackets and a block, and no function.
_STATEMENTS = (
    "if|for|foreach|while|until|unless|switch|match|when|select|return|else|elif|elsif|elseif|catch"
    "|do|case|new|throw|try|with|using|lock|guard|defer|go|await|yield|synchronized|extends|and|or"
    "|not"
)
# A function of C and its family: a name, perhaps behind a type, before a bracket.
_FUNCTION = re.compile(
    rf"([ \t]*)(?!(?:{_STATEMENTS})\b)(?:[A-Za-z_][\w:<>,*&\[\]?. \t]*?[ \t*&])?"
    r"(?!(?:if|for|while|switch|catch|function|func|fn)\b)"
    r"((?:[A-Za-z_$][\w$]*(?:<[^<>()]*>)?::)*(?:operator[ \t]*[^\s\w(]+|~?[A-Za-z_$][\w$]*))"
    r"(?:<[^<>()]*>)?[ \t]*(?=\()"
)
# What stands between the brackets of a function and its body, of C and of JavaScript.
_BODY = re.compile(r"\{|:[ \t]*\w+[ \t]*[({]|[\w:-][^;={}()]*\{")
_ARROW_BODY = re.compile(r"(?::[^;=]*)?=>[ \t]*[({]?$")
_ARROW = re.compile(
    r"([ \t]*)(?:(?:export|default|const|let|var|static|public|private|protected|readonly)[ \t]+)*"
    r"([A-Za-z_$][\w$.]*)[ \t]*(?::[^=;]*)?=[ \t]*(?:async\b[ \t]*)?"
    r"(?:(?=\()|[\w$]+[ \t]*=>[ \t]*[({]?$|function\b.*\{$)"
)
# The type of a function in the line above its name.
_TYPE_LINE = re.compile(r"[A-Za-z_][\w:<>,*& \t]*")


def in_python(lines: Sequence[str]) -> Iterator[Heading]:
    """Find the functions and classes of Python."""
    return _definitions(lines, lambda lines, number: _PYTHON.match(lines[number]))


def in_code(lines: Sequence[str]) -> Iterator[Heading]:
    """Find the functions and types of other languages."""
    return _definitions(lines, _definition)


def _definitions(
    lines: Sequence[str], find: Callable[[Sequence[str], int], re.Match[str] | None]
) -> Iterator[Heading]:
    """Find functions and classes, with the comments and decorators right above them."""
    above: list[tuple[int, bool]] = []
    for number in range(len(lines)):
        match = find(lines, number)
        if match is None:
            continue
        indent = len(match[1].expandtabs())
        outer = [one for one in above if one[0] < indent]
        is_bare = match.re is _FUNCTION and match.end(1) == match.start(2)
        # Without a type, and in no class, it is a call with a block.
        if is_bare and indent and not (outer and outer[-1][1]):
            continue
        is_type = match.re is _DEFINITION and _TYPE.search(match[0]) is not None
        above = [*outer, (indent, is_type)]
        yield _begin(lines, number, match[1], is_bare), len(above), match[2]


def _definition(lines: Sequence[str], number: int) -> re.Match[str] | None:
    """Return the function or type whose definition begins in a line of code."""
    line = lines[number].rstrip()
    function = _FUNCTION.match(line)
    if function and _BODY.match(_behind_brackets(lines, number, function.end())):
        return function
    arrow = _ARROW.match(line)
    if arrow and (
        line[arrow.end() :] == "" or _ARROW_BODY.match(_behind_brackets(lines, number, arrow.end()))
    ):
        return arrow
    other = _DEFINITION.match(line)
    unclosed = line.count("(") - line.count(")")
    if other is None or unclosed < 0 or line.endswith(";") or (line.endswith(",") and not unclosed):
        return None
    is_declared = unclosed and _behind_brackets(lines, number, line.index("(")).startswith(";")
    return None if is_declared else other


def _behind_brackets(lines: Sequence[str], number: int, place: int) -> str:
    """Return what follows brackets that open at a place of a line; empty where they do not close.

    That is the rest of the line where they close, or a body in the next.
    """
    depth = 0
    last = min(number + _MOST_PARAMETERS, len(lines))
    for at in range(number, last):
        for bracket in re.finditer(r"[()]", lines[at]):
            if at == number and bracket.start() < place:
                continue
            depth += 1 if bracket[0] == "(" else -1
            if not depth:
                below = lines[at + 1].strip() if at + 1 < len(lines) else ""
                rest = lines[at][bracket.end() :].strip()
                return rest if "{" in rest or not below.startswith(("{", ":")) else rest + below
    return ""


def _begin(lines: Sequence[str], number: int, indent: str, is_bare: bool) -> int:
    """Return the first line of what stands right above a definition and belongs to it."""
    has_type_above = is_bare and number and "{" not in lines[number]
    if has_type_above and _TYPE_LINE.fullmatch(lines[number - 1].rstrip()):
        number -= 1
    comment = (f"{indent}#", f"{indent}//", f"{indent}/*", f"{indent} *", f"{indent}--")
    while number and (
        _DECORATOR.match(lines[number - 1])
        or (lines[number - 1].startswith(comment) and not lines[number - 1].startswith("#!"))
    ):
        number -= 1
    return number
