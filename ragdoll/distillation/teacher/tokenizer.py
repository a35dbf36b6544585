"""The tokenizer of a static model: its teacher's, with terms of a corpus as tokens of their own."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, normalizers

from ragdoll.corpus.languages import UNSPACED
from ragdoll.distillation.teacher.files import TeacherFiles, quiet, silence_transformers
from ragdoll.distillation.teacher.tokens_in_use import SMALL, for_texts, without_gaps
from ragdoll.embedding.folder import read_json
from ragdoll.errors import TrainingError, first_line

# BERT's vocabulary reserves these for later tokens: never trained, never in a text.
_UNUSED = re.compile(r"\[unused\d+\]")

# Signs of a tokenizer's own, such as <|end|>, which no text has.
_MARKUP = re.compile(r"[<\[].*[>\]]")

# A letter that hardly any vocabulary has: a hieroglyph.
_UNKNOWN_LETTER = "\U00013080"

# Put before a word, which some tokenizers read otherwise at the start of a text.
_BEFORE = "a"

# Texts encoded at a time: encodings hold much more than ids.
_TEXTS = 4096

# The ways to match an added token: in the normalized text or in the text as written, and with or
# without the space before and behind it.
_WAYS: tuple[dict[str, bool], ...] = tuple(
    {"normalized": normalized, "lstrip": before, "rstrip": behind}
    for normalized, (before, behind) in product(
        (True, False), ((False, False), (True, False), (True, True))
    )
)


class StaticTokenizer:
    """A tokenizer for a static model, and the teacher's input for each of its tokens.

    The ids are consecutive from 0: first the teacher's own tokens in their order, then ``terms``.
    """

    def __init__(
        self,
        own: Tokenizer,
        teacher_ids: Mapping[str, int],
        around: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        """Wrap a tokenizer without terms.

        ``teacher_ids`` maps tokens to the teacher's ids. ``around`` has the ids of the special
        tokens that the teacher puts before and behind a text.
        """
        self.tokenizer = own
        self.terms: tuple[str, ...] = ()
        self._teacher_ids = teacher_ids
        self._around = around
        self._own = _unlimited(own)
        self._before = next(_encoded(self._own, [_BEFORE]))

    @property
    def own_tokens(self) -> list[str]:
        """The teacher's own tokens, in the order of their ids."""
        vocabulary = self._own.get_vocab()
        return sorted(vocabulary, key=vocabulary.__getitem__)

    def as_matched(self, text: str) -> str:
        """Return a text in the form in which terms are matched: normalized, if that is possible."""
        normalizer = self._own.normalizer
        if normalizer is None or not self._way["normalized"]:
            return text
        return str(normalizer.normalize_str(text))

    def as_term(self, term: str) -> str:
        """Return a term in the form in which it is matched."""
        is_normalized = self._way_of(term)["normalized"]
        return (self.as_matched(term) if is_normalized else term).strip()

    def pieces(self, terms: Sequence[str]) -> list[list[int]]:
        """Return the ids of the teacher's own tokens that each term consists of within a text."""
        texts = [f"{_BEFORE} {term}" for term in terms]
        return [ids[len(self._before) :] for ids in _encoded(self._own, texts)]

    def with_terms(self, terms: Iterable[str]) -> StaticTokenizer:
        """Return a tokenizer that reads each term, where it stands alone, as one token.

        A term of a script without spaces is one also within others. A term is dropped if it is one
        known token already, if it is spelt like a token (such as a piece inside of words), or if
        the extended tokenizer does not find it in a text. Where terms overlap in a text, the first
        one counts, and of those that begin together the longest; if that turns out to be the
        beginning of a longer word, none counts.
        """
        cleaned = dict.fromkeys(map(self.as_term, terms))
        known = self._teacher_ids.keys() | self._own.get_vocab().keys()
        new = [term for term in cleaned if term and term not in known]
        unknown, *pieces = self.pieces([_UNKNOWN_LETTER, *new])
        new = [
            term for term, ids in zip(new, pieces, strict=True) if len(ids) > 1 or ids == unknown
        ]
        while new:
            extended = self._extended(new)
            matched = _matched(extended.tokenizer, new)
            if len(matched) == len(new):
                return extended
            new = matched
        return self

    def teacher_sequences(self) -> list[list[int]]:
        """Return the teacher's ids to read for each token, in the order of the tokens.

        They are the token, or all pieces of a term, between the teacher's special tokens; none for
        a token that the teacher does not know.
        """
        before, behind = self._around
        known = [self._teacher_ids.get(token) for token in self.own_tokens]
        alone = [[] if own is None else [*before, own, *behind] for own in known]
        terms = []
        for pieces in self.pieces(self.terms):
            within = [own for own in (known[piece] for piece in pieces) if own is not None]
            terms.append([*before, *within, *behind] if within else [])
        return alone + terms

    def _extended(self, terms: Sequence[str]) -> StaticTokenizer:
        extended = copy.copy(self)
        extended.tokenizer = copy.deepcopy(self.tokenizer)
        extended.tokenizer.add_tokens([AddedToken(term, **self._way_of(term)) for term in terms])
        extended.terms = tuple(terms)
        return extended

    def _way_of(self, term: str) -> dict[str, bool]:
        """Return the way to match a term: as a word, or in a script without spaces as written."""
        if UNSPACED.search(term):
            return {"normalized": False, "single_word": False}
        return {**self._way, "single_word": True}

    @cached_property
    def _way(self) -> dict[str, bool]:
        """The way to match terms that keeps the tokens of the words around them.

        It depends on how a tokenizer treats a space: as a mark on the next word, as a token, or as
        nothing. Each way is tried, since tokenizers have too many kinds of parts to tell from them.
        """
        trial = copy.deepcopy(self._own)
        names = [f"qzxq{number}" for number in range(len(_WAYS))]
        for name, way in zip(names, _WAYS, strict=True):
            trial.add_tokens([AddedToken(name, single_word=True, **way)])
        behind = self.pieces(["b"])[0]
        encoded = _encoded(trial, [f"{_BEFORE} {name} b" for name in names])
        for name, way, ids in zip(names, _WAYS, encoded, strict=True):
            if ids == [*self._before, trial.token_to_id(name), *behind]:
                return way
        return _WAYS[0]


@quiet()
def open_tokenizer(
    teacher: TeacherFiles,
    trust_remote_code: bool = False,
    texts: Iterable[str] | None = None,
) -> StaticTokenizer:
    """Make a static model's tokenizer from a teacher's, as ``model2vec.distill`` does.

    It lacks the special tokens and the tokens that were never trained. If there are many others, it
    has those that ``texts`` need, which are read only then; see ``for_texts``. None keeps all.

    Raises:
        TrainingError: the tokenizer cannot be read, or is of a kind that cannot be changed.
    """
    from model2vec.tokenizer import clean_and_create_vocabulary
    from skeletoken import TokenizerModel
    from transformers import AutoTokenizer

    silence_transformers()
    folder = teacher.folder
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(
            str(folder.transformer),
            trust_remote_code=trust_remote_code,
            use_fast=True,
            local_files_only=True,
        )
        reduced = copy.copy(tokenizer)
        backend = without_gaps(tokenizer.backend_tokenizer)
        lowers = _lowers_texts(folder.path)
        if texts is not None and has_large_vocabulary(teacher):
            # Before anything else: the library's copies of a large vocabulary take many seconds.
            read = (text.lower() for text in texts) if lowers else texts
            backend = for_texts(backend, read)
        reduced._tokenizer = backend  # noqa: SLF001
        model = TokenizerModel.from_transformers_tokenizer(reduced)
        if model.adds_prefix_space is not None:
            # So that a word is the same token at the start of a text and within it.
            model.adds_prefix_space = True
        cleaned = clean_and_create_vocabulary(model, [], token_remove_regex=_UNUSED)
        own = _with_unknown_token(cleaned, reduced.backend_tokenizer)
        # Tokens that were added to the teacher, whose removal would cut their words into pieces.
        own.add_tokens(
            [
                token
                for _, token in sorted(tokenizer.added_tokens_decoder.items())
                if own.token_to_id(token.content) is None
                and not (token.special and _is_sign(token.content, tokenizer))
            ]
        )
        if lowers:
            own.normalizer = _lowercase_first(own.normalizer)
        around = _special_tokens(tokenizer)
    except Exception as error:  # a tokenizer can be wrong in as many ways as there are parts
        raise TrainingError(
            f"The tokenizer of {teacher.name} cannot be used: {first_line(error)}"
        ) from error
    # Some tokenizers have tokens beyond those that their model has vectors for.
    size = folder.vocab_size or math.inf
    known = {token: number for token, number in tokenizer.get_vocab().items() if number < size}
    return StaticTokenizer(own, known, around)


def has_large_vocabulary(teacher: TeacherFiles) -> bool:
    """Tell whether a teacher has more tokens than a model keeps without looking at its corpus."""
    return (teacher.folder.vocab_size or 0) > SMALL


def _with_unknown_token(cleaned: Any, teachers: Tokenizer) -> Tokenizer:
    """Return a cleaned tokenizer whose unknown token is the teacher's.

    A Unigram model names it by its id, which another token or none has once special tokens are
    removed; static models would leave that token out of every text.
    """
    definition = json.loads(teachers.to_str())["model"]
    place = definition.get("unk_id")
    if definition["type"] == "Unigram" and place is not None:
        unknown, _ = definition["vocab"][place]
        cleaned.model.unk_id = cleaned.model.vocab.vocabulary.get(unknown)
    own: Tokenizer = cleaned.to_tokenizer()
    return own


def _is_sign(token: str, tokenizer: Any) -> bool:
    """Tell whether a special token stands for no text: [SEP], say, or <|end|>."""
    return token in tokenizer.all_special_tokens or bool(_MARKUP.fullmatch(token))


def _lowers_texts(teacher: Path) -> bool:
    """Tell whether sentence-transformers lowercases a text before this teacher reads it.

    The setting stands in a file whose name has had several forms.
    """
    name = "sentence_*_config.json"
    files = (*teacher.glob(name), *teacher.glob(f"*/{name}"))
    return any(read_json(file).get("do_lower_case") for file in files)


def _lowercase_first(normalizer: Any) -> Any:
    """Return a normalizer that lowercases, and then does what another one does."""
    both = [normalizers.Lowercase(), *([normalizer] if normalizer else [])]
    return normalizers.Sequence(both)


def _matched(tokenizer: Tokenizer, terms: Sequence[str]) -> list[str]:
    """Return the terms that a tokenizer reads as one token between other words and punctuation."""
    tokenizer = _unlimited(tokenizer)
    texts = [f"{_BEFORE} {term}, {_BEFORE}" for term in terms]
    return [
        term
        for term, ids in zip(terms, _encoded(tokenizer, texts), strict=True)
        if tokenizer.token_to_id(term) in ids
    ]


def _unlimited(tokenizer: Tokenizer) -> Tokenizer:
    """Return a copy that neither pads nor truncates."""
    unlimited = copy.deepcopy(tokenizer)
    unlimited.no_padding()
    unlimited.no_truncation()
    return unlimited


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield the ids of each text."""
    for start in range(0, len(texts), _TEXTS):
        batch = list(texts[start : start + _TEXTS])
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            yield list(encoding.ids)


def _special_tokens(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the ids of the tokens that a teacher's tokenizer puts before and behind a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, mask = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
    if 0 not in mask:
        return [], []
    return ids[: mask.index(0)], ids[len(mask) - mask[::-1].index(0) :]
