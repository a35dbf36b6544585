"""Systems side by side: which ones a mode names, what they find, and what the command prints."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from model2vec import StaticModel

from ragdoll.corpus.reading import open_corpus
from ragdoll.embedding.static import StaticEncoder
from ragdoll.errors import CorpusError, ModelError, UsageError
from ragdoll.evaluation.collection import TestCollection, load_beir
from ragdoll.evaluation.evaluate import Evaluation, Mode, evaluate, told_apart
from ragdoll.evaluation.systems import (
    Cost,
    Similarities,
    TeacherChoice,
    TextCandidates,
    hybrid_run,
    search_text,
    static_similarities,
    vector_run,
)
from ragdoll.retrieval.storage.database import Database
from ragdoll.retrieval.writing.index import index
from ragdoll.retrieval.writing.job import IndexSettings
from tests.conftest import CORPUS, Ragdoll, Trained

KINDS = {
    "all": ["distillate", "model", "bm25", "hybrid"],
    "vector": ["distillate", "model"],
    "text": ["bm25"],
    "hybrid": ["hybrid"],
}


def written(folder: Path, documents: dict[str, str], queries: dict[str, str], qrels: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", queries)):
        lines = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "qrels" / "test.tsv").write_text(qrels)
    return folder


@pytest.fixture(scope="session")
def docstrings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The docstrings of the test corpus; the question for each is its name."""
    documents, queries = {}, {}
    for document in open_corpus([CORPUS]):
        name, _, docstring = document.text.partition("\n\n")
        if len(docstring) > 40 and name not in queries.values():
            documents[f"d{len(documents)}"] = docstring
            queries[f"q{len(queries)}"] = name
    qrels = "".join(f"q{number}\td{number}\t1\n" for number in range(0, len(documents), 3))
    return written(tmp_path_factory.mktemp("beir") / "docstrings", documents, queries, qrels)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    documents = {"a": "a lock guards", "b": "the loop runs", "c": "locks and loops"}
    queries = {"q1": "what guards", "q2": "what runs"}
    return written(tmp_path / "tiny", documents, queries, "q1\ta\t1\nq2\tb\t1\n")


def kinds(result: Evaluation) -> list[str]:
    return [system.kind for system in result.systems]


# Which systems


@pytest.mark.parametrize("mode", list(KINDS))
def test_a_mode_names_its_systems(mode: Mode, docstrings: Path, trained: Trained) -> None:
    result = evaluate(load_beir(docstrings), [trained.model], mode=mode)
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


@pytest.mark.parametrize("mode", list(KINDS))
def test_only_the_first_system_has_no_p_value(
    mode: Mode, docstrings: Path, trained: Trained
) -> None:
    first, *others = evaluate(load_beir(docstrings), [trained.model], mode=mode).systems
    assert first.p_value is None
    assert all(system.p_value is not None and 0 < system.p_value <= 1 for system in others)


def test_a_model_without_a_distillate_is_one_system(docstrings: Path, trained: Trained) -> None:
    result = evaluate(load_beir(docstrings), [trained.model / "distillate"], mode="vector")
    assert kinds(result) == ["model"]
    both = evaluate(load_beir(docstrings), [trained.model], mode="vector")
    assert result.systems[0].ndcg == both.systems[0].ndcg


def test_several_models_are_told_apart_by_the_ends_of_their_paths(
    tiny: Path, trained: Trained
) -> None:
    models = [trained.model, trained.model / "variants" / "unweighted"]
    result = evaluate(load_beir(tiny), models, mode="all")
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
    names = [system.name for system in evaluate(load_beir(tiny), models).systems]
    assert len(set(names)) == len(names), names


@pytest.mark.parametrize("mode", ["all", "vector"])
def test_the_teacher_is_a_system_where_it_is_named(
    mode: Mode, tiny: Path, trained: Trained, small_teacher: Path
) -> None:
    teacher = TeacherChoice(str(small_teacher), device="cpu", dtype="float32")
    result = evaluate(load_beir(tiny), [trained.model], teacher, mode)
    assert kinds(result) == [*KINDS[mode], "teacher"]
    assert result.systems[-1].name == str(small_teacher)


def test_the_teacher_alone_needs_no_model(tiny: Path, small_teacher: Path) -> None:
    teacher = TeacherChoice(str(small_teacher), device="cpu", dtype="float32")
    assert kinds(evaluate(load_beir(tiny), [], teacher, "vector")) == ["teacher"]
    with pytest.raises(UsageError, match="no place in the mode 'hybrid'"):
        evaluate(load_beir(tiny), [], teacher, "hybrid")


def test_text_search_alone_needs_no_model(tiny: Path) -> None:
    result = evaluate(load_beir(tiny), [], mode="text")
    assert kinds(result) == ["bm25"]
    assert result.systems[0].mrr == 1


@pytest.mark.parametrize("mode", ["all", "vector", "hybrid"])
def test_the_other_modes_need_a_model(mode: Mode, tiny: Path) -> None:
    with pytest.raises(UsageError, match="No model to evaluate") as caught:
        evaluate(load_beir(tiny), [], mode=mode)
    assert "--model" in str(caught.value.hint)


def test_a_folder_that_is_no_collection_or_no_model_is_an_error(
    tiny: Path, docs: Path, trained: Trained
) -> None:
    with pytest.raises(CorpusError):
        evaluate(load_beir(docs), [trained.model])
    with pytest.raises(ModelError):
        evaluate(load_beir(tiny), [docs])


# What they find


def test_the_scores_of_a_model_are_those_of_its_cosines(docstrings: Path, trained: Trained) -> None:
    collection = load_beir(docstrings)
    model = StaticModel.from_pretrained(trained.model)
    documents = model.encode(list(collection.documents.values()))
    queries = model.encode(list(collection.queries.values()))
    documents /= np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-12)
    queries /= np.maximum(np.linalg.norm(queries, axis=1, keepdims=True), 1e-12)
    run = {
        query: dict(zip(collection.documents, row, strict=True))
        for query, row in zip(collection.queries, (queries @ documents.T).tolist(), strict=True)
    }
    wanted = {"ndcg_cut.10", "recall.10"}
    judged = pytrec_eval.RelevanceEvaluator(collection.qrels, wanted).evaluate(run)
    system = evaluate(load_beir(docstrings), [trained.model], mode="vector").systems[1]
    for value, name in ((system.ndcg, "ndcg_cut_10"), (system.recall, "recall_10")):
        expected = np.mean([measures[name] for measures in judged.values()])
        assert value == pytest.approx(expected, abs=1e-3)


def test_the_hybrid_finds_what_only_one_leg_finds() -> None:
    documents = dict.fromkeys(("vector", "both", "text", "neither"), "text")
    collection = TestCollection("c", documents, {"q": "x"}, {"q": {"both": 1}})
    similar = Similarities(np.array([[0.9, 0.8, 0.1, 0.0]], np.float32), Cost(0.5))
    matched = TextCandidates([{"text": 9.0, "both": 8.0}], Cost(0.5))
    result = hybrid_run("h", similar, matched, collection)
    scores = result.run["q"]
    assert max(scores, key=scores.__getitem__) == "both"
    assert scores["neither"] == min(scores.values())
    assert scores["vector"] > scores["neither"]
    assert scores["text"] > scores["neither"]
    assert 0 < result.queries_per_second < 1


@pytest.mark.parametrize(("alpha", "best"), [(0.0, "text"), (1.0, "vector")])
def test_the_weight_of_the_hybrid_decides_between_its_legs(alpha: float, best: str) -> None:
    collection = TestCollection("c", {"vector": "", "text": ""}, {"q": "x"}, {"q": {"text": 1}})
    similar = Similarities(np.array([[0.9, 0.1]], np.float32), Cost(0.1))
    matched = TextCandidates([{"text": 9.0}], Cost(0.1))
    run = hybrid_run("h", similar, matched, collection, alpha=alpha).run["q"]
    assert max(run, key=run.__getitem__) == best


def test_the_hybrid_weighs_as_a_table_of_the_documents_would(
    ragdoll: Ragdoll, docstrings: Path, trained: Trained, tmp_path: Path
) -> None:
    """Each document in a file of its own, and short enough to be one passage."""
    collection = load_beir(docstrings)
    short = {name: text[:400].strip() for name, text in collection.documents.items()}
    (tmp_path / "docs").mkdir()
    for name, text in short.items():
        (tmp_path / "docs" / f"{name}.txt").write_text(text)
    database = str(tmp_path / "db")
    index(open_corpus([str(tmp_path / "docs")]), IndexSettings(database, "t", trained.model))
    state = Database(database).open("t").state
    assert state.weight is not None
    assert state.weight.questions >= 30
    result = evaluate(replace(collection, documents=short), [trained.model], mode="hybrid")
    assert [system.alpha for system in result.systems] == [state.alpha]

    weak = ragdoll("evaluate", docstrings, "--model", trained.model / "distillate", "--json").json
    alphas = {system["kind"]: system["alpha"] for system in weak["systems"]}
    assert (alphas["model"], alphas["bm25"]) == (None, None)
    assert 0 < alphas["hybrid"] < 1


def test_a_weight_of_ones_own_is_what_the_hybrid_goes_by(
    ragdoll: Ragdoll, docstrings: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGDOLL_QUERY_ALPHA", "0.25")
    result = ragdoll("evaluate", docstrings, "--model", trained.model, "--mode", "hybrid")
    assert "model + BM25: the vector weighs 0.25, BM25 0.75" in result.out


def test_the_hybrid_is_neither_of_its_legs(docstrings: Path, trained: Trained) -> None:
    result = evaluate(load_beir(docstrings), [trained.model])
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
    candidates = search_text(collection)
    assert [max(scores, key=scores.__getitem__) for scores in candidates.found] == ["a", "b"]
    system = candidates.run(collection)
    assert (system.kind, list(system.run)) == ("bm25", ["q1", "q2"])
    assert system.queries_per_second == pytest.approx(2 / candidates.cost.seconds)


@pytest.mark.parametrize(
    "query",
    ['"unclosed', "lock AND", "(", "title:lock", "+ - ~ ^ * ?", "lock\\", "'; --", "😀", "the"],
)
def test_any_question_may_be_asked(query: str, tmp_path: Path, trained: Trained) -> None:
    documents = {"a": "a lock guards", "b": "the loop runs"}
    folder = written(tmp_path / "odd", documents, {"q": query}, "q\ta\t1\n")
    result = evaluate(load_beir(folder), [trained.model])
    assert kinds(result) == KINDS["all"]
    assert all(0 <= system.ndcg <= 1 for system in result.systems)


def test_documents_without_words_are_no_obstacle(tmp_path: Path, trained: Trained) -> None:
    documents = {"a": "a lock guards", "b": "", "c": "文"}
    folder = written(tmp_path / "odd", documents, {"q": "lock"}, "q\ta\t1\n")
    result = evaluate(load_beir(folder), [trained.model])
    assert [system.mrr for system in result.systems] == [1.0] * 4


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_a_deep_cut_is_not_cut_short_by_the_text_search(
    mode: Mode, tmp_path: Path, trained: Trained
) -> None:
    documents = {f"d{number}": f"the loop runs {number}" for number in range(150)}
    qrels = "".join(f"q\t{name}\t1\n" for name in documents)
    folder = written(tmp_path / "deep", documents, {"q": "loop"}, qrels)
    (system,) = evaluate(load_beir(folder), [trained.model], mode=mode, k=150).systems
    assert system.recall == 1


def test_the_same_seed_gives_the_same_result(docstrings: Path, trained: Trained) -> None:
    def numbers(seed: int) -> list[tuple[object, ...]]:
        result = evaluate(load_beir(docstrings), [trained.model], seed=seed)
        return [(s.kind, s.ndcg, s.recall, s.mrr, s.p_value) for s in result.systems]

    first = numbers(1)
    assert numbers(1) == first
    other = numbers(2)
    assert [row[:-1] for row in other] == [row[:-1] for row in first]
    assert other != first


def test_a_smaller_cut_finds_less(docstrings: Path, trained: Trained) -> None:
    at_1 = evaluate(load_beir(docstrings), [trained.model], k=1).systems
    at_20 = evaluate(load_beir(docstrings), [trained.model], k=20).systems
    assert all(one.recall < twenty.recall for one, twenty in zip(at_1, at_20, strict=True))


# The command


def test_the_command_prints_the_contract_as_json(
    docstrings: Path, trained: Trained, ragdoll: Ragdoll
) -> None:
    result = ragdoll("evaluate", docstrings, "--model", trained.model, "--json")
    assert result.status == 0
    record = result.json
    assert {"dataset", "documents", "queries", "systems"} <= set(record)
    assert [system["kind"] for system in record["systems"]] == KINDS["all"]
    for system in record["systems"]:
        assert set(system) >= {
            *("name", "kind", "ndcg@10", "recall@10", "mrr@10", "p_value"),
            *("queries_per_second", "milliseconds_per_query", "documents_per_second", "bytes"),
        }
        assert system["milliseconds_per_query"] > 0
    size = (trained.model / "model.safetensors").stat().st_size
    assert [system["bytes"] for system in record["systems"]] == [size, size, None, size]
    rates = [system["documents_per_second"] for system in record["systems"]]
    assert [rate is None for rate in rates] == [False, False, False, True]
    assert record["systems"][0]["p_value"] is None
    expected = evaluate(load_beir(docstrings), [trained.model]).systems
    for system, library in zip(record["systems"], expected, strict=True):
        assert system["ndcg@10"] == pytest.approx(library.ndcg, abs=1e-5)
        assert system["recall@10"] == pytest.approx(library.recall, abs=1e-5)
        assert system["mrr@10"] == pytest.approx(library.mrr, abs=1e-5)


def test_the_cut_is_in_the_names_of_the_measures(tiny: Path, ragdoll: Ragdoll) -> None:
    record = ragdoll("evaluate", tiny, "--mode", "text", "--k", 5, "--json").json
    assert {"ndcg@5", "recall@5", "mrr@5"} <= set(record["systems"][0])


def test_settings_come_from_the_file_too(
    tiny: Path, trained: Trained, ragdoll: Ragdoll, tmp_path: Path
) -> None:
    file = tmp_path / "ragdoll.toml"
    file.write_text(f"[train]\noutput = '{trained.model}'\n[evaluate]\nmode = 'vector'\nk = 3\n")
    record = ragdoll("evaluate", tiny, "--config", file, "--json").json
    assert [system["kind"] for system in record["systems"]] == KINDS["vector"]
    assert "ndcg@3" in record["systems"][0]


def test_a_person_gets_a_table(tiny: Path, trained: Trained, ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", tiny, "--model", trained.model)
    assert result.status == 0
    for word in ("nDCG@10", "distillate", "model", "BM25", "model + BM25"):
        assert word in result.out


def test_without_a_model_the_command_is_wrong_usage(tiny: Path, ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", tiny, "--json")
    assert (result.status, result.out) == (2, "")
    assert result.err.splitlines()[0] == "Error: No model to evaluate."
    assert len(result.err.splitlines()) == 2


@pytest.mark.parametrize("part", ["corpus.jsonl", "queries.jsonl", "qrels"])
def test_a_part_of_a_collection_is_not_taken_for_documents(
    part: str, tiny: Path, trained: Trained, ragdoll: Ragdoll
) -> None:
    for other in {"corpus.jsonl", "queries.jsonl", "qrels"} - {part}:
        (tiny / other).rename(tiny.with_name(other))
    result = ragdoll("evaluate", tiny, "--model", trained.model, "--json")
    assert (result.status, result.out) == (1, "")
    assert f"Error: {tiny} is not a BEIR folder: it has no " in result.err
    assert len(result.err.splitlines()) <= 2


def test_a_model_that_is_not_there_fails_with_one_error(
    tiny: Path, ragdoll: Ragdoll, tmp_path: Path
) -> None:
    result = ragdoll("evaluate", tiny, "--model", tmp_path / "gone", "--json")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("Error: ")
    assert str(tmp_path / "gone") in result.err
    assert len(result.err.splitlines()) <= 2


@pytest.mark.parametrize(
    "option", [["--teacher", "any/teacher"], ["--model", "any"]], ids=["teacher", "model"]
)
def test_what_a_mode_has_no_use_for_is_refused(
    tiny: Path, ragdoll: Ragdoll, option: list[str]
) -> None:
    result = ragdoll("evaluate", tiny, "--mode", "text", *option)
    assert result.status == 2
    assert "no place in the mode 'text'" in result.err


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
    encoder = StaticEncoder(model)
    queries = encoder.encode(list(collection.queries.values()))
    documents = encoder.encode(list(collection.documents.values()))
    lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(documents, axis=1)
    expected = {
        "cosine": queries @ documents.T / np.maximum(lengths, 1e-12),
        "dot": queries @ documents.T,
        "l2": -((queries[:, None, :] - documents[None, :, :]) ** 2).sum(axis=2),
    }[metric]
    found = static_similarities(StaticEncoder(model), collection).values
    best, wanted = found.argmax(axis=1), expected.argmax(axis=1)
    rows = np.arange(len(best))
    np.testing.assert_allclose(expected[rows, best], expected[rows, wanted], rtol=1e-4, atol=1e-5)


def test_how_to_run_a_teacher_is_refused_where_there_is_none(tiny: Path, ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", tiny, "--mode", "text", "--device", "cpu")
    assert result.status == 2
    assert "for --teacher" in result.err
