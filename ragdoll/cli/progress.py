"""The progress of a command in one line of the terminal, which is removed at its end."""

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

from ragdoll.cli.text import one_line
from ragdoll.streams import Report


@contextmanager
def progress_line(console: Console) -> Iterator[Report]:
    """Show what is reported, one stage at a time."""
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
            description = one_line(f"{stage}: {detail}" if detail else stage)
            if stage != current:
                # A task that has a total keeps it.
                progress.remove_task(task)
                task = progress.add_task(description, total=total)
                current = stage
            progress.update(task, completed=done, total=total, description=description)

        yield report


class _CountColumn(ProgressColumn):
    """The number of items that are done, and their total where it is known."""

    def render(self, task: Task) -> Text:
        count = f"{task.completed:,.0f}" if task.completed else ""
        if task.total is not None:
            count = f"{task.completed:,.0f}/{task.total:,.0f}"
        return Text(count, style="progress.download")


class _RateColumn(ProgressColumn):
    """The number of items done in a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "", style="progress.data.speed")
