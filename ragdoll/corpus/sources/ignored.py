"""Ignore files, which leave out entries of a tree by the rules of git.

The library pathspec reads the same patterns, but matches them to paths from the top, so that a rule
that keeps a folder (``*``, ``!*/``, ``!*.md``) brings back all that is in it. Like git, this module
matches each entry by itself.
"""

from __future__ import annotations

import os
import re
import stat
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragdoll.files import is_inside

IGNORE_FILES = (".gitignore", ".ragdollignore")
# Far more bytes than anyone writes; the patterns behind them are not used.
_MAX_IGNORE_BYTES = 2**20

NOT_REGULAR = "not a regular file"
OUTSIDE = "link out of the folder"

_PUNCTUATION = string.punctuation.encode()
_LETTERS, _DIGITS = string.ascii_letters.encode(), string.digits.encode()
# The characters of the classes in a pattern, as in [[:digit:]].
_CLASSES = {
    b"alnum": _LETTERS + _DIGITS,
    b"alpha": _LETTERS,
    b"blank": b" \t",
    b"cntrl": bytes([*range(32), 127]),
    b"digit": _DIGITS,
    b"graph": _LETTERS + _DIGITS + _PUNCTUATION,
    b"lower": string.ascii_lowercase.encode(),
    b"print": _LETTERS + _DIGITS + _PUNCTUATION + b" ",
    b"punct": _PUNCTUATION,
    b"space": string.whitespace.encode(),
    b"upper": string.ascii_uppercase.encode(),
    b"xdigit": string.hexdigits.encode(),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of an ignore file, which matches an entry, not the content of a folder."""

    drops: bool
    only_folders: bool
    only_name: bool
    pattern: re.Pattern[bytes]

    def matches(self, path: bytes, is_folder: bool) -> bool:
        """Tell whether an entry matches, by its path from the ignore file's folder."""
        if self.only_folders and not is_folder:
            return False
        name = path.rpartition(b"/")[2] if self.only_name else path
        return self.pattern.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of an ignore file, for the paths below ``base``, with ``prefix`` before them."""

    base: Path
    prefix: str
    rules: Sequence[Rule]

    def verdict(self, path: Path, is_folder: bool) -> bool | None:
        """Tell whether the last matching rule ignores an entry; None where no rule matches."""
        name = os.fsencode(self.prefix + path.relative_to(self.base).as_posix())
        matching = (rule.drops for rule in reversed(self.rules) if rule.matches(name, is_folder))
        return next(matching, None)


def is_ignored(path: Path, is_folder: bool, ignored: Sequence[Rules]) -> bool:
    """Tell whether an entry is ignored: the last file with a matching rule decides."""
    verdicts = (rules.verdict(path, is_folder) for rules in reversed(ignored))
    return next((verdict for verdict in verdicts if verdict is not None), False)


def rules_of(file: Path, top: Path) -> tuple[list[Rule], str]:
    """Read an ignore file; return its rules, and what is wrong with it, or an empty string.

    A link that leads out of ``top`` is not followed. As in git, a line that is no pattern is passed
    over.
    """
    try:
        if not is_inside(file, top):
            return [], OUTSIDE
        if not stat.S_ISREG(file.stat().st_mode):
            return [], NOT_REGULAR
        with file.open("rb") as opened:
            content = opened.read(_MAX_IGNORE_BYTES + 1)
    except OSError as error:
        return [], error.strerror or str(error)
    reason = ""
    if len(content) > _MAX_IGNORE_BYTES:
        content = content[: content.rfind(b"\n") + 1]
        reason = f"larger than {_MAX_IGNORE_BYTES // 2**20} MiB; the rest is not used"
    rules = []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            rule = _rule(line)
        except ValueError:
            reason = reason or f"line {number}: not a pattern"
        else:
            rules += [rule] if rule else []
    return rules, reason


def _rule(line: bytes) -> Rule | None:
    """Read a line of an ignore file; None for an empty one or a comment.

    Raises:
        ValueError: the line is no pattern, or nothing can match it.
    """
    if line.startswith(b"#"):
        return None
    line = line.removesuffix(b"\r")
    text = line.rstrip(b" ")
    if text != line and (len(text) - len(text.rstrip(b"\\"))) % 2:
        text += b" "  # a space after a backslash belongs to the name
    if not text:
        return None
    pattern = text.removeprefix(b"!")
    only_folders = pattern.endswith(b"/")
    pattern = pattern.removesuffix(b"/")
    if not pattern or b"\0" in pattern:
        raise ValueError(line)
    try:
        expression = _expression(pattern.removeprefix(b"/"))
    except (LookupError, ValueError) as error:
        raise ValueError(line) from error
    return Rule(
        drops=not text.startswith(b"!"),
        only_folders=only_folders,
        only_name=b"/" not in pattern,
        pattern=re.compile(expression, re.DOTALL),
    )


def _expression(pattern: bytes) -> bytes:
    """Translate a pattern of git to a regular expression for a whole path.

    Raises:
        LookupError, ValueError: it is no pattern.
    """
    # To git, stars behind a literal beginning count as the first of the pattern, slash or not.
    first = next((at for at, char in enumerate(pattern) if char in b"*?[\\"), len(pattern))
    parts, at = [re.escape(pattern[:first])], first
    # The index among the parts of the latest star within the same name, and of the latest that
    # stands for any folders; None for none.
    star = folders = None
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"*":
            end = len(pattern) - len(pattern[at:].lstrip(b"*"))
            may_cross = end - at > 1 and (at == first or pattern[at - 1 : at] == b"/")
            if may_cross and pattern[end : end + 1] == b"/":
                part, end, star = b"(?:.*/)?", end + 1, None
                if folders is not None:
                    _take_first(parts, folders, b"(?:.*?/)??", at)
                folders = len(parts)
            elif may_cross and (end == len(pattern) or pattern[end : end + 2] == b"\\/"):
                part, star = b".*", None
            else:
                part = b"[^/]*"
                if star is not None:
                    _take_first(parts, star, b"[^/]*?", at)
                star = len(parts)
            at = end
        elif char == b"?":
            part, at = b"[^/]", at + 1
        elif char == b"[":
            part, at = _choice(pattern, at + 1)
        else:
            at += char == b"\\"
            star = None if pattern[at] == ord("/") else star
            part, at = re.escape(bytes([pattern[at]])), at + 1
        parts.append(part)
    return b"".join(parts)


def _take_first(parts: list[bytes], wild: int, shortest: bytes, at: int) -> None:
    """Match the parts behind a wildcard at the first place that fits, and at no other.

    Before another such wildcard the first place is as good as any, and trying no other keeps the
    time from growing exponentially with the number of wildcards. ``shortest`` is the wildcard in
    its reluctant form.
    """
    group = b"g%d" % at
    between = b"".join(parts[wild + 1 :])
    parts[wild:] = [b"(?=(?P<%b>%b%b))(?P=%b)" % (group, shortest, between, group)]


def _choice(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Translate the choice that begins at ``at``, behind a bracket; return its end, too.

    Raises:
        LookupError, ValueError: the choice does not end, or nothing can be chosen.
    """
    is_negated = pattern[at : at + 1] in (b"!", b"^")
    at += is_negated
    chosen: set[int] = set()
    before, begin = 0, at
    while at == begin or pattern[at] != ord("]"):
        before, at = _chosen(pattern, at, before, chosen)
    if is_negated:
        chosen = set(range(1, 256)) - chosen
    chosen.discard(ord("/"))
    if not chosen:
        raise ValueError(pattern)
    return b"[%b]" % b"".join(b"\\x%02x" % char for char in sorted(chosen)), at + 1


def _chosen(pattern: bytes, at: int, before: int, chosen: set[int]) -> tuple[int, int]:
    """Add one item of a choice; return the start of a range from it (or 0), and its end."""
    char = pattern[at]
    if char == ord("-") and before and pattern[at + 1] != ord("]"):
        at += 1 + (pattern[at + 1] == ord("\\"))
        chosen.update(range(before, pattern[at] + 1))
        return 0, at + 1
    if pattern[at : at + 2] == b"[:":
        end = pattern.index(b"]", at + 2)
        if end > at + 2 and pattern[end - 1] == ord(":"):
            chosen.update(_CLASSES[pattern[at + 2 : end - 1]])
            return 0, end + 1
    at += char == ord("\\")
    chosen.add(pattern[at])
    return pattern[at], at + 1
