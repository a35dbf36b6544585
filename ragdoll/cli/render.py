"""What the stages and a search did, as a person reads it."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.console import one_line
from ragdoll.cli.layout import counted, facts, from_here
from ragdoll.cli.passage_view import passage_view
from ragdoll.cli.prose import Prose
from ragdoll.corpus.documents import LINE, left_out
from ragdoll.errors import number_of

if TYPE_CHECKING:
    from ragdoll.cli.console import Console
    from ragdoll.distillation.features.featurize import FeaturizeResult
    from ragdoll.distillation.model.hub import Pushed
    from ragdoll.distillation.training.train import TrainResult
    from ragdoll.pipeline import Plan, RunResult
    from ragdoll.retrieval.reading.search import Hit
    from ragdoll.retrieval.storage.table import Table
    from ragdoll.retrieval.writing.job import IndexResult


def featurize_summary(result: FeaturizeResult) -> RenderableType:
    """What a person reads after ``featurize``."""
    done = f"{result.rows:,}"
    if result.rows == result.rows_resumed:
        done += ", all of them there already"
    elif result.rows_resumed:
        done += f", {result.rows_resumed:,} of them from before"
    if result.duplicates:
        done += f"; {number_of('duplicate', result.duplicates)} left out"
    return facts(
        {
            "features": from_here(result.features),
            "teacher": f"{result.teacher} ({result.dimension} dimensions, {result.dtype})",
            "documents": f"{result.documents:,} read"
            + counted(", {} left out", left_out(result.skipped)),
            "passages": done,
            "time": f"{result.seconds:.1f} s"
            + counted(", {} tokens a second", round(result.tokens_per_second)),
        }
    )


def train_summary(result: TrainResult, pushed: Pushed | None = None) -> RenderableType:
    """What a person reads after ``train``."""
    agreement, skipped = result.agreement, result.skipped
    uploaded = f"{pushed.url} ({'private' if pushed.private else 'public'})" if pushed else None
    return facts(
        {
            "model": f"{from_here(result.model)} ({result.recommended})",
            "size": f"{result.vocabulary:,} tokens × {result.dimension} dimensions",
            "explained variance": f"{result.explained_variance:.1%} of the targets kept by the PCA",
            "agreement": f"{agreement[result.recommended]:.1%} of the teacher's nearest neighbours "
            f"(distillate {agreement['distillate']:.1%})",
            "training": f"{number_of('passage', result.rows)}, "
            f"{number_of('pass', result.epochs, 'passes')}, {result.seconds:.0f} s"
            + (f"; {number_of('passage', skipped)} with NaN left out" if skipped else ""),
            **({"uploaded to": uploaded} if uploaded else {}),
        }
    )


def index_summary(result: IndexResult, dry_run: bool = False) -> RenderableType:
    """What a person reads after ``index``."""
    changes = [
        f"{count:,} {word}"
        for count, word in (
            (result.added, "added"),
            (result.changed, "changed"),
            (result.removed, "removed"),
            (result.unchanged, "unchanged"),
        )
        if count
    ]
    rows = {
        "table": f"{result.table} in {from_here(result.database)}"
        + (" (nothing written)" * dry_run),
        "documents": (", ".join(changes) or "none")
        + counted("; {} left out", left_out(result.skipped)),
        "passages": f"{result.chunks:,}, of which {result.chunks_embedded:,} "
        + ("to embed" if dry_run else "embedded now"),
        "model": f"{from_here(result.model)} ({result.dimension} dimensions, {result.metric})",
        "time": f"{result.seconds:.1f} s",
    }
    return facts(rows)


def run_summary(result: RunResult) -> RenderableType:
    """What a person reads after ``run``."""
    index = result.index
    touched = index.added or index.changed or index.removed or index.rebuilt
    if not result.train and not touched:
        return Text(
            f"Nothing to do: the table is up to date ({number_of('passage', index.chunks)})."
        )
    parts: list[RenderableType] = []
    if result.featurize:
        parts.append(featurize_summary(result.featurize))
    if result.train:
        parts.append(train_summary(result.train))
    parts.append(index_summary(index))
    if index.new_chunks:
        parts.append(
            Prose(
                Text(
                    "Embedded since the model was trained: "
                    f"{number_of('passage', index.new_chunks)}; "
                    "--retrain makes a model that knows what is new."
                )
            )
        )
    return Group(*parts)


def plan_summary(plan: Plan) -> RenderableType:
    """What a person reads after ``run --dry-run``."""
    return facts(
        {
            "featurize": plan.featurize or "not needed",
            "train": plan.train
            or ("not needed: it is done" if plan.model_is_ready else "not needed"),
            "index": plan.index,
        }
    )


def hits(text: str, found: Sequence[Hit], table: Table, console: Console) -> RenderableType:
    """What a person reads after ``query``: each passage with its place and the words it matches."""
    parts: list[RenderableType] = []
    places = Counter(map(_place, found))
    for hit in found:
        heading = Text.assemble((f"{hit.rank:>2}  ", "bold"), (f"{hit.score:.3f}  ", "cyan"))
        # Of passages that begin in one line the offsets tell which is which.
        place = _place(hit, with_offsets=places[_place(hit)] > 1)
        heading.append(place, style=_link(hit, table))
        # A file without a title of its own has its name for one, which stands there already.
        if hit.title and not f"/{hit.source}".endswith(f"/{hit.title}"):
            heading.append("  " + one_line(hit.title), style="bold")
        parts.append(heading)
        if console.verbose:
            scores = [
                f"{name} {value:.3f}"
                for name, value in (("vector", hit.vector_score), ("BM25", hit.text_score))
                if value is not None
            ]
            parts.append(Text("    " + ", ".join(scores), style="dim"))
        parts.append(passage_view(hit.text, hit.title, text, console.width))
        parts.append(Text(""))
    return Group(*parts[:-1])


def again(command: str, **options: object) -> str:
    """A command to type next, with the options that are not None."""
    given = [
        f"--{name} {shlex.quote(str(value))}"
        for name, value in options.items()
        if value is not None
    ]
    return " ".join([f"Next: ragdoll {command}", *given])


def same_command(restart: bool) -> str:
    """What to type again after an interruption, for what is kept not to be given up."""
    return "the same command" + " without --restart" * restart


def _place(hit: Hit, with_offsets: bool = False) -> str:
    """The source with the line of a passage, or where that is not known with its offsets."""
    line = hit.fields().get(LINE)
    offsets = f" [{hit.start}–{hit.end}]"
    if isinstance(line, int):
        file = hit.source.partition(".py#")
        place = f"{one_line(file[0] + file[1].removesuffix('#'))}:{line}"
        return place + offsets * with_offsets
    return one_line(hit.source) + offsets


def _link(hit: Hit, table: Table) -> str:
    """A style that links to the file, where it is one of a root that is there."""
    for key, root in table.state.roots.items():
        path = Path(root["path"])
        if hit.id.startswith(key) and path.is_absolute():
            places = (path, path / hit.source, path / hit.source.partition("#")[0])
            # Not Path.is_file, which raises for a record whose id is too long for a file name.
            file = next((place for place in places if os.path.isfile(place)), None)  # noqa: PTH113
            return f"green link {file.as_uri()}" if file else "green"
    return "green"
