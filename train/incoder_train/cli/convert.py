"""`incoder convert`: the released weights become a model directory, and a model directory something that transformers opens."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from incoder_train.cli.common import need, one_sentence


class Layout(str, Enum):
    incoder = "incoder"
    xglm = "xglm"


class Precision(str, Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


def convert(
    source: Annotated[
        Path, typer.Argument(help="A folder as of facebook/incoder-1B; with --to xglm, a model directory.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    to: Annotated[
        Layout,
        typer.Option(help="A model directory of ours, or one for Hugging Face's transformers."),
    ] = Layout.incoder,
    dtype: Annotated[Precision | None, typer.Option(help="What weights are stored in; by default as they are.")] = None,
) -> None:
    """Turn InCoder weights in Hugging Face's layout into a model directory, or the other way round."""
    with one_sentence():
        need("torch")
        from incoder_train.convert import convert as run
        from incoder_train.training.precision import DTYPES

        console = Console(stderr=True)
        columns = TextColumn("weights"), BarColumn(), DownloadColumn()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("")
            folder = run(
                source,
                out,
                to=to.value,
                dtype=None if dtype is None else DTYPES[dtype.value],
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        for file in sorted(folder.iterdir()):
            print(f"{file.stat().st_size:>14,}  {file}")
        if to is Layout.incoder:
            print(f"Use it: incoder-lsp serve --model {folder}")
