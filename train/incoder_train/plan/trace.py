"""Memory by tracing: one update runs on tensors that have shapes and no contents, on one of `world` ranks that are not there.

A fake process group answers every collective at once; torch's own FSDP memory tracker follows each tensor's life and says what
lay in memory at the peak. Only forwards and backwards are traced: the optimiser's state, whose size is known, is added.
The attention's dropout is off in the trace, since the kernels of a GPU keep a seed for it where a CPU's keep whole masks.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from incoder_model.config import ModelConfig
from incoder_model.transformer import Transformer
from incoder_train.errors import UserError
from incoder_train.plan.arithmetic import Recompute
from incoder_train.training.objective import Objective
from incoder_train.training.parallel import make_mesh, shard, wrap
from incoder_train.training.recipe import Machine

GIB = 2**30
HALF = (
    torch.float16
)  # also for bf16, which is as large: attention in bf16 on a CPU is our own, and keeps what a GPU does not


@dataclass(frozen=True)
class Trace:
    """Bytes on one GPU at the peak of an update, the optimiser apart."""

    states: int  # sharded weights and gradients, and the position table
    gathered: int  # whole weights and gradients of the units at work, and the buffers of their collectives
    activations: int  # what the backward pass needs, and what is made on the way

    @property
    def total(self) -> int:
        return self.states + self.gathered + self.activations


def trace(
    config: ModelConfig,
    *,
    micro_batch: int,
    world: int,
    precision: str,
    recompute: Recompute,
    loss_chunk: int | None,
) -> Trace:
    """Rows are `config.context` tokens long; `loss_chunk` None means whole logits.

    Raises UserError for one GPU, and inside a distributed run."""
    from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if world == 1:
        raise UserError("--trace follows how weights are shared, and one GPU shares none; leave it out, or say --gpus")
    if dist.is_initialized():
        raise UserError("a plan cannot be traced inside a distributed run; run `incoder plan` by itself")
    dist.init_process_group("fake", rank=0, world_size=world, store=FakeStore())
    try:
        mesh = make_mesh(world, None, "cpu")
        with FakeTensorMode():
            model = Transformer(dataclasses.replace(config, attention_dropout=0.0))
            objective = Whole(model, 0) if loss_chunk is None else Objective(model, loss_chunk)
            wrap(model, Machine(recompute=recompute))
            shard(objective, model, mesh, torch.float32 if precision == "fp32" else HALF)
            tokens = torch.zeros(micro_batch, config.context, dtype=torch.long)
            tracker = FSDPMemTracker(objective)
            tracker.track_inputs((tokens, tokens))
            with tracker:
                objective(tokens, tokens, cast("Tensor", Ones(tokens.numel()))).backward()
            peak = tracker.get_tracker_snapshot("peak")
    finally:
        dist.destroy_process_group()
    (by_kind,) = peak.values()
    found = {str(getattr(kind, "value", kind)): size for kind, size in by_kind.items()}
    states = sum(found[kind] for kind in ("Sharded Param", "Sharded Grad", "Buffer", "Inputs"))
    gathered = sum(found[kind] for kind in ("Unsharded Param", "Unsharded Grad", "All Gather", "Reduce Scatter"))
    return Trace(states, gathered, found["Activation"] + found["Temp"])


class Whole(Objective):
    """The objective whose logits exist all at once: the plain twin, to see what the chunks save."""

    def forward(self, inputs: Tensor, targets: Tensor, weights: Tensor, segments: Tensor | None = None) -> Tensor:
        hidden = self.model(inputs, segments=segments).flatten(0, 1)
        return F.cross_entropy(self.model.logits(hidden).float(), targets.flatten(), reduction="sum")


class Ones:
    """Weights of 1 for the loss. It asks which are not 0, and that a tensor without contents cannot tell."""

    device = torch.device("cpu")

    def __init__(self, length: int):
        self.length = length

    def flatten(self) -> Ones:
        return self

    def nonzero(self) -> Tensor:
        return torch.arange(self.length)[:, None]

    def __getitem__(self, rows: tuple[Tensor, None]) -> Tensor:
        return torch.ones(len(rows[0]), 1)
