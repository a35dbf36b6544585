"""Any sentence-transformer can teach: encoders and decoders, with prompts, whatever they pad."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdoll.distillation.teacher.files import find_teacher
from ragdoll.distillation.teacher.model import Teacher

TEXTS = [
    "A lock guards a shared resource between tasks.",
    "Timer.",
    "The event loop runs callbacks and coroutines, one after another, until there are none left.",
    "Wait for a future, then cancel the task.",
]
DIMENSION = 16
MAX_LENGTH = 24

Make = Callable[[Path], None]


def wordpiece() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    )
    return tokenizer


def bpe(special: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet),
    )
    return tokenizer


def unigram(special: list[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=80, special_tokens=special, unk_token="<unk>")
    )
    return tokenizer


def between(tokenizer: Any, first: str, last: str) -> None:
    """Let a tokenizer put special tokens around a text; ``first`` may be empty."""
    from tokenizers.processors import TemplateProcessing

    tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {last}".strip(),
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (first, last) if t],
    )


def save(
    folder: Path, model: Any, tokenizer: Any, names: dict[str, str], pooling: str, **options: Any
) -> None:
    """Save a random model as a sentence-transformer."""
    import torch
    from transformers import PreTrainedTokenizerFast

    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    padding_side = options.pop("padding_side", "right")
    limits = {} if options.pop("unlimited", False) else {"model_max_length": MAX_LENGTH}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side=padding_side, **limits, **names
    ).save_pretrained(folder)
    include_prompt = options.pop("include_prompt", True)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps(
            {
                "word_embedding_dimension": DIMENSION,
                "pooling_mode_cls_token": pooling == "cls",
                "pooling_mode_mean_tokens": pooling == "mean",
                "pooling_mode_lasttoken": pooling == "lasttoken",
                "include_prompt": include_prompt,
            }
        )
    )
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {
                    "idx": number,
                    "name": str(number),
                    "path": path,
                    "type": f"sentence_transformers.models.{kind}",
                }
                for number, (path, kind) in enumerate(modules)
            ]
        )
    )
    if limits:
        length = json.dumps({"max_seq_length": MAX_LENGTH})
        (folder / "sentence_bert_config.json").write_text(length)
    (folder / "config_sentence_transformers.json").write_text(json.dumps(options))


SIZES = {
    "hidden_size": DIMENSION,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
ANGLES = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}


def bert(folder: Path, **options: Any) -> None:
    from transformers import BertConfig, BertModel

    tokenizer = wordpiece()
    between(tokenizer, "[CLS]", "[SEP]")
    config = BertConfig(**SIZES, vocab_size=tokenizer.get_vocab_size())
    names = {f"{n}_token": f"[{n.upper()}]" for n in ("pad", "unk", "cls", "sep", "mask")}
    save(folder, BertModel(config), tokenizer, names, "mean", **options)


def mpnet(folder: Path) -> None:
    from transformers import MPNetConfig, MPNetModel

    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>"])
    between(tokenizer, "<s>", "</s>")
    config = MPNetConfig(**SIZES, vocab_size=tokenizer.get_vocab_size(), pad_token_id=1)
    save(folder, MPNetModel(config), tokenizer, ANGLES, "mean")


def xlm_roberta(folder: Path) -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>"])
    between(tokenizer, "<s>", "</s>")
    config = XLMRobertaConfig(**SIZES, vocab_size=tokenizer.get_vocab_size(), pad_token_id=1)
    save(folder, XLMRobertaModel(config), tokenizer, ANGLES, "cls")


def modernbert(folder: Path) -> None:
    from transformers import ModernBertConfig, ModernBertModel

    tokenizer = bpe(["[PAD]", "[CLS]", "[SEP]"])
    between(tokenizer, "[CLS]", "[SEP]")
    config = ModernBertConfig(
        **SIZES,
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=0,
        cls_token_id=1,
        sep_token_id=2,
        bos_token_id=1,
        eos_token_id=2,
    )
    names = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    save(folder, ModernBertModel(config), tokenizer, names, "cls")


def qwen(folder: Path) -> None:
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = bpe(["<|endoftext|>"])
    between(tokenizer, "", "<|endoftext|>")
    config = Qwen3Config(
        **SIZES, num_key_value_heads=1, head_dim=8, vocab_size=tokenizer.get_vocab_size()
    )
    names = {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    save(folder, Qwen3Model(config), tokenizer, names, "lasttoken", padding_side="left")


def without_padding_token(folder: Path) -> None:
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = bpe(["<|endoftext|>"])
    config = Qwen3Config(
        **SIZES, num_key_value_heads=1, head_dim=8, vocab_size=tokenizer.get_vocab_size()
    )
    save(folder, Qwen3Model(config), tokenizer, {"eos_token": "<|endoftext|>"}, "mean")


def t5(folder: Path) -> None:
    """Places are relative to each other, and nothing says how long a text may be."""
    from transformers import T5Config, T5EncoderModel

    tokenizer = unigram(["<pad>", "</s>", "<unk>"])
    between(tokenizer, "", "</s>")
    config = T5Config(
        d_model=DIMENSION,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=0,
        eos_token_id=1,
    )
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "eos_token": "</s>"}
    save(folder, T5EncoderModel(config), tokenizer, names, "mean", unlimited=True)


def loaded(folder: Path) -> Teacher:
    return Teacher(find_teacher(str(folder)), device="cpu", dtype="float32")


@pytest.fixture(
    params=[bert, mpnet, xlm_roberta, modernbert, qwen, t5, without_padding_token],
    ids=lambda make: make.__name__,
)
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make: Make = request.param
    make(tmp_path)
    return tmp_path


def test_sentence_vectors_are_the_models_own(tiny: Path) -> None:
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(tiny), device="cpu")
    reference.tokenizer.pad_token = reference.tokenizer.pad_token or reference.tokenizer.eos_token
    expected = np.concatenate([reference.encode([text]) for text in TEXTS])
    found = loaded(tiny).encode(TEXTS, "sentence", 64)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mean_vectors_are_those_of_the_texts_own_tokens(tiny: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer, T5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    # What is registered for T5 has a decoder too.
    kind = T5EncoderModel if AutoConfig.from_pretrained(tiny).model_type == "t5" else AutoModel
    model = kind.from_pretrained(tiny).eval()
    expected = []
    for text in TEXTS:
        limit = min(tokenizer.model_max_length, 512)
        ids = tokenizer(text, truncation=True, max_length=limit)["input_ids"]
        with torch.inference_mode():
            tokens = model(torch.tensor([ids])).last_hidden_state[0].numpy()
        own = [number not in tokenizer.all_special_ids for number in ids]
        expected.append(tokens[own].mean(axis=0))
    found = loaded(tiny).encode(TEXTS, "mean", 64)
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_a_model_that_says_no_length_reads_so_much_and_no_more(tmp_path: Path) -> None:
    t5(tmp_path)
    teacher = loaded(tmp_path)
    assert (teacher.max_length, teacher.passage_tokens) == (512, 511)
    long = teacher.tokenize(["task " * 2000])
    assert long.lengths == [512]
    assert np.isfinite(teacher.embed(long, "mean", 64)).all()


@pytest.mark.parametrize("include_prompt", [True, False])
def test_documents_and_queries_get_the_prompts_of_the_model(
    tmp_path: Path, include_prompt: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    prompts = {"query": "the task: ", "passage": "a loop: "}
    bert(tmp_path, prompts=prompts, include_prompt=include_prompt)
    teacher = loaded(tmp_path)
    reference = SentenceTransformer(str(tmp_path), device="cpu")
    for side, name in (("document", "passage"), ("query", "query")):
        expected = reference.encode(TEXTS, prompt_name=name)
        found = teacher.encode(TEXTS, "sentence", 64, side=side)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_mean_leaves_out_the_tokens_of_the_prompt(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    prompt = "a loop: "
    bert(tmp_path, prompts={"document": prompt})
    reference = SentenceTransformer(str(tmp_path), device="cpu")
    before = 1 + len(reference.tokenizer(prompt, add_special_tokens=False)["input_ids"])
    tokens = reference.encode(TEXTS, prompt=prompt, output_value="token_embeddings")
    expected = np.stack([found[before:-1].mean(axis=0).numpy() for found in tokens])
    teacher = loaded(tmp_path)
    np.testing.assert_allclose(teacher.encode(TEXTS, "mean", 64), expected, atol=1e-5)
    assert teacher.passage_tokens == MAX_LENGTH - before - 1


def test_a_model_without_prompts_has_none(tmp_path: Path) -> None:
    bert(tmp_path)
    assert (loaded(tmp_path).prompt("document"), loaded(tmp_path).prompt("query")) == ("", "")
