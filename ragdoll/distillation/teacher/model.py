"""Where torch computes, in which type, and how much at once.

Texts as a teacher reads them, and the batches that they are embedded in.

The teacher: a sentence-transformer that turns passages into target vectors.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ragdoll.distillation.teacher.files import TeacherFiles, quiet_transformers, refuse_code
from ragdoll.embedding.vectors import Vectors
from ragdoll.embedding.words import WordTokens
from ragdoll.errors import TeacherError, first_line

if TYPE_CHECKING:
    import torch

# What a processor calls its instructions for bfloat16: x86 the first two, ARM the last.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})

# A processor is fastest while a batch's activations stay in its caches: with 8,192 tokens at once
# all-MiniLM-L6-v2 was a tenth to a fifth slower than with a quarter of that.
_CPU_BATCH_TOKENS = 2048


def choose_device(device: str) -> str:
    """Resolve ``auto`` to CUDA, MPS or the CPU, and check that a named device computes.

    The CPU is ``cpu`` however it is numbered, for the rules that are its own.

    Raises:
        TeacherError: torch does not know or cannot reach the device, or nothing comes back from it.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()  # the device meta has shapes and no numbers
    except (RuntimeError, AssertionError, ImportError) as error:
        raise TeacherError(
            f"The device {device} cannot be used: {first_line(error)}",
            hint="Give --device auto, cpu, cuda, cuda:0 or mps.",
        ) from error
    return "cpu" if found.type == "cpu" else device


def native_dtype(device: str) -> Literal["float32", "bfloat16"]:
    """bfloat16 where a device has instructions for it, else float32."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").split()
        except OSError:
            return "float32"
        return "float32" if _BFLOAT16_FLAGS.isdisjoint(flags) else "bfloat16"
    return "float32"


def batch_tokens(device: str, budget: int) -> int:
    """The tokens of a batch: the budget, on a processor no more than is fast there."""
    return min(budget, _CPU_BATCH_TOKENS) if device == "cpu" else budget


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Texts as a teacher reads them: the tokenizer's columns, each a list of lists.

    The column ``special_tokens_mask`` is 1 for what is not the text: special tokens and prompt.
    ``prompt_tokens`` is how many tokens stand before the text for a prompt, 0 without one.
    """

    columns: dict[str, list[list[int]]]
    prompt_tokens: int

    @property
    def lengths(self) -> list[int]:
        """The tokens of each text, special tokens and prompt included."""
        return [len(ids) for ids in self.columns["input_ids"]]

    def rows(self, chosen: Sequence[int]) -> dict[str, list[list[int]]]:
        """The columns of some of the texts."""
        return {name: [column[row] for row in chosen] for name, column in self.columns.items()}


def longest_first(lengths: Sequence[int]) -> list[int]:
    """The rows by length, longest first, so that too large a batch fails at once."""
    return sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))


def batch_size(width: int, budget: int) -> int:
    """How many rows, padded to ``width`` tokens, a budget has room for: one at least."""
    return max(1, budget // max(1, width))


Target = Literal["mean", "sentence"]
Side = Literal["document", "query"]

logger = logging.getLogger(__name__)

# A faster type than float32 is used above this cosine to it, and where it gains this factor.
_PARITY = 0.999
_GAIN = 1.2
# That is tried on so many texts, and only where there are enough of them for it to pay.
_SAMPLE = 16
_MIN_TEXTS = 256

_NO_LIMIT = 1_000_000

# Under these names models keep the prompts for the two sides of a search.
_PROMPT_NAMES: dict[Side, tuple[str, ...]] = {
    "document": ("document", "passage", "corpus", "search_document"),
    "query": ("query", "search_query"),
}


class Teacher:
    """A sentence-transformer, loaded.

    ``max_length`` is the tokens it reads of a text, prompt and special tokens included;
    ``passage_tokens`` is what remains of that for a document itself.
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
            TeacherError: the folder cannot be loaded, or not without running code that comes with
                it, or the device is not there.
        """
        if not trust_remote_code:
            refuse_code(files.name, files.path)
        self.files = files
        self.device = choose_device(device)
        self.dtype = dtype
        self._trust_remote_code = trust_remote_code
        self._model = self._load()
        self._most_tokens: int | None = None
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise TeacherError(f"{files.name} has no tokenizer.json, which ragdoll needs.")
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self._tokenizer = tokenizer
        length = self._model.max_seq_length
        # Where a model says nothing, its tokenizer says 10**30.
        self.max_length = int(length) if length and length < _NO_LIMIT else 512
        empty = self._tokenize([self.prompt("document")])
        self.passage_tokens = self.max_length - len(empty["input_ids"][0])
        self.count_tokens = WordTokens(tokenizer.backend_tokenizer).count

    def prompt(self, side: Side) -> str:
        """What the model wants in front of a text on a side of a search; empty for most models."""
        prompts: dict[str, str | None] = self._model.prompts
        return next((prompts[name] or "" for name in _PROMPT_NAMES[side] if prompts.get(name)), "")

    def tokenize(self, texts: Sequence[str], side: Side = "document") -> Tokenized:
        """Tokenize texts with the prompt of their side, cut to the length that the teacher reads.

        Not to be called in two threads at once: tokenizers change when they are used.
        """
        prompt = self.prompt(side)
        if not prompt:
            return Tokenized(self._tokenize(list(texts)), 0)
        alone = self._tokenize([prompt])
        columns = self._tokenize([prompt + text for text in texts], return_offsets_mapping=True)
        offsets = columns.pop("offset_mapping")
        # As sentence-transformers counts them, whose poolings take the number.
        prompt_tokens = len(alone["input_ids"][0]) - alone["special_tokens_mask"][0][-1]
        columns["special_tokens_mask"] = [
            [int(bool(mask) or end <= len(prompt)) for mask, (_, end) in zip(*row, strict=True)]
            for row in zip(columns["special_tokens_mask"], offsets, strict=True)
        ]
        return Tokenized(columns, prompt_tokens)

    def encode(
        self,
        texts: Sequence[str],
        target: Target,
        budget: int,
        progress: Callable[[int], None] | None = None,
        side: Side = "document",
    ) -> Vectors:
        """Tokenize and embed texts, of which there must be one at least."""
        return self.embed(self.tokenize(texts, side), target, budget, progress)

    def embed(
        self,
        texts: Tokenized,
        target: Target,
        budget: int,
        progress: Callable[[int], None] | None = None,
    ) -> Vectors:
        """Embed at least one text: float32, shape ``(texts, dimension)``, in the order given.

        ``target`` is ``mean`` (of the embeddings of the text's own tokens, without special tokens
        and prompt) or ``sentence`` (the model's own pooled output). Texts are sent longest first in
        batches of at most ``budget`` tokens, padding included; a device without the memory for that
        gets less. ``progress`` gets the texts done so far.

        Raises:
            TeacherError: the device has no memory for a single text.
        """
        import torch

        lengths = texts.lengths
        waiting = longest_first(lengths)
        vectors: Vectors | None = None
        budget = min(batch_tokens(self.device, budget), self._most_tokens or budget)
        done = 0
        with torch.inference_mode():
            while done < len(waiting):
                rows = waiting[done : done + batch_size(lengths[waiting[done]], budget)]
                try:
                    found = self._forward(texts, rows, target)
                except RuntimeError as error:
                    if "out of memory" not in str(error):
                        raise
                    if len(rows) == 1:
                        raise TeacherError(
                            f"{self.device} has no memory for one passage of "
                            f"{lengths[rows[0]]} tokens.",
                            hint="Free memory there, or compute elsewhere: --device cpu.",
                        ) from error
                    budget = self._most_tokens = len(rows) // 2 * lengths[rows[0]]
                    logger.warning("%s is short of memory: smaller batches.", self.device)
                    continue
                if vectors is None:
                    vectors = np.zeros((len(waiting), found.shape[1]), dtype=np.float32)
                vectors[rows] = found
                done += len(rows)
                if progress:
                    progress(done)
        if vectors is None:
            raise ValueError("no texts to embed")
        return vectors

    def settle_dtype(
        self, texts: Tokenized, target: Target, clock: Callable[[], float] = time.perf_counter
    ) -> str:
        """Settle ``auto`` on a type and switch to it; return its name.

        Where the device has instructions for bfloat16, and the texts are not few, that is taken if
        it embeds the first of them clearly faster than float32 (on some processors it is slower)
        and to vectors that agree with those of float32 at a cosine of at least 0.999. ``clock``
        tells the time in seconds.
        """
        if self.dtype != "auto":
            self._cast(self.dtype)
            return self.dtype
        self.dtype = "float32"
        if native_dtype(self.device) == "bfloat16" and len(texts.lengths) >= _MIN_TEXTS:
            few = Tokenized(texts.rows(range(_SAMPLE)), texts.prompt_tokens)
            exact, exact_seconds = self._timed(few, target, clock)
            self._cast("bfloat16")
            fast, fast_seconds = self._timed(few, target, clock)
            if fast_seconds * _GAIN <= exact_seconds:
                cosine = _agreement(exact, fast)
                if cosine >= _PARITY:
                    self.dtype = "bfloat16"
                else:
                    logger.warning(
                        "bfloat16 agrees with float32 only at cosine %.4f; computing in float32.",
                        cosine,
                    )
            if self.dtype == "float32":
                del self._model  # before there are two of them
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
        found = self._tokenizer(
            texts,
            truncation=True,
            max_length=self.max_length,
            return_special_tokens_mask=True,
            **options,
        )
        return dict(found)

    def _forward(self, texts: Tokenized, rows: Sequence[int], target: Target) -> Vectors:
        batch = self._tokenizer.pad(texts.rows(rows), return_tensors="pt").to(self.device)
        special = batch.pop("special_tokens_mask")
        inputs = dict(batch)
        if texts.prompt_tokens:
            inputs["prompt_length"] = texts.prompt_tokens
        output = self._model.forward(inputs)
        if target == "sentence":
            found: torch.Tensor = output["sentence_embedding"].float()
        else:
            inside = (batch["attention_mask"] * (1 - special)).unsqueeze(-1)
            tokens: torch.Tensor = output["token_embeddings"].float()
            found = (tokens * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
        vectors: Vectors = found.cpu().numpy()
        return vectors

    def _cast(self, dtype: str) -> None:
        import torch

        self._model.to(getattr(torch, dtype))

    def _load(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        quiet_transformers()
        dtype = getattr(torch, "float32" if self.dtype == "auto" else self.dtype)
        try:
            model = SentenceTransformer(
                str(self.files.path),
                device=self.device,
                local_files_only=True,
                trust_remote_code=self._trust_remote_code,
                model_kwargs={"use_safetensors": True, "torch_dtype": dtype},
            )
        except Exception as error:  # a folder can be wrong in as many ways as there are models
            hint = None
            if "trust_remote_code" in str(error):
                hint = "If you trust the code in its folder, give --trust-remote-code."
            raise TeacherError(
                f"{self.files.name} cannot be loaded: {first_line(error)}", hint=hint
            ) from error
        return model.eval()


def _agreement(exact: Vectors, fast: Vectors) -> float:
    """The lowest cosine between corresponding rows."""
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(fast, axis=1)
    return float(((exact * fast).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
