"""`incoder bundle`: a checkpoint becomes what a package carries."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from incoder_train.cli.common import need, one_sentence


class Dtype(str, Enum):
    int8 = "int8"
    bf16 = "bf16"


def bundle(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a run, or any model directory.")],
    out: Annotated[
        Path | None, typer.Option(help="By default the place of the bundled model in this installation.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="The corpus folder, whose licences and counts go into the bundle.")
    ] = None,
    dtype: Annotated[
        Dtype, typer.Option(help="Of the weights: int8 has a scale for each row of a matrix.")
    ] = Dtype.int8,
    scores: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="A result that `incoder eval --json` wrote, for the model card; may be repeated."
        ),
    ] = None,
    hardware: Annotated[str, typer.Option(help="What the model was trained on, in words, for the model card.")] = "",
) -> None:
    """Make the small, shippable copy of a model: int8 weights, where they come from, a model card, and hashes."""
    with one_sentence():
        for package in ("torch", "zstandard", "onnx"):
            need(package)
        from incoder_train.bundle import write_bundle

        folder = write_bundle(checkpoint, out, corpus, dtype=dtype.value, scores=scores or (), hardware=hardware)
        for file in sorted(folder.iterdir()):
            print(f"{file.stat().st_size:>12,}  {file}")
