"""What a token costs on a GPU: the network step by step, recorded as a CUDA graph, and with its layers in int8.

    python benchmarks/gpu_decode.py                       1.3B and 6.7B on the GPU
    python benchmarks/gpu_decode.py --size tiny           what works of it without a GPU

Weights are random: speed does not ask what they are. Every row is the same network in the same run; `read` is the least that a
step must fetch from memory (weights, and the keys and values that it attends to), and `GB/s` what that makes of the time.
Where 6.7B in int8 is slower than in bf16, it is there for GPUs on which bf16 has no room.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from incoder_model.config import PRESETS, ModelConfig
from incoder_model.int8_linear import FEW, Int8Linear
from incoder_model.static_step import StaticStep
from incoder_model.transformer import KVCache, Transformer

ROUNDS = 5


def random_network(config: ModelConfig, dtype: torch.dtype, device: torch.device, *, int8: bool) -> Transformer:
    """Made on the device, layer by layer in int8 if it is to be so: 26 GB of float32 need not fit anywhere."""
    with torch.device("meta"):
        network = Transformer(config).to(dtype)
    if int8:
        for name, layer in list(network.named_modules()):
            if isinstance(layer, nn.Linear):
                weight = torch.randint(-127, 128, layer.weight.shape, dtype=torch.int8, device=device)
                scale = torch.full((weight.shape[0],), layer.in_features**-0.5 / 73, dtype=dtype, device=device)
                parent, _, last = name.rpartition(".")
                setattr(network.get_submodule(parent), last, Int8Linear(weight, scale, layer.bias))
    for name, parameter in list(network.named_parameters()):
        owner, _, last = name.rpartition(".")
        value = torch.empty(parameter.shape, dtype=dtype, device=device).normal_(std=parameter.shape[-1] ** -0.5)
        setattr(network.get_submodule(owner), last, nn.Parameter(value, requires_grad=False))
    network.rebuild_positions(device)
    return network.eval()


@torch.inference_mode()
def milliseconds(run: Callable[[], object], device: torch.device, times: int) -> float:
    """The median of ROUNDS, each the mean of `times` calls."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    rounds = []
    for _ in range(ROUNDS + 1):  # the first is not counted
        wait()
        started = time.perf_counter()
        for _ in range(times):
            run()
        wait()
        rounds.append((time.perf_counter() - started) * 1000 / times)
    return statistics.median(rounds[1:])


def measure(
    config: ModelConfig, kind: str, dtype: torch.dtype, device: torch.device, held: int
) -> list[dict[str, object]]:
    """Rows of one network: each way to step after `held` tokens, and reading `held` tokens at once."""
    network = random_network(config, dtype, device, int8=kind == "int8")
    cache = KVCache(config, dtype=dtype, device=device)
    prompt, token = torch.full((1, held), 100, device=device), torch.full((1, 1), 100, device=device)
    weights = sum(x.nbytes for x in (*network.layers.parameters(), *network.layers.buffers()))
    head = network.embed_tokens.weight.nbytes

    def at(length: int, run: Callable[[], object]) -> Callable[[], object]:
        def again() -> object:
            cache.length = length
            return run()

        return again

    def read(tokens: int) -> int:
        return weights + head + 2 * config.layers * tokens * config.d_model * cache.keys.itemsize

    def row(way: str, ms: float, tokens: int) -> dict[str, object]:
        size = read(tokens)
        return {
            "layers": kind,
            "what": way,
            "ms": round(ms, 3),
            "read MB": size >> 20,
            "GB/s": round(size / ms / 1e6, 1),
        }

    steps: dict[str, Callable[[], object]] = {
        "step by step": lambda: network.logits(network(token, cache)[0, -1]).argmax().item()
    }
    static = StaticStep(network, cache)
    steps["CUDA graph" if device.type == "cuda" else "static step"] = lambda: static(100).argmax().item()
    rows = [row(way, milliseconds(at(held, run), device, 20), held) for way, run in steps.items()]
    if kind == "int8":
        for layer in network.modules():
            if isinstance(layer, Int8Linear):
                layer.fused = False
        plain = StaticStep(network, cache)
        ms = milliseconds(at(held, lambda: plain(100).argmax().item()), device, 20)
        rows.append(row("the same, plain operations", ms, held))
    for time_ in (8, held):
        ms = milliseconds(
            at(0, lambda n=time_: network.logits(network(prompt[:, :n], cache)[0, -1]).argmax().item()), device, 3
        )
        rows.append(row(f"{time_} tokens at once", ms, time_))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", action="append", choices=PRESETS, help="by default incoder-1.3b and incoder-6.7b")
    parser.add_argument("--held", type=int, default=512, help="tokens that are held already")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not asked.size:
        sys.exit("torch finds no GPU here; say --size tiny to see that the rest works")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{name}, torch {torch.__version__}; int8 by torch's kernel for up to {FEW} tokens")
    dtype = torch.bfloat16
    table: list[dict[str, object]] = []
    for size in asked.size or ["incoder-1.3b", "incoder-6.7b"]:
        config = PRESETS[size]
        held = min(asked.held, config.context - 1)
        for kind in ("bf16", "int8"):
            rows = [{"size": size, "held": held, **one} for one in measure(config, kind, dtype, device, held)]
            table += rows
            for one in rows:
                print(
                    "  ".join(
                        f"{value!s:>{width}}"
                        for value, width in zip(one.values(), (13, 5, 5, 27, 9, 8, 8), strict=True)
                    )
                )
    if asked.json:
        asked.json.write_text(json.dumps({"device": name, "torch": torch.__version__, "rows": table}, indent=2) + "\n")


if __name__ == "__main__":
    main()
