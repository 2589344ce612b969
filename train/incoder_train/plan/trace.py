"""Memory by tracing: one update runs on tensors that have shapes and no contents, on one of `world` ranks that are not there.

A fake process group answers every collective at once; torch's own FSDP memory tracker follows each tensor's life and says what
lay in memory at the peak. Only forwards and backwards are traced: the optimiser's state, whose size is known, is added.
The attention's dropout is off in the trace, since the kernels of a GPU keep a seed for it where a CPU's keep whole masks.
"""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.utils.checkpoint import checkpoint

from incoder_model.config import ModelConfig
from incoder_model.transformer import Transformer
from incoder_train.errors import UserError
from incoder_train.plan.arithmetic import Recompute

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
GIB = 2**30


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
    """Rows are `config.context` tokens long; `loss_chunk` None means whole logits. Raises UserError inside a distributed run."""
    from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker
    from torch.testing._internal.distributed.fake_pg import FakeStore

    if dist.is_initialized():
        raise UserError("a plan cannot be traced inside a distributed run; run `incoder plan` by itself")
    dist.init_process_group("fake", rank=0, world_size=world, store=FakeStore())
    try:
        mesh = init_device_mesh("cpu", (world,))
        with warnings.catch_warnings(), FakeTensorMode():
            warnings.simplefilter("ignore")
            model = Training(Transformer(dataclasses.replace(config, attention_dropout=0.0)), loss_chunk)
            shard(model, mesh, DTYPES[precision], recompute)
            tokens = torch.zeros(micro_batch, config.context, dtype=torch.long)
            tracker = FSDPMemTracker(model)
            tracker.track_inputs((tokens, tokens))
            with tracker:
                model(tokens, tokens).backward()
            peak = tracker.get_tracker_snapshot("peak")
    finally:
        dist.destroy_process_group()
    (by_kind,) = peak.values()
    found = {str(getattr(kind, "value", kind)): size for kind, size in by_kind.items()}
    states = sum(found[kind] for kind in ("Sharded Param", "Sharded Grad", "Buffer", "Inputs"))
    gathered = sum(found[kind] for kind in ("Unsharded Param", "Unsharded Grad", "All Gather", "Reduce Scatter"))
    return Trace(states, gathered, found["Activation"] + found["Temp"])


class Training(nn.Module):
    """Tokens and targets (batch, time) to the loss, so that all of an update lies under one module."""

    def __init__(self, model: Transformer, loss_chunk: int | None):
        super().__init__()
        self.model, self.loss_chunk = model, loss_chunk

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        hidden, targets = self.model(tokens).flatten(0, 1), targets.flatten()
        if self.loss_chunk is None:
            return self._loss(hidden, targets)
        pieces = zip(hidden.split(self.loss_chunk), targets.split(self.loss_chunk), strict=True)
        losses = [checkpoint(self._loss, *piece, use_reentrant=False) for piece in pieces]
        return torch.stack(losses).sum()  # pyright: ignore[reportArgumentType]

    def _loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.model.logits(hidden).float(), targets, reduction="sum")


def shard(model: Training, mesh: DeviceMesh, dtype: torch.dtype, recompute: Recompute) -> None:
    """Each block is a unit, and what is left is one: the embedding, which is the head, and the last norm."""
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    blocks = model.model.layers
    for index, block in enumerate(blocks):
        if recompute == "full":
            blocks[index] = checkpoint_wrapper(block)
        fully_shard(blocks[index], mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
