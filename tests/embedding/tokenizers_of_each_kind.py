"""Small tokenizers of each family: those that treat words independently, and those that do not."""

from __future__ import annotations

from collections.abc import Callable

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer, UnigramTrainer, WordLevelTrainer, WordPieceTrainer

TEXTS = [
    "The event loop runs callbacks; a lock (or a semaphore) guards what tasks share.",
    "call_later(delay, callback, *args) -> TimerHandle: don't wait, e.g. for 1,000.5 s!",
    "Zürich naïve café İstanbul ΑΣ straße 中文 テスト \u0301 = \u2260",
]

_TRAINERS = {
    models.WordPiece: WordPieceTrainer,
    models.WordLevel: WordLevelTrainer,
    models.BPE: BpeTrainer,
}


def tokenizer(
    model: models.Model,
    pre_tokenizer: pre_tokenizers.PreTokenizer | None,
    normalizer: normalizers.Normalizer | None = None,
    added: tuple[AddedToken | str, ...] = (),
) -> Tokenizer:
    """A tokenizer of these parts, trained on the texts above."""
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizer  # type: ignore[assignment]
    made.normalizer = normalizer  # type: ignore[assignment]
    made.decoder = decoders.WordPiece()
    special = ["[UNK]", "[PAD]"]
    if isinstance(model, models.Unigram):
        trainer = UnigramTrainer(
            vocab_size=120, special_tokens=special, unk_token="[UNK]", show_progress=False
        )
    else:
        trainer = _TRAINERS[type(model)](
            vocab_size=160, special_tokens=special, show_progress=False
        )
    made.train_from_iterator(TEXTS, trainer)
    made.add_tokens(list(added))
    return made


def _word_piece() -> models.WordPiece:
    return models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100)


def _bert(content: str, **added: bool) -> Callable[[], Tokenizer]:
    def make() -> Tokenizer:
        token = AddedToken(content, **added)
        return tokenizer(_word_piece(), bert(), normalizers.BertNormalizer(), (token,))

    return make


bert = pre_tokenizers.BertPreTokenizer
Sequence, BertNormalizer = normalizers.Sequence, normalizers.BertNormalizer

INDEPENDENT: dict[str, Callable[[], Tokenizer]] = {
    "bert": lambda: tokenizer(_word_piece(), bert(), BertNormalizer()),
    "bert-cased": lambda: tokenizer(
        _word_piece(),
        bert(),
        BertNormalizer(
            clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False
        ),
    ),
    "bert-without-normalizer": lambda: tokenizer(_word_piece(), bert()),
    "bert-decomposing": lambda: tokenizer(
        _word_piece(),
        bert(),
        Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
    ),
    "bert-composing": lambda: tokenizer(_word_piece(), bert(), normalizers.NFKC()),
    "bert-added": _bert("(or", normalized=False),
    "bert-added-normalized": _bert("(or", normalized=True),
    "bert-added-single-word": _bert("qzx", normalized=True, single_word=True),
    "bert-added-with-space-around": _bert("(or", normalized=False, lstrip=True, rstrip=True),
    "word-level": lambda: tokenizer(
        models.WordLevel(unk_token="[UNK]"), pre_tokenizers.Whitespace(), normalizers.Lowercase()
    ),
    "bpe": lambda: tokenizer(
        models.BPE(unk_token="[UNK]", fuse_unk=True),
        pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits(individual_digits=True)]
        ),
        normalizers.NFC(),
    ),
    "unigram": lambda: tokenizer(
        models.Unigram(),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]),
        normalizers.NFKC(),
    ),
}

INTERACTING: dict[str, Callable[[], Tokenizer]] = {
    "byte-level-bpe": lambda: tokenizer(
        models.BPE(), pre_tokenizers.ByteLevel(add_prefix_space=False)
    ),
    "metaspace-bpe": lambda: tokenizer(models.BPE(unk_token="[UNK]"), pre_tokenizers.Metaspace()),
    "metaspace-unigram": lambda: tokenizer(models.Unigram(), pre_tokenizers.Metaspace()),
    "whole-text-unigram": lambda: tokenizer(models.Unigram(), None),
    "stripping": lambda: tokenizer(
        _word_piece(), bert(), Sequence([normalizers.Strip(), BertNormalizer()])
    ),
    "replacing": lambda: tokenizer(_word_piece(), bert(), normalizers.Replace("a lock", "lock")),
    "added-words": lambda: tokenizer(_word_piece(), bert(), BertNormalizer(), ("event loop",)),
    "added-ideograph": lambda: tokenizer(
        _word_piece(), bert(), BertNormalizer(), (AddedToken("中", normalized=True),)
    ),
    "random-bpe": lambda: tokenizer(
        models.BPE(unk_token="[UNK]", dropout=0.5), pre_tokenizers.Whitespace()
    ),
}
