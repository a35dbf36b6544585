"""The summaries of featurize, train, index and run, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.text import Prose, counted, facts, from_here
from ragdoll.corpus.documents import count_skipped
from ragdoll.errors import number_of
from ragdoll.hints import for_command_line

if TYPE_CHECKING:
    from ragdoll.distillation.features.featurize import FeaturizeResult
    from ragdoll.distillation.model.hub import Pushed
    from ragdoll.distillation.training.train import TrainResult
    from ragdoll.pipeline import Plan, RunResult
    from ragdoll.retrieval.writing.target import IndexResult


def featurize_summary(result: FeaturizeResult) -> RenderableType:
    """Summarise ``featurize``."""
    done = f"{result.rows:,}"
    if result.corpus_passages:
        done += f" of {result.corpus_passages:,}, taken evenly"
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
            + counted(", {} left out", count_skipped(result.skipped)),
            "passages": done,
            "time": f"{result.seconds:.1f} s"
            + counted(", {} tokens a second", round(result.tokens_per_second)),
        }
    )


def train_summary(result: TrainResult, pushed: Pushed | None = None) -> RenderableType:
    """Summarise ``train``."""
    agreement, skipped = result.agreement, result.skipped
    few = f"; {result.wanted} take more passages" if result.dimension < result.wanted else ""
    variance = result.explained_variance
    measured = {}
    training = f"none: {number_of('passage', result.rows)} would teach it less than it knows"
    if variance is not None:
        measured = {
            "explained variance": f"{variance:.1%} of the targets kept by the PCA",
            "agreement": f"{agreement[result.recommended]:.1%} of the teacher's nearest neighbours "
            f"(distillate {agreement['distillate']:.1%})",
        }
        of_all = result.rows + skipped < result.available
        training = (
            (f"a sample of {result.rows:,} from " if of_all else "")
            + number_of("passage", result.available if of_all else result.rows)
            + ", "
            + f"{number_of('pass', result.epochs, 'passes')}, {result.seconds:.0f} s"
            + (f"; {number_of('passage', skipped)} with NaN left out" if skipped else "")
        )
    uploaded = f"{pushed.url} ({'private' if pushed.private else 'public'})" if pushed else None
    return facts(
        {
            "model": f"{from_here(result.model)} ({result.recommended})",
            "size": f"{result.vocabulary:,} tokens × {result.dimension} dimensions{few}",
            **measured,
            "training": training,
            **({"uploaded to": uploaded} if uploaded else {}),
        }
    )


def index_summary(result: IndexResult, dry_run: bool = False) -> RenderableType:
    """Summarise ``index``."""
    counts = {name: getattr(result, name) for name in ("added", "changed", "removed", "unchanged")}
    changes = [f"{count:,} {name}" for name, count in counts.items() if count]
    rows = {
        "table": f"{result.table} in {from_here(result.database)}"
        + (" (nothing written)" * dry_run),
        "documents": (", ".join(changes) or "none")
        + counted("; {} left out", count_skipped(result.skipped)),
        "passages": f"{result.chunks:,}, of which {result.chunks_embedded:,} "
        + ("to embed" if dry_run else "embedded now"),
        "model": f"{from_here(result.model)} ({result.dimension} dimensions, {result.metric})",
        "time": f"{result.seconds:.1f} s",
    }
    return facts(rows)


def run_summary(result: RunResult) -> RenderableType:
    """Summarise ``run``."""
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
    """Summarise ``run --dry-run``."""
    return facts(
        {
            "featurize": for_command_line(plan.featurize or "not needed"),
            "train": for_command_line(
                plan.train or f"not needed{': it is done' * plan.model_is_ready}"
            ),
            "index": for_command_line(plan.index),
        }
    )
