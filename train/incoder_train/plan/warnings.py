"""What to beware of in a plan: a Plan goes in, sentences come out, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from incoder_train.plan.memory import GIB
from incoder_train.plan.plan import Plan
from incoder_train.training.hardware import remedy

SMALL = 500_000_000  # parameters; the published shares of the peak are of models of 1.3B and more


def warnings(plan: Plan) -> list[str]:
    return [*_of_batch(plan), *_of_time(plan), *_of_memory(plan), *_of_gpu(plan)]


def _of_batch(plan: Plan) -> Iterator[str]:
    batch, gpus, steps = plan.recipe.run.batch_size, plan.cluster.gpus, plan.recipe.run.steps
    if batch % gpus:
        yield f"batch_size {batch} does not divide by {gpus} GPUs: some wait while others compute one more row"
    elif (batch // gpus) % plan.micro_batch:
        yield f"a GPU's {batch // gpus} rows do not divide into micro-batches of {plan.micro_batch}: the last one is smaller"
    if plan.recipe.data.rows == "blocks" and steps and plan.updates < 0.95 * steps:
        yield (
            f"the recipe's {steps:,} updates see these tokens only if a row holds {plan.tokens / (steps * batch):,.0f} of its "
            f"{plan.config.context:,} on average; times here are for full rows"
        )


def _of_time(plan: Plan) -> Iterator[str]:
    time = plan.time
    if time is None:
        return
    if time.communication > time.compute:
        yield (
            f"bound by communication: {time.communication:.1f} s on the wire for {time.compute:.1f} s of compute an update; "
            "a larger micro_batch, a larger batch_size or a faster network helps"
        )
    if plan.micro_steps > 1 and plan.shard_group > 1:
        cost = time.communication * (1 - 1 / plan.micro_steps)
        yield (
            f"{plan.micro_steps} micro-batches an update gather all weights {plan.micro_steps} times: up to {cost:.1f} s more "
            "on the wire than one micro-batch, if it fits"
        )
    if not time.measured and plan.config.parameters < SMALL:
        yield "a model this small reaches less of the peak than the large ones that the figure is from; measure, say --hfu"


def _of_memory(plan: Plan) -> Iterator[str]:
    used = plan.memory.total / GIB / plan.gpu.memory if plan.gpu else 0
    if used > 1 and plan.largest_micro_batch:
        yield f"it does not fit into memory; say micro_batch = {plan.largest_micro_batch}, the most that does"
    elif used > 1:
        yield "not even one row at a time fits into memory; recompute = 'full', more GPUs or a smaller model may"
    elif used > 0.9:
        yield f"memory is tight: {used:.0%} of the GPU, and the estimate may be wrong by a tenth"


def _of_gpu(plan: Plan) -> Iterator[str]:
    gpu = plan.gpu
    if gpu is None:
        return
    if plan.precision == "bf16" and gpu.sm < (8, 0):
        yield f"a {gpu.key} has no bf16; say precision = 'fp16'"
    if gpu.sm < (7, 5):
        yield f"PyTorch's usual wheels have no code for a {gpu.key} (sm_{gpu.sm[0]}{gpu.sm[1]}): {remedy(gpu.sm)}"
    if plan.recipe.machine.compile and gpu.sm < (8, 0):
        yield f"torch.compile has no use of a {gpu.key}'s tensor cores; say compile = false"
