"""In which precision a run computes, and the machine settings that go with it. Weights, their updates and the sums of
gradients are float32 in every case (see `parallel`); what is chosen here is the type of activations and products."""

from __future__ import annotations

import ctypes
import sys
import time

import torch

from incoder_train.errors import UserError
from incoder_train.training.hardware import capability

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_precision(wanted: str, device: torch.device) -> str:
    """A key of DTYPES. "auto" is the fastest that the device has, on a CPU by a short measurement.

    Raises UserError for a GPU that this torch cannot drive, or that has not the precision."""
    if device.type != "cuda":
        return wanted if wanted != "auto" else "bf16" if bf16_is_faster() else "fp32"
    able = capability(device)
    if wanted == "auto":
        return "bf16" if able.bf16 else "fp16" if able.fp16 else "fp32"
    if wanted != "fp32":
        able.require(wanted)
    return wanted


def bf16_is_faster(size: int = 512) -> bool:
    """Whether this CPU multiplies bf16 matrices faster than fp32 ones. Without instructions for it, it is far slower."""

    def seconds(dtype: torch.dtype) -> float:
        x = torch.ones(size, size, dtype=dtype)
        torch.mm(x, x)  # the first call prepares kernels
        started = time.perf_counter()
        torch.mm(x, x)
        return time.perf_counter() - started

    return seconds(torch.bfloat16) < seconds(torch.float32)


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: a training step takes and gives back the same large blocks every time, and to fetch
    them anew from the kernel costs up to half of the time."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 500_000_000)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            libc.mallopt(option, value)


def choose_device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("the recipe asks for device = 'cuda', but torch finds no GPU here; say 'cpu' or 'auto'")
    device = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    capability(device)  # raises UserError for a GPU that the installed torch has no code for
    return device
