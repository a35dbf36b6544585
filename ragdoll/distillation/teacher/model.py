"""The teacher: a sentence-transformer that turns passages into target vectors.

The device, the floating-point type and the size of the batches are chosen here too.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ragdoll.distillation.teacher.adapter import loadable, merge
from ragdoll.distillation.teacher.files import (
    HINT_TO_TRUST,
    TeacherFiles,
    quiet,
    refuse_code,
    refuse_code_of_adapter,
    silence_transformers,
)
from ragdoll.distillation.teacher.weights import Loading
from ragdoll.embedding.vectors import Vectors, unit
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import TeacherError, first_line, number_of
from ragdoll.settings import Target

if TYPE_CHECKING:
    import torch

Side = Literal["document", "query"]

logger = logging.getLogger(__name__)

# The names of instructions for bfloat16 in /proc/cpuinfo: the first two of x86, the last of ARM.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})

# A processor is fastest while a batch's activations stay in its caches: with 8,192 tokens at once
# all-MiniLM-L6-v2 was a tenth to a fifth slower than with a quarter of that.
_CPU_BATCH_TOKENS = 2048

# bfloat16 is used if its vectors have at least this cosine to those of float32, and if it is faster
# by this factor.
_PARITY = 0.999
_GAIN = 1.2
# Both are measured on the first texts, and only where there are enough texts for that to pay.
_SAMPLE = 16
_MIN_TEXTS = 256

_NO_LIMIT = 1_000_000
# What a model without a limit reads of a text: attention to more takes gigabytes.
_MOST_TOKENS = 8192

# Tokens among which there are words that a model knows.
_FIRST_TOKENS = 5000

# The names of tables of positions in the models of transformers.
_POSITION_TABLES = frozenset(
    {"position_embeddings", "position_embedding", "positions_embed", "embed_positions", "wpe"}
)

# What torch says when a GPU, or the processor, has no memory left.
_NO_MEMORY = re.compile("out of memory|can't allocate memory|not enough memory")

# The names under which models keep the prompts for the two sides of a search; the first that a
# model has counts, as in sentence-transformers.
_PROMPT_NAMES: dict[Side, tuple[str, ...]] = {
    "document": ("document", "passage", "corpus"),
    "query": ("query",),
}

# A text that shows how a model reads, and how many of it make the text beside it that it is padded
# to. In float32 padding changes the cosine of no vector by more than rounding does.
_PROBE = "A word, or two."
_MUCH_LONGER = 48
_SAME = 1 - 1e-5

# The names of what a model gives, by the target that is made of it.
_VECTORS: dict[Target, str] = {"mean": "token_embeddings", "sentence": "sentence_embedding"}

# Texts that the library tokenizes at a time.
_TEXTS = 256


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Texts as a teacher reads them: the tokenizer's columns, each a list of lists.

    The column ``special_tokens_mask`` is 1 for the tokens that are not of the text: special tokens,
    prompt and chat template. ``options`` are the teacher's further inputs, the same for all texts:
    with a prompt ``prompt_length``, the number of tokens before a text.
    """

    columns: dict[str, list[list[int]]]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def lengths(self) -> list[int]:
        """The tokens of each text, special tokens and prompt included."""
        return [len(ids) for ids in self.columns["input_ids"]]

    def rows(self, chosen: Sequence[int]) -> dict[str, list[list[int]]]:
        """Return the columns of some of the texts."""
        return {name: [column[row] for row in chosen] for name, column in self.columns.items()}


@dataclass(frozen=True, slots=True)
class TeacherFacts:
    """How a teacher reads; see ``Teacher``. ``prompt`` is that of documents."""

    name: str
    max_length: int
    passage_tokens: int
    prompt: str
    has_token_vectors: bool


class Teacher:
    """A sentence-transformer, loaded.

    ``max_length`` is the number of tokens that it reads of a document, prompt and special tokens
    included; ``passage_tokens`` is the part of them that remains for a document itself.
    """

    def __init__(
        self,
        files: TeacherFiles,
        device: str = "auto",
        dtype: str = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        """Load the teacher from its folder; the network is not used.

        Raises:
            TeacherError: the folder cannot be loaded, or only by running code that comes with it,
                or the device cannot be used.
        """
        if not trust_remote_code:
            refuse_code(files.name, files.path)
            refuse_code_of_adapter(files)
        self.files = files
        self.device = choose_device(device)
        self.dtype = dtype
        self._trust_remote_code = trust_remote_code
        self._model = self._load()
        self._most_tokens: int | None = None
        self._tokenizer = _usable(files, self._model.tokenizer)
        length = self._model.max_seq_length
        # A tokenizer without a limit says 10**30.
        length = int(length) if length and length < _NO_LIMIT else _MOST_TOKENS
        self._limit = self.max_length = min([length, *_positions(self._model)])
        if self._model.max_seq_length != self._limit:
            self._model.max_seq_length = self._limit
        try:
            self._frames = {side: self._frame(side) for side in _PROMPT_NAMES}
            if self._frames["document"]:
                long = self.tokenize(["word " * (self._limit + 8)])
                self.max_length = min(self._limit, *long.lengths)
        except Exception as error:  # the library's settings can be wrong in many ways
            raise TeacherError(
                f"{files.name} cannot tokenize a text: {first_line(error)}"
            ) from error
        (empty,) = self.tokenize([""]).lengths
        self.passage_tokens = self.max_length - empty
        if self.passage_tokens < 1:
            raise TeacherError(
                f"{files.name} reads {number_of('token', self.max_length)}, and its prompt and "
                f"special tokens take {empty}: none is left for a text."
            )
        self._gives = self._tried()

    @property
    def facts(self) -> TeacherFacts:
        """What there is to know without the teacher at hand."""
        return TeacherFacts(
            self.files.name,
            self.max_length,
            self.passage_tokens,
            self.prompt("document"),
            self.has_token_vectors(),
        )

    @property
    @quiet()
    def tokenizer(self) -> str:
        """The definition of its tokenizer, as ``tokenizer.json`` has it."""
        return str(self._tokenizer.backend_tokenizer.to_str())

    def count_tokens(self, words: Sequence[str]) -> list[int]:
        """Count the tokens of each word."""
        return self._words.count(words)

    @cached_property
    @quiet()
    def _words(self) -> WordTokens:
        return WordTokens(self._tokenizer.backend_tokenizer)

    def prompt(self, side: Side) -> str:
        """Return the text that the model wants before a document or a query; empty for most."""
        prompts: dict[str, str | None] = self._model.prompts
        names = (*_PROMPT_NAMES[side], self._model.default_prompt_name)
        return next((prompts[name] or "" for name in names if name in prompts), "")

    def _tried(self) -> set[str]:
        """Embed a text for a trial; return the names of what the model gives for it."""
        import torch

        try:
            with torch.inference_mode():
                _, output = self._outputs(self.tokenize([_PROBE]), [0])
        except Exception as error:  # a model can be wrong in as many ways as there are models
            raise TeacherError(
                f"{self.files.name} cannot embed a text: {first_line(error)}"
            ) from error
        vectors = [output[name] for name in _VECTORS.values() if name in output]
        self._loading.refuse_missing(self.files.name, vectors)
        return set(output)

    def tokenize(self, texts: Sequence[str], side: Side = "document") -> Tokenized:
        """Tokenize texts with the prompt of their side, and cut them off where the model does.

        Two threads must not call this at once: tokenizers change when they are used.
        """
        frame = self._frames[side]
        if frame is None:
            return self._plainly(texts, side)
        tokenized = self._by_library(texts, side)
        before, behind = frame
        tokenized.columns["special_tokens_mask"] = [
            [1] * before + [0] * max(0, length - before - behind) + [1] * behind
            for length in tokenized.lengths
        ]
        return tokenized

    def _frame(self, side: Side) -> tuple[int, int] | None:
        """Return the numbers of tokens that the library puts before and behind a text.

        None for most teachers: there a text needs nothing but its prompt and the tokenizer. Others
        have a chat template, limits of length by side, or other settings that the library knows.
        """
        texts = ["", _PROBE, "word " * (self._limit + 8)]
        if not hasattr(self._model, "preprocess"):  # sentence-transformers before 5.4
            return None
        theirs, ours = self._by_library(texts, side), self._plainly(texts, side)
        own = {name: ours.columns[name] for name in theirs.columns}
        if (own, ours.options) == (theirs.columns, theirs.options):
            return None
        one, other = self._by_library(self._unlike_words(), side).columns["input_ids"]
        return _alike(one, other), _alike(one[::-1], other[::-1])

    def _unlike_words(self) -> list[str]:
        """Return two words that neither begin nor end with the same token."""
        vocabulary = self._tokenizer.get_vocab()
        known = sorted(vocabulary, key=vocabulary.__getitem__)[:_FIRST_TOKENS]
        words = ["one", "two", *filter(str.isalnum, known)]
        read = self._tokenizer(words, add_special_tokens=False)["input_ids"]
        (one, ids), *others = [(word, own) for word, own in zip(words, read, strict=True) if own]
        unlike = (word for word, own in others if own[0] != ids[0] and own[-1] != ids[-1])
        return [one, next(unlike)]

    def _by_library(self, texts: Sequence[str], side: Side) -> Tokenized:
        """Tokenize texts as ``SentenceTransformer.encode_document`` and ``encode_query`` do."""
        columns: dict[str, list[list[int]]] = {}
        options: dict[str, Any] = {}
        for start in range(0, len(texts), _TEXTS):
            prompt = self.prompt(side) or None
            batch = list(texts[start : start + _TEXTS])
            inputs = dict(self._model.preprocess(batch, prompt=prompt, task=side))
            shape = inputs["input_ids"].shape
            read = inputs.get("attention_mask", inputs["input_ids"] != self._tokenizer.pad_token_id)
            for name, values in inputs.items():
                if getattr(values, "shape", None) == shape:
                    column = columns.setdefault(name, [])
                    rows = zip(values, read.bool(), strict=True)
                    column.extend(row[mask].tolist() for row, mask in rows)
                # A text is what every teacher of ours reads.
                elif (name, values) != ("modality", "text"):
                    options[name] = values
        return Tokenized(columns, options)

    def _plainly(self, texts: Sequence[str], side: Side) -> Tokenized:
        """Tokenize texts by the tokenizer alone."""
        prompt = self.prompt(side)
        if not prompt:
            return Tokenized(self._tokenize(list(texts)))
        alone = self._tokenize([prompt])
        columns = self._tokenize([prompt + text for text in texts], return_offsets_mapping=True)
        offsets = columns.pop("offset_mapping")
        # Counted as in sentence-transformers, whose poolings take the number.
        prompt_tokens = len(alone["input_ids"][0]) - alone["special_tokens_mask"][0][-1]
        columns["special_tokens_mask"] = [
            [int(bool(mask) or end <= len(prompt)) for mask, (_, end) in zip(*row, strict=True)]
            for row in zip(columns["special_tokens_mask"], offsets, strict=True)
        ]
        return Tokenized(columns, {"prompt_length": prompt_tokens})

    def encode(
        self,
        texts: Sequence[str],
        target: Target,
        budget: int,
        progress: Callable[[int], None] | None = None,
        side: Side = "document",
    ) -> Vectors:
        """Tokenize and embed at least one text; see ``embed``."""
        return self.embed(self.tokenize(texts, side), target, budget, progress)

    def embed(
        self,
        texts: Tokenized,
        target: Target,
        budget: int,
        progress: Callable[[int], None] | None = None,
    ) -> Vectors:
        """Embed at least one text: float32, shape ``(texts, dimension)``, in their order.

        ``target`` is ``mean`` (of the embeddings of the text's own tokens, without special tokens
        and prompt) or ``sentence`` (the model's own pooled output). A batch has at most ``budget``
        tokens, padding included, and fewer on a CPU or where the device lacks the memory.
        ``progress`` is called with the number of texts done.

        Raises:
            TeacherError: the device has no memory for a single text.
        """
        import torch

        lengths = texts.lengths
        # The longest first: a batch that is too large fails at once. A text without any token has
        # a vector of zeros.
        read = [row for row, length in enumerate(lengths) if length]
        waiting = sorted(read, key=lambda row: (-lengths[row], row))
        vectors: Vectors | None = None
        budget = min(batch_tokens(self.device, budget), self._most_tokens or budget)
        done = 0
        with torch.inference_mode():
            while done < len(waiting):
                size = max(1, budget // lengths[waiting[done]])
                rows = waiting[done : done + size]
                if self._reads_padding:
                    rows = [row for row in rows if lengths[row] == lengths[rows[0]]]
                try:
                    embedded = self._forward(texts, rows, target)
                except (RuntimeError, MemoryError) as error:
                    if not (isinstance(error, MemoryError) or _NO_MEMORY.search(str(error))):
                        raise
                    if len(rows) == 1:
                        raise TeacherError(
                            f"{self.device} has no memory for one passage of "
                            f"{lengths[rows[0]]} tokens.",
                            hint="Free memory there"
                            + ("." if self.device == "cpu" else ', or use `device="cpu"`.'),
                        ) from error
                    budget = self._most_tokens = len(rows) // 2 * lengths[rows[0]]
                    logger.warning("%s is short of memory: smaller batches.", self.device)
                    continue
                if vectors is None:
                    vectors = np.zeros((len(lengths), embedded.shape[1]), dtype=np.float32)
                vectors[rows] = embedded
                done += len(rows)
                if progress:
                    progress(done)
        if vectors is None:
            dimension = self.embed(self.tokenize([_PROBE]), target, budget).shape[1]
            vectors = np.zeros((len(lengths), dimension), dtype=np.float32)
        return vectors

    def has_token_vectors(self) -> bool:
        """Tell whether the model gives a vector for each token, and not for whole texts alone."""
        return _VECTORS["mean"] in self._gives

    @cached_property
    def _reads_padding(self) -> bool:
        """Tell whether the vectors of a text depend on how far it is padded.

        Models without an attention mask are like that, and some that do not keep to theirs.
        """
        texts = self.tokenize([_PROBE, " ".join([_PROBE] * _MUCH_LONGER)])
        if "attention_mask" not in texts.columns:
            return True
        least = _SAME if self.dtype in ("auto", "float32") else _PARITY

        def differs(target: Target) -> bool:
            (alone,), (padded, _) = (self._forward(texts, rows, target) for rows in ([0], [0, 1]))
            return float((unit(alone[None]) * unit(padded[None])).sum()) < least

        return any(differs(target) for target, name in _VECTORS.items() if name in self._gives)

    def settle_dtype(
        self, texts: Tokenized, target: Target, clock: Callable[[], float] = time.perf_counter
    ) -> str:
        """Switch to the type that the teacher computes in, and return its name.

        ``auto`` becomes bfloat16 if the device has instructions for it, there are at least 256
        texts, and a sample of them is embedded 1.2 times as fast as in float32 (on some processors
        bfloat16 is slower) with cosines of at least 0.999 to the vectors of float32. Otherwise it
        becomes float32. ``clock`` tells the time in seconds.
        """
        if self.dtype != "auto":
            self._cast(self.dtype)
            return self.dtype
        self.dtype = "float32"
        if native_dtype(self.device) == "bfloat16" and len(texts.lengths) >= _MIN_TEXTS:
            sample = replace(texts, columns=texts.rows(range(_SAMPLE)))
            exact, exact_seconds = self._timed(sample, target, clock)
            self._cast("bfloat16")
            fast, fast_seconds = self._timed(sample, target, clock)
            if fast_seconds * _GAIN <= exact_seconds:
                cosine = float((unit(exact) * unit(fast)).sum(axis=1).min())
                if cosine >= _PARITY:
                    self.dtype = "bfloat16"
                else:
                    logger.warning(
                        "bfloat16 agrees with float32 only at cosine %.4f; computing in float32.",
                        cosine,
                    )
            if self.dtype == "float32":
                del self._model  # the memory must not hold two of them
                self._model = self._load()
        return self.dtype

    def _timed(
        self, sample: Tokenized, target: Target, clock: Callable[[], float]
    ) -> tuple[Vectors, float]:
        seconds = []
        for _ in range(3):
            started = clock()
            vectors = self.embed(sample, target, self.max_length * 8)
            seconds.append(clock() - started)
        return vectors, min(seconds)

    def _tokenize(self, texts: list[str], **options: bool) -> dict[str, Any]:
        encoding = self._tokenizer(
            texts,
            truncation=True,
            max_length=self._limit,
            return_special_tokens_mask=True,
            **options,
        )
        return dict(encoding)

    def _forward(self, texts: Tokenized, rows: Sequence[int], target: Target) -> Vectors:
        own, output = self._outputs(texts, rows)
        if target == "sentence":
            embedded: torch.Tensor = output["sentence_embedding"].float()
            # The library cuts vectors off after the model's last module.
            embedded = embedded[:, : self._model.truncate_dim]
        else:
            tokens: torch.Tensor = output["token_embeddings"].float()
            embedded = (tokens * own).sum(dim=1) / own.sum(dim=1).clamp(min=1)
        vectors: Vectors = embedded.cpu().numpy()
        return vectors

    def _outputs(
        self, texts: Tokenized, rows: Sequence[int]
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the mask of the texts' own tokens, of shape (rows, tokens, 1), and the output."""
        batch = self._tokenizer.pad(texts.rows(rows), return_tensors="pt").to(self.device)
        special = batch.pop("special_tokens_mask")
        own = (batch.get("attention_mask", 1) * (1 - special)).unsqueeze(-1)
        return own, self._model.forward({**batch, **texts.options})

    def _cast(self, dtype: str) -> None:
        import torch

        self._model.to(getattr(torch, dtype))

    @quiet()
    def _load(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        silence_transformers()
        dtype = getattr(torch, "float32" if self.dtype == "auto" else self.dtype)
        folder, self._loading = self.files.folder, Loading()
        try:
            with loadable(folder) as place, self._loading.watched():
                model = SentenceTransformer(
                    str(place),
                    device=self.device,
                    local_files_only=True,
                    trust_remote_code=self._trust_remote_code,
                    # Weights are added before they are rounded.
                    model_kwargs={
                        "use_safetensors": True,
                        "torch_dtype": torch.float32 if folder.base else dtype,
                    },
                )
            self._loading.check(self.files.name)
            if folder.base:
                merge(model, folder)
                model.to(dtype)
        except TeacherError:
            raise
        except Exception as error:  # a folder can be wrong in as many ways as there are models
            raise TeacherError(
                f"{self.files.name} cannot be loaded: {first_line(error)}",
                hint=HINT_TO_TRUST if "trust_remote_code" in str(error) else None,
            ) from error
        return model.eval()


def _usable(files: TeacherFiles, tokenizer: Any) -> Any:
    """Return a teacher's tokenizer with a token to pad with; refuse one that is of no use."""
    if not getattr(tokenizer, "is_fast", False):
        raise TeacherError(f"{files.name} has no tokenizer.json, which ragdoll needs.")
    vocabulary = tokenizer.get_vocab()
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    size = files.folder.vocab_size
    beyond = [
        token for token in vocabulary.keys() - special if vocabulary[token] >= (size or math.inf)
    ]
    if beyond:
        raise TeacherError(
            f"The tokenizer of {files.name} has {number_of('token', len(vocabulary))}, such as "
            f"{min(beyond)}; the model has vectors for {size}.",
            hint="Take the tokenizer that belongs to its weights.",
        )
    if tokenizer.pad_token is None:
        # The attention mask hides it: any token will do.
        tokenizer.pad_token = tokenizer.eos_token or min(vocabulary, key=vocabulary.__getitem__)
    return tokenizer


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the first ids that are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _positions(model: Any) -> Iterator[int]:
    """Yield the numbers of tokens that a model has positions for; none for relative positions.

    The families of RoBERTa and BART leave their first positions to padding. Models of texts and
    pictures have positions of the parts of a picture too.
    """
    for name, module in model.named_modules():
        table = getattr(module, "weight", None)
        if "vision" in name or name.rpartition(".")[2] not in _POSITION_TABLES or table is None:
            continue
        padding = getattr(module, "padding_idx", None)
        taken = getattr(module, "offset", 0) if padding is None else padding + 1
        yield table.shape[0] - taken


def choose_device(device: str) -> str:
    """Resolve ``auto`` to CUDA, MPS or the CPU, and check that a named device computes.

    A numbered CPU such as ``cpu:0`` becomes ``cpu``, the name by which its rules apply.

    Raises:
        TeacherError: torch does not know or cannot reach the device, or nothing comes back from it.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        kind = torch.device(device).type
        torch.zeros(1, device=device).item()  # the device meta has shapes and no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        raise TeacherError(
            f"The device {device} cannot be used: {first_line(error)}",
            hint="Give a `device`: auto, cpu, cuda, cuda:0 or mps.",
        ) from error
    return "cpu" if kind == "cpu" else device


def native_dtype(device: str) -> Literal["float32", "bfloat16"]:
    """Return bfloat16 for a device that has instructions for it, else float32."""
    import torch

    has_bfloat16 = False
    if device.startswith("cuda"):
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device == "cpu":
        with suppress(OSError):  # not every system describes its processor
            flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").split()
            has_bfloat16 = not _BFLOAT16_FLAGS.isdisjoint(flags)
    return "bfloat16" if has_bfloat16 else "float32"


def batch_tokens(device: str, budget: int) -> int:
    """Return the tokens of a batch: the budget, or less on a CPU, where large batches are slow."""
    return min(budget, _CPU_BATCH_TOKENS) if device == "cpu" else budget
