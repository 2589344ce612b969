"""Where a model computes, and in which precision: its sizes and what GPU there is come in, a Placement goes out.

A small model stays on the CPU: there a token costs less than a person can notice, and a GPU would have to be woken, and its memory
kept, for that. A large one goes to the GPU in two bytes a weight, or in one where two do not fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from incoder_model.config import ModelConfig

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
LARGE = 150_000_000  # parameters: from here on two cores need more than 150 ms for a suggestion
SPARE = 1 << 30  # bytes of a GPU that torch, its libraries and a prompt's activations take


@dataclass(frozen=True)
class Gpu:
    free: int  # bytes
    bf16: bool  # computes in it as fast as in fp16


@dataclass(frozen=True)
class Placement:
    device: Literal["cpu", "cuda"] = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    int8: bool = False  # the layers' weights stay in eight bits

    @property
    def torch_dtype(self) -> torch.dtype:
        import torch

        return getattr(torch, self.dtype)


def place(config: ModelConfig, gpu: Gpu | None, device: Device = "auto") -> Placement:
    """Raises ValueError when the GPU that is asked for is not there, or has no room."""
    if device == "cpu" or (device == "auto" and (gpu is None or config.parameters < LARGE)):
        return Placement()
    if gpu is None:
        raise ValueError("torch finds no GPU that it can use; say cpu, or install a torch for CUDA")
    dtype = "bfloat16" if gpu.bf16 else "float16"
    for int8 in (False, True):
        if needed(config, int8) <= gpu.free:
            return Placement("cuda", dtype, int8)
    if device == "auto":
        return Placement()
    raise ValueError(
        f"the model needs {needed(config, True) / 1e9:.1f} GB of the GPU's memory even in int8, and "
        f"{gpu.free / 1e9:.1f} GB are free; say cpu, or take a smaller model"
    )


def needed(config: ModelConfig, int8: bool) -> int:
    """Bytes of a GPU: weights, keys and values of a full context, and SPARE."""
    embedding = config.vocab_size * config.d_model
    layers = config.parameters - embedding
    cached = 2 * config.layers * config.context * config.d_model
    return 2 * embedding + (1 if int8 else 2) * layers + 2 * cached + SPARE


def find_gpu(config: ModelConfig, device: Device = "auto") -> Gpu | None:
    """The first GPU, or None. For a model that will not use one torch is not even imported: it takes a second."""
    if device == "cpu" or (device == "auto" and config.parameters < LARGE):
        return None
    try:
        import torch
    except ModuleNotFoundError:
        return None
    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return Gpu(free, bf16=torch.cuda.get_device_capability() >= (8, 0))  # before Ampere bf16 is emulated
