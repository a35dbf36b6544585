"""Which device and which type are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdoll.distillation.teacher.model import batch_tokens, choose_device, native_dtype
from ragdoll.errors import TeacherError


def have(monkeypatch: pytest.MonkeyPatch, cuda: bool = False, mps: bool = False) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, False, "cuda"), (False, True, "mps"), (True, True, "cuda"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_device_there_is(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str
) -> None:
    have(monkeypatch, cuda, mps)
    assert choose_device("auto") == chosen


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "", "cpu0", "meta", "hpu"])
def test_a_device_that_cannot_be_used_is_one_clear_line(device: str) -> None:
    with pytest.raises(TeacherError, match="cannot be used") as error:
        choose_device(device)
    assert "\n" not in error.value.message
    assert "--device" in (error.value.hint or "")


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_processor_has_one_name(device: str) -> None:
    assert choose_device(device) == "cpu"


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_fp16", "bfloat16"),
        ("flags\t\t: fpu amx_bf16 amx_tile", "bfloat16"),
        ("Features\t: fp asimd bf16 i8mm", "bfloat16"),
        ("flags\t\t: fpu avx2 avx512f", "float32"),
    ],
    ids=["avx512", "amx", "arm", "neither"],
)
def test_a_processor_says_whether_it_knows_bfloat16(
    monkeypatch: pytest.MonkeyPatch, flags: str, dtype: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *arguments, **options: flags + "\n")
    assert native_dtype("cpu") == dtype


def test_a_system_that_says_nothing_of_its_processor_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(*arguments: object, **options: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert native_dtype("cpu") == "float32"
    assert native_dtype("mps") == "float32"


@pytest.mark.parametrize(("supported", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_says_whether_it_computes_bfloat16_itself(
    monkeypatch: pytest.MonkeyPatch, supported: bool, dtype: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert native_dtype("cuda:0") == dtype


def test_only_a_processor_takes_less_than_the_budget() -> None:
    assert batch_tokens("cuda", 8192) == 8192
    assert batch_tokens("cpu", 8192) < 8192
    assert batch_tokens("cpu", 100) == 100
