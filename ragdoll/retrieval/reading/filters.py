"""The conditions that restrict a search: SQL on a table's columns, and globs of sources."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval.storage.schema import ids_under
from ragdoll.retrieval.storage.table import Table

# Characters of a message.
_LONGEST = 200

# LanceDB's messages begin with the work that it was doing; the reason comes after that.
_DOING = re.compile(
    r"^(?:lance error: |Invalid input, |Invalid user input: |Schema error: "
    r"|Error during planning: |Error resolving filter expression .*?: (?=Invalid user input)"
    r"|Error parsing statement: .* (?=\(sql parser error: )|\(sql parser error: )+"
)
# LanceDB plans a chain of operators by recursion, and a thousand of them exhaust its stack. Values,
# as in a list of them, do not count.
_MAX_WORDS = 400
_WORD = re.compile(r"[^\W\d]\w*|[^\w\s,()]")
# The functions of a filter: their values are no larger than what they are given, and take no longer
# than reading it. Others exhaust the memory (replace), or compare all with all (levenshtein).
_FUNCTIONS = (
    *("lower", "upper", "btrim", "ltrim", "rtrim", "left", "right", "split_part"),
    *("length", "char_length", "character_length", "octet_length"),
    *("contains", "starts_with", "ends_with", "strpos", "instr", "regexp_like", "regexp_match"),
    *("abs", "round", "isnan", "least", "greatest", "coalesce", "nullif", "nvl"),
    *("cast", "try_cast"),
    *("date_part", "datepart", "date_trunc", "to_date", "to_timestamp"),
    *("now", "today", "current_date"),
    *("array_has", "array_has_any", "array_has_all", "array_contains", "array_length"),
    *("list_has", "list_has_any", "list_has_all", "list_contains", "list_length"),
    *("cardinality", "empty", "make_array"),
)
# Other words that may stand before a bracket.
_KEYWORDS = ("and", "or", "not", "in", "between", "like", "ilike", "decimal", "timestamp")
_CALL = re.compile(r"([^\W\d][\w.]*)\s*\(")
_REGEX = re.compile(r"\bregexp_\w+\s*\(", re.IGNORECASE)
# The first argument, which may have a call in it, and a text as the second.
_REGEX_OF_TEXT = re.compile(rf"{_REGEX.pattern}(?:[^(),]|\([^()]*\))*,\s*''\s*[,)]", re.IGNORECASE)
# What LanceDB says of a condition that cannot be computed for some row.
_AT_WORK = "Error applying filter expression to batch: "
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_WILDCARD = re.compile(r"\*\*/?|\*|\?|\[[!^]?\]?[^\]/]*\]|\\.", re.DOTALL)
# What has a meaning in a choice of a regular expression, and none in that of a glob.
_SPECIAL = re.compile(r"[\\\[\]^&~]")
_AS_REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def conditions(table: Table, where: str | None, source: str | None) -> list[str]:
    """Return conditions in SQL; a search finds the passages that meet all of them.

    ``where`` is a condition on the table's columns. ``source`` is a glob as in ignore files: ``*``
    stays within a folder, ``**`` does not, and ``[Pp]`` is either letter; without a slash it is the
    name of a file or folder anywhere. It may also be a path as files have it, absolute or from the
    current folder. It also matches the records in a file and what a folder has.

    Raises:
        UsageError: ``where`` is no condition that this table can check.
    """
    result = []
    if where is not None:
        # In brackets, because LanceDB ignores what follows a complete condition.
        result.append(f"({where})")
        try:
            reason = _wrong_form(where)
            if reason is None:
                table.check_condition(result[0])
        except TableError as error:
            reason = _reason(error)
        if reason:
            raise _refusal(table, where, reason)
    if source is not None:
        result.append(of_source(table, source))
    return result


@contextmanager
def evaluating(table: Table, where: str | None) -> Iterator[None]:
    """Search by a condition: that it cannot be computed for some row is an error of the condition.

    Raises:
        UsageError: ``where`` divides by zero, makes a number of a word, or the like.
    """
    try:
        yield
    except TableError as error:
        reason = error.message.partition(_AT_WORK)[2]
        if where is None or not reason:
            raise
        raise _refusal(table, where, reason[:_LONGEST].rstrip(".")) from error


def _refusal(table: Table, where: str, reason: str) -> UsageError:
    start = where if len(where) <= _LONGEST else f"{where[:_LONGEST]}…"
    lists = [name for name, kind in table.identity.columns.items() if kind == "list"]
    ask = "".join(
        f"array_has({name}, 'x') asks for one of a list. "
        for name in lists
        if name.lower() in where.lower()
    )
    if "Date32" in reason:
        ask += "A date is written date '2024-01-31'. "
    return UsageError(
        f"The filter '{start}' cannot be used: {reason}.",
        hint=f"{ask}Columns are {', '.join(table.columns)}; the setting index.metadata "
        "makes columns of more fields.",
    )


def of_source(table: Table, glob: str) -> str:
    """Return the condition in SQL that documents are of a source; see ``conditions``."""
    ways = [f"regexp_like(source, {quoted(source_pattern(glob))})"]
    path = os.path.abspath(glob) if "/" in glob else ""  # noqa: PTH100  (takes any name)
    for key, root in table.roots().items():
        inner = path.removeprefix(root.path)
        if inner != path and inner.startswith("/"):
            pattern = quoted(source_pattern(inner))
            ways.append(f"({of_root(key)} AND regexp_like(source, {pattern}))")
    return f"({' OR '.join(ways)})"


def of_root(key: str) -> str:
    """Return the condition in SQL that documents are under the root with a key."""
    first, behind = map(quoted, ids_under(key))
    return f"id >= {first} AND id < {behind}"


def source_pattern(glob: str) -> str:
    """Return the regular expression of a glob; see ``conditions``."""
    glob = glob.removesuffix("/")
    # Names of files are composed on some systems and decomposed on others.
    forms = {unicodedata.normalize(form, glob) for form in ("NFC", "NFD")}
    patterns = "|".join(_pattern(form).removeprefix("/") for form in sorted(forms))
    anywhere = "" if "/" in glob else "(?:.*/)?"
    return f"(?s)^{anywhere}(?:{patterns})(?:[#/].*)?$"


def _pattern(glob: str) -> str:
    pattern = ""
    end = 0
    for match in _WILDCARD.finditer(glob):
        pattern += re.escape(glob[end : match.start()]) + _wild(match.group())
        end = match.end()
    return pattern + re.escape(glob[end:])


def _wild(part: str) -> str:
    """Return the regular expression of a wildcard, a choice or an escaped character."""
    if part in _AS_REGEX:
        return _AS_REGEX[part]
    if part.startswith("\\"):
        return f"(?:{re.escape(part[1])}|{re.escape(part)})"
    negated = part[1] in "!^"
    chosen = _SPECIAL.sub(r"\\\g<0>", part[2:-1] if negated else part[1:-1])
    # Brackets in a name stand for themselves, too.
    literal = re.escape(part)
    try:
        re.compile(f"[{chosen}]")
    except re.error:
        return literal
    return f"(?:[{'^/' * negated}{chosen}]|{literal})"


def quoted(text: str) -> str:
    """Return a text as a literal of SQL."""
    # As ``lancedb.expr.lit`` does, which takes two seconds to import.
    return "'" + text.replace("'", "''") + "'"


def _wrong_form(where: str) -> str | None:
    """Say why a text can be no condition, whatever the columns are; None if it may be one."""
    bare = _QUOTED.sub("", where)
    if "--" in bare or "/*" in bare:
        return "it has a comment"  # brackets in a comment would not count
    depth = 0
    for bracket in re.findall(r"[()]", bare):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            return "a bracket too many"  # it would close a bracket outside of the condition
    if len(_WORD.findall(bare)) > _MAX_WORDS:
        return f"it has more than {_MAX_WORDS} words and signs; compare with many values by IN"
    return _too_costly(where)


def _too_costly(where: str) -> str | None:
    """Say which part of a condition may take all memory or time; None if there is none."""
    named = _QUOTED.sub(_unquoted, where)
    for name in _CALL.findall(named):
        if name.lower() not in (*_FUNCTIONS, *_KEYWORDS):
            return f"{name} is none of the functions of a filter, which are {', '.join(_FUNCTIONS)}"
    if len(_REGEX.findall(named)) > len(_REGEX_OF_TEXT.findall(named)):
        return "a regular expression has to be a text in quotes"
    return "|| may make texts of any size" if "||" in named else None


def _unquoted(match: re.Match[str]) -> str:
    """Return a quoted name, which may be a function's, without its quotes; empty other values."""
    name = match[0][1:-1]
    return name if match[0][0] != "'" and name.isidentifier() else "''"


def _reason(error: TableError) -> str:
    """Return LanceDB's reason without what it was doing, and without its list of columns."""
    message = error.message.partition(": ")[2]
    reason = _DOING.sub("", message).partition(". Valid fields are")[0]
    return reason.strip().removesuffix(")").rstrip(".")[:_LONGEST]
