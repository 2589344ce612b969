"""How fast batches are made and how much of them is padding, for each choice of rows, beside what training eats.

    python benchmarks/loader.py --shard DIR [--tokenizer FILE] [--context 512] [--batch-size 8] [--seconds 10]

Speeds are in thousands of tokens a second. Batches are made in one thread. Then a model trains on them with the loader in a
thread beside it, as `incoder train` has it: "waited" is the share of that time in which it had no batch. The choices take
turns, so read the ratios: the rest is this machine's. "filled" is how much of `context` a row has on average: the rest would
be padding if every row were as long as the context. Neighbours are left out where the shard does not know its packages.
"""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.table import Table

from incoder_model.causal_mask import SpanDistribution
from incoder_model.config import PRESETS
from incoder_model.tokenizer import Tokenizer, load_tokenizer
from incoder_model.transformer import Transformer, initialise
from incoder_train.tokens.batches import Batch, Samples, padding_waste
from incoder_train.tokens.prefetch import Prefetch
from incoder_train.tokens.shards import Shard, open_shard

ROUNDS = 2  # of taking turns
BATCHES = 500  # whose padding is counted


def opened(data: Shard, words: Tokenizer, rows: str, context: int, batch_size: int) -> tuple[Samples, float]:
    """The samples, and the seconds until their first batch was there."""
    started = time.perf_counter()
    samples = Samples(
        data,
        words,
        context=context,
        batch_size=batch_size,
        seed=1,
        spans=SpanDistribution(),
        editor_share=0.5,
        rows=rows,  # pyright: ignore[reportArgumentType]
        shrink=True,
    )
    samples.batch(0)
    return samples, time.perf_counter() - started


def make(samples: Samples, seen: int, seconds: float) -> tuple[int, float]:
    """Tokens of the batches that follow `seen` samples, and the seconds that they took."""
    tokens, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        tokens += samples.batch(seen).tokens
        seen += samples.batch_size
    return tokens, spent


def train(model: Transformer, samples: Samples, seen: int, seconds: float) -> tuple[int, float, float]:
    """Tokens learned, the seconds that it took and those spent waiting for a batch."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    with Prefetch(samples, seen) as batches:
        step(model, optimiser, next(batches))  # the first one prepares kernels and memory
        tokens, waited, started = 0, batches.waited, time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            batch = next(batches)
            step(model, optimiser, batch)
            tokens += batch.tokens
        return tokens, spent, batches.waited - waited


def step(model: Transformer, optimiser: torch.optim.Optimizer, batch: Batch) -> None:
    segments = None if batch.segments is None else torch.from_numpy(batch.segments)
    logits = model.logits(model(torch.from_numpy(batch.inputs), segments=segments))
    losses = F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten(), reduction="none")
    ((losses * torch.from_numpy(batch.weights).flatten()).sum() / batch.tokens).backward()
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def main(
    shard: Annotated[Path, typer.Option(help="a shard, or a folder of shards")],
    tokenizer: Annotated[Path | None, typer.Option(help="by default tokenizer.json beside the shard")] = None,
    context: Annotated[int, typer.Option()] = 512,
    batch_size: Annotated[int, typer.Option()] = 8,
    seconds: Annotated[float, typer.Option(help="for each choice: of making batches, and of training")] = 10.0,
    preset: Annotated[str, typer.Option(help="the model that eats")] = "small-8m",
) -> None:
    data, words = open_shard(shard), load_tokenizer(tokenizer or shard.parent / "tokenizer.json")
    config = dataclasses.replace(PRESETS[preset], vocab_size=words.vocab_size, context=context)
    table = Table(title=f"{shard.name}, context {context}, batches of {batch_size}; {preset} trains in float32")
    for column in ("rows", "count", "opened", "made, k/s", "padding", "filled", "trained, k/s", "waited"):
        table.add_column(column, justify="left" if column == "rows" else "right")
    known = ("blocks", "packed") if data.packages is None else ("blocks", "packed", "neighbours")
    choices = {rows: opened(data, words, rows, context, batch_size) for rows in known}
    made, eaten = {rows: [] for rows in choices}, {rows: [] for rows in choices}
    model = initialise(Transformer(config))
    for turn in range(ROUNDS):
        for rows, (samples, _) in choices.items():
            first = turn * 1000 * samples.batch_size
            made[rows].append(make(samples, first, seconds / ROUNDS))
            eaten[rows].append(train(model, samples, first, seconds / ROUNDS))
    for rows, (samples, spent) in choices.items():
        tokens, time_made = map(sum, zip(*made[rows], strict=True))
        learned, time_trained, waited = map(sum, zip(*eaten[rows], strict=True))
        batches = min(BATCHES, samples.epoch_samples // samples.batch_size)
        rows_seen = [samples.batch(i * samples.batch_size) for i in range(batches)]
        table.add_row(
            rows,
            f"{len(samples.rows):,}",
            f"{spent:.2f} s",
            f"{tokens / time_made / 1000:,.0f}",
            f"{padding_waste(samples, batches):.2%}",
            f"{sum(batch.tokens for batch in rows_seen) / (batches * samples.batch_size * context):.2%}",
            f"{learned / time_trained / 1000:,.2f}",
            f"{waited / time_trained:.2%}",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
