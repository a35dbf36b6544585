"""How far the work is, in one line of a terminal that is gone when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ragdoll.cli.console import one_line
from ragdoll.streams import Report


@contextmanager
def progress_line(console: Console) -> Iterator[Report]:
    """Show what is reported, a stage at a time."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        _CountColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    with progress:
        current = "starting"
        task = progress.add_task(current, total=None)

        def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
            nonlocal current, task
            shown = one_line(f"{stage}: {detail}" if detail else stage)
            if stage != current:
                # A task that has a total keeps it.
                progress.remove_task(task)
                task = progress.add_task(shown, total=total)
                current = stage
            progress.update(task, completed=done, total=total, description=shown)

        yield report


class _CountColumn(ProgressColumn):
    """How much is done, and of how much; nothing where there is nothing to count."""

    def render(self, task: Task) -> Text:
        shown = f"{task.completed:,.0f}" if task.completed else ""
        if task.total is not None:
            shown = f"{task.completed:,.0f}/{task.total:,.0f}"
        return Text(shown, style="progress.download")


class _RateColumn(ProgressColumn):
    """How much is done in a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "", style="progress.data.speed")
