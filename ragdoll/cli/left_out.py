"""What is said about files and records that were left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ragdoll.cli.console import one_line
from ragdoll.cli.layout import from_here
from ragdoll.corpus.documents import left_out
from ragdoll.errors import number_of

if TYPE_CHECKING:
    from ragdoll.cli.console import Console
    from ragdoll.corpus.documents import Skipped

# Reasons for leaving something out, and files of each, that are named for a person.
_SHOWN_REASONS = 8
_SHOWN_OF_A_REASON = 2


def show(console: Console, items: Sequence[Skipped], roots: Iterable[str] = ()) -> None:
    """Say on standard error what was left out: by reasons, the most frequent first.

    Where it may be of more than one of these roots, it is named with its own.
    """
    if not items or console.as_json:
        return
    kinds: dict[str, list[Skipped]] = {}
    for item in items:
        kinds.setdefault(item.kind, []).append(item)
    ordered = sorted(kinds.items(), key=lambda entry: -left_out(entry[1]))
    counts = [f"{left_out(of_kind):,}" for _, of_kind in ordered]
    with_root = len(set(roots)) > 1
    console.note(f"Left out: {left_out(items):,}")
    for count, (kind, of_kind) in list(zip(counts, ordered, strict=True))[:_SHOWN_REASONS]:
        console.note(
            f"  {count:>{len(counts[0])}}  {one_line(kind)}{_examples(of_kind, with_root)}"
        )
    if len(ordered) > _SHOWN_REASONS:
        others = len(ordered) - _SHOWN_REASONS
        console.note(f"  and {number_of('other reason', others)} (--json lists them all)")


def by_either(first: Sequence[Skipped], second: Sequence[Skipped]) -> list[Skipped]:
    """What one stage left out, and what another left out beside it."""
    known = set(first)
    return [*first, *(item for item in second if item not in known)]


def _examples(items: Sequence[Skipped], with_root: bool) -> str:
    """Some of what was left out for one reason, and the number of the others."""
    shown = [item for item in items if item.path][:_SHOWN_OF_A_REASON]
    names = ", ".join(
        one_line(f"{item.path} {item.place}".rstrip()) + _of_root(item, with_root) for item in shown
    )
    more = left_out(items) - len(shown)
    return (f": {names}" + (f" and {more:,} more" if more else "")) if shown else ""


def _of_root(item: Skipped, with_root: bool) -> str:
    """The root, where it is to be told; a folder below the current one as it is seen from there."""
    if not with_root or not item.root:
        return ""
    return f" in {one_line(from_here(item.root))}"
