"""Where torch computes, in which type, and how much at once."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ragdoll.errors import TeacherError, first_line

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
