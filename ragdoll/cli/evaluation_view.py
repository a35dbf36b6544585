"""What ``evaluate`` found, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from ragdoll.cli.console import one_line

if TYPE_CHECKING:
    from ragdoll.evaluation.evaluate import Evaluation


def evaluation_table(result: Evaluation) -> RenderableType:
    """What a person reads after ``evaluate``."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("system")
    for name in (f"nDCG@{result.k}", f"recall@{result.k}", f"MRR@{result.k}", "p", "queries/s"):
        grid.add_column(name, justify="right")
    for system in result.systems:
        # A teacher's owner is in the JSON; here the figures need the room.
        name = system.name.rpartition("/")[2] if system.kind == "teacher" else system.name
        grid.add_row(
            one_line(name),
            f"{system.ndcg:.4f}",
            f"{system.recall:.4f}",
            f"{system.mrr:.4f}",
            "" if system.p_value is None else f"{system.p_value:.4f}",
            f"{system.queries_per_second:,.0f}",
        )
    heading = Text(
        f"{result.dataset}: {result.documents:,} documents, {result.queries:,} queries", style="dim"
    )
    if len(result.systems) < 2:
        return Group(heading, grid)
    first = one_line(result.systems[0].name)
    test = f"p: two-sided randomization test of nDCG@{result.k} against {first}"
    return Group(heading, grid, Text(test, style="dim"))
