"""A recipe and the GPUs it would run on go in; a Plan comes out: size, work, memory, time, disk.

What is exact is said to be exact (parameters, FLOPs, bytes on disk). Memory is within a tenth of a trace, and a trace within
a tenth of the GPU. Time rests on the share of the peak that is reached: a published figure for that GPU, which a run on your
own may miss by half, or the one you measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from incoder_model.config import PRESETS, ModelConfig
from incoder_model.tokenizer import TokenizerError, load_tokenizer
from incoder_train.errors import UserError
from incoder_train.plan.arithmetic import SECONDS_A_DAY, Flops, flops_of_token, flops_per_token, rate
from incoder_train.plan.memory import BYTES, GIB, Memory, memory, state_bytes
from incoder_train.plan.network import Cluster, communication_seconds
from incoder_train.training.hardware import Gpu
from incoder_train.training.recipe import Recipe

PRIOR, MEASURED = (0.7, 1.5), (0.9, 1.1)  # time, as factors, without and with a measured share of the peak
ADAMW_TRAFFIC = 28  # bytes read and written for each parameter by an update: weight, gradient, two moments
MOST_ROWS = 4096  # a micro-batch beyond this is of no use


@dataclass(frozen=True)
class Time:
    hfu: float  # of the peak, while computing
    measured: bool  # that share is the user's, not a published one
    compute: float  # seconds of one update
    communication: float  # seconds of one update, before any of it is hidden behind the compute
    exposed: float  # seconds that nothing hides: the first gather, the last scatter, the optimiser
    days: float

    @property
    def update(self) -> float:
        return max(self.compute, self.communication) + self.exposed

    @property
    def range(self) -> tuple[float, float]:
        return MEASURED if self.measured else PRIOR


@dataclass(frozen=True)
class Deadline:
    """What finishing in so many days would ask of the GPUs."""

    days: float
    rate: float  # tokens a second on each GPU
    mfu: float
    hfu: float


@dataclass(frozen=True)
class Disk:
    checkpoint: int  # bytes: fp32 weights and the optimiser's state
    weights: int
    checkpoints: int  # how many are written
    kept: int
    data: int  # bytes of token shards for one pass


@dataclass(frozen=True)
class Plan:
    recipe: Recipe
    config: ModelConfig
    gpu: Gpu | None
    cluster: Cluster
    tokens: float
    updates: float
    timed: bool  # the recipe's minutes end the run, so what is estimated is how many tokens they make
    micro_batch: int
    micro_steps: int
    shard_group: int
    precision: str
    flops: Flops  # of the whole run
    memory: Memory
    whole_logits: Memory
    traced: float | None  # bytes, by tracing, what `memory` calls traced
    largest_micro_batch: int | None
    time: Time | None  # None where the GPU's speed is not known
    deadline: Deadline | None
    disk: Disk

    @property
    def tokens_an_update(self) -> int:
        return self.recipe.run.batch_size * self.config.context

    @property
    def rate(self) -> float | None:
        """Tokens a second on each GPU."""
        return rate(self.tokens, self.cluster.gpus, self.time.days) if self.time else None

    @property
    def gpu_hours(self) -> float | None:
        return self.time.days * 24 * self.cluster.gpus if self.time else None


def make_plan(
    recipe: Recipe,
    *,
    gpu: Gpu | None = None,
    gpus: int = 1,
    gpus_per_node: int = 8,
    net: float | None = None,
    hfu: float | None = None,
    tokens: float | None = None,
    days: float | None = None,
    traced: bool = False,
) -> Plan:
    """`net` is bytes a second out of a node, `hfu` a measured share of the peak, `tokens` instead of what the recipe says.

    The data need not exist. Raises UserError when something is missing to say what was asked."""
    machine, batch = recipe.machine, recipe.run.batch_size
    config = recipe.model_config(vocabulary(recipe))
    cluster = Cluster(gpus, gpus_per_node, net, gpu.link * 1e9 if gpu else math.inf)
    shard_group = machine.shard_group or gpus
    _check(recipe, cluster, shard_group)
    share = math.ceil(batch / gpus)
    micro_batch = min(machine.micro_batch or share, share)
    micro_steps = math.ceil(share / micro_batch)
    precision = _precision(recipe, gpu)

    def memory_of(rows: int, loss_chunk: int | None) -> Memory:
        return memory(
            config,
            rows=rows,
            shard_group=shard_group,
            precision=precision,
            recompute=machine.recompute,
            loss_chunk=loss_chunk,
            optimiser=recipe.optimiser.kind,
            accumulates=micro_steps > 1,
            packed=recipe.data.rows == "packed",
        )

    of_model, of_hardware = flops_per_token(config, config.context, machine.recompute)
    updates, time, timed = recipe.run.steps, None, False
    if gpu:
        padded = micro_batch * micro_steps * config.context  # tokens of one GPU in one update
        reached = hfu or gpu.hfu
        communication = communication_seconds(
            config.parameters,
            cluster,
            shard_group=shard_group,
            micro_steps=micro_steps,
            weight_bytes=BYTES[precision],
        )
        optimiser = ADAMW_TRAFFIC * config.parameters / shard_group / (gpu.bandwidth * 1e9)
        time = Time(
            reached,
            hfu is not None,
            compute=of_hardware * padded / (gpu.peak(precision) * reached),
            communication=communication,
            exposed=communication / (config.layers + 1) + optimiser,
            days=0.0,
        )
    if tokens is not None:
        updates = tokens / (batch * config.context)
    elif recipe.run.minutes is not None:
        if time is None:
            raise UserError(
                f"recipe {recipe.name} ends after {recipe.run.minutes:g} minutes, and how many tokens that makes is not known "
                "without --gpu; say that, or --tokens"
            )
        in_time = recipe.run.minutes * 60 / time.update
        timed = updates is None or in_time < updates
        updates = in_time if timed else updates
    assert updates is not None  # a recipe has steps or minutes
    total = updates * batch * config.context
    if time:
        time = replace(time, days=updates * time.update / SECONDS_A_DAY)

    plan = Plan(
        recipe,
        config,
        gpu,
        cluster,
        total,
        updates,
        timed,
        micro_batch,
        micro_steps,
        shard_group,
        precision,
        flops_of_token(config, config.context, machine.recompute) * total,
        memory_of(micro_batch, machine.loss_chunk),
        memory_of(micro_batch, None),
        traced=None,
        largest_micro_batch=_largest(lambda rows: memory_of(rows, machine.loss_chunk), gpu),
        time=time,
        deadline=_deadline(of_model, of_hardware, total, gpus, days, gpu, precision),
        disk=_disk(recipe, config, updates, total),
    )
    if traced:
        from incoder_train.plan.trace import trace

        found = trace(
            config,
            micro_batch=micro_batch,
            world=shard_group,
            precision=precision,
            recompute=machine.recompute,
            loss_chunk=machine.loss_chunk,
        )
        plan = replace(plan, traced=float(found.total))
    return plan


def vocabulary(recipe: Recipe) -> int:
    """Tokens in the recipe's vocabulary: of its tokenizer, if that is there already, else of its model's preset."""
    path = recipe.data.tokenizer
    if not path.exists():
        return PRESETS[recipe.model].vocab_size
    try:
        return load_tokenizer(path).vocab_size
    except TokenizerError as error:
        raise UserError(f"recipe {recipe.name}: {error}") from None


def _check(recipe: Recipe, cluster: Cluster, shard_group: int) -> None:
    gpus = cluster.gpus
    rules = [
        (gpus % shard_group == 0, f"shard_group is {shard_group}, which does not divide {gpus} GPUs"),
        (
            recipe.run.batch_size >= gpus,
            f"batch_size is {recipe.run.batch_size}, less than one row for each of {gpus} GPUs",
        ),
        (
            cluster.nodes == 1 or cluster.node_link is not None,
            f"{gpus} GPUs in nodes of {cluster.gpus_per_node} need a network; say how fast it is, such as --net 100Gb",
        ),
    ]
    for holds, wrong in rules:
        if not holds:
            raise UserError(f"recipe {recipe.name}: {wrong}")


def _precision(recipe: Recipe, gpu: Gpu | None) -> str:
    if recipe.machine.precision != "auto":
        return recipe.machine.precision
    return "fp16" if gpu and gpu.sm < (8, 0) else "bf16"


def _largest(memory_of: Callable[[int], Memory], gpu: Gpu | None) -> int | None:
    """The most rows at a time that fit; 0 when not even one does."""
    if gpu is None:
        return None
    fits = (rows for rows in range(MOST_ROWS, 0, -1) if memory_of(rows).total <= gpu.memory * GIB)
    return next(fits, 0)


def _deadline(
    of_model: float, of_hardware: float, tokens: float, gpus: int, days: float | None, gpu: Gpu | None, precision: str
) -> Deadline | None:
    if days is None:
        return None
    if gpu is None:
        raise UserError("what --days asks of a GPU is not known without --gpu")
    each = rate(tokens, gpus, days)
    share = each / gpu.peak(precision)
    return Deadline(days, each, mfu=share * of_model, hfu=share * of_hardware)


def _disk(recipe: Recipe, config: ModelConfig, updates: float, tokens: float) -> Disk:
    weights = 4 * config.parameters
    written = math.ceil(updates / recipe.run.checkpoint_every)
    return Disk(
        checkpoint=weights + round(state_bytes(config, recipe.optimiser.kind)),
        weights=weights,
        checkpoints=written,
        kept=min(written, recipe.run.keep_checkpoints),
        data=round(tokens * (2 if config.vocab_size <= 1 << 16 else 4)),
    )
