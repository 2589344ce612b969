"""How a run lies on its devices: the only room that knows processes, meshes and FSDP2. A module goes in; what comes out
computes the same, with its weights cut up over the devices, in low precision, or with its activations computed twice.

Weights are kept and updated in float32, and gradients are summed in float32, whatever precision a block computes in:

    one device, fp32       the module's own parameters
    one device, bf16/fp16  `Masters`: the module holds low-precision copies of float32 parameters
    several devices        FSDP2 holds float32 shards and gathers low-precision copies of a block when it is needed

So `Replica.parameters` are always float32, with float32 gradients after a backward pass, and the optimiser, the
checkpoints and the clipping never ask which of the three it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.rendezvous import rendezvous
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
    noop_context_fn,
)

from incoder_model.config import ModelConfig
from incoder_model.transformer import Block, Transformer
from incoder_train.errors import UserError
from incoder_train.training.objective import Objective
from incoder_train.training.recipe import Machine

PATIENCE = timedelta(minutes=10)  # with a silent neighbour, before the run ends


@dataclass(frozen=True)
class World:
    """Which of how many processes this one is, and its device."""

    rank: int
    size: int
    device: torch.device
    saving: Any = None  # collectives of the thread that writes checkpoints

    @property
    def first(self) -> bool:
        return self.rank == 0

    def gather(self, *values: float) -> Tensor:
        """(size, values) float64 on the CPU: what every process says, the same everywhere."""
        mine = torch.tensor(values, dtype=torch.float64)
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        if self.size == 1:
            everyone = [mine]
        else:
            dist.all_gather(everyone, mine)
        return torch.stack(everyone)


@contextmanager
def join_world(device: torch.device) -> Iterator[World]:
    """This process alone, or one of those that torchrun started (it says so in the environment)."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(0, 1, device)
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    store, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE)))
    # torchrun starts again with the store that it had, where the addresses of dead processes still are.
    attempt = PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield World(rank, size, device, saving=dist.new_group(backend="gloo"))
    finally:
        dist.destroy_process_group()


class Replica:
    """A module that is ready to be trained in `world`, and its float32 parameters by name."""

    def __init__(
        self, module: nn.Module, parameters: dict[str, Tensor], masters: Masters | None, mesh: DeviceMesh | None
    ):
        self.module, self.parameters, self._masters = module, parameters, masters
        # The devices that hold the other parts of this copy of the weights.
        self._shards = mesh.get_group(mesh.ndim - 1) if mesh is not None else None

    def publish(self) -> None:
        """After the float32 parameters have changed: let the module compute with them."""
        if self._masters is not None:
            self._masters.publish()

    @torch.no_grad()
    def gradient_norm(self) -> float:
        """The 2-norm of the whole gradient, the same on every device; inf or nan if any part of it is."""
        gradients = [local(p.grad) for p in self.parameters.values() if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))  # pyright: ignore[reportPrivateImportUsage]
        squared = norms.square().sum()
        if self._shards is not None:
            dist.all_reduce(squared, group=self._shards)
        return squared.sqrt().item()

    @torch.no_grad()
    def scale_gradients(self, factor: float) -> None:
        gradients = [local(p.grad) for p in self.parameters.values() if p.grad is not None]
        torch._foreach_mul_(gradients, factor)  # pyright: ignore[reportPrivateImportUsage]

    def whole(self, name: str) -> Tensor:
        """One float32 parameter, gathered from all devices (all of them must ask)."""
        parameter = self.parameters[name].detach()
        return parameter.full_tensor() if isinstance(parameter, DTensor) else parameter


class Masters:
    """float32 parameters beside the low-precision ones that a module on a single device computes with.

    A gradient is added to its float32 sum as soon as it is complete, and its low-precision copy given back.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype):
        self.parameters: dict[str, Tensor] = {
            name: nn.Parameter(p.detach().clone()) for name, p in module.named_parameters()
        }
        self._copies = dict(module.named_parameters())
        for name, copy in self._copies.items():
            copy.data = copy.data.to(dtype)  # buffers stay float32
            copy.register_post_accumulate_grad_hook(partial(self._collect, self.parameters[name]))

    @staticmethod
    def _collect(master: Tensor, copy: Tensor) -> None:
        gradient, copy.grad = copy.grad, None
        if gradient is None:
            return
        if master.grad is None:
            master.grad = gradient.float()
        else:
            master.grad += gradient

    @torch.no_grad()
    def publish(self) -> None:
        copies: list[Tensor] = list(self._copies.values())
        masters = list(self.parameters.values())
        torch._foreach_copy_(copies, masters)  # pyright: ignore[reportPrivateImportUsage]


def place(
    config: ModelConfig,
    world: World,
    machine: Machine,
    dtype: torch.dtype,
    weight_of: Callable[[str, torch.Size], Tensor],
) -> Replica:
    """An objective around a model of this shape, ready for training; `weight_of` a name and a shape is the whole parameter.

    No process holds more of the model than its part and one whole parameter, unless `weight_of` does. Names stay as they are in
    the model.
    """
    with torch.device("meta"):
        model = Transformer(config)
        objective = Objective(model, machine.loss_chunk)
    wrap(model, machine)
    mesh = make_mesh(world.size, machine.shard_group, world.device.type) if world.size > 1 else None
    if mesh is not None:
        shard(objective, model, mesh, dtype)
    objective.to_empty(device=world.device)
    model.rebuild_positions(world.device)
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            whole = weight_of(name, parameter.shape)
            local(parameter).copy_(own_part(whole, parameter) if isinstance(parameter, DTensor) else whole)
    if mesh is not None or dtype is torch.float32:
        return Replica(objective, parameters, None, mesh)
    masters = Masters(model, dtype)
    return Replica(objective, masters.parameters, masters, None)


def wrap(model: Transformer, machine: Machine) -> None:
    """Recompute and compile each block: each wraps what the one before has made, and `shard` wraps both."""
    for block in blocks_of(model):
        if machine.recompute != "none":
            block.forward = partial(
                checkpoint, block.forward, use_reentrant=False, context_fn=CONTEXTS[machine.recompute]
            )
        if machine.compile:
            block.forward = torch.compile(block.forward)


def shard(objective: nn.Module, model: Transformer, mesh: DeviceMesh, dtype: torch.dtype) -> None:
    """FSDP2: a unit for each block, and one for the rest."""
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in blocks_of(model):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(objective, mesh=mesh, mp_policy=policy)


def make_mesh(size: int, group: int | None, device: str) -> DeviceMesh:
    """With `group` below the size, copies of the weights are kept on as many groups of devices (hybrid sharding)."""
    group = group or size
    if size % group:
        raise UserError(
            f"[machine] shard_group is {group}, which does not divide the {size} processes; choose one that does"
        )
    if group == size:
        return init_device_mesh(device, (size,), mesh_dim_names=("shard",))
    return init_device_mesh(device, (size // group, group), mesh_dim_names=("replicate", "shard"))


def accumulate(objective: nn.Module, last: bool) -> None:
    """Before each micro-batch's backward pass. Gradients are reduced in every one: to keep them whole until the last would take
    the memory that sharding has saved. FSDP2 only learns when to wait for the last reduction."""
    if isinstance(objective, FSDPModule):
        objective.set_is_last_backward(last)


def blocks_of(model: Transformer) -> Iterator[Block]:
    for block in model.layers:
        assert isinstance(block, Block)
        yield block


def local(tensor: Tensor) -> Tensor:
    """This device's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def own_part(whole: Tensor, sharded: DTensor) -> Tensor:
    """The rows of `whole` that this device holds of `sharded`, which FSDP2 cuts along its first dimension."""
    mesh = sharded.device_mesh
    parts = whole.chunk(mesh.size(mesh.ndim - 1))
    mine = mesh.get_local_rank(mesh.ndim - 1)
    return parts[mine] if mine < len(parts) else whole[:0]


# --- recomputation of activations -------------------------------------------------------------------------------


def _keep_narrow(context: Any, op: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    """Selective recomputation keeps attention and every product that is as wide as the model; what is computed again is
    the feed-forward's wide middle and what costs no matrix product."""
    if op in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
        weight = args[-1]  # (in, out)
        return CheckpointPolicy.MUST_SAVE if weight.shape[1] <= weight.shape[0] else CheckpointPolicy.PREFER_RECOMPUTE
    attention = "attention" in str(op)
    return CheckpointPolicy.MUST_SAVE if attention else CheckpointPolicy.PREFER_RECOMPUTE


CONTEXTS: dict[str, Callable[[], Any]] = {
    "full": noop_context_fn,
    "selective": partial(create_selective_checkpoint_contexts, _keep_narrow),
}
