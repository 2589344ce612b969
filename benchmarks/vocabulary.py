"""How large a vocabulary a small model should have: bits per byte against milliseconds per character.

    python benchmarks/vocabulary.py CORPUS [--size 4096 --size 8192 --size 16384] [--preset small-2m] [--steps 300] [--out DIR]

CORPUS is a folder that `incoder data build` made. A larger vocabulary reads more bytes in a window and writes more with each
token, but its rows are most of a small model's weights, and each is seen less often. All models get the same arithmetic: --steps
updates at the first size, fewer where a token costs more. What is finished in --out is not done again.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from incoder_model.config import PRESETS
from incoder_model.loading import load_model
from incoder_model.tokenizer import BOS
from incoder_train.training.metrics import read_metrics

RECIPE = """
name = "vocabulary-{size}"
model = "{preset}"
[data]
train = "{data}/train"
validation = "{data}/validation"
tokenizer = "{data}/tokenizer.json"
context = 512
[optimiser]
kind = "muon"
lr = 3e-3
warmup_steps = 60
[run]
batch_size = 8
steps = {steps}
checkpoint_every = {steps}
validation_batches = 32
"""
PROMPT, TOKENS = 256, 64  # read, and written one by one


def incoder(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "incoder_train", *map(str, arguments)], check=True)


def cost(preset: str, size: int) -> int:
    """Parameters that a token is multiplied with: those of the blocks, and the head's."""
    return dataclasses.replace(PRESETS[preset], vocab_size=size).parameters


def trained(corpus: Path, preset: str, size: int, steps: int, out: Path) -> Path:
    checkpoint = out / "run" / f"step-{steps:08d}"
    if not checkpoint.exists():
        out.mkdir(parents=True, exist_ok=True)
        tokenizer = out / "tokenizer.json"
        incoder("tokenizer", "train", corpus, "--vocab-size", size, "--out", tokenizer)
        incoder("data", "shard", corpus, "--tokenizer", tokenizer, "--out", out)
        recipe = out / "recipe.toml"
        recipe.write_text(RECIPE.format(size=size, preset=preset, data=out.absolute(), steps=steps))
        incoder("train", recipe, "--out", out / "run")
    return checkpoint


def milliseconds_per_token(checkpoint: Path) -> float:
    engine = load_model(checkpoint).engine
    engine.prefill([BOS, *range(300, 300 + PROMPT - 1)])
    times = []
    for token in range(300, 300 + TOKENS):
        started = time.perf_counter()
        engine.step(token)
        times.append(time.perf_counter() - started)
    return median(times) * 1000


def main(
    corpus: Path,
    size: Annotated[list[int] | None, typer.Option()] = None,
    preset: Annotated[str, typer.Option()] = "small-2m",
    steps: Annotated[int, typer.Option(help="Updates at the first size.")] = 300,
    out: Annotated[Path, typer.Option()] = Path("runs/vocabulary"),
) -> None:
    sizes = size or [4096, 8192, 16384]
    table = Table(
        "vocabulary", "parameters", "updates", "bytes/token", "bits/byte", "ms/token", "µs/byte", title=preset
    )
    for each in sizes:
        updates = round(steps * cost(preset, sizes[0]) / cost(preset, each))
        folder = out / str(each)
        checkpoint = trained(corpus, preset, each, updates, folder)
        last = [line for line in read_metrics(folder / "run" / "metrics.jsonl") if "bits_per_byte" in line][-1]
        shard = json.loads((folder / "validation" / "shard.json").read_text(encoding="utf-8"))
        bytes_per_token, slow = shard["bytes"] / shard["tokens"], milliseconds_per_token(checkpoint)
        table.add_row(
            f"{each:,}",
            f"{cost(preset, each):,}",
            f"{updates:,}",
            f"{bytes_per_token:.2f}",
            f"{last['bits_per_byte']:.3f}",
            f"{slow:.2f}",
            f"{slow * 1000 / bytes_per_token:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
