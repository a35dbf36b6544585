"""Random sentence-transformers of each architecture and kind of tokenizer, tiny."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
BRACKETS = {f"{n}_token": f"[{n.upper()}]" for n in ("pad", "unk", "cls", "sep", "mask")}
END_OF_TEXT = {"pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
ANGLES = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}


def bert(folder: Path, **options: Any) -> None:
    from transformers import BertConfig, BertModel

    tokenizer = wordpiece()
    between(tokenizer, "[CLS]", "[SEP]")
    config = BertConfig(**SIZES, vocab_size=tokenizer.get_vocab_size())
    save(folder, BertModel(config), tokenizer, BRACKETS, "mean", **options)


def nystromformer(folder: Path) -> None:
    """It reads texts of one length alone."""
    from transformers import NystromformerConfig, NystromformerModel

    tokenizer = wordpiece()
    between(tokenizer, "[CLS]", "[SEP]")
    config = NystromformerConfig(
        **SIZES, vocab_size=tokenizer.get_vocab_size(), segment_means_seq_len=64, num_landmarks=8
    )
    save(folder, NystromformerModel(config), tokenizer, BRACKETS, "mean")


def adapter(folder: Path, kind: str = "lora") -> Any:
    """Make an adapter (PEFT) of a model in ``base``; return the two as they are in memory."""
    import torch
    from peft import IA3Config, LoraConfig, TaskType
    from sentence_transformers import SentenceTransformer

    base = folder.with_name("base")
    bert(base)
    model = SentenceTransformer(str(base), device="cpu")
    options: dict[str, Any] = {
        "task_type": TaskType.FEATURE_EXTRACTION,
        "target_modules": ["query", "value"],
    }
    if kind == "lora":
        model.add_adapter(LoraConfig(r=4, modules_to_save=["LayerNorm"], **options))
    else:
        model.add_adapter(IA3Config(feedforward_modules=[], **options))
    for name, parameter in model.named_parameters():
        if "lora" in name or "ia3" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    model.save(str(folder))
    return model.eval()


def mpnet(folder: Path) -> None:
    from transformers import MPNetConfig, MPNetModel

    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>"])
    between(tokenizer, "<s>", "</s>")
    config = MPNetConfig(**SIZES, vocab_size=tokenizer.get_vocab_size(), pad_token_id=1)
    save(folder, MPNetModel(config), tokenizer, ANGLES, "mean")


def xlm_roberta(folder: Path, positions: int = 512) -> None:
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = unigram(["<s>", "<pad>", "</s>", "<unk>"])
    between(tokenizer, "<s>", "</s>")
    config = XLMRobertaConfig(
        **SIZES,
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=1,
        max_position_embeddings=positions,
    )
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
    save(folder, Qwen3Model(config), tokenizer, END_OF_TEXT, "lasttoken", padding_side="left")


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


def distilbert(folder: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    tokenizer = wordpiece()
    between(tokenizer, "[CLS]", "[SEP]")
    config = DistilBertConfig(
        dim=DIMENSION,
        n_layers=2,
        n_heads=2,
        hidden_dim=32,
        vocab_size=tokenizer.get_vocab_size(),
    )
    save(folder, DistilBertModel(config), tokenizer, BRACKETS, "mean")


def gpt2(folder: Path) -> None:
    from transformers import GPT2Config, GPT2Model

    tokenizer = bpe(["<|endoftext|>"])
    config = GPT2Config(
        n_embd=DIMENSION,
        n_layer=2,
        n_head=2,
        n_positions=MAX_LENGTH,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=0,
        eos_token_id=0,
    )
    save(folder, GPT2Model(config), tokenizer, END_OF_TEXT, "mean")


def bart(folder: Path) -> None:
    from transformers import BartConfig, BartModel

    tokenizer = bpe(["<s>", "<pad>", "</s>"])
    between(tokenizer, "<s>", "</s>")
    config = BartConfig(
        d_model=DIMENSION,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        vocab_size=tokenizer.get_vocab_size(),
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>"}
    save(folder, BartModel(config), tokenizer, names, "mean")


def poolings(folder: Path) -> None:
    """Two vectors of a text, one behind the other."""
    bert(folder)
    file = folder / "1_Pooling" / "config.json"
    both = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    file.write_text(json.dumps(json.loads(file.read_text()) | both))


def roberta(folder: Path) -> None:
    from transformers import RobertaConfig, RobertaModel

    tokenizer = bpe(["<s>", "<pad>", "</s>"])
    between(tokenizer, "<s>", "</s>")
    config = RobertaConfig(
        **SIZES,
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        max_position_embeddings=MAX_LENGTH + 2,
    )
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "cls_token": "<s>"}
    save(folder, RobertaModel(config), tokenizer, names, "mean")


def gemma(folder: Path) -> None:
    from transformers import Gemma3TextConfig, Gemma3TextModel

    tokenizer = bpe(["<pad>", "<eos>", "<bos>"])
    between(tokenizer, "<bos>", "<eos>")
    config = Gemma3TextConfig(
        **SIZES,
        num_key_value_heads=1,
        head_dim=8,
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )
    names = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>"}
    save(folder, Gemma3TextModel(config), tokenizer, names, "mean")


def dense(folder: Path) -> None:
    """A layer behind the pooling makes vectors of another dimension."""
    import torch
    from safetensors.torch import save_file

    bert(folder)
    place = folder / "2_Dense"
    place.mkdir()
    torch.manual_seed(1)
    weight, bias = torch.randn(12, DIMENSION), torch.randn(12)
    save_file({"linear.weight": weight, "linear.bias": bias}, place / "model.safetensors")
    facts = {
        "in_features": DIMENSION,
        "out_features": 12,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (place / "config.json").write_text(json.dumps(facts))
    modules = json.loads((folder / "modules.json").read_text())
    own = {"path": place.name, "type": "sentence_transformers.models.Dense"}
    modules[2:2] = [own]
    # The library keeps one module of each name.
    modules = [entry | {"idx": number, "name": str(number)} for number, entry in enumerate(modules)]
    (folder / "modules.json").write_text(json.dumps(modules))


def chatting(folder: Path) -> None:
    """A text becomes a message, which a template writes as a conversation."""
    qwen(folder)
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}loop {{ m['role'] }} {{ m['content'] }} task{% endfor %}"
    )
    outputs = {"method": "forward", "method_output_name": "last_hidden_state"}
    settings = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": outputs, "message": outputs | {"format": "flat"}},
        "module_output_name": "token_embeddings",
        "max_seq_length": MAX_LENGTH,
    }
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings))


def fnet(folder: Path) -> None:
    """It mixes all tokens by Fourier transforms, and knows no attention mask."""
    from transformers import FNetConfig, FNetModel

    tokenizer = unigram(["[CLS]", "[SEP]", "<pad>", "<unk>"])
    between(tokenizer, "[CLS]", "[SEP]")
    sizes = {name: value for name, value in SIZES.items() if name != "num_attention_heads"}
    config = FNetConfig(
        **sizes, vocab_size=tokenizer.get_vocab_size(), pad_token_id=2, max_position_embeddings=64
    )
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    save(folder, FNetModel(config), tokenizer, names, "mean")
    file = folder / "tokenizer_config.json"
    read = {"model_input_names": ["input_ids", "token_type_ids"]}
    file.write_text(json.dumps(json.loads(file.read_text()) | read))


def clip(folder: Path) -> None:
    """It gives vectors of whole texts, and none of their tokens."""
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    tokenizer = bpe(["<s>", "</s>"])
    between(tokenizer, "<s>", "</s>")
    text = SIZES | {
        "vocab_size": tokenizer.get_vocab_size(),
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    config = CLIPConfig(
        text_config=text,
        vision_config=SIZES | {"image_size": 32, "patch_size": 16},
        projection_dim=DIMENSION,
    )
    import torch

    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="</s>",
    ).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        '{"image_processor_type": "CLIPImageProcessor"}'
    )


def in_old_layout(folder: Path) -> None:
    bert(folder)
    to_old_layout(folder)


def to_old_layout(folder: Path) -> None:
    """Put the transformer into a folder of its own, with a list of words for a tokenizer."""
    below = folder / "0_Transformer"
    below.mkdir()
    for file in list(folder.glob("*.*")):
        if file.is_file() and file.name != "modules.json":
            file.rename(below / file.name)
    vocabulary = json.loads((below / "tokenizer.json").read_text())["model"]["vocab"]
    (below / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    (below / "tokenizer.json").unlink()
    settings = {"tokenizer_class": "BertTokenizer", "model_max_length": MAX_LENGTH}
    (below / "tokenizer_config.json").write_text(json.dumps(settings))
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = below.name
    (folder / "modules.json").write_text(json.dumps(modules))
