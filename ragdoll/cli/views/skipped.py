"""Files that were left out, or noted, for people: by reasons, the most frequent first."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ragdoll.cli.text import counted, from_here, one_line
from ragdoll.corpus.documents import count_skipped
from ragdoll.corpus.formats.decoding import is_text
from ragdoll.errors import number_of
from ragdoll.hints import for_command_line

if TYPE_CHECKING:
    from ragdoll.cli.console import Console
    from ragdoll.corpus.documents import Skipped

# Reasons for leaving something out, and files of each, that are named for a person.
_SHOWN_REASONS = 8
_SHOWN_OF_A_REASON = 2
_SHOWN_GLOBS = 3

# How the reason begins for a file whose suffix is not known.
_UNKNOWN_FORMAT = "format ."


def show(
    console: Console,
    items: Sequence[Skipped],
    roots: Iterable[str] = (),
    heading: str = "Left out",
) -> None:
    """Print what was left out on standard error; an item names its root if there are several.

    ``heading`` is another where the items are notes on files that were read.
    """
    if not items or console.as_json:
        return
    kinds: dict[str, list[Skipped]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    ordered = sorted(kinds.items(), key=lambda entry: -count_skipped(entry[1]))
    width = len(f"{count_skipped(ordered[0][1]):,}")
    with_root = len(set(roots)) > 1
    console.note(f"{heading}: {count_skipped(items):,}")
    for kind, of_kind in ordered[:_SHOWN_REASONS]:
        reason = one_line(for_command_line(kind)) + _examples(of_kind, with_root)
        console.note(f"  {count_skipped(of_kind):>{width},}  {reason}")
    if len(ordered) > _SHOWN_REASONS:
        others = len(ordered) - _SHOWN_REASONS
        console.note(f"  and {number_of('other reason', others)} (--json lists them all)")
    if globs := list(islice(_of_texts(kinds), _SHOWN_GLOBS)):
        options = " ".join(f"--include {glob}" for glob in globs)
        console.note(f"{options} reads such files as text.")


def _of_texts(kinds: Mapping[str, Sequence[Skipped]]) -> Iterator[str]:
    """Yield globs of the formats left out whose files are texts, to judge by one of each."""
    for kind, items in kinds.items():
        suffix = kind.removeprefix(_UNKNOWN_FORMAT)
        file = Path(items[0].root, items[0].path)
        if suffix != kind and file.is_file() and is_text(file):
            yield shlex.quote(f"*.{suffix}")


def by_either(first: Sequence[Skipped], second: Sequence[Skipped]) -> list[Skipped]:
    """Return what either of two stages left out, each item once."""
    known = set(first)
    return [*first, *(item for item in second if item not in known)]


def _examples(items: Sequence[Skipped], with_root: bool) -> str:
    """Name some items that were left out for one reason, and count the others."""
    names = []
    for item in [item for item in items if item.path][:_SHOWN_OF_A_REASON]:
        root = f" in {from_here(item.root)}" if with_root and item.root else ""
        names.append(one_line(f"{item.path} {item.place}".rstrip() + root))
    more = counted(" and {} more", count_skipped(items) - len(names))
    return f": {', '.join(names)}{more}" if names else ""
