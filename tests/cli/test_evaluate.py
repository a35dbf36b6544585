"""``ragdoll evaluate``: what it prints for people and for programs, and its reports."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ragdoll.cli.views.evaluation import evaluation_table, explanation
from ragdoll.evaluation.evaluate import Evaluation, evaluate
from ragdoll.evaluation.explain import Explanation, Place
from ragdoll.evaluation.known_items import known_items
from tests.closeness import near
from tests.conftest import CORPUS, Ragdoll, Trained
from tests.evaluation.conftest import docstrings, tiny
from tests.evaluation.making import written
from tests.evaluation.test_evaluate import KINDS
from tests.evaluation.test_known_items import words
from tests.evaluation.test_report import score
from tests.making import open_corpus

__all__ = ["docstrings", "tiny"]

# A test collection


def test_the_record_of_a_comparison(docstrings: Path, trained: Trained, ragdoll: Ragdoll) -> None:
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
    assert [system["alpha"] for system in record["systems"]] == [None] * 4
    expected = evaluate(docstrings, trained.model).systems
    for system, library in zip(record["systems"], expected, strict=True):
        assert system["ndcg@10"] == near(library.ndcg)
        assert system["recall@10"] == near(library.recall)
        assert system["mrr@10"] == near(library.mrr)


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


def test_a_person_gets_a_table(
    tiny: Path, trained: Trained, ragdoll: Ragdoll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGDOLL_QUERY_ALPHA", "0.25")
    result = ragdoll("evaluate", tiny, "--model", trained.model)
    assert result.status == 0
    for word in ("nDCG@10", "distillate", "model", "BM25", "model + BM25"):
        assert word in result.out
    assert "model + BM25: the vector weighs 0.25, the words 0.75" in result.out


def test_a_narrow_terminal_loses_no_figure_and_no_heading() -> None:
    result = Evaluation("c", 5, 5, 2, 10, 0, [score("distillate", "distillate"), score("model")])
    console = Console(width=44, file=StringIO())
    console.print(evaluation_table(result))
    table = console.file.getvalue().partition("p: ")[0]  # type: ignore[attr-defined]
    assert "…" not in table


def test_without_a_model_the_command_is_wrong_usage(tiny: Path, ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", tiny, "--json")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Error: ")
    assert "--model" in result.err
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
    assert "cannot be used in the mode 'text'" in result.err


def test_how_to_run_a_teacher_is_refused_where_there_is_none(tiny: Path, ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", tiny, "--mode", "text", "--device", "cpu")
    assert result.status == 2
    assert "for --teacher" in result.err


# Documents


def test_documents_without_questions_are_scored(ragdoll: Ragdoll, trained: Trained) -> None:
    result = ragdoll("evaluate", CORPUS, "--model", trained.model, "--json")
    assert result.status == 0
    record = result.json
    collection = known_items(open_corpus([CORPUS]), "asyncio")
    assert (record["documents"], record["queries"]) == (collection.size, len(collection.queries))
    assert record["notes"] == list(collection.notes)
    assert [system["kind"] for system in record["systems"]] == KINDS["all"]
    scores = {system["kind"]: system["ndcg@10"] for system in record["systems"]}
    assert 0.1 < scores["distillate"] < scores["hybrid"]


def test_what_is_searched_is_what_would_be_indexed(ragdoll: Ragdoll, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(12):
        text = f"{words(number, 20)}. {words(50 + number, 20)}."
        (tmp_path / f"docs/{number:02}.txt").write_text(text)
    Path("ragdoll.toml").write_text(f"[corpus]\npath = '{tmp_path}/docs'\n")
    record = ragdoll("evaluate", "--mode", "text", "--json").json
    assert (record["dataset"], record["documents"]) == ("docs", 12)
    named = ragdoll("evaluate", tmp_path / "docs", "--mode", "text", "--json").json
    assert named["systems"][0]["ndcg@10"] == near(record["systems"][0]["ndcg@10"])


def test_a_person_is_told_how_the_test_was_made(ragdoll: Ragdoll, docs: Path) -> None:
    (docs / "more.txt").write_text(f"{words(1, 20)}. {words(2, 20)}.")
    result = ragdoll("evaluate", docs, "--mode", "text")
    assert result.status == 0
    assert "A known-item test, made from the documents" in result.out
    assert "It cannot show" in result.out


def test_without_documents_anywhere_it_is_wrong_usage(ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", "--mode", "text")
    assert (result.status, result.out) == (2, "")


def test_a_place_that_is_not_there_is_an_error(ragdoll: Ragdoll, tmp_path: Path) -> None:
    result = ragdoll("evaluate", tmp_path / "gone.txt", "--mode", "text")
    assert (result.status, result.out) == (1, "")
    assert "gone.txt" in result.err


def test_options_for_documents_are_refused_for_a_collection(tiny: Path, ragdoll: Ragdoll) -> None:
    result = ragdoll("evaluate", tiny, "--mode", "text", "--text-key", "body")
    assert result.status == 2
    assert "not for a BEIR folder" in result.err


def test_documents_of_several_places_make_one_test(ragdoll: Ragdoll, tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        for number in range(6):
            text = f"{words(ord(place[0]) + number, 20)}. {words(500 + number, 20)}."
            (tmp_path / place / f"{number}.txt").write_text(text)
    places = tmp_path / "one", tmp_path / "two"
    record = ragdoll("evaluate", *places, "--mode", "text", "--json").json
    assert (record["dataset"], record["documents"]) == ("one, two", 12)


def test_a_collection_is_not_evaluated_together_with_documents(
    ragdoll: Ragdoll, docs: Path, tiny: Path
) -> None:
    for places in ((tiny, docs), (docs, tiny)):
        result = ragdoll("evaluate", *places, "--mode", "text")
        assert (result.status, result.out) == (2, "")
        assert f"{tiny} is a test collection, which is evaluated by itself." in result.err


# Reports


@pytest.mark.parametrize("suffix", ["csv", "md", "HTML"])
def test_the_command_writes_a_report_beside_the_table(
    ragdoll: Ragdoll, tmp_path: Path, suffix: str
) -> None:
    beir = written(tmp_path / "tiny", {"a": "a lock", "b": "a loop"}, {"q": "lock"}, "q\ta\t1\n")
    file = tmp_path / f"report.{suffix}"
    result = ragdoll("evaluate", beir, "--mode", "text", "--output", file)
    assert result.status == 0
    assert "BM25" in result.out
    assert result.err == f"Report: {file}\n"
    assert "1.0" in file.read_text(encoding="utf-8")
    as_json = ragdoll("evaluate", beir, "--mode", "text", "--output", file, "--json", "--quiet")
    assert as_json.json["systems"][0]["ndcg@10"] == 1


@pytest.mark.parametrize("name", ["report.pdf", "folder.md", "no/r.md"])
def test_what_cannot_be_a_report_is_refused_in_one_line_before_any_work(
    ragdoll: Ragdoll, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder.md").mkdir()
    result = ragdoll("evaluate", "nowhere", "--mode", "text", "--output", tmp_path / name)
    assert (result.status, result.out) == (2, "")
    assert len(result.err.splitlines()) == 1
    assert str(tmp_path / name) in result.err


# One question


def test_the_command_explains_one_question(ragdoll: Ragdoll, tiny: Path, trained: Trained) -> None:
    command = ["evaluate", tiny, "--model", trained.model, "--explain", "q1"]
    result = ragdoll(*command)
    assert (result.status, result.err) == (0, "")
    assert "Where each system ranks the answers" in result.out
    assert "a lock guards" in result.out
    assert "nDCG" not in result.out
    record = ragdoll(*command, "--json").json
    assert record["query_id"] == "q1"
    assert set(record["answers"][0]) == {"document", "text", "relevance", "ranks"}
    assert set(record["answers"][0]["ranks"]) == set(record["systems"])


def shown(place: Place, systems: list[str], width: int) -> str:
    console = Console(width=width, file=StringIO())
    console.print(explanation(Explanation("c", "q1", "word", systems, [place], []), 10))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_a_text_that_is_cut_shows_where() -> None:
    view = shown(Place("long", "word " * 40, 1, {"BM25": 1}), ["BM25"], 200)
    assert "word word…\n" in re.sub(" +\n", "\n", view)


def test_a_long_name_is_complete_on_a_narrow_terminal() -> None:
    view = shown(Place("a/path/to/a/document.txt", "word " * 11, 1, {"BM25": 1}), ["BM25"], 70)
    assert "…" not in view
    assert "\n.txt " in view


@pytest.mark.parametrize(
    ("systems", "names"),
    [
        (["a/model", "a/other", "owner/teacher"], ["model", "other", "teacher"]),
        (["a/model", "b/model"], ["a/model", "b/model"]),
    ],
)
def test_models_of_one_name_are_told_apart_by_their_folders(
    systems: list[str], names: list[str]
) -> None:
    view = shown(Place("d", "text", 1, dict.fromkeys(systems, 1)), systems, 100)
    heading = next(line for line in view.splitlines() if "document" in line)
    assert heading.split() == ["document", *names, "text"]


def test_a_question_of_ones_own_is_said_to_be_one(ragdoll: Ragdoll, tiny: Path) -> None:
    result = ragdoll("evaluate", tiny, "--mode", "text", "--explain", "loops")
    assert result.status == 0
    assert "nobody judged" in result.out


def test_an_explanation_has_no_report(ragdoll: Ragdoll, tiny: Path) -> None:
    result = ragdoll(
        "evaluate", tiny, "--mode", "text", "--explain", "q1", "--output", "report.html"
    )
    assert result.status == 2
    assert not Path("report.html").exists()
