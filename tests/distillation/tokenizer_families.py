"""Small tokenizers of every kind that teachers have, trained on a few sentences."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from ragdoll.distillation.teacher.tokenizer import StaticTokenizer

CORPUS = [
    "The event loop runs callbacks and coroutines, one after another, until none are left.",
    "An event loop of the main thread; the event loop policy is another matter.",
    "Awaited coroutines in the event loop. Some non-blocking sockets: a non-blocking read.",
    "This is of the kind that coroutines and non-blocking sockets are of; so is call_later.",
    "Is call_later of the loop? The call_later of the loop is what a timer is of.",
]


def trained(model: Any, trainer: Any, pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator([*CORPUS, *"abcdefghijklmnopqrstuvwxyz"] * 2, trainer)
    return tokenizer


def bpe(pre_tokenizer: Any, alphabet: list[str], normalizer: Any = None) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, show_progress=False, max_token_length=4
    )
    return trained(models.BPE(), trainer, pre_tokenizer, normalizer)


def unigram(pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    trainer = trainers.UnigramTrainer(
        vocab_size=70,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        show_progress=False,
        max_piece_length=4,
    )
    return trained(models.Unigram(), trainer, pre_tokenizer, normalizer)


def wordpiece() -> Tokenizer:
    trainer = trainers.WordPieceTrainer(
        vocab_size=70, special_tokens=["[UNK]"], show_progress=False
    )
    return trained(
        models.WordPiece(unk_token="[UNK]"),
        trainer,
        pre_tokenizers.BertPreTokenizer(),
        normalizers.BertNormalizer(),
    )


def byte_level() -> Tokenizer:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return bpe(pre_tokenizers.ByteLevel(add_prefix_space=True), alphabet)


def byte_level_after_a_split() -> Tokenizer:
    """As Qwen's and Llama 3's."""
    parts = [
        pre_tokenizers.Split(" ", "merged_with_next"),
        pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
    ]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return bpe(pre_tokenizers.Sequence(parts), alphabet, normalizers.NFC())


def metaspace_bpe() -> Tokenizer:
    return bpe(pre_tokenizers.Metaspace(), [])


def spaces_marked_by_the_normalizer() -> Tokenizer:
    """As Llama 2's, trained by SentencePiece."""
    tokenizer = bpe(pre_tokenizers.Metaspace(), [])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([])
    return tokenizer


def spaces_replaced_by_the_normalizer() -> Tokenizer:
    """As Gemma's."""
    tokenizer = bpe(pre_tokenizers.Metaspace(), [])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return tokenizer


def merged_in_several_ways() -> Tokenizer:
    """As SentencePiece's BPE, converted: a token has a merge for each pair that makes it."""
    definition = json.loads(spaces_replaced_by_the_normalizer().to_str())
    vocab = definition["model"]["vocab"]
    definition["model"]["merges"] = [
        [token[:end], token[end:]]
        for token in sorted(vocab, key=vocab.__getitem__)
        for end in range(1, len(token))
        if token[:end] in vocab and token[end:] in vocab
    ]
    return Tokenizer.from_str(json.dumps(definition))


def metaspace_unigram() -> Tokenizer:
    """As T5's."""
    return unigram(pre_tokenizers.Metaspace())


def words_then_metaspace_unigram() -> Tokenizer:
    """As XLM-R's."""
    parts = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    return unigram(pre_tokenizers.Sequence(parts), normalizers.NFKC())


def lower_casing_unigram() -> Tokenizer:
    """As ALBERT's."""
    normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()])
    return unigram(pre_tokenizers.Metaspace(), normalizer)


FAMILIES: list[Callable[[], Tokenizer]] = [
    wordpiece,
    byte_level,
    byte_level_after_a_split,
    metaspace_bpe,
    spaces_marked_by_the_normalizer,
    spaces_replaced_by_the_normalizer,
    merged_in_several_ways,
    metaspace_unigram,
    words_then_metaspace_unigram,
    lower_casing_unigram,
]
TERMS = ["event loop", "coroutines", "non-blocking", "call_later"]


def static_tokenizer(own: Tokenizer) -> StaticTokenizer:
    return StaticTokenizer(own, own.get_vocab(), ([], []))


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)
