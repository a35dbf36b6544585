"""The teacher: the device and the type it computes in, and the vectors it gives."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdoll.distillation.teacher import model as module
from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import (
    Teacher,
    Tokenized,
    batch_tokens,
    choose_device,
    native_dtype,
)
from ragdoll.errors import ModelError, TeacherError
from tests.closeness import assert_alike
from tests.conftest import Ragdoll
from tests.distillation import architectures

TEXTS = ["A lock guards a resource.", "A timer.", "The event loop runs callbacks. " * 80, "?"]


def load(folder: Path) -> Teacher:
    return Teacher(find_teacher(str(folder)), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def loaded(small_teacher: Path) -> Teacher:
    return load(small_teacher)


# The device and its types


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, False, "cuda"), (False, True, "mps"), (True, True, "cuda"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_device(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == chosen


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "", "cpu0", "meta", "hpu"])
def test_a_device_that_cannot_be_used_is_one_clear_line(device: str) -> None:
    with pytest.raises(TeacherError, match=f"device {device} ") as error:
        choose_device(device)
    assert "\n" not in error.value.message


def test_a_teacher_checks_its_device(small_teacher: Path) -> None:
    with pytest.raises(TeacherError, match="cuda:99"):
        Teacher(find_teacher(str(small_teacher)), device="cuda:99")


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_processor_has_one_name(device: str) -> None:
    assert choose_device(device) == "cpu"


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_fp16", "bfloat16"),
        ("flags\t\t: fpu amx_bf16 amx_tile", "bfloat16"),
        ("Features\t: fp asimd bf16 i8mm", "bfloat16"),
        ("flags\t\t: fpu avx2 avx512f", "float32"),
    ],
    ids=["avx512", "amx", "arm", "neither"],
)
def test_a_processor_says_whether_it_knows_bfloat16(
    monkeypatch: pytest.MonkeyPatch, flags: str, dtype: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *arguments, **options: flags + "\n")
    assert native_dtype("cpu") == dtype


def test_a_system_that_does_not_describe_its_processor_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*arguments: object, **options: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert native_dtype("cpu") == "float32"
    assert native_dtype("mps") == "float32"


@pytest.mark.parametrize(("supported", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_says_whether_it_computes_bfloat16_itself(
    monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert native_dtype("cuda:0") == dtype


def test_only_a_processor_takes_less_than_the_budget() -> None:
    assert batch_tokens("cuda", 8192) == 8192
    assert batch_tokens("cpu", 8192) < 8192
    assert batch_tokens("cpu", 100) == 100


@pytest.fixture
def choosing(small_teacher: Path, monkeypatch: pytest.MonkeyPatch) -> Teacher:
    """A teacher on a device that has instructions for bfloat16."""
    monkeypatch.setattr(module, "native_dtype", lambda device: "bfloat16")
    return Teacher(find_teacher(str(small_teacher)), device="cpu")


def weights_type(teacher: Teacher) -> str:
    return str(next(teacher._model.parameters()).dtype).removeprefix("torch.")


def clock_of(teacher: Teacher, **seconds: float) -> Callable[[], float]:
    """A clock by which embedding takes these seconds in each type."""
    readings = itertools.accumulate(seconds[weights_type(teacher)] for _ in itertools.count())
    return lambda: next(readings)


def vectors_at(cosine: float) -> np.ndarray:
    """The vectors of the sample, of which one is at this cosine to its old self."""
    vectors = np.tile(np.array([[3.0, 0.0]], np.float32), (16, 1))
    vectors[7] = 3 * cosine, 3 * (1 - cosine**2) ** 0.5
    return vectors


@pytest.mark.parametrize(
    ("seconds", "cosine", "settled", "warning"),
    [
        (1.0, 0.9991, "bfloat16", ""),
        (1.0, 0.9989, "float32", "only at cosine 0.9989"),
        (1.03, 1.0, "float32", ""),
        (1.5, 1.0, "float32", ""),
    ],
    ids=["faster and alike", "faster but not alike", "hardly faster", "slower"],
)
def test_a_type_is_used_where_it_is_clearly_faster_and_gives_the_same_vectors(
    choosing: Teacher,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    seconds: float,
    cosine: float,
    settled: str,
    warning: str,
) -> None:
    vectors = {"float32": vectors_at(1.0), "bfloat16": vectors_at(cosine)}
    monkeypatch.setattr(choosing, "embed", lambda *rest: vectors[weights_type(choosing)])
    clock = clock_of(choosing, float32=1.22, bfloat16=seconds)
    assert choosing.settle_dtype(choosing.tokenize(["text"] * 256), "mean", clock) == settled
    assert choosing.dtype == weights_type(choosing) == settled
    assert warning in caplog.text
    assert bool(warning) == bool(caplog.text)


def test_the_vectors_of_a_real_model_are_the_same_in_bfloat16(choosing: Teacher) -> None:
    clock = clock_of(choosing, float32=2.0, bfloat16=1.0)
    assert choosing.settle_dtype(choosing.tokenize(TEXTS * 64), "mean", clock) == "bfloat16"


def test_a_type_that_was_tried_leaves_nothing_behind(choosing: Teacher, loaded: Teacher) -> None:
    clock = clock_of(choosing, float32=1.0, bfloat16=2.0)
    choosing.settle_dtype(choosing.tokenize(TEXTS * 64), "mean", clock)
    one, other = (
        dict(teacher._model.named_parameters()) for teacher in (choosing, loaded)
    )  # fmt: skip
    assert all((weights == other[name]).all() for name, weights in one.items())


def test_a_few_texts_are_not_worth_a_choice(choosing: Teacher) -> None:
    clock = clock_of(choosing, float32=2.0, bfloat16=1.0)
    assert choosing.settle_dtype(choosing.tokenize(TEXTS), "mean", clock) == "float32"


# The vectors, of the small teacher and of any architecture


@pytest.fixture(
    params=[
        architectures.bert,
        architectures.mpnet,
        architectures.xlm_roberta,
        architectures.modernbert,
        architectures.qwen,
        architectures.t5,
        architectures.without_padding_token,
    ],
    ids=lambda make: make.__name__,
)
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    request.param(tmp_path)
    return tmp_path


def test_sentence_vectors_are_the_models_own(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(tiny), device="cpu")
    reference.tokenizer.pad_token = reference.tokenizer.pad_token or reference.tokenizer.eos_token
    expected = np.concatenate([reference.encode([text]) for text in architectures.TEXTS])
    assert_alike(load(tiny).encode(architectures.TEXTS, "sentence", 64), expected)


def test_mean_vectors_are_those_of_the_texts_own_tokens(tiny: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer, T5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    # The class that is registered for T5 has a decoder too.
    kind = T5EncoderModel if AutoConfig.from_pretrained(tiny).model_type == "t5" else AutoModel
    model = kind.from_pretrained(tiny).eval()
    expected = []
    for text in architectures.TEXTS:
        limit = min(tokenizer.model_max_length, 512)
        ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        with torch.inference_mode():
            tokens = model(torch.tensor([ids])).last_hidden_state[0].numpy()
        own = [number not in tokenizer.all_special_ids for number in ids]
        expected.append(tokens[own].mean(axis=0))
    assert_alike(load(tiny).encode(architectures.TEXTS, "mean", 64), np.stack(expected))


def test_long_texts_are_cut_off_where_sentence_transformers_cuts_them_off(
    loaded: Teacher, small_teacher: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(small_teacher), device="cpu")
    assert_alike(loaded.encode(TEXTS, "sentence", 512), reference.encode(TEXTS))


def test_a_model_without_a_stated_length_reads_as_much_as_the_library(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    architectures.t5(tmp_path)
    teacher = load(tmp_path)
    assert (teacher.max_length, teacher.passage_tokens) == (8192, 8191)
    long = ["task " * 2000, "timer " * 700]
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(long, batch_size=1)
    assert_alike(teacher.encode(long, "sentence", 64), expected)
    assert teacher.tokenize(["task " * 9000]).lengths == [8192]


def test_a_model_is_not_asked_for_more_tokens_than_it_has_positions(tmp_path: Path) -> None:
    """RoBERTa leaves as many positions unused as the id of padding tells, and one more."""
    architectures.xlm_roberta(tmp_path, positions=20)
    teacher = load(tmp_path)
    assert teacher.max_length == 18
    long = teacher.tokenize(["task " * 100])
    assert long.lengths == [18]
    assert np.isfinite(teacher.embed(long, "mean", 64)).all()


def test_the_positions_of_texts_count_and_not_those_of_pictures(tmp_path: Path) -> None:
    architectures.clip(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": None}))
    (tmp_path / "sentence_bert_config.json").unlink(missing_ok=True)
    positions = json.loads((tmp_path / "config.json").read_text())["text_config"]
    teacher = load(tmp_path)
    assert teacher.max_length == positions["max_position_embeddings"]
    assert np.isfinite(teacher.encode(["task " * 500], "sentence", 64)).all()


def test_a_limit_for_documents_is_none_for_queries(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    file = tmp_path / "sentence_bert_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"document_length": 8}))
    teacher = check_own_vectors(tmp_path)
    assert teacher.max_length == 8
    assert teacher.tokenize(["loop " * 40], "query").lengths == [architectures.MAX_LENGTH]


def test_own_tokens_are_told_from_the_frame_by_words_that_the_model_knows(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    # It knows neither of the words that are tried first.
    renamed = {re.sub("^([ot])", r"¤\1", token): number for token, number in vocab.items()}
    tokenizer["model"]["vocab"] = renamed
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    file = tmp_path / "sentence_bert_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"document_length": 10}))
    teacher = load(tmp_path)
    assert teacher.tokenize(["one two"]).columns["input_ids"][0][1:3] == [1, 1]
    (own,) = teacher.tokenize(["one lock"]).columns["special_tokens_mask"]
    assert own == [1, *[0] * (len(own) - 2), 1]


def test_a_teacher_without_room_for_a_text_is_refused(tmp_path: Path) -> None:
    architectures.bert(tmp_path, prompts={"document": "a loop of tasks: " * 20})
    with pytest.raises(TeacherError, match=r"24 tokens, .* none is left for a text"):
        load(tmp_path)


def test_sentence_vectors_are_cut_off_where_the_model_says_so(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    architectures.bert(tmp_path, truncate_dim=8)
    expected = SentenceTransformer(str(tmp_path), device="cpu").encode(architectures.TEXTS)
    assert expected.shape[1] == 8
    assert_alike(load(tmp_path).encode(architectures.TEXTS, "sentence", 64), expected)


def check_own_vectors(folder: Path) -> Teacher:
    """Compare a teacher's vectors with those that sentence-transformers gives for each side."""
    from sentence_transformers import SentenceTransformer

    teacher = load(folder)
    reference = SentenceTransformer(str(folder), device="cpu")
    texts = [*architectures.TEXTS, "task " * 100]
    for side, encode in (
        ("document", reference.encode_document),
        ("query", reference.encode_query),
    ):
        assert_alike(teacher.encode(texts, "sentence", 64, side=side), encode(texts, batch_size=1))
    return teacher


@pytest.mark.parametrize("kind", ["lora", "ia3"])
def test_an_adapter_changes_the_vectors_of_its_base(tmp_path: Path, kind: str) -> None:
    whole = architectures.adapter(tmp_path / "tuned", kind)
    expected = whole.encode(architectures.TEXTS, batch_size=1)
    assert_alike(load(tmp_path / "tuned").encode(architectures.TEXTS, "sentence", 64), expected)
    base = load(tmp_path / "base").encode(architectures.TEXTS, "sentence", 64)
    assert (base * expected).sum(axis=1).min() < 0.999


def test_an_adapter_has_the_identity_of_both_models(tmp_path: Path) -> None:
    architectures.adapter(tmp_path / "one" / "tuned")
    one = find_teacher(str(tmp_path / "one" / "tuned")).fingerprint
    moved = tmp_path / "other"
    (tmp_path / "one").rename(moved)
    with pytest.raises(ModelError, match="base, which is not on this machine"):
        find_teacher(str(moved / "tuned"))
    config = moved / "tuned" / "adapter_config.json"
    config.write_text(config.read_text().replace(str(tmp_path / "one"), str(moved)))
    assert find_teacher(str(moved / "tuned")).fingerprint == one
    base = moved / "base" / "config.json"
    base.write_text(json.dumps(json.loads(base.read_text()) | {"hidden_act": "relu"}))
    assert find_teacher(str(moved / "tuned")).fingerprint != one


def test_an_adapter_of_another_model_is_refused(tmp_path: Path) -> None:
    architectures.adapter(tmp_path / "tuned")
    config = tmp_path / "tuned" / "adapter_config.json"
    config.write_text(config.read_text().replace('"query"', '"key"'))
    with pytest.raises(TeacherError, match=r"of another model than .*base: the weights .*query"):
        load(tmp_path / "tuned")


def test_an_adapter_that_is_only_a_prompt_is_refused(tmp_path: Path) -> None:
    architectures.adapter(tmp_path / "tuned")
    config = tmp_path / "tuned" / "adapter_config.json"
    config.write_text(
        json.dumps(
            {
                "peft_type": "PREFIX_TUNING",
                "task_type": "FEATURE_EXTRACTION",
                "num_virtual_tokens": 3,
                "base_model_name_or_path": str(tmp_path / "base"),
            }
        )
    )
    with pytest.raises(TeacherError, match="kind PREFIX_TUNING, which cannot be merged"):
        load(tmp_path / "tuned")


def rename_weights(folder: Path, rename: Callable[[str], str | None]) -> None:
    """Give each tensor another name, or none to leave it out."""
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    named = {rename(name): tensor for name, tensor in load_file(file).items()}
    kept = {name: tensor for name, tensor in named.items() if name}
    save_file(kept, file, {"format": "pt"})


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (lambda name: f"_orig_mod.{name}", "embeddings.* such as _orig_mod.embeddings"),
        (lambda name: f"model.{name}", "embeddings.* such as model.embeddings"),
        (lambda name: None if "layer.1." in name else name, "lack the weights encoder.layer.1."),
        (lambda name: None if "position_emb" in name else name, "embeddings.position_emb"),
    ],
    ids=["compiled", "prefixed", "a layer", "a table"],
)
def test_weights_that_the_vectors_need_are_not_made_up(
    tmp_path: Path, rename: Callable[[str], str | None], message: str
) -> None:
    architectures.bert(tmp_path)
    rename_weights(tmp_path, rename)
    with pytest.raises(TeacherError, match=message):
        load(tmp_path)


def test_weights_that_no_vector_needs_may_be_missing(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    expected = load(tmp_path).encode(architectures.TEXTS, "sentence", 64)
    rename_weights(tmp_path, lambda name: None if name.startswith("pooler.") else name)
    assert (load(tmp_path).encode(architectures.TEXTS, "sentence", 64) == expected).all()


def test_an_adapter_of_a_damaged_base_is_refused(tmp_path: Path) -> None:
    architectures.adapter(tmp_path / "tuned")
    rename_weights(tmp_path / "base", lambda name: f"model.{name}")
    with pytest.raises(TeacherError, match="lack the weights embeddings"):
        load(tmp_path / "tuned")


def change_json(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_tensor_of_another_shape_is_named_with_both(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    change_json(tmp_path / "config.json", intermediate_size=48)
    with pytest.raises(TeacherError, match=r"intermediate\.dense\.bias .* \(32,\), .* \(48,\)"):
        load(tmp_path)


@pytest.mark.parametrize("special", [False, True])
def test_a_token_of_a_text_must_have_a_vector(tmp_path: Path, special: bool) -> None:
    architectures.bert(tmp_path)
    file = tmp_path / "tokenizer.json"
    added = json.loads(file.read_text())["added_tokens"]
    last = added[-1] | {"id": 200, "content": "covid-19", "special": special}
    change_json(file, added_tokens=[*added, last])
    if special:  # no text has it
        assert load(tmp_path).max_length == architectures.MAX_LENGTH
    else:
        with pytest.raises(TeacherError, match=r"tokens, such as covid-19; .* has vectors for"):
            load(tmp_path)


def test_a_model_that_fails_at_a_text_is_refused_before_the_first(tmp_path: Path) -> None:
    architectures.nystromformer(tmp_path)
    with pytest.raises(TeacherError, match="cannot embed a text: ") as error:
        load(tmp_path)
    assert "\n" not in error.value.message


@pytest.mark.parametrize("texts", [[""], ["", "A lock."]])
def test_a_text_without_a_token_has_a_vector_of_zeros(tmp_path: Path, texts: list[str]) -> None:
    architectures.gpt2(tmp_path)
    vectors = load(tmp_path).encode(texts, "sentence", 64)
    assert vectors.shape == (len(texts), architectures.DIMENSION)
    assert vectors.any(axis=1).tolist() == list(map(bool, texts))


def test_a_tokenizer_without_any_token_to_pad_with_pads(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    expected = load(tmp_path).encode(architectures.TEXTS, "sentence", 64)
    change_json(tmp_path / "tokenizer_config.json", pad_token=None)
    assert load(tmp_path)._tokenizer.pad_token
    assert_alike(load(tmp_path).encode(architectures.TEXTS, "sentence", 64), expected)


def test_a_model_whose_positions_shift_with_the_padding_gets_none(tmp_path: Path) -> None:
    architectures.bert(tmp_path, padding_side="left")
    pooling = {"word_embedding_dimension": 16, "pooling_mode_lasttoken": True}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    texts = ["A timer.", "A lock guards a resource, and no task."]
    teacher = load(tmp_path)
    alone = np.concatenate([teacher.encode([text], "sentence", 64) for text in texts])
    assert (teacher.encode(texts, "sentence", 64) == alone).all()


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"prompts": {"query": "the task: ", "document": "a loop: "}},
        {"prompts": {"query": "the task: ", "passage": "a loop: "}},
        {"prompts": {"search_query": "the task: ", "search_document": "a loop: "}},
        {"prompts": {"any": "a loop: "}, "default_prompt_name": "any"},
    ],
    ids=["document", "passage", "of other names", "default"],
)
def test_documents_and_queries_get_the_prompts_of_the_model(
    tmp_path: Path, include_prompt: bool, options: dict[str, Any]
) -> None:
    architectures.bert(tmp_path, include_prompt=include_prompt, **options)
    check_own_vectors(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"document_length": 10, "query_length": 7},
        {"processing_kwargs": {"text": {"max_length": 12}}},
        {"processing_kwargs": {"text": {"padding": "max_length", "max_length": 20}}},
    ],
    ids=["lengths by side", "length", "padding"],
)
def test_texts_are_read_as_the_settings_of_the_library_say(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    architectures.bert(tmp_path)
    file = tmp_path / "sentence_bert_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    teacher = check_own_vectors(tmp_path)
    length = settings.get("document_length") or settings["processing_kwargs"]["text"]["max_length"]
    assert (teacher.max_length, teacher.passage_tokens) == (length, length - 2)


def test_a_chat_template_frames_each_text(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    architectures.chatting(tmp_path)
    teacher = check_own_vectors(tmp_path)
    reference = SentenceTransformer(str(tmp_path), device="cpu")
    tokens = reference.encode_document(architectures.TEXTS, output_value="token_embeddings")
    own = teacher.tokenize(architectures.TEXTS).columns["special_tokens_mask"]
    means = [
        rows[-len(special) :][[not masked for masked in special]].mean(axis=0).numpy()
        for rows, special in zip(tokens, own, strict=True)
    ]
    assert_alike(teacher.encode(architectures.TEXTS, "mean", 64), np.stack(means))
    # The mask leaves the text, as far as it is read.
    ids = teacher.tokenize(architectures.TEXTS).columns["input_ids"]
    for text, row, special in zip(architectures.TEXTS, ids, own, strict=True):
        kept = [token for token, masked in zip(row, special, strict=True) if not masked]
        assert text.startswith(reference.tokenizer.decode(kept).strip())
        assert kept


def test_a_model_of_whole_texts_alone_is_known_before_it_embeds(
    tmp_path: Path, ragdoll: Ragdoll, loaded: Teacher
) -> None:
    architectures.clip(tmp_path / "teacher")
    (tmp_path / "corpus.md").write_text("A lock guards a resource.")
    assert loaded.has_token_vectors()
    assert not check_own_vectors(tmp_path / "teacher").has_token_vectors()
    arguments = ("featurize", tmp_path / "corpus.md", "--teacher", tmp_path / "teacher")
    arguments += ("--output", tmp_path / "features")
    failed = ragdoll(*arguments)
    assert failed.status == 1
    assert "--target sentence" in failed.err
    assert ragdoll(*arguments, "--target", "sentence").status == 0


def test_a_model_that_reads_its_padding_gets_none(tmp_path: Path) -> None:
    architectures.fnet(tmp_path)
    check_own_vectors(tmp_path)
    teacher = load(tmp_path)
    alone = [teacher.encode([text], "mean", 64) for text in architectures.TEXTS]
    assert_alike(teacher.encode(architectures.TEXTS, "mean", 512), np.concatenate(alone))


def test_the_mean_leaves_out_the_tokens_of_the_prompt(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    prompt = "a loop: "
    architectures.bert(tmp_path, prompts={"document": prompt})
    reference = SentenceTransformer(str(tmp_path), device="cpu")
    before = 1 + len(reference.tokenizer(prompt, add_special_tokens=False)["input_ids"])
    tokens = reference.encode(architectures.TEXTS, prompt=prompt, output_value="token_embeddings")
    teacher = load(tmp_path)
    expected = np.stack([rows[before:-1].mean(axis=0).numpy() for rows in tokens])
    assert_alike(teacher.encode(architectures.TEXTS, "mean", 64), expected)
    assert teacher.passage_tokens == architectures.MAX_LENGTH - before - 1


def test_a_model_without_prompts_has_none(tmp_path: Path) -> None:
    architectures.bert(tmp_path)
    assert (load(tmp_path).prompt("document"), load(tmp_path).prompt("query")) == ("", "")


# The batches


def test_vectors_do_not_depend_on_the_batches(loaded: Teacher) -> None:
    assert_alike(loaded.encode(TEXTS, "mean", 1), loaded.encode(TEXTS, "mean", 10_000))


def test_progress_counts_every_text(loaded: Teacher) -> None:
    seen: list[int] = []
    loaded.encode(TEXTS, "mean", 64, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(TEXTS)


@given(
    st.lists(st.integers(min_value=1, max_value=300), min_size=1, max_size=60),
    st.integers(min_value=1, max_value=1000),
)
def test_batches_keep_to_the_budget_and_hold_each_text_once(
    loaded: Teacher, lengths: list[int], budget: int
) -> None:
    batches: list[list[int]] = []

    def forward(texts: Tokenized, rows: list[int], target: str) -> np.ndarray:
        batches.append(rows)
        return np.array([[row] for row in rows], np.float32)

    texts = Tokenized({"input_ids": [[0] * length for length in lengths]})
    with mock.patch.object(loaded, "_forward", forward):
        vectors = loaded.embed(texts, "mean", budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert vectors[:, 0].tolist() == list(range(len(lengths)))
    for batch in batches:
        width = max(lengths[row] for row in batch)
        assert len(batch) == 1 or width * len(batch) <= budget


def test_a_processor_takes_no_more_at_once_than_is_fast(
    loaded: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    forward = loaded._forward

    def counted(texts: Tokenized, rows: list[int], target: str) -> np.ndarray:
        sizes.append(len(rows) * texts.lengths[rows[0]])
        return forward(texts, rows, target)

    monkeypatch.setattr(loaded, "_forward", counted)
    loaded.encode(TEXTS * 10, "mean", 100_000)
    assert max(sizes) <= 2048
    assert len(sizes) > 1


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
        MemoryError(),
    ],
    ids=["cuda", "linux", "windows", "python"],
)
@pytest.mark.parametrize("room", [2, 0], ids=["for two", "for none"])
def test_a_device_short_of_memory_gets_smaller_batches(
    small_teacher: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    room: int,
    failure: Exception,
) -> None:
    teacher = load(small_teacher)
    forward = teacher._forward
    expected = teacher.encode(TEXTS * 3, "mean", 2048)

    def short_of_memory(texts: Tokenized, rows: list[int], target: str) -> np.ndarray:
        if len(rows) > room:
            raise failure
        return forward(texts, rows, target)

    monkeypatch.setattr(teacher, "_forward", short_of_memory)
    if room:
        assert_alike(teacher.encode(TEXTS * 3, "mean", 2048), expected)
    else:
        with pytest.raises(TeacherError, match="256 tokens"):
            teacher.encode(TEXTS * 3, "mean", 2048)
    assert "smaller batches" in caplog.text
