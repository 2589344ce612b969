"""Which holes to train on: the same small model, data and number of updates under several mixes of spans, and how well each
fills holes of every kind on held-out files.

    python benchmarks/span_mix.py DATA [--preset small-2m] [--steps 500] [--only NAME ...] [--out DIR]

DATA is a folder with shards `train` and `validation`, and `tokenizer.json`. A run that is finished in --out is not trained
again. "exact" is whether each token of the span, its end included, is the likeliest one after those before it: what greedy
decoding would give, without decoding. "left to right" sees the left side only, and has to go on with a line end.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from incoder_model import causal_mask
from incoder_model.causal_mask import Span, SpanDistribution
from incoder_model.checkpoint import load_transformer
from incoder_model.tokenizer import BOS, Tokenizer, load_tokenizer
from incoder_model.transformer import Transformer
from incoder_train.tokens.batches import pad
from incoder_train.tokens.blocks import cut_blocks
from incoder_train.tokens.shards import open_shard
from incoder_train.tokens.spans import SHAPES, EditorSpans, Lines, editor_span, read_lexicon

VARIANTS = {
    "paper": "editor_share = 0.0",
    "half": "editor_share = 0.5",
    "half, several holes": "editor_share = 0.5\neditor = { more_holes = 0.75 }",
    "region": "editor_share = 0.9\neditor = { more_holes = 0.75, region = 0.75 }",
    "half, several holes, neighbours": 'editor_share = 0.5\neditor = { more_holes = 0.75 }\nrows = "neighbours"',
}
KINDS = (*SHAPES, "paper's span")
BLOCK = 440  # tokens around a hole
RECIPE = """
name = "{name}"
model = "{preset}"
[data]
train = "{data}/train"
validation = "{data}/validation"
tokenizer = "{tokenizer}"
context = 512
{mix}
[optimiser]
kind = "muon"
lr = 3e-3
warmup_steps = 60
[run]
batch_size = 8
steps = {steps}
checkpoint_every = {steps}
validate_every = 250
"""


@dataclass(frozen=True)
class Hole:
    block: np.ndarray  # (time,) token ids
    span: Span


@dataclass
class Found:
    """Sums over holes."""

    holes: int = 0
    exact: int = 0
    nats: float = 0.0
    bytes: int = 0

    def row(self) -> str:
        return f"{self.exact / self.holes:.1%}  {self.nats / math.log(2) / self.bytes:.3f}"


def draw_holes(data: Path, tokenizer: Tokenizer, kind: str, count: int) -> list[Hole]:
    """Holes in blocks of the validation files, one in each, the same for every variant."""
    shard, lexicon, rng = open_shard(data / "validation"), read_lexicon(tokenizer), np.random.default_rng(7)
    blocks, holes = cut_blocks(shard.offsets, BLOCK), []
    for which in rng.permutation(len(blocks)):
        start, length = int(blocks.starts[which]), int(blocks.lengths[which])
        block = np.asarray(shard.tokens[start : start + length], np.int64)
        if kind in SHAPES:
            how = EditorSpans(**{name: float(name == kind) for name in SHAPES})
            span = editor_span(Lines(block, lexicon), rng, how)
        else:
            span = next(iter(causal_mask.draw_spans(length, 1, rng, SpanDistribution())), None)
        if span:
            holes.append(Hole(block, span))
        if len(holes) == count:
            break
    return holes


@torch.inference_mode()
def judge(model: Transformer, tokenizer: Tokenizer, holes: list[Hole], *, left_only: bool) -> Found:
    found, sentinels, table = Found(), tokenizer.sentinels, tokenizer.token_bytes
    newlines = torch.tensor(sorted(tokenizer.newlines))
    region = model.config.region
    for prompts in batched([(asked(hole, tokenizer, left_only, region), hole) for hole in holes], 16):
        batch = pad([tokens for tokens, _ in prompts], sentinels)
        hidden = model(torch.from_numpy(batch.inputs))
        for row, (tokens, hole) in enumerate(prompts):
            start, end = hole.span
            answer = end - start + 1
            scores = model.logits(hidden[row, len(tokens) - answer : len(tokens)])  # (answer, vocabulary)
            likeliest, wanted = scores.argmax(1), torch.tensor(tokens[-answer:])
            ended = bool(torch.isin(likeliest[-1], newlines)) if left_only else bool(likeliest[-1] == wanted[-1])
            found.holes += 1
            found.exact += ended and bool((likeliest[:-1] == wanted[:-1]).all())
            log_p = scores.log_softmax(1)[torch.arange(answer), wanted]
            found.nats -= float(log_p[: answer - left_only].sum())
            found.bytes += sum(len(table[token]) for token in hole.block[start:end])
    return found


def asked(hole: Hole, tokenizer: Tokenizer, left_only: bool, region: bool) -> list[int]:
    """What an editor asks such a model, and the answer after it; the <|endoftext|> before it is `pad`'s."""
    start, end = hole.span
    left, span, right = hole.block[:start].tolist(), hole.block[start:end].tolist(), hole.block[end:].tolist()
    if left_only:
        return [*left, *span, BOS]  # the last one stands for any line end
    sentinels = tokenizer.sentinels
    if region:
        return [*causal_mask.prompt([[], right], sentinels), sentinels[0], *left, *span, sentinels.end]
    return [*causal_mask.prompt([left, right], sentinels), sentinels[0], *span, sentinels.end]


def batched(items: list, size: int) -> Iterator[list]:
    return (items[first : first + size] for first in range(0, len(items), size))


def train(name: str, mix: str, data: Path, tokenizer: Path, preset: str, steps: int, out: Path) -> Path:
    checkpoint = out / f"step-{steps:08d}"
    if not checkpoint.exists():
        out.mkdir(parents=True, exist_ok=True)
        recipe = out.parent / f"{out.name}.toml"
        recipe.write_text(RECIPE.format(name=name, preset=preset, data=data, tokenizer=tokenizer, mix=mix, steps=steps))
        subprocess.run([sys.executable, "-m", "incoder_train", "train", str(recipe), "--out", str(out)], check=True)
    return checkpoint


def main(
    data: Path,
    tokenizer: Annotated[Path | None, typer.Option()] = None,
    preset: Annotated[str, typer.Option()] = "small-2m",
    steps: Annotated[int, typer.Option()] = 500,
    holes: Annotated[int, typer.Option()] = 500,
    only: Annotated[list[str] | None, typer.Option()] = None,
    out: Annotated[Path, typer.Option()] = Path("runs/span-mix"),
) -> None:
    tokenizer = (tokenizer or data / "tokenizer.json").absolute()
    loaded = load_tokenizer(tokenizer)
    drawn = {kind: draw_holes(data, loaded, kind, holes) for kind in KINDS}
    title = f"{preset}, {steps} updates; {holes} holes of each kind: exact, bits per byte of the span"
    table = Table("training holes", *KINDS, "lines, left to right", title=title)
    for name, mix in VARIANTS.items():
        if only and name not in only:
            continue
        folder = out / name.replace(", ", "-").replace(" ", "-")
        model, _ = load_transformer(train(name, mix, data.absolute(), tokenizer, preset, steps, folder))
        columns = [judge(model, loaded, drawn[kind], left_only=False) for kind in KINDS]
        columns.append(judge(model, loaded, drawn["lines"], left_only=True))
        table.add_row(name, *(column.row() for column in columns))
    Console(width=180).print(table)


if __name__ == "__main__":
    typer.run(main)
