"""One update: a batch in, changed weights out, or the reason why they were left as they were.

    micro-batches -> sum of losses -> backward -> norm of the whole gradient -> guard -> clip -> optimisers

The loss is divided by the number of tokens of the whole batch, on all devices, sentinels included (released code; the
sentinels' own losses weigh nothing), so neither the number of devices nor that of micro-batches changes an update.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from incoder_train.tokens.batches import Batch
from incoder_train.training.guard import Guard, LossScale
from incoder_train.training.objective import on_device
from incoder_train.training.parallel import Replica, World, accumulate


@dataclass
class Trainee:
    """What updates change."""

    replica: Replica
    optimisers: list[torch.optim.Optimizer]
    guard: Guard
    scale: LossScale | None  # fp16 only


@dataclass(frozen=True)
class Update:
    loss: float  # nats per token of the whole batch
    gradient_norm: float  # of the whole gradient, before it was clipped
    skipped: str | None  # why it was not made


def update(
    trainee: Trainee, batch: Batch, world: World, *, tokens: int, micro_batch: int | None, lr: float, clip: float
) -> Update:
    """`batch` is this process's part of a batch of `tokens` tokens. Every process gets the same answer."""
    replica, scale = trainee.replica, trainee.scale.value if trainee.scale else 1.0
    parts = batch.split(micro_batch or len(batch.inputs))
    total = torch.zeros((), dtype=torch.float64, device=world.device)
    for part in parts:
        accumulate(replica.module, last=part is parts[-1])
        loss = replica.module(*on_device(part, world.device))
        # FSDP2 takes the mean over the processes, we want the sum
        (loss * (scale * world.size / tokens)).backward()
        total += loss.detach()
    loss = world.gather(total.item()).sum().item() / tokens
    norm = replica.gradient_norm() / scale
    skipped = trainee.guard.objection(loss, norm)
    if trainee.scale is not None:
        trainee.scale.update(overflow=not math.isfinite(norm))
    if skipped is None:
        factor = min(1.0, clip / (norm + 1e-6)) / scale
        if factor != 1:
            replica.scale_gradients(factor)
        for optimiser in trainee.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = lr
            optimiser.step()
        replica.publish()
    for optimiser in trainee.optimisers:
        optimiser.zero_grad(set_to_none=True)
    return Update(loss, norm, skipped)


@torch.no_grad()
def loss_on(replica: Replica, batches: Iterable[Batch], world: World, micro_batch: int | None) -> float:
    """Nats per token over `batches`, of which each process has its part, the weights as they are."""
    replica.module.eval()
    total, tokens = torch.zeros((), dtype=torch.float64, device=world.device), 0
    for batch in batches:
        tokens += batch.tokens
        for part in batch.split(micro_batch or len(batch.inputs)):
            total += replica.module(*on_device(part, world.device))
    replica.module.train()
    summed = world.gather(total.item(), tokens).sum(0)  # (2,)
    return (summed[0] / summed[1]).item()
