"""The distillate: the model that model2vec makes of the same teacher, and weights of tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdoll.distillation.teacher.files import TeacherFiles, find_teacher
from ragdoll.distillation.teacher.model import Teacher
from ragdoll.distillation.teacher.tokenizer import open_tokenizer
from ragdoll.distillation.training.distillate import (
    TokenVectors,
    distil,
    distillate_of,
    dtype_for,
    recipe,
    reuse,
    smooth_inverse_frequency,
    token_vectors,
    weighted,
)
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.token_table import TokenTable
from ragdoll.errors import TrainingError
from tests.closeness import assert_alike, cosines
from tests.distillation import architectures

TEXTS = ["call a function after a delay", "the event loop", "a lock"]


@pytest.fixture(scope="module")
def files(small_teacher: Path) -> TeacherFiles:
    return find_teacher(str(small_teacher))


@pytest.fixture(scope="module")
def tokens(files: TeacherFiles) -> TokenVectors:
    """The small teacher's token vectors. Not to be written to."""
    return token_vectors(files, [], "cpu")


def of_model2vec(folder: Path, **options: Any) -> Any:
    from model2vec.distill import distill

    return distill(str(folder), device="cpu", quantize_to="float32", **options)


def similarities(vectors: Any) -> Any:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize(
    "make",
    [
        architectures.bert,
        architectures.mpnet,
        architectures.xlm_roberta,
        architectures.modernbert,
        architectures.qwen,
        architectures.without_padding_token,
    ],
    ids=lambda make: make.__name__,
)
def test_any_architecture_gives_the_tokens_and_vectors_of_model2vec(
    tmp_path: Path, make: architectures.Make
) -> None:
    make(tmp_path)
    tokens = token_vectors(find_teacher(str(tmp_path)), [], "cpu")
    expected = of_model2vec(tmp_path, pca_dims=None, sif_coefficient=None)
    found = distillate_of(tokens, 8, "teacher")
    ours, theirs = (json.loads(model.tokenizer.to_str()) for model in (found, expected))
    for definition in (ours, theirs):
        # The library leaves the id of the unknown token as it was, which is another token's now.
        definition["model"].pop("unk_id", None)
    assert ours == theirs
    assert cosines(tokens.vectors, expected.embedding).min() > 0.999


@pytest.mark.parametrize(
    "make",
    [architectures.mpnet, architectures.xlm_roberta, architectures.t5],
    ids=lambda make: make.__name__,
)
def test_a_unigram_model_leaves_out_nothing_but_what_it_does_not_know(
    tmp_path: Path, make: architectures.Make
) -> None:
    from transformers import AutoTokenizer

    make(tmp_path)
    teachers = AutoTokenizer.from_pretrained(str(tmp_path)).backend_tokenizer
    tokens = token_vectors(find_teacher(str(tmp_path)), [], "cpu")
    distillate_of(tokens, 8, "teacher").save_pretrained(tmp_path / "static")
    table = TokenTable(open_folder(tmp_path / "static"))
    assert table.unknown is not None
    assert table.tokens[table.unknown] == "<unk>"
    for text in architectures.TEXTS:
        expected = teachers.encode(text, add_special_tokens=False).tokens
        assert [table.tokens[number] for number in table.ids_of(text)] == expected
    assert table.ids_of("☃") in ([], table.ids_of(" "))


def test_the_unknown_token_may_be_the_last_of_a_vocabulary(tmp_path: Path) -> None:
    architectures.t5(tmp_path)
    file = tmp_path / "tokenizer.json"
    definition = json.loads(file.read_text())
    vocab, unknown = definition["model"]["vocab"], definition["model"]["unk_id"]
    vocab[unknown], vocab[-1] = vocab[-1], vocab[unknown]
    definition["model"]["unk_id"] = len(vocab) - 1
    for token in definition["added_tokens"]:
        if token["content"] == "<unk>":
            token["id"] = len(vocab) - 1
    file.write_text(json.dumps(definition))
    tokens = token_vectors(find_teacher(str(tmp_path)), [], "cpu")
    model = json.loads(tokens.tokenizer.to_str())["model"]
    assert model["vocab"][model["unk_id"]][0] == "<unk>"


def test_a_teacher_of_the_old_layout_gives_the_same_tokens(tmp_path: Path) -> None:
    architectures.bert(tmp_path / "new")
    shutil.copytree(tmp_path / "new", tmp_path / "old")
    architectures.to_old_layout(tmp_path / "old")
    new, old = (token_vectors(find_teacher(str(tmp_path / n)), [], "cpu") for n in ("new", "old"))
    assert old.tokenizer.get_vocab() == new.tokenizer.get_vocab()
    assert_alike(old.vectors, new.vectors)


def test_a_teacher_of_whole_texts_alone_reads_each_token_as_a_text(tmp_path: Path) -> None:
    architectures.clip(tmp_path)
    files = find_teacher(str(tmp_path))
    tokens = token_vectors(files, [], "cpu")
    words = ["Ġrun", "Ġtask", "Ġshare"]
    expected = Teacher(files, "cpu").encode([f" {word[1:]}" for word in words], "sentence", 64)
    ids = [tokens.tokenizer.token_to_id(word) for word in words]
    assert_alike(tokens.vectors[ids], expected)


def test_tokens_that_were_added_to_a_teacher_stay_tokens(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    architectures.bert(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path))
    model = AutoModel.from_pretrained(str(tmp_path))
    tokenizer.add_tokens(["covid-19"])
    tokenizer.add_tokens(["c++", "<|end|>"], special_tokens=True)
    model.resize_token_embeddings(len(tokenizer))
    tokenizer.save_pretrained(str(tmp_path))
    model.save_pretrained(str(tmp_path))
    tokens = token_vectors(find_teacher(str(tmp_path)), [], "cpu")
    text = "a covid-19 task in c++"
    expected = tokenizer.tokenize(text)
    assert {"covid-19", "c++"} < set(expected)
    assert tokens.tokenizer.encode(text, add_special_tokens=False).tokens == expected
    assert tokens.tokenizer.token_to_id("<|end|>") is None
    ids = [tokens.tokenizer.token_to_id(token) for token in ("covid-19", "c++")]
    assert tokens.vectors[ids].any(axis=1).all()


def test_a_teacher_that_reads_small_letters_gives_a_model_that_does(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    file = tmp_path / "tokenizer.json"
    definition = json.loads(file.read_text())
    definition["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(definition))
    cased = open_tokenizer(find_teacher(str(tmp_path))).tokenizer
    assert cased.encode("TIMER").ids != cased.encode("timer").ids
    settings = tmp_path / "sentence_bert_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "do_lower_case": True}))
    lowered = open_tokenizer(find_teacher(str(tmp_path))).tokenizer
    assert lowered.encode("TIMER").ids == lowered.encode("timer").ids
    assert lowered.encode("timer").ids == cased.encode("timer").ids


def test_an_encoder_that_the_library_takes_for_half_a_model_is_distilled(tmp_path: Path) -> None:
    architectures.t5(tmp_path)
    tokens = token_vectors(find_teacher(str(tmp_path)), [], "cpu")
    assert len(tokens.vectors) == tokens.tokenizer.get_vocab_size()
    assert np.isfinite(tokens.vectors).all()
    # Each token has a vector of its own, but for those that the teacher does not know.
    assert len(np.unique(tokens.vectors.round(5), axis=0)) > len(tokens.vectors) - 3


def test_the_small_teacher_gives_the_model_of_model2vec(
    files: TeacherFiles, tokens: TokenVectors
) -> None:
    expected = of_model2vec(files.path, pca_dims=64)
    found = distillate_of(tokens, 64, files.name)
    assert found.tokenizer.to_str() == expected.tokenizer.to_str()
    # The last components of a PCA differ from processor to processor: what counts is how alike
    # tokens are.
    assert_alike(similarities(found.embedding[::7]), similarities(expected.embedding[::7]))
    named = {"tokenizer_name": files.name, "pooling": "mean"}
    assert {**found.config, **named} == {**expected.config, **named}
    assert (found.normalize, found.max_length) == (expected.normalize, expected.max_length)
    assert (found.weights, found.token_mapping) == (None, None)


def test_the_distillate_loads_elsewhere_with_the_same_vectors(
    files: TeacherFiles, tokens: TokenVectors, tmp_path: Path
) -> None:
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer

    model = distillate_of(tokens, 32, files.name)
    model.save_pretrained(tmp_path)
    expected = model.encode(TEXTS)
    np.testing.assert_array_equal(StaticModel.from_pretrained(tmp_path).encode(TEXTS), expected)
    other = SentenceTransformer(str(tmp_path), device="cpu").encode(TEXTS)
    assert_alike(other, expected)


def test_the_bytes_are_the_same_in_every_run_and_on_any_number_of_cores(
    files: TeacherFiles, tokens: TokenVectors
) -> None:
    import torch

    expected = distillate_of(tokens, 32, files.name).embedding.tobytes()
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = distil(files, [], 32, "cpu", False)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert found.embedding.tobytes() == expected


def test_bfloat16_agrees_with_float32(files: TeacherFiles, tokens: TokenVectors) -> None:
    found = token_vectors(files, [], "cpu", dtype="bfloat16")
    assert cosines(found.vectors, tokens.vectors).min() > 0.999


def test_a_terms_vector_is_the_teachers_for_the_whole_term(
    files: TeacherFiles, tokens: TokenVectors
) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    terms = ["event loop", "unobserved"]
    found = token_vectors(files, terms, "cpu")
    assert found.terms == ("event loop", "unobserved")
    np.testing.assert_array_equal(found.vectors[:-2], tokens.vectors)
    tokenizer = AutoTokenizer.from_pretrained(files.path)
    model = AutoModel.from_pretrained(files.path).eval()
    for term, vector in zip(terms, found.vectors[-2:], strict=True):
        with torch.inference_mode():
            output = model(**tokenizer(term, return_tensors="pt")).last_hidden_state[0]
        assert_alike(vector, output.mean(dim=0).numpy())


def test_terms_that_are_no_terms_are_left_out(files: TeacherFiles) -> None:
    terms = ["", "  ", "loop", "Event Loop", "event loop", "##s", "."]
    assert open_tokenizer(files).with_terms(terms).terms == ("event loop",)


def test_no_more_dimensions_than_the_teacher_has(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    files = find_teacher(str(tmp_path))
    assert distil(files, [], 500, "cpu", False).dim == architectures.DIMENSION


def test_fewer_tokens_than_dimensions_stay_as_they_are(tokens: TokenVectors) -> None:
    from tokenizers import Tokenizer, models

    few = Tokenizer(models.WordLevel({"[UNK]": 0, "loop": 1, "lock": 2}, "[UNK]"))
    model = distillate_of(TokenVectors(few, (), tokens.vectors[:3]), 8, "teacher")
    assert cosines(model.embedding, tokens.vectors[:3]).min() > 0.999999


def test_tokens_that_the_teacher_has_no_vector_for_get_the_mean(tmp_path: Path) -> None:
    architectures.without_padding_token(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps({**settings, "unk_token": "<never seen>"}))
    tokens = token_vectors(find_teacher(str(tmp_path)), [], "cpu")
    row = tokens.tokenizer.token_to_id("<never seen>")
    others = np.delete(tokens.vectors, row, axis=0)
    assert_alike(tokens.vectors[row], others.mean(axis=0))


def test_weights_grow_with_rarity(tokens: TokenVectors) -> None:
    assert tokens.weights.shape == (len(tokens.vectors),)
    assert (np.diff(tokens.weights) > 0).all()
    assert 0 < tokens.weights[0] < tokens.weights[-1] < 1


def test_progress_goes_to_the_end_and_an_interruption_leaves_nothing_behind(
    files: TeacherFiles,
) -> None:
    import torch

    seen: list[tuple[int, int | None]] = []

    def report(stage: str, done: int, total: int | None, detail: str = "") -> None:
        seen.append((done, total))

    def interrupt(stage: str, done: int, total: int | None, detail: str = "") -> None:
        raise KeyboardInterrupt

    vectors = token_vectors(files, [], "cpu", report=report).vectors
    assert seen == sorted(seen)
    assert seen[-1] == (len(vectors), len(vectors))
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        token_vectors(files, [], "cpu", report=interrupt)
    assert torch.get_num_threads() == before


def test_a_tokenizer_that_cannot_be_read_is_an_error_that_names_the_teacher(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    architectures.bert(tmp_path)
    files = find_teacher(str(tmp_path))
    for path in tmp_path.glob("tokenizer*"):
        path.write_text("{}")
    with pytest.raises(TrainingError, match=str(tmp_path)):
        distil(files, [], 8, "cpu", False)
    assert f"The tokenizer of {tmp_path} " in caplog.text


def test_a_teacher_that_gives_no_token_vectors_is_left_to_model2vec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError("token_embeddings")

    architectures.bert(tmp_path)
    files = find_teacher(str(tmp_path))
    expected = distil(files, [], 8, "cpu", False)
    monkeypatch.setattr(Teacher, "embed", broken)
    found = distil(files, [], 8, "cpu", False)
    assert "'token_embeddings'. Trying model2vec" in caplog.text
    assert (found.tokens, found.config) == (expected.tokens, expected.config)
    # Both reduce by a PCA of their own, whose last digits differ from processor to processor.
    pairs = [similarities(model.embedding).ravel() for model in (found, expected)]
    assert np.corrcoef(pairs)[0, 1] > 0.9999
    with pytest.raises(TrainingError, match="'token_embeddings'") as error:
        distil(files, ["event loop"], 8, "cpu", False)
    assert "`vocab_size=0`" in (error.value.hint or "")


def test_the_teacher_computes_in_the_type_that_proved_fast_where_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    native = {"cuda": "bfloat16", "cpu": "float32"}
    monkeypatch.setattr("ragdoll.distillation.training.distillate.native_dtype", native.__getitem__)
    assert dtype_for("bfloat16", "cuda") == "bfloat16"
    assert dtype_for("bfloat16", "cpu") == "float32"
    assert dtype_for("float16", "cuda") == "float32"
    assert dtype_for(None, "cuda") == "float32"


def test_only_a_distillate_of_the_same_recipe_serves_again(
    files: TeacherFiles, tokens: TokenVectors, tmp_path: Path
) -> None:
    made_by = recipe(files, ["event loop"], 32)
    distillate_of(tokens, 32, files.name).save_pretrained(tmp_path)
    distillate_of(tokens, 32, files.name).save_pretrained(tmp_path / "distillate")
    (tmp_path / "ragdoll.json").write_text(json.dumps({"distillate": made_by}))
    assert reuse(tmp_path, made_by) is not None
    for other in (
        recipe(files, ["event loops"], 32),
        recipe(files, ["event loop"], 16),
        recipe(files, ["event loop"], 32, kept=["event"]),
        {**made_by, "version": 1},
    ):
        assert reuse(tmp_path, other) is None
    # The type that was faster depends on what else a machine does.
    reused = reuse(tmp_path, recipe(files, ["event loop"], 32, "bfloat16"))
    assert reused is not None
    assert reused[1] == made_by
    assert reuse(tmp_path / "nothing", made_by) is None


def test_a_weight_is_that_of_the_paper() -> None:
    frequency = np.array([0.0, 1e-4, 1e-3, 1.0])
    expected = [1, 1e-3 / 1.1e-3, 0.5, 1e-3 / 1.001]
    assert smooth_inverse_frequency(frequency).tolist() == pytest.approx(expected)
    assert smooth_inverse_frequency(frequency, 1e-4)[1] == pytest.approx(0.5)


def test_vectors_are_weighted_by_the_share_of_their_token() -> None:
    vectors = np.ones((4, 2), np.float32)
    found = weighted(vectors, np.array([1.0, 0.0, 999.0]))
    # The last is of a token that was added after the tokens were counted.
    assert found[:, 0].tolist() == pytest.approx([0.5, 1, 1e-3 / 1.0, 1], rel=1e-2)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(weighted(vectors, np.zeros(4)), vectors)
