"""`incoder bundle`: a checkpoint becomes what a package carries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from incoder_train.cli.common import need, one_sentence


def bundle(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint of a run, or any model directory.")],
    out: Annotated[
        Path | None, typer.Option(help="By default the place of the bundled model in this installation.")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="The corpus folder, whose licences and counts go into the bundle.")
    ] = None,
) -> None:
    """Make the small, shippable copy of a model: bf16 weights, and where they come from."""
    with one_sentence():
        need("torch")
        from incoder_train.bundle import write_bundle

        folder = write_bundle(checkpoint, out, corpus)
        for file in sorted(folder.iterdir()):
            print(f"{file.stat().st_size:>12,}  {file}")
