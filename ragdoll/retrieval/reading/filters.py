"""Which passages a search may find: conditions on a table's columns."""

from __future__ import annotations

import re

from ragdoll.errors import TableError, UsageError
from ragdoll.retrieval.storage.table import Table

_MAX_SHOWN = 200

# In LanceDB's messages: what it was doing, before the reason.
_DOING = re.compile(
    r"^(?:lance error: |Invalid input, |Invalid user input: |Schema error: "
    r"|Error during planning: |Error resolving filter expression .*?: (?=Invalid user input)"
    r"|Error parsing statement: .* (?=\(sql parser error: )|\(sql parser error: )+"
)
# LanceDB plans a chain of operators by recursion, and a thousand of them exhaust its stack. Values,
# as in a list of them, do not count.
_MAX_WORDS = 400
_WORD = re.compile(r"[^\W\d]\w*|[^\w\s,()]")
# What makes values of any size. No passage need be compared with one.
_GROWING = re.compile(
    r"\b((?:array_|list_)?(?:repeat|resize)|[lr]pad|range|generate_series)\s*\(", re.IGNORECASE
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_WILDCARD = re.compile(r"\*\*/?|\*|\?")
_AS_REGEX = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def conditions(table: Table, where: str | None, source: str | None) -> list[str]:
    """Conditions in SQL, all of which a passage must meet.

    ``where`` is a condition on the table's columns. ``source`` is a glob as in ignore files: ``*``
    stays within a folder, ``**`` does not; without a slash it is the name of a file or folder
    anywhere. It also matches the records in a file and the files in a folder.

    Raises:
        UsageError: ``where`` is no condition that this table can check.
    """
    found = []
    if where is not None:
        # In brackets, because what stands behind a whole condition is otherwise ignored.
        found.append(f"({where})")
        try:
            reason = _form_is_wrong(where)
            if reason is None:
                table.check_condition(found[0])
        except TableError as error:
            reason = _reason(error)
        if reason:
            shown = where if len(where) <= _MAX_SHOWN else f"{where[:_MAX_SHOWN]}…"
            raise UsageError(
                f"The filter '{shown}' cannot be used: {reason}.",
                hint=f"Columns are {', '.join(table.columns)}; [index.metadata] makes more of "
                "the fields of records.",
            )
    if source is not None:
        found.append(f"regexp_like(source, {quoted(source_pattern(source))})")
    return found


def source_pattern(glob: str) -> str:
    """The regular expression of a glob; see ``conditions``."""
    glob = glob.removesuffix("/")
    pattern = ""
    end = 0
    for match in _WILDCARD.finditer(glob):
        pattern += re.escape(glob[end : match.start()]) + _AS_REGEX[match.group()]
        end = match.end()
    pattern += re.escape(glob[end:])
    anywhere = "" if "/" in glob else "(?:.*/)?"
    return f"(?s)^{anywhere}{pattern.removeprefix('/')}(?:[#/].*)?$"


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    from lancedb.expr import lit

    return str(lit(text).to_sql())


def _form_is_wrong(where: str) -> str | None:
    """What no condition may look like, whatever its columns; None where it may be one."""
    bare = _QUOTED.sub("", where)
    if "--" in bare or "/*" in bare:
        return "it has a comment"  # whose brackets would not count
    depth = 0
    for bracket in re.findall(r"[()]", bare):
        depth += 1 if bracket == "(" else -1
        if depth < 0:
            return "a bracket too many"  # it would close what the condition did not open
    if growing := _GROWING.search(_QUOTED.sub(_name, where)):
        return f"{growing[1]} makes values of any size"
    if len(_WORD.findall(bare)) > _MAX_WORDS:
        return f"it has more than {_MAX_WORDS} words and signs; compare with many values by IN"
    return None


def _name(quoted: re.Match[str]) -> str:
    """A name without its quotes, as that of a function may have them; empty where it is none."""
    name = quoted[0][1:-1]
    return name if quoted[0][0] != "'" and name.isidentifier() else ""


def _reason(error: TableError) -> str:
    """LanceDB's reason in few words: without what it was doing, and without its list of columns."""
    message = error.message.partition(": ")[2]
    reason = _DOING.sub("", message).partition(". Valid fields are")[0]
    return reason.strip().removesuffix(")").rstrip(".")[:_MAX_SHOWN]
