"""Models and tables as ``inspect-model`` shows them to people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.text import (
    Prose,
    clipped,
    counted,
    facts,
    from_here,
    grid,
    megabytes,
    one_line,
)
from ragdoll.corpus.languages import OTHER
from ragdoll.errors import number_of
from ragdoll.hints import for_command_line

if TYPE_CHECKING:
    from ragdoll.embedding.comparison import Comparison, Movement
    from ragdoll.embedding.inspection import ModelFacts
    from ragdoll.embedding.token_table import Neighbors
    from ragdoll.retrieval.reading.inspection import TableFacts
    from ragdoll.retrieval.storage.analysis import Analysis

_CHECKED = {True: "yes", False: "no", None: "not known"}

# A value of a fact that differs is cut here, for the eye: JSON has it whole.
_MAX_VALUE = 60


def inspection(
    tables: Sequence[TableFacts],
    models: Sequence[ModelFacts],
    words: Sequence[Neighbors],
    compared: Comparison | None,
) -> RenderableType:
    """Show tables, models, and the differences of two models."""
    parts = [_table(found) for found in tables]
    rows = [_rows(found) for found in models]
    for row, near in zip(rows, words, strict=False):
        row.update(_neighbors(near))
    if compared is None:
        remarks = [_remarks(found) for found in models]
        parts += [Group(facts(row), *said) for row, said in zip(rows, remarks, strict=True)]
    else:
        parts.append(_side_by_side(models, rows, compared))
    if compared is not None and compared.movement is not None:
        parts.append(_movement(compared.movement))
    spaced = [part for each in parts for part in (Text(""), each)]
    return Group(*spaced[1:])


def _rows(found: ModelFacts) -> dict[str, str]:
    rows = {
        "model": from_here(found.path),
        "kind": found.kind,
        "dimension": str(found.dimension or "unknown"),
        "metric": f"{found.metric} ({found.metric_reason})",
        "vocabulary": f"{found.vocabulary or 0:,} tokens"
        + (f", {found.tokenizer}" if found.tokenizer else "")
        + counted(", {} of them from the corpus", found.corpus_tokens or 0),
        "normalize": "yes" if found.normalize else "no",
        "max length": f"{found.max_length} tokens" if found.max_length else "no limit",
        "size": f"{found.parameters:,} parameters, {found.dtype}, {megabytes(found.bytes)}",
        "fingerprint": found.fingerprint,
    }
    return rows if found.provenance is None else rows | _provenance(found.provenance)


def _remarks(found: ModelFacts) -> list[RenderableType]:
    return [Text(one_line(remark), style="yellow") for remark in found.remarks]


def _neighbors(near: Neighbors) -> dict[str, str]:
    pieces = " + ".join(near.tokens)
    listed = ", ".join(f"{token} {cosine:.2f}" for token, cosine in near.nearest)
    return {"word": f"{near.word} ({pieces})", "nearest": listed or "none"}


def _provenance(made: dict[str, Any]) -> dict[str, str]:
    """Show how a model was made, as far as its file has the types that ragdoll writes."""

    def at(kind: Callable[[], Any], *keys: str) -> Any:
        """Return the value at a path of keys, or an empty one of the kind in place of another."""
        value: Any = made
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if type(value) is kind else kind()

    corpus = ", ".join(map(str, at(list, "features", "corpus", "path")))
    count, variance = at(int, "rows"), at(float, "explained_variance")
    settings, agreement = at(dict, "settings"), at(dict, "heldout_agreement")
    rows = {
        "teacher": at(str, "teacher", "name") or "unknown",
        "corpus": corpus and corpus + counted(" ({} passages)", count),
        "method": f"{made.get('method')}, {made.get('epochs')} passes"
        if made.get("recommended") != "distillate"
        else "none: the distillate as it is, since the passages were few",
        "settings": ", ".join(
            f"{name} {value}"
            for name, value in settings.items()
            if value is not None and name != "method"
        ),
        "explained variance": f"{variance:.1%} of the targets kept by the PCA" * bool(variance),
        "agreement": ", ".join(
            f"{name} {value:.1%}" for name, value in agreement.items() if isinstance(value, float)
        ),
        "versions": ", ".join(f"{name} {number}" for name, number in at(dict, "versions").items()),
    }
    return {label: value for label, value in rows.items() if value}


def _table(found: TableFacts) -> RenderableType:
    rows = {"table": f"{found.table} in {found.database}"}
    if found.identity is not None and found.state is not None:
        identity, state = found.identity, found.state
        rows |= {
            "passages": f"{found.chunks:,} of at most {identity.chunk_size} tokens",
            "roots": ", ".join(root.path for root in state.roots.values()) or "none",
            "model": str(found.model.path) if found.model else state.model,
            "dimension": str(identity.dimension),
            "metric": identity.metric,
            "columns": ", ".join(f"{name} ({kind})" for name, kind in identity.columns.items())
            or "none of metadata",
            "fingerprint": identity.fingerprint,
            "new": f"{number_of('passage', state.new_chunks)} since the table was built",
            "words": _words(state.analysis),
            "checked": ", ".join(
                f"{name.replace('_', ' ')}: {_CHECKED[holds]}"
                for name, holds in found.checks.items()
            ),
        }
    described = facts(rows)
    if found.problem is None:
        return Group(described, Text("Table and model agree.", style="green"))
    problem, hint = found.problem.message, for_command_line(found.problem.hint or "")
    verdict = Text.assemble(("Table and model do not agree. ", "bold red"), one_line(problem))
    return Group(described, verdict, Text(one_line(hint), style="dim"))


def _words(analysis: Analysis) -> str:
    """Say how the full-text index reads words."""
    stems = "not stemmed" if analysis.language == OTHER else f"stemmed as {analysis.language}"
    chosen = "chosen by the texts" if analysis.rows else "as set"
    return f"{stems} ({chosen})" + ("; the model's tokens, too" if analysis.tokens else "")


def _side_by_side(
    models: Sequence[ModelFacts], rows: Sequence[dict[str, str]], compared: Comparison
) -> RenderableType:
    """Show the facts that two models share, then those that differ, the first above the second."""
    first, second = rows
    shared = {name: value for name, value in first.items() if second.get(name) == value}
    others = {
        name: [first.get(name, "–"), second.get(name, "–")]
        for name in dict.fromkeys([*first, *second])
        if name not in shared
    }
    # What has no line of its own above: single settings, versions and the like.
    finer = [
        f"{one_line(item.fact)}: {_value(item.first)} → {_value(item.second)}"
        for item in compared.differences
        if item.fact.startswith("provenance.")
    ]
    return Group(
        facts(shared),
        Text("differ, the first above the second:" if others else "no difference", style="bold"),
        facts(others),
        *(Text(line) for line in finer),
        *(remark for found in models for remark in _remarks(found)),
    )


def _movement(found: Movement) -> RenderableType:
    heading = Prose(
        Text(
            one_line(
                f"From {found.before} to {found.after}, {found.moved:,} of {found.tokens:,} tokens "
                "moved on their own (cosine below 0.99, the map common to all tokens taken out)."
            )
        )
    )
    if not found.moved:
        return heading
    table = grid(gap=2)
    for name in ("moved most", "shift", "cosine", "weight", "nearest before", "nearest after"):
        table.add_column(name)
    for move in found.most:
        table.add_row(
            one_line(move.token),
            f"{move.shift:.2f}",
            f"{move.cosine:.2f}",
            f"× {move.weight:.2f}",
            *(one_line(", ".join(names)) for names in (move.before, move.after)),
        )
    return Group(heading, table)


def _value(value: object) -> str:
    text = "–" if value is None else one_line(str(value))
    return clipped(text, _MAX_VALUE)
