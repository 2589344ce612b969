"""Training speed in bf16 against fp32, on this machine's CPU, in one run.

    python benchmarks/training_precision.py [--preset small-8m] [--seconds 30]

Whether bf16 pays depends on the processor: with instructions for it, it is several times faster; without, many times slower.
`incoder train` with precision = "auto" decides by a short measurement of its own, which this prints, too.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Annotated

import numpy as np
import torch
import typer

from incoder_model.config import PRESETS
from incoder_model.transformer import Transformer, initialise
from incoder_train.tokens.batches import Batch
from incoder_train.training.loop import bf16_is_faster, keep_freed_memory, train_step
from incoder_train.training.optimiser import make_optimisers
from incoder_train.training.recipe import Optimiser


def tokens_per_second(preset: str, bf16: bool, seconds: float) -> float:
    """The best step of as many as fit in `seconds`, at least two."""
    config = PRESETS[preset]
    model = initialise(Transformer(config))
    optimisers = make_optimisers(model, Optimiser())
    ids = np.random.default_rng(0).integers(3, config.vocab_size, (1, 256))
    batch = Batch(ids, ids, np.ones_like(ids, dtype=np.float32))
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        autocast = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()
        started = time.perf_counter()
        train_step(model, optimisers, batch, 1e-4, 1.0, autocast)
        times.append(time.perf_counter() - started)
    return ids.size / min(times)


def main(preset: Annotated[str, typer.Option()] = "small-8m", seconds: Annotated[float, typer.Option()] = 30.0) -> None:
    keep_freed_memory()
    fp32 = tokens_per_second(preset, False, seconds)
    print(f"{preset}, one sequence of 256, {torch.get_num_threads()} threads: fp32 {fp32:,.0f} tokens/s")
    print(f'"auto" would choose {"bf16" if bf16_is_faster() else "fp32"}')
    bf16 = tokens_per_second(preset, True, seconds)
    print(f"bf16 {bf16:,.0f} tokens/s, {bf16 / fp32:.2f}x fp32")


if __name__ == "__main__":
    typer.run(main)
