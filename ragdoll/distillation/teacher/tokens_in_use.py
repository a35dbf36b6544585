"""The tokens of a teacher that a static model keeps, where the teacher has very many.

A multilingual teacher has a quarter of a million tokens, of which the passages of one corpus use
some thousands. The others would cost nearly all of the time that a distillate takes and of the
model's size. A model keeps the tokens that the corpus uses, which cuts the corpus as before. For
questions in other words it also keeps the letters of the scripts in use, and the teacher's most
frequent tokens in these scripts. tests/benchmarks/README.md has what that is worth.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import count, islice
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

# Vocabularies up to this size are kept as they are; of larger ones this number of tokens, or all
# that the corpus uses if these are more.
SMALL = 1 << 16
_KEPT = 1 << 15

# A script is in use if this share of the corpus's tokens is of it.
_IN_USE = 0.01

# Texts encoded at a time: encodings hold much more than ids.
_TEXTS = 4096

# Marks of a tokenizer on a token, which are not of its text.
_MARKS = "\u2581\u0120 "


def for_texts(tokenizer: Tokenizer, texts: Iterable[str]) -> Tokenizer:
    """Return a tokenizer with the tokens to keep for texts, which it cuts into the same tokens.

    The texts are read once. The order of a vocabulary is taken for that of frequency, as it usually
    is. All added tokens stay; special tokens no longer frame a text.
    """
    definition = json.loads(tokenizer.to_str())
    counts = _counts(tokenizer, texts)
    tokens = [str(tokenizer.id_to_token(number)) for number in range(len(counts))]
    scripts = [_scripts(text) for text in _texts_of(tokenizer, tokens)]
    in_use = _scripts_in_use(scripts, counts)
    letters = in_use | {"LATIN"}
    kept = {*np.flatnonzero(counts).tolist(), *_always(definition, tokens)}
    kept |= {
        number
        for number, own in enumerate(scripts)
        if own <= letters and len(tokens[number].removeprefix("##").strip(_MARKS)) <= 1
    }
    for number, own in enumerate(scripts):
        if len(kept) >= _KEPT:
            break
        if own <= in_use:
            kept.add(number)
    names = _with_parts(definition["model"], {tokens[number] for number in kept})
    return Tokenizer.from_str(json.dumps(_only(definition, names)))


def without_gaps(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer whose ids are consecutive, as another one's may not be.

    Two lines of a ``vocab.txt`` with the same token leave such a gap.
    """
    vocabulary = tokenizer.get_vocab()
    if sorted(vocabulary.values()) == list(range(len(vocabulary))):
        return tokenizer
    definition = json.loads(tokenizer.to_str())
    return Tokenizer.from_str(json.dumps(_only(definition, set(vocabulary))))


def _only(definition: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """Remove all tokens but some from a tokenizer's definition, and what frames a text."""
    model, added = definition["model"], definition["added_tokens"]
    if isinstance(model["vocab"], list):  # Unigram
        unknown = None if model["unk_id"] is None else model["vocab"][model["unk_id"]][0]
        model["vocab"] = [
            entry for entry in model["vocab"] if entry[0] in names or entry[0] == unknown
        ]
        ids = {token: number for number, (token, _) in enumerate(model["vocab"])}
        model["unk_id"] = None if unknown is None else ids[unknown]
    else:
        names = names | {model.get("unk_token")}
        ordered = sorted(model["vocab"], key=model["vocab"].__getitem__)
        ids = {token: number for number, token in enumerate(t for t in ordered if t in names)}
        model["vocab"] = ids
    if "merges" in model:
        model["merges"] = [
            (left, right)
            for left, right in map(_pair, model["merges"])
            if left in ids and right in ids and left + right in ids
        ]
    beyond = count(len(ids))
    for token in added:
        token["id"] = ids[token["content"]] if token["content"] in ids else next(beyond)
    definition["post_processor"] = None
    return definition


def _counts(tokenizer: Tokenizer, texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Count each token in texts; a first word is also read as one within a text.

    From now on the tokenizer neither truncates nor pads.
    """
    size = tokenizer.get_vocab_size()
    counts = np.zeros(size, np.int64)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    stream = iter(texts)
    while batch := list(islice(stream, _TEXTS)):
        read = [" ".join([text, *text[:100].split(maxsplit=1)[:1]]) for text in batch]
        encodings = tokenizer.encode_batch_fast(read, add_special_tokens=False)
        ids = np.concatenate([encoding.ids for encoding in encodings]).astype(np.int64)
        counts += np.bincount(ids, minlength=size)
    return counts


def _texts_of(tokenizer: Tokenizer, tokens: Sequence[str]) -> list[str]:
    """Return the text that each token stands for; those of bytes are decoded."""
    if tokenizer.decoder is None:
        return list(tokens)
    return list(tokenizer.decode_batch([[number] for number in range(len(tokens))], False))


def _scripts_in_use(
    scripts: Sequence[frozenset[str]], counts: npt.NDArray[np.int64]
) -> frozenset[str]:
    totals: Counter[str] = Counter()
    for number in np.flatnonzero(counts).tolist():
        totals.update(dict.fromkeys(scripts[number], int(counts[number])))
    least = _IN_USE * counts.sum()
    return frozenset(script for script, total in totals.items() if total >= least)


def _always(definition: dict[str, Any], tokens: Sequence[str]) -> set[int]:
    """Return the ids of added tokens, and of bytes, into which an unknown letter falls apart."""
    added = {token["content"] for token in definition["added_tokens"]}
    return {
        number
        for number, token in enumerate(tokens)
        if token in added or (len(token) == 6 and token.startswith("<0x"))
    }


def _with_parts(model: dict[str, Any], names: set[str]) -> set[str]:
    """Add the tokens that others are merged from, if the tokenizer merges.

    Some tokenizers can merge a token from several pairs. Which one they do depends on the word, so
    all of them stay.
    """
    parts: defaultdict[str, set[str]] = defaultdict(set)
    for left, right in map(_pair, model.get("merges") or []):
        parts[left + right] |= {left, right}
    waiting = list(names)
    while waiting:
        new = parts[waiting.pop()] - names
        names |= new
        waiting += new
    return names


def _pair(merge: str | Sequence[str]) -> tuple[str, str]:
    """Return the two sides of a merge, which older files write as one string."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _scripts(text: str) -> frozenset[str]:
    return frozenset(_script(sign) for sign in text if sign.isalpha())


@cache
def _script(sign: str) -> str:
    """Return the script of a letter by the first word of its name, such as LATIN."""
    return re.split("[ -]", unicodedata.name(sign, "UNKNOWN"))[0]
