"""What ``inspect-model`` found, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from ragdoll.cli.console import printable
from ragdoll.cli.layout import facts, megabytes

if TYPE_CHECKING:
    from ragdoll.embedding.inspection import ModelFacts
    from ragdoll.retrieval.inspection import TableFacts


def model_facts(found: ModelFacts) -> RenderableType:
    """What a person reads after ``inspect-model``."""
    rows = {
        "model": str(found.path),
        "kind": found.kind,
        "dimension": str(found.dimension or "unknown"),
        "metric": f"{found.metric} ({found.metric_reason})",
        "vocabulary": f"{found.vocabulary or 0:,} tokens"
        + (f", {found.tokenizer}" if found.tokenizer else ""),
        "normalize": "yes" if found.normalize else "no",
        "max length": f"{found.max_length} tokens" if found.max_length else "no limit",
        "size": f"{found.parameters:,} parameters, {found.dtype}, {megabytes(found.bytes)}",
        "fingerprint": found.fingerprint,
    }
    if found.provenance is not None:
        rows |= _provenance(found.provenance)
    grid = facts(rows)
    remarks = [Text(printable(remark), style="yellow") for remark in found.remarks]
    return Group(grid, *remarks)


def _provenance(made: dict[str, Any]) -> dict[str, str]:
    """The lines on how a model was made; what its file says otherwise than ragdoll is left out."""

    def at(*keys: str) -> Any:
        value: Any = made
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    paths, agreement, versions = (
        at("features", "corpus", "path"),
        at("heldout_agreement"),
        at("versions"),
    )
    rows = {"teacher": str(at("teacher", "name") or "unknown")}
    if isinstance(paths, list):
        rows["corpus"] = f"{', '.join(map(str, paths))} ({at('rows')} passages)"
    rows["method"] = f"{at('method')}, {at('epochs')} passes"
    if isinstance(agreement, dict):
        rows["agreement"] = ", ".join(
            f"{name} {value:.1%}" for name, value in agreement.items() if isinstance(value, float)
        )
    if isinstance(versions, dict):
        rows["versions"] = ", ".join(f"{name} {number}" for name, number in versions.items())
    return rows


def table_facts(found: TableFacts) -> RenderableType:
    """What a person reads after ``inspect-model --database``."""
    identity = found.identity
    grid = facts(
        {
            "table": f"{found.table} in {found.database}",
            "passages": f"{found.chunks:,} of at most {identity.chunk_size} tokens",
            "roots": ", ".join(root["path"] for root in found.state.roots.values()) or "none",
            "model": str(found.model.path) if found.model else found.state.model,
            "dimension": str(identity.dimension),
            "metric": identity.metric,
            "columns": ", ".join(f"{name} ({kind})" for name, kind in identity.columns.items())
            or "none of metadata",
            "fingerprint": identity.fingerprint,
            "new": f"{found.state.new_chunks:,} passages since the table was built",
        }
    )
    if found.problem is None:
        return Group(grid, Text("Table and model agree.", style="green"))
    verdict = Text.assemble(
        ("Table and model do not agree. ", "bold red"), printable(found.problem.message)
    )
    return Group(grid, verdict, Text(printable(found.problem.hint or ""), style="dim"))
