"""Results as ``--json`` prints them. The keys are a contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ragdoll.corpus.documents import left_out

if TYPE_CHECKING:
    from ragdoll.corpus.documents import Skipped
    from ragdoll.distillation.features.featurize import FeaturizeResult
    from ragdoll.distillation.model.hub import Pushed
    from ragdoll.distillation.training.train import TrainResult
    from ragdoll.embedding.comparison import Comparison
    from ragdoll.embedding.inspection import ModelFacts
    from ragdoll.embedding.token_table import Neighbors
    from ragdoll.evaluation.evaluate import Evaluation
    from ragdoll.evaluation.explain import Explanation
    from ragdoll.pipeline import Plan, RunResult
    from ragdoll.retrieval.reading.inspection import TableFacts
    from ragdoll.retrieval.reading.search import Hit
    from ragdoll.retrieval.writing.job import IndexResult

Record = dict[str, Any]


def featurize(result: FeaturizeResult) -> Record:
    """``featurize --json``."""
    return {
        "features": str(result.features),
        "teacher": result.teacher,
        "target": result.target,
        "dimension": result.dimension,
        "rows": result.rows,
        "rows_resumed": result.rows_resumed,
        "tokens": result.tokens,
        **_skips(result.skipped),
        "documents": result.documents,
        "duplicates": result.duplicates,
        "dtype": result.dtype,
        "seconds": _rounded(result.seconds),
        "rows_per_second": _rounded(result.rows_per_second),
        "tokens_per_second": _rounded(result.tokens_per_second),
    }


def train(result: TrainResult, pushed: Pushed | None = None) -> Record:
    """``train --json``; ``pushed`` is None where nothing was uploaded."""
    return {
        "model": str(result.model),
        "distillate": str(result.distillate),
        "variants": {name: str(path) for name, path in result.variants.items()},
        "recommended": result.recommended,
        "dimension": result.dimension,
        "vocabulary": result.vocabulary,
        "method": result.method,
        "explained_variance": _rounded(result.explained_variance, 4),
        "validation_loss": float(f"{result.validation_loss:.6g}"),
        "heldout_agreement": _rounded(result.agreement[result.recommended], 4),
        "agreement": {name: _rounded(value, 4) for name, value in result.agreement.items()},
        "epochs": result.epochs,
        "rows": result.rows,
        "rows_skipped": result.skipped,
        "interrupted": result.interrupted,
        "pushed_to": pushed.url if pushed else None,
        "seconds": _rounded(result.seconds),
    }


def index(result: IndexResult) -> Record:
    """``index --json``."""
    return {
        "database": result.database,
        "table": result.table,
        "model": str(result.model),
        "dimension": result.dimension,
        "metric": result.metric,
        "documents": result.documents,
        "chunks": result.chunks,
        "added": result.added,
        "changed": result.changed,
        "unchanged": result.unchanged,
        "removed": result.removed,
        "chunks_embedded": result.chunks_embedded,
        "new_chunks": result.new_chunks,
        **_skips(result.skipped),
        "seconds": _rounded(result.seconds),
    }


def run(result: RunResult) -> Record:
    """``run --json``."""
    return {
        "featurize": featurize(result.featurize) if result.featurize else None,
        "train": train(result.train) if result.train else None,
        "index": index(result.index),
        "seconds": _rounded(result.seconds),
    }


def plan(plan: Plan) -> Record:
    """``run --dry-run --json``."""
    return {"featurize": plan.featurize, "train": plan.train, "index": plan.index}


def query(text: str, mode: str, found: Sequence[Hit]) -> Record:
    """``query --json``, a line a query."""
    return {"query": text, "mode": mode, "hits": [_hit(hit) for hit in found]}


def inspection(
    tables: Sequence[TableFacts] | None,
    models: Sequence[ModelFacts],
    words: Sequence[Neighbors],
    compared: Comparison | None,
) -> Record:
    """``inspect-model --json``: of one model its facts, else what was asked for under its name."""
    described = [_model(facts) for facts in models]
    for record, found in zip(described, words, strict=False):
        record["neighbors"] = {
            "word": found.word,
            "tokens": list(found.tokens),
            "nearest": [{"token": t, "cosine": _rounded(c, 4)} for t, c in found.nearest],
        }
    if tables is None and len(described) == 1:
        return described[0]
    record = {} if tables is None else _tables(tables)
    if described:
        record["models"] = described
    if compared is not None:
        record["differences"] = [asdict(difference) for difference in compared.differences]
        record["movement"] = asdict(compared.movement) if compared.movement else None
        for move in record["movement"]["most"] if compared.movement else []:
            move.update(cosine=_rounded(move["cosine"], 4), weight=_rounded(move["weight"]))
    return record


def _model(facts: ModelFacts) -> Record:
    return {**asdict(facts), "path": str(facts.path)}


def _tables(tables: Sequence[TableFacts]) -> Record:
    return {
        "database": tables[0].database,
        "agrees": all(facts.agrees for facts in tables),
        "tables": [_table(facts) for facts in tables],
    }


def _table(facts: TableFacts) -> Record:
    record: Record = {
        "table": facts.table,
        "agrees": facts.agrees,
        "problem": facts.problem.message if facts.problem else None,
        "checks": facts.checks,
    }
    if facts.identity is None or facts.state is None:
        return record
    return {
        **record,
        "chunks": facts.chunks,
        "model": str(facts.model.path) if facts.model else facts.state.model,
        **{k: v for k, v in asdict(facts.identity).items() if k != "model"},
        "roots": [root["path"] for root in facts.state.roots.values()],
        "new_chunks": facts.state.new_chunks,
        "alpha": facts.state.alpha,
        "weight": asdict(facts.state.weight) if facts.state.weight else None,
    }


def evaluation(result: Evaluation) -> Record:
    """``evaluate --json``."""
    return {
        "dataset": result.dataset,
        "documents": result.documents,
        "passages": result.passages,
        "queries": result.queries,
        "k": result.k,
        "seed": result.seed,
        "notes": list(result.notes),
        "systems": [
            {
                "name": system.name,
                "kind": system.kind,
                f"ndcg@{result.k}": _rounded(system.ndcg, 6),
                f"recall@{result.k}": _rounded(system.recall, 6),
                f"mrr@{result.k}": _rounded(system.mrr, 6),
                "p_value": None if system.p_value is None else _rounded(system.p_value, 6),
                "queries_per_second": _rounded(system.queries_per_second),
                "milliseconds_per_query": _rounded(1000 * system.latency),
                "documents_per_second": (
                    None
                    if system.documents_per_second is None
                    else _rounded(system.documents_per_second)
                ),
                "bytes": system.bytes or None,
                "alpha": system.alpha,
            }
            for system in result.systems
        ],
    }


def explanation(result: Explanation) -> Record:
    """``evaluate --explain --json``."""
    return asdict(result)


def _hit(hit: Hit) -> Record:
    record = {field.name: getattr(hit, field.name) for field in fields(hit)}
    record["metadata"] = hit.fields()
    for name in ("score", "vector_score", "text_score"):
        if record[name] is not None:
            record[name] = _rounded(record[name], 6)
    return record


def _skips(items: Sequence[Skipped]) -> Record:
    """What was left out, and how much: of very much, some is only counted, by the reasons."""
    named = [
        {"path": item.path, "reason": item.reason, "root": item.root} for item in items if item.path
    ]
    record: Record = {"skipped": named, "skipped_count": left_out(items)}
    unnamed: Counter[str] = Counter()
    for item in items:
        unnamed[item.reason] += 0 if item.path else item.count
    unnamed = +unnamed
    return {**record, "skipped_unnamed": dict(unnamed)} if unnamed else record


def _rounded(value: float, digits: int = 3) -> float:
    return round(float(value), digits)
