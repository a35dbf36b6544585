"""The facts about a model folder: ``inspect`` and ``ragdoll inspect-model``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.embedding.inspection import inspect
from tests.conftest import Ragdoll
from tests.distillation import architectures
from tests.embedding.making import change_json, load_table, write_model, write_static

# The keys that every model's record has; others may join them.
KEYS = {
    *("path", "kind", "dimension", "metric", "vocabulary", "dtype", "normalize", "max_length"),
    *("parameters", "bytes", "fingerprint", "provenance"),
}


@pytest.fixture
def static(model: Path, tmp_path: Path) -> Path:
    """A static model that sentence-transformers wrote."""
    write_static(model, tmp_path / "static", similarity_fn_name="euclidean")
    return tmp_path / "static"


def test_the_record_of_a_trained_model(ragdoll: Ragdoll, model: Path) -> None:
    table = load_table(model)
    result = ragdoll("inspect-model", model, "--json")
    assert (result.status, result.err) == (0, "")
    record = result.json
    assert record.keys() >= KEYS
    assert record["path"] == str(model)
    assert (record["kind"], record["dimension"], record["dtype"]) == ("model2vec", 32, "float32")
    assert (record["metric"], record["normalize"], record["max_length"]) == ("cosine", True, 512)
    assert (record["vocabulary"], record["tokenizer"]) == (len(table), "WordPiece")
    assert record["parameters"] == table.size
    assert record["bytes"] == (model / "model.safetensors").stat().st_size
    assert record["provenance"]["format"] == "ragdoll-model"
    assert record["remarks"] == []


def test_the_record_of_a_static_model_of_sentence_transformers(
    ragdoll: Ragdoll, static: Path
) -> None:
    record = ragdoll("inspect-model", static, "--json").json
    assert record.keys() >= KEYS
    assert (record["kind"], record["dimension"]) == ("sentence-transformers-static", 8)
    assert (record["metric"], record["normalize"]) == ("l2", False)
    assert record["parameters"] == 8 * record["vocabulary"]
    assert (record["provenance"], record["remarks"]) == (None, [])


def test_the_record_of_a_full_sentence_transformer(ragdoll: Ragdoll, small_teacher: Path) -> None:
    record = ragdoll("inspect-model", small_teacher, "--json").json
    assert record.keys() >= KEYS
    assert (record["kind"], record["dimension"]) == ("sentence-transformer", 384)
    assert (record["metric"], record["normalize"], record["max_length"]) == ("cosine", True, 256)
    assert record["provenance"] is None
    weights = load_file(small_teacher / "model.safetensors")
    assert record["parameters"] == sum(tensor.size for tensor in weights.values())
    assert record["vocabulary"] == len(weights["embeddings.word_embeddings.weight"])


@pytest.mark.parametrize(
    "make",
    [
        architectures.bert,
        architectures.mpnet,
        architectures.xlm_roberta,
        architectures.distilbert,
        architectures.gpt2,
        architectures.bart,
        architectures.t5,
        architectures.clip,
        architectures.in_old_layout,
        architectures.poolings,
    ],
    ids=lambda make: make.__name__,
)
def test_any_architecture_says_what_it_is(tmp_path: Path, make: architectures.Make) -> None:
    from sentence_transformers import SentenceTransformer

    make(tmp_path)
    model = SentenceTransformer(str(tmp_path), device="cpu")
    facts = inspect(tmp_path)
    assert facts.dimension == model.encode("A lock.").shape[0]
    assert facts.vocabulary == len(model.tokenizer)
    limit = model.max_seq_length
    assert facts.max_length == (limit if limit and limit < 1e6 else None)
    assert facts.remarks == []


@pytest.mark.parametrize(
    ("options", "dimension"), [({}, 16), ({"truncate_dim": 4}, 4), ({"truncate_dim": None}, 16)]
)
def test_the_dimension_is_that_after_cutting_off(
    tmp_path: Path, options: dict[str, Any], dimension: int
) -> None:
    architectures.bert(tmp_path, **options)
    facts = inspect(tmp_path)
    assert (facts.dimension, facts.remarks) == (dimension, [])


def dense_behind(folder: Path) -> None:
    """Put the Dense behind Normalize, in a folder of another name."""
    architectures.dense(folder)
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "2_Dense").rename(folder / "head")
    modules[2]["path"] = "head"
    (folder / "modules.json").write_text(json.dumps([*modules[:2], modules[3], modules[2]]))


@pytest.mark.parametrize(
    ("make", "dimension", "normalizes"),
    [
        (architectures.bert, 16, True),
        (architectures.dense, 12, True),
        (dense_behind, 12, False),
        (lambda folder: architectures.bert(folder, truncate_dim=4), 4, False),
    ],
    ids=["normalized", "normalized last", "Dense last", "cut off"],
)
def test_a_teacher_normalizes_if_nothing_changes_its_vectors_after_that(
    tmp_path: Path, make: architectures.Make, dimension: int, normalizes: bool
) -> None:
    make(tmp_path)
    facts = inspect(tmp_path)
    assert (facts.dimension, facts.normalize, facts.remarks) == (dimension, normalizes, [])
    assert facts.fingerprint == find_teacher(str(tmp_path)).fingerprint


@pytest.mark.parametrize(("stated", "length"), [(20, 18), (10, 10)])
def test_a_text_is_cut_off_where_positions_end(tmp_path: Path, stated: int, length: int) -> None:
    architectures.xlm_roberta(tmp_path, positions=20)
    (tmp_path / "sentence_bert_config.json").write_text(f'{{"max_seq_length": {stated}}}')
    assert inspect(tmp_path).max_length == length


def test_a_dimension_that_the_config_gets_wrong_is_remarked(ragdoll: Ragdoll, model: Path) -> None:
    change_json(model / "config.json", hidden_dim=999)
    record = ragdoll("inspect-model", model, "--json").json
    assert record["dimension"] == 32
    (remark,) = record["remarks"]
    assert "999" in remark
    assert "999" in ragdoll("inspect-model", model).out


UNIGRAM: dict[str, Any] = {"type": "Unigram", "unk_id": 0, "vocab": [["a", -1], ["b", -2]]}
ADDED = dict.fromkeys(("special", "single_word", "normalized", "lstrip", "rstrip"), False)


@pytest.mark.parametrize(
    ("content", "family", "size"),
    [
        ({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}, "BPE", 2),
        ({"model": UNIGRAM}, "Unigram", 2),
        ({"model": UNIGRAM, "added_tokens": [{"id": 0, "content": "a", **ADDED}]}, "Unigram", 2),
        ({"model": UNIGRAM, "added_tokens": [{"id": 2, "content": "z", **ADDED}]}, "Unigram", 3),
    ],
    ids=["map", "list", "added from it", "added to it"],
)
def test_the_vocabulary_is_counted_with_the_tokens_added_to_it(
    model: Path, content: dict[str, Any], family: str, size: int
) -> None:
    (model / "tokenizer.json").write_text(json.dumps(content))
    facts = inspect(model)
    assert (facts.tokenizer, facts.vocabulary) == (family, size)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"model": {}},
        {"model": [], "added_tokens": 5},
        {"model": {"vocab": [[["nested"], 0]]}, "added_tokens": []},
        {"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": ["a"]}]},
    ],
    ids=["empty", "no vocabulary", "other types", "vocabulary", "added tokens"],
)
def test_a_tokenizer_that_is_none_is_an_error(
    ragdoll: Ragdoll, model: Path, content: dict[str, Any]
) -> None:
    (model / "tokenizer.json").write_text(json.dumps(content))
    result = ragdoll("inspect-model", model)
    assert (result.status, result.out) == (1, "")
    assert "tokenizer.json is no tokenizer" in result.err


@pytest.mark.parametrize(
    "content",
    [
        {"teacher": "a name"},
        {"features": {"corpus": "docs"}},
        {"features": {"corpus": {"path": [1]}}},
        {"heldout_agreement": {"weighted": "good"}},
        {"versions": ["1.0"]},
    ],
    ids=["teacher", "corpus", "path", "agreement", "versions"],
)
def test_a_record_of_provenance_with_other_content_is_no_unforeseen_error(
    ragdoll: Ragdoll, model: Path, content: dict[str, Any]
) -> None:
    (model / "ragdoll.json").write_text(json.dumps(content))
    assert ragdoll("inspect-model", model, "--json").json["provenance"] == content
    result = ragdoll("inspect-model", model)
    assert (result.status, result.err) == (0, "")
    assert "fingerprint" in result.out


def test_what_a_person_reads(ragdoll: Ragdoll, model: Path) -> None:
    result = ragdoll("inspect-model", model)
    assert (result.status, result.err) == (0, "")
    lines = {line[:20].strip(): line[20:] for line in result.out.splitlines()}
    assert lines["model"] == str(model)
    assert lines["kind"] == "model2vec"
    assert lines["dimension"] == "32"
    assert lines["metric"].startswith("cosine (")
    assert "WordPiece" in lines["vocabulary"]
    assert lines["normalize"] == "yes"
    assert lines["max length"] == "512 tokens"
    assert "float32" in lines["size"]
    assert lines["fingerprint"] == inspect(model).fingerprint
    assert "python:asyncio" in lines["corpus"]


def test_without_a_path_the_model_is_the_one_that_train_writes(
    ragdoll: Ragdoll, model: Path
) -> None:
    shutil.copytree(model, ".ragdoll/model")
    assert ragdoll("inspect-model", "--json").json["path"] == str(Path(".ragdoll/model"))


def test_several_models_are_one_record(ragdoll: Ragdoll, model: Path, small_teacher: Path) -> None:
    record = ragdoll("inspect-model", model, small_teacher, model, "--json").json
    assert [each["path"] for each in record["models"]] == [
        str(p) for p in (model, small_teacher, model)
    ]
    assert "differences" not in record
    out = ragdoll("inspect-model", model, small_teacher, model).out
    assert out.count("fingerprint  ") == 3


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_missing_model_is_an_error_with_a_way_out(ragdoll: Ragdoll, options: list[str]) -> None:
    result = ragdoll("inspect-model", "./nowhere", *options)
    assert (result.status, result.out) == (1, "")
    assert "nowhere" in result.err
    assert len(result.err.splitlines()) == 2


def test_control_characters_in_a_models_files_do_not_reach_the_terminal(
    ragdoll: Ragdoll, model: Path
) -> None:
    (model / "ragdoll.json").write_text(json.dumps({"method": "\x1b[2Jgone\u202e"}))
    out = ragdoll("inspect-model", model).out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "gone" in out


def test_tokens_from_the_corpus_are_counted(ragdoll: Ragdoll, tmp_path: Path) -> None:
    record = {"distillate": {"extra_words": 2}}
    model = write_model(tmp_path / "m", ["wing", "flap"], provenance=record)
    assert ragdoll("inspect-model", model, "--json").json["corpus_tokens"] == 2
    assert "4 tokens, WordPiece, 2 of them from the corpus" in ragdoll("inspect-model", model).out


def test_a_dimension_of_a_transformer_is_one_of_its_tensors(
    small_teacher: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(small_teacher, tmp_path / "teacher"))
    assert inspect(model).remarks == []
    change_json(model / "1_Pooling/config.json", word_embedding_dimension=999)
    (remark,) = inspect(model).remarks
    assert "999" in remark
