"""`incoder plan`: what a run will take, before it is paid for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from incoder_train.cli.common import need, one_sentence

if TYPE_CHECKING:
    from incoder_train.plan.plan import Plan


def plan(
    recipe: Annotated[
        Path, typer.Argument(help="A TOML file, or the name of a recipe that comes along; its data need not exist.")
    ],
    gpu: Annotated[
        str | None, typer.Option(help="Such as v100-32g, a100-80g, h100; without it no time is given.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="How many in all.")] = 1,
    gpus_per_node: Annotated[int, typer.Option(min=1)] = 8,
    net: Annotated[str | None, typer.Option(help="The link of one node, such as 100Gb or 4x100Gb.")] = None,
    hfu: Annotated[
        float | None, typer.Option(min=0.001, max=1, help="The share of the peak that you measured, such as 0.30.")
    ] = None,
    tokens: Annotated[float | None, typer.Option(min=1, help="Of the whole run, instead of the recipe's.")] = None,
    days: Annotated[float | None, typer.Option(min=0.001, help="Say what finishing in so many days asks for.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Trace the memory, too: a minute or so.")] = False,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the plan to this file as well.")] = None,
) -> None:
    """Plan a run: parameters, FLOPs, memory, time, disk."""
    with one_sentence():
        from incoder_train.plan.network import read_speed
        from incoder_train.plan.plan import make_plan
        from incoder_train.training import hardware
        from incoder_train.training.recipe import read_recipe

        if trace:
            need("torch")
        console = Console()
        with console.status("tracing" if trace else "planning"):
            found = make_plan(
                read_recipe(recipe),
                gpu=hardware.gpu(gpu) if gpu else None,
                gpus=gpus,
                gpus_per_node=gpus_per_node,
                net=read_speed(net) if net else None,
                hfu=hfu,
                tokens=tokens,
                days=days,
                traced=trace,
            )
        if json_out:
            write_json(found, json_out)
        show(found, console)


def show(plan: Plan, console: Console) -> None:
    """One table, a row for each figure: what, how much, and how sure or by what count."""
    from incoder_train.plan.warnings import warnings

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for heading, rows in sections(plan):
        table.add_row(heading, style="cyan")
        for what, value, note in rows:
            table.add_row(f"  {what}", value, note)
    console.print(table, highlight=False)
    for warning in warnings(plan):
        console.print(Text.assemble(("warning: ", "yellow"), warning), soft_wrap=not console.is_terminal)


Rows = list[tuple[str, str, str]]


def sections(plan: Plan) -> Iterator[tuple[str, Rows]]:
    machine, cluster = plan.recipe.machine, plan.cluster
    where = f"{cluster.gpus} x {plan.gpu.key}" if plan.gpu else f"{cluster.gpus} devices of unknown speed"
    yield f"{plan.recipe.name} on {where}", []
    yield (
        "Work",
        [
            (
                "parameters",
                f"{plan.config.parameters:,}",
                f"exact; {plan.recipe.model}, vocabulary {plan.config.vocab_size:,}",
            ),
            ("tokens", big(plan.tokens), _tokens(plan)),
            (
                "updates",
                f"{plan.updates:,.0f}",
                f"of {plan.tokens_an_update:,} tokens, {plan.recipe.run.batch_size:,} rows",
            ),
            ("FLOPs, 6ND", f"{plan.flops.six_nd:.3g}", "exact"),
            ("FLOPs, with attention", f"{plan.flops.with_attention:.3g}", "exact; what MFU counts"),
            (
                "FLOPs, with recompute",
                f"{plan.flops.with_recompute:.3g}",
                f"recompute = {machine.recompute}",
            ),
        ],
    )
    yield "Memory of a GPU, at its peak", list(_memory(plan))
    if plan.time:
        yield "Time", list(_time(plan))
    if plan.deadline:
        asked = plan.deadline
        yield (
            f"To finish in {asked.days:g} days",
            [
                ("tokens/s a GPU", f"{asked.rate:,.0f}", ""),
                ("MFU, HFU", f"{asked.mfu:.1%}, {asked.hfu:.1%}", "of the peak"),
            ],
        )
    disk = plan.disk
    yield (
        "Disk",
        [
            ("a checkpoint", size(disk.checkpoint), f"weights {size(disk.weights)}, the rest is the optimiser's"),
            ("checkpoints", size(disk.kept * disk.checkpoint), f"{disk.kept} kept of {disk.checkpoints:,}"),
            ("data", size(disk.data), "token shards, each token once"),
        ],
    )


def _memory(plan: Plan) -> Iterator[tuple[str, str, str]]:
    found = plan.memory
    working = "one piece of the logits" if found.moment == "loss" else "one block, backwards"
    held = found.parameters + found.gradients + found.optimiser
    yield "weights and optimiser", gib(held), f"with gradients, fp32, a share of 1/{plan.shard_group}"
    yield "gathered", gib(found.gathered), f"{plan.precision}, units at work and their buffers"
    yield (
        "activations kept",
        gib(found.kept),
        f"{plan.micro_batch} rows at a time, recompute = {plan.recipe.machine.recompute}",
    )
    yield "activations at work", gib(found.working), working
    yield "context", gib(found.context), "CUDA, NCCL, the allocator"
    yield (
        "total",
        gib(found.total),
        f"within 10 %; peak at {found.moment}" + (f"; has {plan.gpu.memory:g}" if plan.gpu else ""),
    )
    yield (
        "with whole logits",
        gib(plan.whole_logits.total),
        f"instead of {plan.recipe.machine.loss_chunk:,} tokens at a time",
    )
    if plan.traced is not None:
        off = found.traced / plan.traced - 1
        yield (
            "traced",
            gib(plan.traced),
            f"without optimiser and context; the formula says {gib(found.traced)}, {off:+.1%}",
        )
    if plan.largest_micro_batch is not None:
        yield "largest micro-batch", f"{plan.largest_micro_batch}", "rows at a time that fit"


def _time(plan: Plan) -> Iterator[tuple[str, str, str]]:
    time = plan.time
    assert time and plan.gpu and plan.rate and plan.gpu_hours
    low, high = time.range
    source = "measured" if time.measured else "published; measure yours, say --hfu"
    reached = time.compute / time.update
    yield "HFU while computing", f"{time.hfu:.0%}", f"of {plan.gpu.peak(plan.precision) / 1e12:,.0f} TFLOP/s; {source}"
    yield "compute", seconds(time.compute), f"an update, {plan.micro_steps} x {plan.micro_batch} rows on a GPU"
    yield "communication", seconds(time.communication), "an update, most of it while computing"
    yield "exposed", seconds(time.exposed), "first gather, last scatter, optimiser"
    yield "an update", seconds(time.update), spread(low * time.update, high * time.update, seconds)
    yield (
        "tokens/s a GPU",
        f"{plan.rate:,.0f}",
        f"{plan.rate * plan.cluster.gpus:,.0f} in all; HFU {time.hfu * reached:.1%}",
    )
    if plan.timed:
        low = high = 1  # the recipe says how long; what is uncertain is how far it comes
    yield "the whole run", duration(time.days), spread(low * time.days, high * time.days, duration)
    yield "GPU-hours", hours(plan.gpu_hours), spread(low * plan.gpu_hours, high * plan.gpu_hours, hours)


def _tokens(plan: Plan) -> str:
    if not (plan.timed and plan.time):
        return "if every row is full"
    low, high = plan.time.range
    return spread(plan.tokens / high, plan.tokens / low, big) + " in the recipe's minutes"


def spread(low: float, high: float, text: Callable[[float], str]) -> str:
    return f"{text(low)} to {text(high)}" if low < high else "as the recipe says"


def gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"


def size(size: float) -> str:
    return (
        f"{size / 1e12:,.1f} TB"
        if size >= 1e12
        else f"{size / 1e9:,.1f} GB"
        if size >= 1e9
        else f"{size / 1e6:,.1f} MB"
    )


def seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def duration(days: float) -> str:
    return next(
        f"{days * parts:.{digits}f} {name}"
        for name, parts, digits in (("days", 1, 1), ("hours", 24, 1), ("minutes", 1440, 0))
        if days * parts >= 2 or name == "minutes"
    )


def hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def big(value: float) -> str:
    return next(
        f"{value / unit:.4g} {name}" for name, unit in (("B", 1e9), ("M", 1e6), ("", 1)) if value >= unit or unit == 1
    )


def write_json(plan: Plan, path: Path) -> None:
    from incoder_train.plan.warnings import warnings

    values: dict[str, Any] = asdict(plan)
    values["warnings"] = warnings(plan)
    values |= {"rate": plan.rate, "gpu_hours": plan.gpu_hours, "tokens_an_update": plan.tokens_an_update}
    values["memory"] |= {"total": plan.memory.total, "traced": plan.memory.traced}
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(json.dumps(values, indent=2, default=str) + "\n", encoding="utf-8")
    unfinished.replace(path)
