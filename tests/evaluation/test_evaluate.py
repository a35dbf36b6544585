"""Systems side by side: which ones a mode names, and what they find."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import model2vec
import numpy as np
import pytest
import pytrec_eval

import ragdoll
from ragdoll.embedding.static import StaticModel
from ragdoll.errors import CorpusError, ModelError, TeacherError, UsageError
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.evaluate import Evaluation, evaluate, told_apart
from ragdoll.evaluation.systems import (
    Cost,
    SearchedTable,
    Similarities,
    search_run,
    static_similarities,
    vector_run,
)
from ragdoll.settings import EvaluateMode, EvaluateSettings, TeacherSettings
from tests.closeness import near
from tests.conftest import Trained
from tests.evaluation.making import written

KINDS = {
    "all": ["distillate", "model", "bm25", "hybrid"],
    "vector": ["distillate", "model"],
    "text": ["bm25"],
    "hybrid": ["hybrid"],
}


def judge(data: Path | TestCollection, *models: Path, **settings: Any) -> Evaluation:
    """Evaluate models with some settings of ``[evaluate]``."""
    return evaluate(data, models, settings=EvaluateSettings(**settings))


def kinds(result: Evaluation) -> list[str]:
    return [system.kind for system in result.systems]


# Which systems


@pytest.mark.parametrize("mode", list(KINDS))
def test_a_mode_names_its_systems(mode: EvaluateMode, docstrings: Path, trained: Trained) -> None:
    result = judge(docstrings, trained.model, mode=mode)
    assert kinds(result) == KINDS[mode]
    collection = load_beir(docstrings)
    assert (result.dataset, result.documents, result.queries) == (
        "docstrings",
        len(collection.documents),
        len(collection.queries),
    )
    for system in result.systems:
        assert 0 < system.mrr <= system.recall <= 1
        assert 0 < system.ndcg <= system.recall
        assert system.queries_per_second > 0
    first, *others = result.systems
    assert first.p_value is None
    assert all(system.p_value is not None and 0 < system.p_value <= 1 for system in others)


def test_a_model_without_a_distillate_is_one_system(docstrings: Path, trained: Trained) -> None:
    result = judge(docstrings, trained.model / "distillate", mode="vector")
    assert kinds(result) == ["model"]
    both = judge(docstrings, trained.model, mode="vector")
    assert result.systems[0].ndcg == near(both.systems[0].ndcg)


def test_several_models_are_told_apart_by_the_ends_of_their_paths(
    tiny: Path, trained: Trained
) -> None:
    result = judge(tiny, trained.model, trained.model / "variants" / "unweighted")
    assert [(system.kind, system.name) for system in result.systems] == [
        ("distillate", "model, distillate"),
        ("model", "model"),
        ("model", "unweighted"),
        ("bm25", "BM25"),
        ("hybrid", "model + BM25"),
        ("hybrid", "unweighted + BM25"),
    ]


def test_names_have_as_many_parts_of_a_path_as_tell_them_apart() -> None:
    assert told_apart([Path("/a/x/model"), Path("/a/y/model")]) == ["x/model", "y/model"]
    assert told_apart([Path("model"), Path("b/model")]) == ["model", "b/model"]
    assert told_apart([Path("/a/model"), Path("/a/model")]) == ["/a/model", "/a/model"]
    assert told_apart([]) == []


def test_several_models_are_told_apart_in_the_current_folder_too(
    tiny: Path, trained: Trained
) -> None:
    models = [Path("first"), Path("second")]
    for model in models:
        model.symlink_to(trained.model)
    names = [system.name for system in judge(tiny, *models).systems]
    assert len(set(names)) == len(names), names


@pytest.mark.parametrize("mode", ["all", "vector"])
def test_the_teacher_is_a_system_where_it_is_named(
    mode: EvaluateMode, tiny: Path, trained: Trained, small_teacher: Path
) -> None:
    teacher = TeacherSettings(model=str(small_teacher), device="cpu", dtype="float32")
    settings = EvaluateSettings(mode=mode)
    result = evaluate(tiny, trained.model, teacher=teacher, settings=settings)
    assert kinds(result) == [*KINDS[mode], "teacher"]
    assert result.systems[-1].name == str(small_teacher)


def test_the_teacher_alone_needs_no_model(tiny: Path, small_teacher: Path) -> None:
    teacher = str(small_teacher)
    settings = EvaluateSettings(mode="vector")
    assert kinds(evaluate(tiny, teacher=teacher, settings=settings)) == ["teacher"]
    with pytest.raises(UsageError) as caught:
        evaluate(tiny, teacher=teacher, settings=EvaluateSettings(mode="hybrid"))
    assert "'hybrid'" in caught.value.message


def test_a_teacher_that_cannot_be_compared_is_refused_before_any_work(
    tiny: Path, trained: Trained, small_teacher: Path, tmp_path: Path
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(small_teacher, teacher)
    settings = teacher / "config_sentence_transformers.json"
    content = json.loads(settings.read_text()) if settings.exists() else {}
    settings.write_text(json.dumps({**content, "similarity_fn_name": "manhattan"}))
    steps: list[str] = []
    with pytest.raises(TeacherError) as caught:
        evaluate(
            tiny,
            trained.model,
            teacher=str(teacher),
            report=lambda step, *_: steps.append(step),
        )
    assert "'manhattan'" in caught.value.message
    assert not steps


def test_text_search_alone_needs_no_model(tiny: Path) -> None:
    result = judge(tiny, mode="text")
    assert kinds(result) == ["bm25"]
    assert result.systems[0].mrr == 1


@pytest.mark.parametrize("mode", ["all", "vector", "hybrid"])
def test_the_other_modes_need_a_model(mode: EvaluateMode, tiny: Path) -> None:
    with pytest.raises(UsageError) as caught:
        judge(tiny, mode=mode)
    assert "`models`" in str(caught.value.hint)


def test_a_folder_that_is_no_collection_or_no_model_is_an_error(
    tiny: Path, docs: Path, trained: Trained
) -> None:
    with pytest.raises(CorpusError):
        judge(docs, trained.model)
    with pytest.raises(ModelError):
        judge(tiny, docs)


def test_data_may_be_documents_of_places_or_of_a_program(trained: Trained, docs: Path) -> None:
    texts = [
        " ".join(f"w{n}x{number}" for number in range(30)) + ". And one more sentence."
        for n in range(6)
    ]
    (docs / "more.txt").write_text(texts[0])
    for data, documents in (
        (ragdoll.read(docs), 5),
        (texts, 6),
        ([{"id": str(n), "text": text} for n, text in enumerate(texts)], 6),
    ):
        result = evaluate(data, trained.model, settings=EvaluateSettings(seed=3))
        assert kinds(result) == KINDS["all"]
        assert (result.documents, result.seed) == (documents, 3)
        assert result.notes


# What they find


def test_the_scores_of_a_model_are_those_of_its_cosines(docstrings: Path, trained: Trained) -> None:
    collection = load_beir(docstrings)
    model = model2vec.StaticModel.from_pretrained(trained.model)
    documents = model.encode(list(collection.documents.values()))
    queries = model.encode(list(collection.queries.values()))
    documents /= np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-12)
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    run = {
        query: dict(zip(collection.documents, row, strict=True))
        for query, row in zip(collection.queries, (queries @ documents.T).tolist(), strict=True)
    }
    measures = {"ndcg_cut.10", "recall.10"}
    judged = pytrec_eval.RelevanceEvaluator(collection.qrels, measures).evaluate(run)
    system = judge(docstrings, trained.model, mode="vector").systems[1]
    for value, name in ((system.ndcg, "ndcg_cut_10"), (system.recall, "recall_10")):
        assert value == near(np.mean([values[name] for values in judged.values()]))


def test_the_hybrid_searches_as_a_table_of_the_documents_does(
    docstrings: Path, trained: Trained, tmp_path: Path
) -> None:
    """Each document is short enough to be one passage."""
    collection = load_beir(docstrings)
    short = {name: text[:400].strip() for name, text in collection.documents.items()}
    table = ragdoll.Index.create(tmp_path / "db", table="t", model=trained.model)
    table.update([{"id": name, "text": text} for name, text in short.items()])
    same = replace(collection, documents=short)
    searched = SearchedTable.make(same, StaticModel.load(trained.model))
    system = search_run("h", "hybrid", searched, same)
    for name, text in collection.queries.items():
        found = {hit.source: hit.score for hit in table.search(text, 10)}
        assert list(found.values()) == near([system.run[name][source] for source in found])


def test_a_question_that_is_a_document_is_not_its_own_answer(
    tmp_path: Path, trained: Trained
) -> None:
    """As in ArguAna; where ids are mere numbers, they have nothing to do with each other."""
    documents = {"pro": "a lock guards a resource", "con": "a lock of a resource", "1": "a timer"}
    queries = {"pro": documents["pro"], "1": "what guards a resource"}
    data = written(tmp_path / "asked", documents, queries, "pro\tcon\t1\n1\tpro\t1\n")
    for system in judge(data, trained.model, k=1).systems:
        assert system.ndcg == 1.0, system.name


def test_a_weight_of_ones_own_is_what_the_hybrid_goes_by(tiny: Path, trained: Trained) -> None:
    settings = EvaluateSettings(mode="hybrid")
    (system,) = evaluate(tiny, trained.model, settings=settings, alpha=0.25).systems
    assert system.alpha == 0.25
    with pytest.raises(UsageError):
        evaluate(tiny, trained.model, settings=settings, alpha=1.25)


def test_the_hybrid_is_neither_of_its_legs(docstrings: Path, trained: Trained) -> None:
    result = judge(docstrings, trained.model)
    by_kind = {system.kind: system.ndcg for system in result.systems}
    assert len({by_kind["model"], by_kind["bm25"], by_kind["hybrid"]}) == 3


def test_ties_at_the_cut_are_broken_as_in_trec_eval() -> None:
    documents = {f"d{number}": "" for number in range(6)}
    collection = TestCollection("c", documents, {"q": "x"}, {"q": {"d4": 1}})
    similar = Similarities(np.array([[1, 1, 1, 1, 1, 0]], np.float32), Cost(0.1))
    run = vector_run("v", "model", similar, collection, k=1).run["q"]
    assert set(run) == {"d0", "d1", "d2", "d3", "d4"}


def test_text_search_ranks_by_words(tiny: Path) -> None:
    collection = load_beir(tiny)
    system = search_run("BM25", "bm25", SearchedTable.make(collection), collection)
    best = {query: max(scores, key=scores.__getitem__) for query, scores in system.run.items()}
    assert (system.kind, best) == ("bm25", {"q1": "a", "q2": "b"})
    assert system.queries_per_second == pytest.approx(2 / system.cost.seconds)


@pytest.mark.parametrize(
    "query",
    ['"unclosed', "lock AND", "(", "title:lock", "+ - ~ ^ * ?", "lock\\", "'; --", "😀", "the"],
)
def test_any_question_may_be_asked(query: str, tmp_path: Path, trained: Trained) -> None:
    documents = {"a": "a lock guards", "b": "the loop runs"}
    folder = written(tmp_path / "odd", documents, {"q": query}, "q\ta\t1\n")
    result = judge(folder, trained.model)
    assert kinds(result) == KINDS["all"]
    assert all(0 <= system.ndcg <= 1 for system in result.systems)


def test_documents_without_words_are_no_obstacle(tmp_path: Path, trained: Trained) -> None:
    documents = {"a": "a lock guards", "b": "", "c": "文"}
    folder = written(tmp_path / "odd", documents, {"q": "lock"}, "q\ta\t1\n")
    result = judge(folder, trained.model)
    assert [system.mrr for system in result.systems] == [1.0] * 4


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_a_deep_cut_is_not_cut_short_by_the_text_search(
    mode: EvaluateMode, tmp_path: Path, trained: Trained
) -> None:
    documents = {f"d{number}": f"the loop runs {number}" for number in range(150)}
    qrels = "".join(f"q\t{name}\t1\n" for name in documents)
    folder = written(tmp_path / "deep", documents, {"q": "loop"}, qrels)
    (system,) = judge(folder, trained.model, mode=mode, k=150).systems
    assert system.recall == 1


def test_the_same_seed_gives_the_same_result(docstrings: Path, trained: Trained) -> None:
    def numbers(seed: int) -> list[tuple[object, ...]]:
        result = judge(docstrings, trained.model, seed=seed)
        return [(s.kind, s.ndcg, s.recall, s.mrr, s.p_value) for s in result.systems]

    first = numbers(1)
    assert numbers(1) == first
    other = numbers(2)
    assert [row[:-1] for row in other] == [row[:-1] for row in first]
    assert other != first


def test_a_smaller_cut_finds_less(docstrings: Path, trained: Trained) -> None:
    at_1 = judge(docstrings, trained.model, k=1).systems
    at_20 = judge(docstrings, trained.model, k=20).systems
    assert all(one.recall < twenty.recall for one, twenty in zip(at_1, at_20, strict=True))


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_documents_are_ranked_by_the_metric_that_the_model_was_made_for(
    metric: str, docstrings: Path, trained: Trained, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(trained.model, model, ignore=shutil.ignore_patterns("variants", "distillate"))
    for name, change in (
        ("ragdoll.json", {"metric": metric}),
        ("config.json", {"normalize": False}),
    ):
        content = json.loads((model / name).read_text())
        (model / name).write_text(json.dumps({**content, **change}))
    collection = load_beir(docstrings)
    encoder = StaticModel.load(model)
    queries = encoder.encode(list(collection.queries.values()))
    documents = encoder.encode(list(collection.documents.values()))
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(documents, axis=1)
    expected = {
        "cosine": queries @ documents.T / np.maximum(lengths, 1e-12),
        "dot": queries @ documents.T,
        "l2": -((queries[:, None, :] - documents[None, :, :]) ** 2).sum(axis=2),
    }[metric]
    best = static_similarities(encoder, collection).values.argmax(axis=1)
    rows = np.arange(len(best))
    assert expected[rows, best] == near(expected.max(axis=1))
