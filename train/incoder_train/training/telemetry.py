"""What a run tells of itself beside its loss: speed, how well the hardware is used, memory, waiting, padding. Step by step it is
told what was done; for each line of the metrics it says what came of it since the last one."""

from __future__ import annotations

import math
import resource
import sys

import torch

from incoder_train.plan.arithmetic import flops_per_token
from incoder_train.training.hardware import peak_flops
from incoder_train.training.start import Begun

GIB = 2**30


class Telemetry:
    def __init__(self, begun: Begun):
        self._begun = begun
        self._model_flops, self._hardware_flops = flops_per_token(
            begun.config, begun.config.context, begun.recipe.machine.recompute
        )
        self._peak = peak_of(begun)
        self._tokens = self._slots = 0
        self._seconds = self._waited = 0.0

    def add(self, *, tokens: int, slots: int, seconds: float) -> None:
        """A step: `tokens` of all devices in `slots`, the places that could hold one."""
        self._tokens += tokens
        self._slots += slots
        self._seconds += seconds

    def values(self, waited: float) -> dict[str, float]:
        """Since the last call; `waited` are the seconds for data since the start. What is not known here is left out."""
        speed = self._tokens / self._seconds
        values = {
            "tokens_per_second": speed,
            "memory_gib": peak_memory(self._begun.world.device) / GIB,
            "data_wait": waited - self._waited,
            "padding": 1 - self._tokens / self._slots,
            "skipped": self._begun.count.skipped,
        }
        if self._begun.trainee.scale is not None:
            values["loss_scale"] = self._begun.trainee.scale.value
        if self._peak is not None:
            values |= {"mfu": speed * self._model_flops / self._peak, "hfu": speed * self._hardware_flops / self._peak}
        self._tokens = self._slots = 0
        self._seconds, self._waited = 0.0, waited
        return values

    def bits_per_byte(self, loss: float) -> dict[str, float]:
        """A loss in nats per token, in a unit that does not depend on the vocabulary."""
        bytes_per_token = self._begun.data.bytes_per_token
        return {"bits_per_byte": loss / math.log(2) / bytes_per_token} if bytes_per_token else {}


def peak_of(begun: Begun) -> float | None:
    """FLOP/s of all devices together at their best; None where it is not known, and for CPUs."""
    device = begun.world.device
    if device.type != "cuda":
        return None
    peak = peak_flops(torch.cuda.get_device_name(device), begun.precision)
    return None if peak is None else peak * begun.world.size


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on a GPU, of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
