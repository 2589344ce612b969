"""`incoder convert`: the released weights become a model directory, and a model directory something that transformers opens."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from incoder_train.cli.common import need, one_sentence
from incoder_train.errors import UserError


class Layout(str, Enum):
    incoder = "incoder"
    xglm = "xglm"
    onnx = "onnx"


class Precision(str, Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


def convert(
    source: Annotated[
        Path, typer.Argument(help="A folder as of facebook/incoder-1B; with --to xglm or onnx, a model directory.")
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    to: Annotated[
        Layout,
        typer.Option(
            help="A model directory of ours; one for Hugging Face's transformers; or ours with the graph for ONNX Runtime, "
            "for which OUT may be SOURCE itself."
        ),
    ] = Layout.incoder,
    dtype: Annotated[Precision | None, typer.Option(help="What weights are stored in; by default as they are.")] = None,
) -> None:
    """Turn InCoder weights in Hugging Face's layout into a model directory, or the other way round."""
    with one_sentence():
        if to is Layout.onnx:
            with_graph(source, out, dtype)
            return
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
        tell(folder)
        if to is Layout.incoder:
            print(f"Use it: incoder-lsp serve --model {folder}")


def with_graph(source: Path, out: Path, dtype: Precision | None) -> None:
    need("onnx")
    from incoder_train.graph import add_graph

    if dtype is not None:
        raise UserError("--to onnx leaves the weights as they are stored; leave out --dtype")
    tell(add_graph(source, out))


def tell(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        print(f"{file.stat().st_size:>14,}  {file}")
