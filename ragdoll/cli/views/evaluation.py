"""Comparisons of systems as ``evaluate`` shows them to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.text import Prose, clipped, grid, one_line

if TYPE_CHECKING:
    from ragdoll.evaluation.evaluate import Evaluation
    from ragdoll.evaluation.explain import Explanation, Place

# Characters of a ranked document's text that are printed.
_SHOWN_TEXT = 60

# Characters that a column keeps on a narrow terminal.
_MIN_NAME = 10


def evaluation_table(result: Evaluation) -> RenderableType:
    """Show a comparison as a table."""
    from ragdoll.evaluation.report import cells, headings, notes, title

    table = grid(gap=1)
    for number, heading in enumerate(headings(result.k)):
        side: Literal["left", "right"] = "right" if number else "left"
        table.add_column(heading, justify=side, overflow="fold")
    for system in result.systems:
        name, *figures = cells(system)
        # A teacher's owner is in the JSON; here the figures need the room.
        label = name.rpartition("/")[2] if system.kind == "teacher" else name
        table.add_row(one_line(label), *figures)
    below = [Prose(Text(one_line(note), style="dim")) for note in notes(result)]
    return Group(Text(one_line(title(result)), style="dim"), table, *below)


def explanation(result: Explanation, k: int) -> RenderableType:
    """Show the ranks that systems give to the answers of one question."""
    which = (
        f"{result.dataset}, query {result.query_id}"
        if result.query_id
        else (f"{result.dataset}, a question of your own: nobody judged its answers")
    )
    parts: list[RenderableType] = [
        Text(one_line(which), style="dim"),
        Prose(Text(one_line(" ".join(result.query.split())), style="bold")),
    ]
    if result.query_id is not None:
        parts += [Text(""), Text("Where each system ranks the answers:")]
        parts.append(_places(result.systems, result.answers))
    if len(result.systems) > 1:
        parts.append(Text(""))
        if result.disputed:
            parts.append(Text(f"Other documents among the first {k} that they disagree on most:"))
            parts.append(_places(result.systems, result.disputed))
        else:
            parts.append(Text(f"They agree on the other documents among the first {k}."))
    parts.append(Text("–: not among the first 100", style="dim"))
    return Group(*parts)


def _places(systems: Sequence[str], places: Sequence[Place]) -> RenderableType:
    table = grid(gap=1)
    table.add_column("document", min_width=_MIN_NAME, overflow="fold")
    for heading in _headings(systems):
        table.add_column(heading, justify="right", min_width=min(len(heading), _MIN_NAME))
    table.add_column("text", no_wrap=True)
    for place in places:
        ranks = ["–" if rank is None else str(rank) for rank in place.ranks.values()]
        text = clipped(" ".join(place.text.split()), _SHOWN_TEXT)
        table.add_row(one_line(place.document), *ranks, one_line(text))
    return table


def _headings(systems: Sequence[str]) -> list[str]:
    """Return the names of systems without folders and owners, unless two would be the same."""
    short = [name.rpartition("/")[2] for name in systems]
    return [one_line(name) for name in (short if len(set(short)) == len(short) else systems)]
