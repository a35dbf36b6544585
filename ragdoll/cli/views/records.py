"""Results as ``--json`` prints them, with paths as strings. The keys are a contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from ragdoll.corpus.documents import count_skipped
from ragdoll.hints import for_command_line

if TYPE_CHECKING:
    from ragdoll.corpus.documents import Skipped
    from ragdoll.distillation.features.featurize import FeaturizeResult
    from ragdoll.distillation.model.hub import Pushed
    from ragdoll.distillation.training.train import TrainResult
    from ragdoll.embedding.comparison import Comparison
    from ragdoll.embedding.inspection import ModelFacts
    from ragdoll.embedding.token_table import Neighbors
    from ragdoll.evaluation.evaluate import Evaluation, SystemScore
    from ragdoll.evaluation.explain import Explanation
    from ragdoll.pipeline import Plan, RunResult
    from ragdoll.retrieval.answers import Hit
    from ragdoll.retrieval.reading.inspection import TableFacts
    from ragdoll.retrieval.writing.target import IndexResult

Record = dict[str, Any]


def featurize(result: FeaturizeResult) -> Record:
    """``featurize --json``."""
    return _record(result, "roots") | _skips(result.skipped) | _notes(result.notes)


def train(result: TrainResult, pushed: Pushed | None = None) -> Record:
    """``train --json``; ``pushed`` is None where nothing was uploaded."""
    record = _record(result, "skipped", digits=4)
    return {
        **record,
        "distillate": result.distillate,
        "variants": result.variants,
        "validation_loss": result.validation_loss and float(f"{result.validation_loss:.6g}"),
        "heldout_agreement": record["agreement"].get(result.recommended),
        "rows_skipped": result.skipped,
        "pushed_to": pushed.url if pushed else None,
        "seconds": _plain(result.seconds),
    }


def index(result: IndexResult) -> Record:
    """``index --json``."""
    return _record(result, "rebuilt", "roots") | _skips(result.skipped) | _notes(result.notes)


def run(result: RunResult) -> Record:
    """``run --json``."""
    return {
        "featurize": featurize(result.featurize) if result.featurize else None,
        "train": train(result.train) if result.train else None,
        "index": index(result.index),
        "seconds": _plain(result.seconds),
    }


def plan(plan: Plan) -> Record:
    """``run --dry-run --json``."""
    reasons = {"featurize": plan.featurize, "train": plan.train, "index": plan.index}
    return {stage: why and for_command_line(why) for stage, why in reasons.items()}


def query(text: str, mode: str, found: Sequence[Hit]) -> Record:
    """``query --json``, a line a query."""
    return {"query": text, "mode": mode, "hits": [hit.record() for hit in found]}


def inspection(
    tables: Sequence[TableFacts] | None,
    models: Sequence[ModelFacts],
    words: Sequence[Neighbors],
    compared: Comparison | None,
) -> Record:
    """``inspect-model --json``: of one model its facts, else what was asked for under its name."""
    described = [asdict(facts) for facts in models]
    for record, found in zip(described, words, strict=False):
        record["neighbors"] = {
            "word": found.word,
            "tokens": found.tokens,
            "nearest": [{"token": t, "cosine": _plain(c, 4)} for t, c in found.nearest],
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
            move.update(cosine=_plain(move["cosine"], 4), weight=_plain(move["weight"]))
    return record


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
        "model": facts.model.path if facts.model else facts.state.model,
        **{k: v for k, v in asdict(facts.identity).items() if k != "model"},
        "roots": [root.path for root in facts.state.roots.values()],
        "new_chunks": facts.state.new_chunks,
        "language": facts.state.analysis.language,
        "tokens_indexed": facts.state.analysis.tokens,
    }


def evaluation(result: Evaluation) -> Record:
    """``evaluate --json``."""
    return _record(result) | {"systems": [_system(one, result.k) for one in result.systems]}


def _system(score: SystemScore, k: int) -> Record:
    record = _record(score, "ndcg", "recall", "mrr", "latency")
    measures = {"ndcg": score.ndcg, "recall": score.recall, "mrr": score.mrr}
    return {
        **record,
        **{f"{name}@{k}": _plain(value, 6) for name, value in measures.items()},
        "p_value": _plain(score.p_value, 6),
        "milliseconds_per_query": _plain(1000 * score.latency),
        "bytes": score.bytes or None,
        "alpha": score.alpha,
    }


def explanation(result: Explanation) -> Record:
    """``evaluate --explain --json``."""
    return asdict(result)


def _skips(items: Sequence[Skipped]) -> Record:
    """Record what was left out; where that is very much, some of it is only counted, by reasons."""
    named = [
        {"path": item.path, "reason": for_command_line(item.reason), "root": item.root}
        for item in items
        if item.path
    ]
    record: Record = {"skipped": named, "skipped_count": count_skipped(items)}
    unnamed: Counter[str] = Counter()
    for item in items:
        if not item.path:
            unnamed[for_command_line(item.reason)] += item.count
    return {**record, "skipped_unnamed": unnamed} if unnamed else record


def _notes(items: Sequence[Skipped]) -> Record:
    named = [{"path": item.path, "note": item.reason, "root": item.root} for item in items]
    return {"notes": [note for note in named if note["path"]]}


def _record(result: Any, *omitted: str, digits: int = 3) -> Record:
    """Return the fields of a result, without those that are ``omitted``."""
    names = [field.name for field in fields(result) if field.name not in omitted]
    return {name: _plain(getattr(result, name), digits) for name in names}


def _plain(value: Any, digits: int = 3) -> Any:
    """Return a value as JSON has it, with so many digits behind the point."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: _plain(item, digits) for key, item in value.items()}
    return value
