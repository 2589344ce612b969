"""`incoder convert`: the released weights become a model directory, and a model directory something that transformers or
llama.cpp opens."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from incoder_train.cli.common import need, one_sentence
from incoder_train.errors import UserError

Report = Callable[[int, int], None]  # bytes of weights written, bytes in all


class Layout(str, Enum):
    incoder = "incoder"
    xglm = "xglm"
    gguf = "gguf"
    onnx = "onnx"


class Precision(str, Enum):
    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    q8_0 = "q8_0"


def convert(
    source: Annotated[
        Path,
        typer.Argument(help="A folder as of facebook/incoder-1B; with --to xglm, onnx or gguf, a model directory."),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write; with --to gguf, the file.")],
    to: Annotated[
        Layout,
        typer.Option(
            help="A model directory of ours; one for Hugging Face's transformers; ours with the graph for ONNX Runtime, for "
            "which OUT may be SOURCE itself; or a file for llama.cpp."
        ),
    ] = Layout.incoder,
    dtype: Annotated[
        Precision | None,
        typer.Option(help="What weights are stored in; by default as they are, in GGUF fp16. GGUF has q8_0 besides."),
    ] = None,
) -> None:
    """Turn InCoder weights in Hugging Face's layout into a model directory, or a model directory into what others open."""
    with one_sentence():
        if to is Layout.onnx:
            with_graph(source, out, dtype)
            return
        need("torch")
        if to is Layout.gguf:
            need("gguf")
        elif dtype is Precision.q8_0:
            raise UserError("q8_0 is a type of GGUF files; say --to gguf, or another --dtype")
        console = Console(stderr=True)
        columns = TextColumn("weights"), BarColumn(), DownloadColumn()
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("")
            run = _write_gguf if to is Layout.gguf else _write_folder
            said = run(source, out, to, dtype, lambda done, total: bar.update(task, completed=done, total=total))
        tell(out)
        if said:
            print(said)


def _write_folder(source: Path, out: Path, to: Layout, dtype: Precision | None, progress: Report) -> str:
    from incoder_train.convert import convert
    from incoder_train.training.precision import DTYPES

    convert(source, out, to=to.value, dtype=None if dtype is None else DTYPES[dtype.value], progress=progress)
    return f"Use it: incoder-lsp serve --model {out.resolve()}" if to is Layout.incoder else ""


def _write_gguf(source: Path, out: Path, to: Layout, dtype: Precision | None, progress: Report) -> str:
    from incoder_train.gguf_layout import convert_to_gguf, prompt
    from incoder_train.gguf_vocabulary import NOTE

    config = convert_to_gguf(source, out, (dtype or Precision.fp16).value, progress)
    infill = (
        "refuses: its prompts cannot have the right side first, as this model reads it"
        if config.region
        else "works, with a prompt without <|mask:1|>, after which answers may run on"
    )
    return (
        f"Use it: llama-server -m {out}\n"
        f"Prompt: {prompt(config)}\n"
        f"/infill {infill}.\n"
        f"Tokens: {NOTE}.\n"
        "llama.cpp has to be of May 2026 or later, to know how to cut text into tokens."
    )


def with_graph(source: Path, out: Path, dtype: Precision | None) -> None:
    need("onnx")
    from incoder_train.graph import add_graph

    if dtype is not None:
        raise UserError("--to onnx leaves the weights as they are stored; leave out --dtype")
    tell(add_graph(source, out))


def tell(out: Path) -> None:
    for file in sorted(out.iterdir()) if out.is_dir() else [out]:
        print(f"{file.stat().st_size:>14,}  {file}")
