"""What a keystroke costs: the same requests through our engine, the same without its cache, and through transformers.

    python benchmarks/keystroke.py [--model DIR] [--keys N]

A person types lines of a file that no training corpus of ours holds; every key asks for one suggestion. All three run the
same weights in float32 in this process, take turns key by key, and generate the same number of tokens. Read the ratios: the
milliseconds are this machine's.
"""

from __future__ import annotations

import statistics
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import XGLMConfig, XGLMForCausalLM

from incoder_model.checkpoint import BUNDLED, load_model, load_transformer
from incoder_model.infill import InfillRequest, Model, infill, prompt_of
from incoder_model.metadata import file_attributes, header
from incoder_model.tokenizer import BOS
from incoder_model.xglm import HEAD, xglm_config, xglm_name

TOKENS = 12  # generated for each key


def as_xglm(directory: Path) -> XGLMForCausalLM:
    ours, _ = load_transformer(directory)
    theirs = XGLMForCausalLM(XGLMConfig.from_dict(xglm_config(ours.config))).eval()
    weights = {xglm_name(name): weight for name, weight in ours.state_dict().items()}
    theirs.load_state_dict(weights | {HEAD: ours.embed_tokens.weight})
    return theirs


def requests(source: str, keys: int) -> list[InfillRequest]:
    """One for each key of lines typed into the middle of `source`."""
    lines = source.splitlines(keepends=True)
    asked: list[InfillRequest] = []
    for number in range(len(lines) // 3, len(lines), 7):
        line = lines[number].rstrip("\n")
        left, right = "".join(lines[:number]), "\n" + "".join(lines[number + 1 :])
        for length in range(len(line) - len(line.lstrip()), len(line)):
            asked.append(
                InfillRequest(left, right, header(file_attributes("wrapping.py")), line[:length], True, TOKENS)
            )
            if len(asked) == keys:
                return asked
    return asked


def through_transformers(theirs: XGLMForCausalLM, model: Model, request: InfillRequest, tokens: int) -> None:
    prompt = [*prompt_of(model, request), *model.tokenizer.encode(request.typed)]
    theirs.generate(
        torch.tensor([prompt]),
        max_new_tokens=max(1, tokens),
        min_new_tokens=max(1, tokens),
        do_sample=False,
        pad_token_id=1,
    )


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def main(model: Annotated[Path, typer.Option()] = BUNDLED, keys: Annotated[int, typer.Option(min=8)] = 60) -> None:
    cached, uncached, theirs = load_model(model), load_model(model), as_xglm(model)
    asked = requests(Path(textwrap.__file__).read_text(encoding="utf-8"), keys)
    times: dict[str, list[float]] = {"ours": [], "ours, cache emptied before each key": [], "transformers generate": []}
    evaluated: list[int] = []
    for request in asked:
        before = cached.engine.evaluated
        answers = []
        ours, emptied, peer = times.values()
        ours.append(timed(lambda request=request, answers=answers: answers.append(infill(cached, request))))
        evaluated.append(cached.engine.evaluated - before - answers[0].tokens)
        uncached.engine.prefill([BOS])
        emptied.append(timed(lambda request=request: infill(uncached, request)))
        tokens = answers[0].tokens
        peer.append(timed(lambda request=request, tokens=tokens: through_transformers(theirs, cached, request, tokens)))

    table = Table(
        "engine",
        "p50 ms",
        "p95 ms",
        "p50 against ours",
        title=f"{len(asked)} keys, {torch.get_num_threads()} thread(s)",
    )
    base = statistics.median(times["ours"])
    for name, values in times.items():
        p95 = sorted(values)[int(0.95 * len(values))]
        table.add_row(
            name, f"{statistics.median(values):.1f}", f"{p95:.1f}", f"{statistics.median(values) / base:.1f}x"
        )
    Console().print(table)
    print(
        f"prompt tokens evaluated per key: median {statistics.median(evaluated)}, mean {statistics.mean(evaluated):.1f}"
    )


if __name__ == "__main__":
    typer.run(main)
