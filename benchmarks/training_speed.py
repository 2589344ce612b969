"""What a training step costs: ours, ours in fp32, and the same network in transformers at its best.

    python benchmarks/training_speed.py [--preset small-30m] [--batch 4] [--time 1024] [--threads 2] [--device cpu] [--json]

Every contender trains the same shape on the same batch with the same AdamW and clipping, in a process of its own, and they
take turns step by step. Read the ratios: the tokens per second are this machine's. On a busy machine the wall clock lies; the
processor time of one thread (--threads 1) does not. transformers has the environment in which it is fastest on a CPU, where
its defaults lose half of the time to the allocator. Its XGLM, our architecture, has eager attention only, so its OPT runs
beside it: the same shape but for learned positions, and with torch's fused attention. On a GPU, ours is also compiled, block
by block, and the share of the GPU's peak is shown.

The row in fp32 answers whether bf16 pays on this processor: with instructions for it, it is several times faster; without,
many times slower.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn
from turns import FOR_TRANSFORMERS, Worker, answer, take_turns

from incoder_model.config import PRESETS, ModelConfig
from incoder_model.transformer import initial_weight
from incoder_model.xglm import xglm_config
from incoder_train.plan.arithmetic import flops_of_token
from incoder_train.tokens.batches import Batch
from incoder_train.training.guard import Guard
from incoder_train.training.hardware import peak_flops
from incoder_train.training.optimiser import make_optimisers
from incoder_train.training.parallel import World, place
from incoder_train.training.precision import keep_freed_memory
from incoder_train.training.recipe import Machine, Optimiser
from incoder_train.training.update import Trainee, update

Step = Callable[[], object]


def our_step(
    config: ModelConfig, batch: Batch, device: torch.device, dtype: torch.dtype, compiled: bool = False
) -> Step:
    """What `incoder train` does for a batch, the guard and the copy to the device included."""
    keep_freed_memory()
    world = World(0, 1, device)
    machine = Machine(compile=compiled)
    replica = place(config, world, machine, dtype, lambda name, shape: initial_weight(name, shape, config))
    replica.module.train()
    trainee = Trainee(replica, make_optimisers(replica.parameters, Optimiser(), dtype), Guard(6.0), None)
    return lambda: update(trainee, batch, world, tokens=batch.targets.size, micro_batch=None, lr=1e-4, clip=1.0)


def their_step(model: nn.Module, batch: Batch, device: torch.device, autocast: bool = False) -> Step:
    """The same for a model of transformers: half-precision copies of float32 weights as we have them, or autocast."""
    model.to(device).train()
    weights = list(model.parameters())
    masters = weights
    if not autocast:
        masters = [nn.Parameter(weight.detach().clone()) for weight in weights]
        model.to(torch.bfloat16)
    optimiser = torch.optim.AdamW(masters, lr=1e-4, fused=True)

    def step() -> None:
        inputs, targets = (torch.from_numpy(ids).to(device) for ids in (batch.inputs, batch.targets))
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            loss = model(input_ids=inputs, labels=targets).loss
        loss.backward()
        if not autocast:
            for master, weight in zip(masters, weights, strict=True):
                master.grad = None if weight.grad is None else weight.grad.float()
                weight.grad = None
        nn.utils.clip_grad_norm_(masters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if not autocast:
            with torch.no_grad():
                torch._foreach_copy_(weights, masters)

    return step


def xglm(config: ModelConfig) -> nn.Module:
    from transformers import XGLMConfig, XGLMForCausalLM

    undropped = dataclasses.replace(config, dropout=0.0, attention_dropout=0.0)
    return XGLMForCausalLM(XGLMConfig.from_dict(xglm_config(undropped) | {"use_cache": False}))


def opt(config: ModelConfig) -> nn.Module:
    from transformers import OPTConfig, OPTForCausalLM

    shape = OPTConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.d_model,
        word_embed_proj_dim=config.d_model,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        ffn_dim=config.d_ffn,
        max_position_embeddings=config.context,
        activation_function="gelu",
        dropout=0.0,
        attention_dropout=0.0,
        use_cache=False,
        attn_implementation="sdpa",
    )
    return OPTForCausalLM(shape)


@dataclass(frozen=True)
class Contender:
    prepare: Callable[[ModelConfig, Batch, torch.device], Step]
    peer: bool = False
    devices: tuple[str, ...] = ("cpu", "cuda")


CONTENDERS = {
    "ours": Contender(lambda *given: our_step(*given, torch.bfloat16)),
    "ours, compiled": Contender(lambda *given: our_step(*given, torch.bfloat16, compiled=True), devices=("cuda",)),
    "ours, fp32": Contender(lambda *given: our_step(*given, torch.float32)),
    "transformers XGLM": Contender(lambda config, *given: their_step(xglm(config), *given), peer=True),
    "transformers XGLM, autocast": Contender(
        lambda config, *given: their_step(xglm(config), *given, autocast=True), peer=True
    ),
    "transformers OPT, sdpa": Contender(lambda config, *given: their_step(opt(config), *given), peer=True),
}


def main(
    preset: Annotated[str, typer.Option(help=", ".join(PRESETS))] = "small-30m",
    batch: Annotated[int, typer.Option(min=1, help="Sequences in a step.")] = 4,
    time_: Annotated[int, typer.Option("--time", min=2, help="Tokens in a sequence.")] = 1024,
    rounds: Annotated[int, typer.Option(min=1, help="Steps that count; two come before.")] = 5,
    threads: Annotated[int, typer.Option(min=1)] = os.cpu_count() or 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    only: Annotated[list[str] | None, typer.Option(help="A contender; may be repeated. By default all.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    worker: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    config = dataclasses.replace(PRESETS[preset], context=time_, dropout=0.0, attention_dropout=0.0)
    if worker:
        work(CONTENDERS[worker], config, batch, torch.device(device))
        return
    names = only or [name for name, contender in CONTENDERS.items() if device in contender.devices]
    if unknown := [name for name in names if name not in CONTENDERS]:
        raise SystemExit(f"there is no contender {unknown[0]!r}; there are {', '.join(map(repr, CONTENDERS))}")
    arguments = [f"--preset={preset}", f"--batch={batch}", f"--time={time_}", f"--device={device}"]
    times = in_turns(names, arguments, rounds, threads)
    tokens = batch * time_
    result = {
        "preset": preset,
        "parameters": config.parameters,
        "batch": batch,
        "time": time_,
        "threads": threads,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "contenders": {name: summary(rows, times[names[0]], tokens, config) for name, rows in times.items()},
    }
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        show(result, device)


def in_turns(names: Iterable[str], arguments: list[str], rounds: int, threads: int) -> dict[str, list[list[float]]]:
    """For each contender and round the seconds of a step: by the wall clock and of the processor."""
    workers: dict[str, Worker] = {}
    try:
        for name in names:
            environment = {"OMP_NUM_THREADS": str(threads), **(FOR_TRANSFORMERS if CONTENDERS[name].peer else {})}
            workers[name] = Worker([sys.executable, __file__, *arguments, f"--worker={name}"], environment)
        answers = take_turns(workers, {"a step": None}, rounds, warm_ups=2)
        return {name: told["a step"] for name, told in answers.items()}
    finally:
        for worker in workers.values():
            worker.close()


def work(contender: Contender, config: ModelConfig, rows: int, device: torch.device) -> None:
    """In a process of its own: a step for every question that comes in, and its seconds go out."""
    torch.manual_seed(0)
    ids = np.random.default_rng(0).integers(3, config.vocab_size, (rows, config.context + 1))
    inputs, targets = ids[:, :-1].copy(), ids[:, 1:].copy()
    step = contender.prepare(config, Batch(inputs, targets, np.ones_like(targets, np.float32)), device)

    def timed(_: None) -> tuple[float, float]:
        wall, processor = time.perf_counter(), time.process_time()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - wall, time.process_time() - processor

    answer(timed)


def summary(times: list[list[float]], first: list[list[float]], tokens: int, config: ModelConfig) -> dict[str, float]:
    """The best step of all is the one that other work disturbed least; the ratio of medians is there to check it by."""
    (wall, processor), (base_wall, base_processor) = (list(zip(*rows, strict=True)) for rows in (times, first))
    return {
        "tokens_per_second": tokens / min(wall),
        "tokens_per_second_median": tokens / statistics.median(wall),
        "tokens_per_processor_second": tokens / min(processor),
        "flops": flops_of_token(config, config.context, "none").with_attention * tokens / min(wall),
        "speed_of_first": min(wall) / min(base_wall),
        "speed_of_first_median": statistics.median(wall) / statistics.median(base_wall),
        "speed_of_first_processor": min(processor) / min(base_processor),
    }


def show(result: dict, device: str) -> None:
    peak = peak_flops(result["device"], "bf16")
    table = Table(
        "contender",
        "tokens/s, best",
        "median",
        "per processor second",
        "first is faster by: best",
        "median",
        "processor",
        "of the peak",
        title=f"{result['preset']}, {result['parameters']:,} parameters, {result['batch']} sequences of {result['time']}, "
        f"{result['device']}" + (f", {result['threads']} thread(s)" if device == "cpu" else ""),
    )
    for name, row in result["contenders"].items():
        table.add_row(
            name,
            *(f"{row[f'tokens_per_{key}']:,.0f}" for key in ("second", "second_median", "processor_second")),
            *(f"{row[f'speed_of_first{key}']:.2f}x" for key in ("", "_median", "_processor")),
            f"{row['flops'] / peak:.1%}" if peak else f"unknown; {row['flops'] / 1e9:,.0f} GFLOP/s",
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    typer.run(main)
